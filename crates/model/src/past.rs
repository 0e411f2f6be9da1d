//! What is remembered of one server: the port through which documents about the past read history.
//!
//! The model stays free of files: whoever has a history (the store, or [`Memory`]) implements [`Past`].

mod memory;
pub mod plans;

pub use memory::Memory;
pub use plans::{NewPlan, PlanChange, PlanOrigin, PlanSeen};

use crate::ash::block::{Block, Wanted};
use crate::error::{Error, Kind, Result};
use crate::plan::Plan;
use crate::query_id::QueryId;
use crate::sample::{Probe, Readings, Taken, Text, Unknown};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::time::Duration;
use utoipa::ToSchema;

/// A stretch of time: from its start on, before its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Span {
    /// Its start.
    pub start: Timestamp,
    /// Its end.
    pub end: Timestamp,
}

impl Span {
    /// From one instant to another.
    pub const fn new(start: Timestamp, end: Timestamp) -> Self {
        Self { start, end }
    }

    /// From an instant that was asked for to a later one.
    ///
    /// # Errors
    /// `Usage` when it is not later.
    pub fn asked(start: Timestamp, end: Timestamp) -> Result<Self> {
        let told = |what: String| Error::new(Kind::Usage, what);
        match start.cmp(&end) {
            Ordering::Less => Ok(Self { start, end }),
            Ordering::Equal => {
                let what = format!("the period has no length: it begins and ends at {start:.0}");
                Err(told(what).hint("its end is later than its begin"))
            }
            Ordering::Greater => {
                let what = format!("the period ends before it begins: from {start:.0} to {end:.0}");
                Err(told(what).hint("its begin is the earlier one, and not in the future"))
            }
        }
    }

    /// How long it is, in seconds; never negative.
    pub fn seconds(self) -> f64 {
        self.end.duration_since(self.start).as_secs_f64().max(0.0)
    }

    /// Whether an instant is in it.
    pub fn contains(self, at: Timestamp) -> bool {
        self.start <= at && at < self.end
    }
}

/// One instant at which the sessions were sampled, also when none did anything: it tells "idle" from "not sampled".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TickMark {
    /// When.
    pub at: Timestamp,
    /// Sessions that did something.
    pub sessions: u32,
}

/// One reading of a probe as it is remembered: the rows that changed since the reading before, or why there were none.
#[derive(Debug, Clone)]
pub struct Frame {
    /// When.
    pub at: Timestamp,
    /// Whether `rows` are all there were; otherwise those that did not change are left out.
    pub whole: bool,
    /// The rows.
    pub rows: Result<Taken, Unknown>,
}

/// Cumulative counters at an instant that was asked for, or was due: what AWR reports lie between.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Snapshot {
    /// Its number; numbers of one server only grow.
    pub id: i64,
    /// When.
    pub at: Timestamp,
    /// Why it was taken: `scheduled`, `manual`, `perf` (start or end of a performance snapshot) or `connect` (the server came back).
    pub reason: String,
    /// When the server started.
    pub server_started_at: Option<Timestamp>,
    /// PostgreSQL's version, as it says it.
    pub version: Option<String>,
    /// Probes that could not be read at it.
    pub missing: Vec<String>,
}

/// A period that is kept longer, to compare others with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Baseline {
    /// Its name; one of a server.
    pub name: String,
    /// First snapshot.
    pub start_snapshot_id: i64,
    /// Last snapshot.
    pub end_snapshot_id: i64,
    /// The time between them.
    pub span: Span,
    /// What it is, in the words of whoever made it.
    pub description: String,
    /// When it was made.
    pub created_at: Timestamp,
}

/// What is kept on disk of one server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = KeptHistory)]
pub struct Kept {
    /// `samples` of sessions, `readings` of probes, or the `journal` of what is not sealed yet, which has both.
    pub kind: String,
    /// Files.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Begin of the oldest hour; of the oldest day where its hours have been put together.
    pub oldest: Option<Timestamp>,
    /// End of the newest hour.
    pub newest: Option<Timestamp>,
}

/// What is remembered of one server.
pub trait Past {
    /// Session samples, in blocks, in no particular order of time.
    ///
    /// # Errors
    /// When the history cannot be read.
    fn sessions(&self, wanted: &Wanted, each: &mut dyn FnMut(&Block)) -> Result<()>;

    /// The instants at which sessions were sampled, oldest first.
    ///
    /// # Errors
    /// As [`Past::sessions`].
    fn ticks(&self, span: Span) -> Result<Vec<TickMark>>;

    /// What was known at an instant: of each probe the newest reading at or before it, as `latest` with the instant it was made at.
    /// A probe that was not readable then, or of which nothing is remembered, is unknown.
    ///
    /// # Errors
    /// As [`Past::sessions`].
    fn readings(&self, at: Timestamp, probes: &[Probe]) -> Result<Readings>;

    /// The readings of a probe, oldest first. The first one is whole: it may be from before the span, and tells what the rows were at
    /// its start.
    ///
    /// # Errors
    /// As [`Past::sessions`].
    fn frames(&self, probe: Probe, span: Span, each: &mut dyn FnMut(&Frame)) -> Result<()>;

    /// The text of a statement, by its identifier.
    ///
    /// # Errors
    /// As [`Past::sessions`].
    fn text(&self, query_id: i64) -> Result<Option<Text>>;

    /// The plans that began to be seen before the end of a stretch of time: of one statement, or of all that
    /// were seen with a plan within it.
    ///
    /// # Errors
    /// As [`Past::sessions`].
    fn plans(&self, query_id: Option<QueryId>, span: Span) -> Result<Vec<PlanSeen>>;

    /// The newest plan of a statement with which it was executed by a client, and when.
    ///
    /// # Errors
    /// As [`Past::sessions`].
    fn captured_plan(&self, query_id: QueryId) -> Result<Option<(Timestamp, Plan)>>;

    /// The snapshots there are, oldest first.
    ///
    /// # Errors
    /// As [`Past::sessions`].
    fn snapshots(&self) -> Result<Vec<Snapshot>>;

    /// The baselines there are, by name.
    ///
    /// # Errors
    /// As [`Past::sessions`].
    fn baselines(&self) -> Result<Vec<Baseline>>;

    /// The whole stretch of which anything is remembered.
    ///
    /// # Errors
    /// As [`Past::sessions`].
    fn extent(&self) -> Result<Option<Span>>;

    /// What is kept on disk, by kind; nothing of what is in memory only.
    ///
    /// # Errors
    /// As [`Past::sessions`].
    fn kept(&self) -> Result<Vec<Kept>> {
        Ok(Vec::new())
    }
}

/// How often a probe's readings are remembered; never where it tells nothing of its own, or is asked on demand only.
///
/// Rows that did not change are not written, so what matters is how much changes: statements, tables and indexes of a busy server do
/// so by the thousand.
pub fn remembered_every(probe: Probe) -> Option<Duration> {
    let spec = probe.spec();
    match probe {
        // The session history has it, sample by sample.
        Probe::Activity => None,
        _ if spec.on_demand() => None,
        Probe::Statements | Probe::Tables | Probe::Indexes | Probe::Functions | Probe::HostProcess | Probe::BackendIo => {
            Some(spec.every.max(Duration::from_secs(300)))
        }
        _ => Some(spec.every.max(Duration::from_secs(60))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_that_is_asked_for_has_a_length() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let told = |start, end| Span::asked(at(start), at(end)).unwrap_err().what;
        assert_eq!(Span::asked(at(1), at(2)).unwrap(), Span::new(at(1), at(2)));
        assert_eq!(told(1, 1), "the period has no length: it begins and ends at 1970-01-01T00:00:01Z");
        assert_eq!(told(2, 1), "the period ends before it begins: from 1970-01-01T00:00:02Z to 1970-01-01T00:00:01Z");
    }
}
