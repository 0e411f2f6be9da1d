//! How much of the session history is held.

use super::super::overview::seconds;
use super::super::{Document, Known};
use crate::ash::Held;
use crate::error::Result;
use crate::past::Kept;
use crate::sample::Probe;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// How much of the session history is held in memory, how much can be, and what is kept on disk.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = AshStatistics)]
pub struct Stats {
    /// What is held.
    #[serde(flatten)]
    pub held: HeldSamples,
    /// Samples that can be held.
    pub max_samples: usize,
    /// Bytes that they may take.
    pub max_memory_bytes: usize,
    /// What is kept on disk, by kind; null without an agent.
    pub on_disk: Option<Vec<Kept>>,
    /// Samples of all servers that never came to the disk since the agent started: it was full or too slow. Null without an agent.
    pub samples_lost: Option<u64>,
}

/// How much of the session history is held.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct HeldSamples {
    /// Samples (instants) that are held, those without any session included.
    pub samples: usize,
    /// Sessions in them, all together.
    pub sessions: usize,
    /// Bytes that they take, estimated.
    pub memory_bytes: usize,
    /// Samples let go since the start because of the bounds.
    pub dropped: u64,
    /// The oldest sample.
    pub oldest: Option<Timestamp>,
    /// The newest sample.
    pub newest: Option<Timestamp>,
    /// From the oldest to the newest, in seconds.
    pub span_seconds: Option<f64>,
    /// Age of the newest, in seconds.
    pub age_seconds: Option<f64>,
}

/// Parameters of [`Stats`].
#[derive(Debug, Clone, Default, Serialize, Deserialize, IntoParams)]
pub struct Params {}

impl Document for Stats {
    type Params = Params;
    const PATH: &'static str = "/api/v1/ash/stats";
    const ABOUT: &'static str = "How much of the session history is held in memory and on disk";
    const PROBES: &'static [Probe] = &[Probe::Activity];

    fn build(known: &Known<'_>, _params: &Params) -> Result<Self> {
        let (max_samples, max_memory_bytes) = known.ash.bounds();
        Ok(Self { held: held(&known.ash.held(), known.now), max_samples, max_memory_bytes, on_disk: None, samples_lost: None })
    }
}

/// What a ring holds, as people see it.
pub(in crate::document) fn held(held: &Held, now: Timestamp) -> HeldSamples {
    HeldSamples {
        samples: held.samples,
        sessions: held.sessions,
        memory_bytes: held.bytes,
        dropped: held.dropped,
        oldest: held.oldest,
        newest: held.newest,
        span_seconds: held.oldest.zip(held.newest).map(|(oldest, newest)| seconds(oldest, newest)),
        age_seconds: held.newest.map(|newest| seconds(newest, now)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::by_hand::{built, put, view};
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_held_and_what_could_be() {
        let mut view = view();
        put(&mut view.readings.activity, 57, json!([{"pid": 1}, {"pid": 2}]));
        let document = built::<Stats>(&view, &Params::default());
        assert_eq!((&document["samples"], &document["sessions"], &document["max_samples"]), (&json!(1), &json!(2), &json!(100)));
        assert_eq!((&document["age_seconds"], &document["span_seconds"]), (&json!(3.0), &json!(0.0)));
        assert_eq!(built::<Stats>(&super::super::super::by_hand::view(), &Params::default())["newest"], json!(null));
    }
}
