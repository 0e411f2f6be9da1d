//! When the next snapshot is due, and making one of what was just read.

use super::server::Server;
use jiff::{SignedDuration, Timestamp};
use pgtend_model::config::effective::Awr;
use pgtend_model::error::Result;
use pgtend_model::past::{Past, Snapshot};
use pgtend_model::sample::{Probe, Reason};

/// A snapshot this new serves when the server is found again.
const RECENT: SignedDuration = SignedDuration::from_mins(10);

/// When snapshots are due.
#[derive(Debug)]
pub(super) struct Snapshots {
    interval: Option<SignedDuration>,
    next: Timestamp,
}

impl Snapshots {
    pub(super) fn new(awr: &Awr, now: Timestamp) -> Self {
        let interval = awr.enabled.then(|| SignedDuration::from_mins(i64::from(awr.snapshot_interval_minutes)));
        Self { interval, next: after(now, interval) }
    }

    /// Whether one is due; then the next one is later. Turns are at multiples of the interval, so that reports begin on the hour.
    pub(super) fn due(&mut self, now: Timestamp) -> bool {
        let is_due = self.interval.is_some() && now >= self.next;
        if is_due {
            self.next = after(now, self.interval);
        }
        is_due
    }

    /// Whether one is due because the server was just found: the first one, or the first after a while or a restart.
    pub(super) fn due_at_connect(&self, server: &Server, now: Timestamp) -> bool {
        let started = started_at(server);
        let Ok(known) = server.past().snapshots() else { return false };
        let serves = |last: &Snapshot| last.server_started_at == started && now.duration_since(last.at) < RECENT;
        self.interval.is_some() && !known.last().is_some_and(serves)
    }
}

fn after(now: Timestamp, interval: Option<SignedDuration>) -> Timestamp {
    let Some(interval) = interval.map(|interval| interval.as_secs().max(60)) else { return Timestamp::MAX };
    let turn = (now.as_second().div_euclid(interval) + 1) * interval;
    Timestamp::from_second(turn).unwrap_or(Timestamp::MAX)
}

fn started_at(server: &Server) -> Option<Timestamp> {
    server.view().readings.server.current().ok().and_then(|sample| sample.rows.first().map(|row| row.started_at))
}

/// Adds a snapshot of what was just read of these probes.
pub(super) fn add(server: &Server, probes: &[Probe], reason: &str) -> Result<Snapshot> {
    let view = server.view();
    let version = view.readings.server.current().ok().and_then(|sample| sample.rows.first().map(|row| row.version.to_string()));
    // What this version of PostgreSQL does not have is no gap.
    let is_gap = |probe: &&Probe| view.readings.state(**probe).2.is_some_and(|unknown| unknown.reason != Reason::Version);
    let missing = probes.iter().filter(is_gap).map(|probe| probe.spec().name.to_owned());
    let new = Snapshot {
        id: 0,
        at: Timestamp::now(),
        reason: reason.to_owned(),
        server_started_at: started_at(server),
        version,
        missing: missing.collect(),
    };
    server.past().add_snapshot(&new)
}
