//! All connections, idle ones too, with the same figures as the sessions that do something.

use super::sessions::{Params, Sessions};
use super::{Document, Known};
use crate::error::Result;
use crate::sample::Probe;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// All connections, idle ones too.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
pub struct Connections(pub Sessions);

impl Document for Connections {
    type Params = Params;
    const PATH: &'static str = "/api/v1/connections";
    const ABOUT: &'static str = "All connections, idle ones too, longest transaction first";
    const PROBES: &'static [Probe] = &[Probe::Server, Probe::Sessions, Probe::HostProcess];

    fn build(known: &Known<'_>, params: &Params) -> Result<Self> {
        Ok(Self(Sessions::of(known, known.view.readings.sessions.current(), params)))
    }
}
