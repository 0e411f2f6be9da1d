//! What is remembered of a server.

use super::super::Retrospect;
use crate::error::Result;
use crate::past::{Past, Span};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// What is remembered of a server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = MonitoringHistory)]
pub struct History {
    /// The whole stretch of which anything is remembered, to the hour; null when nothing is.
    pub extent: Option<Span>,
    /// Snapshots there are.
    pub snapshots: usize,
    /// Number of the newest snapshot.
    pub newest_snapshot_id: Option<i64>,
    /// Baselines there are.
    pub baselines: usize,
}

/// Nothing can be asked of it.
#[derive(Debug, Clone, Default, Serialize, Deserialize, IntoParams)]
pub struct Params {}

impl Retrospect for History {
    type Params = Params;
    const PATH: &'static str = "/api/v1/monitoring/history";
    const ABOUT: &'static str = "What is remembered of a server: since when, how many snapshots and baselines";

    fn build(past: &dyn Past, _now: Timestamp, _params: &Params) -> Result<Self> {
        let snapshots = past.snapshots()?;
        Ok(Self {
            extent: past.extent()?,
            snapshots: snapshots.len(),
            newest_snapshot_id: snapshots.last().map(|snapshot| snapshot.id),
            baselines: past.baselines()?.len(),
        })
    }
}
