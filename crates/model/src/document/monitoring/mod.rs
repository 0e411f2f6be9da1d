//! The agent about itself: whether it sees what it should, and what that costs.

pub mod health;
pub mod history;
pub mod stats;

use crate::sample::Unknown;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Condition {
    /// As it should be.
    Healthy,
    /// Works, and somebody should look at it.
    Degraded,
    /// Does not work.
    Unhealthy,
}

/// A probe without an answer, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProbeUnknown {
    /// The probe.
    pub probe: String,
    /// Why it has no answer.
    #[serde(flatten)]
    pub why: Unknown,
}
