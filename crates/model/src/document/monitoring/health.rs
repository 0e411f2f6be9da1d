//! Whether the agent sees what it should.

use super::super::overview::{Overview, Watched, Whole, link, seconds};
use super::{Condition, ProbeUnknown};
use crate::error::Result;
use crate::sample::registry::SPECS;
use crate::sample::{Origin, Probe, Reason};
use crate::view::Link;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// A sampler that is this many intervals late is late.
const INTERVALS_LATE: f64 = 5.0;

/// Whether the agent sees what it should.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = MonitoringHealth)]
pub struct Health {
    /// The worst of the servers' conditions.
    pub status: Condition,
    /// Now.
    pub timestamp: Timestamp,
    /// pgtend's version.
    pub version: String,
    /// Seconds since the agent started.
    pub uptime_seconds: f64,
    /// Each server, as the agent sees it.
    pub servers: Vec<ServerSight>,
}

/// A server, as the agent sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ServerSight {
    /// Its name.
    pub server: String,
    /// HEALTHY: everything that should be seen is. DEGRADED: some of it is not. UNHEALTHY: the server does not answer.
    pub status: Condition,
    /// `up`, `down` or `connecting`.
    pub state: String,
    /// Since when.
    pub since: Option<Timestamp>,
    /// Why it does not answer.
    pub error: Option<String>,
    /// Age of the newest sample of sessions, in seconds.
    pub sample_age_seconds: Option<f64>,
    /// Probes without an answer though they should have one: they failed, took too long or had no turn.
    pub failing: Vec<ProbeUnknown>,
    /// Probes that have nothing to tell here: for want of a privilege, an extension or a newer PostgreSQL, or switched off.
    pub not_available: Vec<ProbeUnknown>,
}

/// Parameters of [`Health`].
#[derive(Debug, Clone, Default, Serialize, Deserialize, IntoParams)]
pub struct Params {}

impl Overview for Health {
    type Params = Params;
    const PATH: &'static str = "/api/v1/monitoring/health";
    const ABOUT: &'static str = "Whether the agent sees what it should";

    fn build(whole: &Whole<'_>, _params: &Params) -> Result<Self> {
        let servers: Vec<ServerSight> = whole.servers.iter().map(|server| sight(whole, server)).collect();
        Ok(Self {
            status: servers.iter().map(|server| server.status).max().unwrap_or(Condition::Unhealthy),
            timestamp: whole.now,
            version: whole.process.version.clone(),
            uptime_seconds: seconds(whole.process.started_at, whole.now),
            servers,
        })
    }
}

fn sight(whole: &Whole<'_>, server: &Watched) -> ServerSight {
    let (state, since, error) = link(&server.view.link);
    let sample_age_seconds = server.ash.newest.map(|newest| seconds(newest, whole.now));
    let (mut failing, mut not_available) = (Vec::new(), Vec::new());
    let probes = SPECS.iter().map(|spec| spec.probe).filter(|probe| runs(whole, *probe));
    for unknown in probes.filter_map(|probe| unknown(server, probe)) {
        match unknown.why.reason {
            Reason::Timeout | Reason::Lock | Reason::Budget | Reason::Failed => failing.push(unknown),
            Reason::Pending | Reason::Unreachable | Reason::Reset => {}
            Reason::Privilege | Reason::Version | Reason::Extension | Reason::Remote | Reason::Disabled | Reason::Absent => {
                not_available.push(unknown);
            }
        }
    }
    let interval = whole.config.ash.sample_interval_seconds.as_secs_f64();
    let is_late = whole.config.ash.enabled && sample_age_seconds.is_some_and(|age| age > (INTERVALS_LATE * interval).max(5.0));
    let status = match &server.view.link {
        Link::Down { .. } => Condition::Unhealthy,
        Link::Connecting => Condition::Degraded,
        Link::Up { .. } if is_late || !failing.is_empty() => Condition::Degraded,
        Link::Up { .. } => Condition::Healthy,
    };
    let server = server.view.name.clone();
    ServerSight { server, status, state: state.to_owned(), since, error, sample_age_seconds, failing, not_available }
}

/// Whether a probe runs by itself on a server of which the agent has a connection.
fn runs(whole: &Whole<'_>, probe: Probe) -> bool {
    probe.spec().origin == Origin::Query && !whole.config.probes.every(probe).is_zero()
}

fn unknown(server: &Watched, probe: Probe) -> Option<ProbeUnknown> {
    let (_, _, unknown) = server.view.readings.state(probe);
    unknown.map(|why| ProbeUnknown { probe: probe.spec().name.to_owned(), why: why.clone() })
}

#[cfg(test)]
mod tests {
    use super::super::super::by_hand::{at, put, view};
    use super::super::super::overview::by_hand::built;
    use super::*;
    use crate::error::{Error, Kind};
    use crate::sample::Unknown;
    use crate::view::View;
    use serde_json::{Value, json};

    fn statuses(views: Vec<View>) -> Vec<Value> {
        let document = built::<Health>(views, |_| {}, &Params::default());
        let servers = document["servers"].as_array().unwrap().iter().map(|server| server["status"].clone());
        std::iter::once(document["status"].clone()).chain(servers).collect()
    }

    fn sampled(seconds: i64) -> View {
        let mut view = view();
        put(&mut view.readings.activity, seconds, json!([]));
        view
    }

    #[test]
    fn the_worst_server_decides() {
        let mut down = sampled(10);
        down.link = Link::Down { since: at(20), why: Error::new(Kind::Unreachable, "connection refused"), retry_at: at(61) };
        let mut slow = sampled(59);
        slow.readings.tables.put(Err(Unknown::new(Reason::Timeout, "statement timeout")));
        let mut bare = sampled(59);
        bare.readings.statements.put(Err(Unknown::new(Reason::Extension, "pg_stat_statements is not installed")));
        assert_eq!(statuses(vec![sampled(59)]), ["HEALTHY", "HEALTHY"]);
        assert_eq!(statuses(vec![bare.clone(), slow.clone()]), ["DEGRADED", "HEALTHY", "DEGRADED"]);
        assert_eq!(statuses(vec![slow.clone(), down.clone()]), ["UNHEALTHY", "DEGRADED", "UNHEALTHY"]);
        assert_eq!(statuses(vec![sampled(40)]), ["DEGRADED", "DEGRADED"], "the sampler is late");
        assert_eq!(statuses(Vec::new()), ["UNHEALTHY"]);
        insta::assert_json_snapshot!(built::<Health>(vec![bare, slow, down], |_| {}, &Params::default()));
    }
}
