//! What the agent does and what it costs.

use super::super::ash::stats::held;
use super::super::overview::{Overview, Process, Watched, Whole, seconds};
use crate::error::Result;
use crate::sample::registry::SPECS;
use crate::sample::{Origin, Spec, Unknown};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// What the agent does and what it costs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = MonitoringStatistics)]
pub struct Stats {
    /// Now.
    pub timestamp: Timestamp,
    /// Seconds since the agent started.
    pub uptime_seconds: f64,
    /// The agent's process.
    pub process: Process,
    /// Each server.
    pub servers: Vec<ServerStats>,
}

/// One server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = MonitoringServer)]
pub struct ServerStats {
    /// Its name.
    pub server: String,
    /// How much of its session history is held.
    pub ash: super::super::ash::stats::HeldSamples,
    /// Statements whose texts are held.
    pub statement_texts: usize,
    /// Its probes, in the order in which a round takes them.
    pub probes: Vec<ProbeStats>,
}

/// One probe.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = MonitoringProbe)]
pub struct ProbeStats {
    /// Its name.
    pub probe: String,
    /// How often it runs, in seconds; null when it runs on demand only.
    pub every_seconds: Option<f64>,
    /// When its newest rows were taken.
    pub at: Option<Timestamp>,
    /// Their age, in seconds.
    pub age_seconds: Option<f64>,
    /// How long it took, in ms.
    pub took_ms: Option<f64>,
    /// Why its last attempt gave nothing; null while all is well.
    pub unknown: Option<Unknown>,
}

/// Parameters of [`Stats`].
#[derive(Debug, Clone, Default, Serialize, Deserialize, IntoParams)]
pub struct Params {}

impl Overview for Stats {
    type Params = Params;
    const PATH: &'static str = "/api/v1/monitoring/stats";
    const ABOUT: &'static str = "What the agent does and what it costs: its process, its tasks, every probe with age and duration";

    fn build(whole: &Whole<'_>, _params: &Params) -> Result<Self> {
        Ok(Self {
            timestamp: whole.now,
            uptime_seconds: seconds(whole.process.started_at, whole.now),
            process: whole.process.clone(),
            servers: whole.servers.iter().map(|server| server_stats(whole, server)).collect(),
        })
    }
}

fn server_stats(whole: &Whole<'_>, server: &Watched) -> ServerStats {
    ServerStats {
        server: server.view.name.clone(),
        ash: held(&server.ash, whole.now),
        statement_texts: server.view.statement_texts.len(),
        probes: SPECS.iter().map(|spec| probe_stats(whole, server, spec)).collect(),
    }
}

fn probe_stats(whole: &Whole<'_>, server: &Watched, spec: &Spec) -> ProbeStats {
    let (at, took, unknown) = server.view.readings.state(spec.probe);
    let every = whole.config.probes.every(spec.probe);
    let on_demand = every.is_zero() && spec.origin == Origin::Query;
    ProbeStats {
        probe: spec.name.to_owned(),
        every_seconds: (!on_demand).then_some(every.as_secs_f64()),
        at,
        age_seconds: at.map(|at| seconds(at, whole.now)),
        took_ms: took.map(|took| took.as_secs_f64() * 1e3),
        unknown: unknown.cloned(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::by_hand::{put, view};
    use super::super::super::overview::by_hand::built;
    use super::*;
    use serde_json::json;

    #[test]
    fn every_probe_has_its_line() {
        let mut seen = view();
        put(&mut seen.readings.activity, 59, json!([{"pid": 1}]));
        let document = built::<Stats>(vec![seen], |_| {}, &Params::default());
        let probes = document["servers"][0]["probes"].as_array().unwrap();
        assert_eq!(probes.len(), SPECS.len());
        let of = |name: &str| probes.iter().find(|probe| probe["probe"] == name).unwrap();
        let expected = json!({"probe": "activity", "every_seconds": 1.0, "at": "2026-01-01T12:00:59Z", "age_seconds": 1.0, "took_ms": 2.0,
                              "unknown": null});
        assert_eq!(of("activity"), &expected);
        assert_eq!(of("sessions")["every_seconds"], json!(null));
        assert_eq!(of("tables")["unknown"]["reason"], "pending");
        assert_eq!((&document["process"]["pid"], &document["servers"][0]["ash"]["sessions"]), (&json!(42), &json!(1)));
    }
}
