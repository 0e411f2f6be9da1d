//! The period that a report is about: what was known at its begin and at its end, and the past between them.

use crate::error::{Error, Kind, Result};
use crate::past::{Past, Snapshot, Span};
use crate::sample::{Probe, Readings, Slot, Unknown};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a report reads at both ends of its period.
pub const PROBES: &[Probe] = &[
    Probe::Server,
    Probe::Database,
    Probe::DatabaseSize,
    Probe::Statements,
    Probe::StatementsInfo,
    Probe::Roles,
    Probe::Io,
    Probe::Bgwriter,
    Probe::Checkpointer,
    Probe::Wal,
    Probe::WalFiles,
    Probe::Archiver,
    Probe::Buffercache,
    Probe::Slru,
    Probe::Tables,
    Probe::Indexes,
    Probe::Sequences,
    Probe::Replication,
    Probe::Recovery,
    Probe::Slots,
    Probe::Subscription,
    Probe::RecoveryConflicts,
    Probe::Connections,
    Probe::Settings,
    Probe::FileSettings,
    Probe::Extensions,
    Probe::HostCpu,
    Probe::HostMemory,
    Probe::HostDisk,
    Probe::HostFilesystem,
    Probe::HostNetwork,
    Probe::HostPressure,
];

/// One end of a period, as somebody names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum Point {
    /// A snapshot, by its number.
    Snapshot(i64),
    /// An instant.
    At(Timestamp),
}

/// One end of a period.
#[derive(Debug, Clone)]
pub struct Edge {
    /// When.
    pub at: Timestamp,
    /// The snapshot that was taken then, if it is one.
    pub snapshot: Option<Snapshot>,
    /// What was known then.
    pub readings: Readings,
}

/// What a report is about.
pub struct Period<'a> {
    /// What is remembered of the server.
    pub past: &'a dyn Past,
    /// The server's name.
    pub server: String,
    /// Its begin.
    pub begin: Edge,
    /// Its end.
    pub end: Edge,
}

impl std::fmt::Debug for Period<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Period").field("server", &self.server).field("begin", &self.begin.at).field("end", &self.end.at).finish()
    }
}

impl<'a> Period<'a> {
    /// The period between two points.
    ///
    /// # Errors
    /// `NotFound` when there is no such snapshot, or nothing is remembered of that time; `Usage` when the end is not after the begin; and
    /// when the history cannot be read.
    pub fn between(past: &'a dyn Past, server: &str, from: Point, to: Point) -> Result<Self> {
        let (begin, end) = (resolve(past, from)?, resolve(past, to)?);
        remembered(past, Span::asked(begin.0, end.0)?)?;
        let edge = |(at, snapshot): (Timestamp, Option<Snapshot>)| -> Result<Edge> {
            Ok(Edge { at, snapshot, readings: past.readings(at, PROBES)? })
        };
        Ok(Self { past, server: server.to_owned(), begin: edge(begin)?, end: edge(end)? })
    }

    /// From its begin to its end.
    pub fn span(&self) -> Span {
        Span::new(self.begin.at, self.end.at)
    }

    /// The rows of a probe at its begin and at its end, each where there are any.
    pub fn ends<T>(&self, slot: impl Fn(&Readings) -> &Slot<T>) -> (Option<&[T]>, Option<&[T]>) {
        (rows_of(slot(&self.begin.readings)), rows_of(slot(&self.end.readings)))
    }

    /// The rows of a probe at its end.
    ///
    /// # Errors
    /// Why there are none.
    pub fn last<T>(&self, slot: impl Fn(&Readings) -> &Slot<T>) -> Result<&[T], Unknown> {
        slot(&self.end.readings).current().map(|sample| &*sample.rows).map_err(Clone::clone)
    }
}

fn rows_of<T>(slot: &Slot<T>) -> Option<&[T]> {
    slot.current().ok().map(|sample| &*sample.rows)
}

/// From the last snapshot before an end to it; to the newest snapshot where no end is named.
///
/// # Errors
/// `NotFound` when there is no snapshot before it; and when the history cannot be read.
pub(super) fn since_last(past: &dyn Past, to: Option<Point>) -> Result<(Point, Point)> {
    let snapshots = past.snapshots()?;
    let to = to.or(snapshots.last().map(|newest| Point::Snapshot(newest.id)));
    let end = to.map(|to| resolve(past, to)).transpose()?;
    let begin = end.and_then(|(end, _)| snapshots.iter().rfind(|snapshot| snapshot.at < end));
    begin.zip(to).map(|(begin, to)| (Point::Snapshot(begin.id), to)).ok_or_else(|| {
        Error::new(Kind::NotFound, "there is no snapshot at which the period could begin")
            .hint("pgtend awr list shows those there are, pgtend awr snapshot takes one; --from takes a time as well")
    })
}

fn resolve(past: &dyn Past, point: Point) -> Result<(Timestamp, Option<Snapshot>)> {
    let id = match point {
        Point::At(at) => return Ok((at, None)),
        Point::Snapshot(id) => id,
    };
    let snapshots = past.snapshots()?;
    let ends = snapshots.first().zip(snapshots.last());
    let hint = ends.map_or_else(
        || "there are no snapshots yet: pgtend awr snapshot takes one".to_owned(),
        |(first, last)| format!("there are snapshots {} to {}: pgtend awr list shows them", first.id, last.id),
    );
    let found = snapshots.into_iter().find(|snapshot| snapshot.id == id);
    let snapshot = found.ok_or_else(|| Error::new(Kind::NotFound, format!("there is no snapshot {id}")).hint(hint))?;
    Ok((snapshot.at, Some(snapshot)))
}

fn remembered(past: &dyn Past, span: Span) -> Result<()> {
    let nothing = |hint: String| Error::new(Kind::NotFound, "nothing is remembered of that time").hint(hint);
    match past.extent()? {
        None => Err(nothing("the history is empty: has the agent been running with it?".to_owned())),
        Some(extent) if extent.end <= span.start || extent.start >= span.end => {
            Err(nothing(format!("the history reaches from {:.0} to {:.0}", extent.start, extent.end)))
        }
        Some(_) => Ok(()),
    }
}
