//! How sessions are sampled.

use super::super::overview::{Overview, Whole};
use crate::error::Result;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// How sessions are sampled: `[ash]` of the configuration in force.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = AshConfig)]
pub struct Config {
    /// Whether sessions are sampled.
    pub enabled: bool,
    /// Seconds from one sample to the next.
    pub sample_interval_seconds: f64,
    /// Samples kept in memory for each server at most.
    pub max_samples: usize,
    /// Memory for the samples of one server at most.
    pub max_memory_bytes: u64,
    /// How long samples in memory reach back at most, in hours, at this interval and number.
    pub reach_hours: f64,
    /// Hours for which samples are kept on disk.
    pub retention_hours: u32,
    /// Bytes that the samples of all servers may take on disk; the oldest go first.
    pub max_disk_bytes: u64,
    /// Whether the text of statements is kept.
    pub capture_sql_text: bool,
    /// Whether wait events are kept.
    pub capture_wait_events: bool,
    /// Whether the sessions that a session waits for are looked up.
    pub capture_blocking_sessions: bool,
    /// Whether CPU and memory of each session are read.
    pub capture_resource_usage: bool,
}

/// Parameters of [`Config`].
#[derive(Debug, Clone, Default, Serialize, Deserialize, IntoParams)]
pub struct Params {}

impl Overview for Config {
    type Params = Params;
    const PATH: &'static str = "/api/v1/ash/config";
    const ABOUT: &'static str = "How sessions are sampled";

    fn build(whole: &Whole<'_>, _params: &Params) -> Result<Self> {
        let ash = &whole.config.ash;
        let interval = ash.sample_interval_seconds.as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "hours need no more than a double's precision")]
        let reach_hours = ash.max_samples as f64 * interval / 3600.0;
        Ok(Self {
            enabled: ash.enabled,
            sample_interval_seconds: interval,
            max_samples: ash.max_samples,
            max_memory_bytes: ash.max_memory_bytes,
            reach_hours,
            retention_hours: ash.retention_hours,
            max_disk_bytes: ash.max_disk_bytes,
            capture_sql_text: ash.capture_sql_text,
            capture_wait_events: ash.capture_wait_events,
            capture_blocking_sessions: ash.capture_blocking_sessions,
            capture_resource_usage: ash.capture_resource_usage,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::overview::by_hand::built;
    use super::*;

    #[test]
    fn it_is_the_configuration_in_force() {
        let document = built::<Config>(
            Vec::new(),
            |config| {
                config.ash.sample_interval_seconds = std::time::Duration::from_millis(500);
                config.ash.max_samples = 7200;
            },
            &Params::default(),
        );
        assert_eq!((document["reach_hours"].as_f64(), document["sample_interval_seconds"].as_f64()), (Some(1.0), Some(0.5)));
        assert_eq!(document["capture_sql_text"], true);
    }
}
