//! Snapshots and baselines, as they are listed and looked at.

use super::period::PROBES;
use crate::document::Retrospect;
use crate::error::{Error, Kind, Result};
use crate::past::{Baseline, Past, Snapshot, Span};
use crate::sample::Unknown;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Where snapshots are.
pub const SNAPSHOTS: &str = "/api/v1/awr/snapshots";
/// Where baselines are.
pub const BASELINES: &str = "/api/v1/awr/baselines";

/// The snapshots there are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Snapshots)]
pub struct SnapshotList {
    /// Oldest first.
    pub snapshots: Vec<Snapshot>,
    /// How many there are altogether.
    pub total: usize,
}

/// Parameters of [`SnapshotList`].
#[derive(Debug, Clone, Default, Serialize, Deserialize, IntoParams)]
pub struct ListParams {
    /// Only the newest so many; all of them unless said otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

impl Retrospect for SnapshotList {
    type Params = ListParams;
    const PATH: &'static str = SNAPSHOTS;
    const ABOUT: &'static str = "The snapshots between which reports can be made";

    fn build(past: &dyn Past, _now: Timestamp, params: &ListParams) -> Result<Self> {
        let mut snapshots = past.snapshots()?;
        let total = snapshots.len();
        snapshots.drain(..total.saturating_sub(params.limit.unwrap_or(total)));
        Ok(Self { snapshots, total })
    }
}

/// A snapshot, and what was read for it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = SnapshotDetails)]
pub struct SnapshotDetails {
    /// The snapshot.
    pub snapshot: Snapshot,
    /// The one before it: a report between the two tells what happened since.
    pub previous_snapshot_id: Option<i64>,
    /// What was read, probe by probe.
    pub probes: Vec<ProbeRead>,
}

/// What was read of a probe.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = SnapshotProbe)]
pub struct ProbeRead {
    /// The probe.
    pub probe: String,
    /// When its rows were read; null when there are none.
    pub read_at: Option<Timestamp>,
    /// How many rows there are.
    pub rows: Option<usize>,
    /// Why there are none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub unknown: Option<Unknown>,
}

impl SnapshotDetails {
    /// What was read for a snapshot.
    ///
    /// # Errors
    /// `NotFound` when there is no such snapshot; and when the history cannot be read.
    pub fn of(past: &dyn Past, id: i64) -> Result<Self> {
        let snapshots = past.snapshots()?;
        let place = snapshots.iter().position(|snapshot| snapshot.id == id);
        let place = place.ok_or_else(|| {
            Error::new(Kind::NotFound, format!("there is no snapshot {id}")).hint("pgtend awr list shows those there are")
        })?;
        let readings = past.readings(snapshots[place].at, PROBES)?;
        let read = |probe: &crate::sample::Probe| {
            let (read_at, _, unknown) = readings.state(*probe);
            let rows = readings.current(*probe).ok().map(crate::sample::Rows::len);
            ProbeRead { probe: probe.spec().name.to_owned(), read_at, rows, unknown: unknown.cloned() }
        };
        Ok(Self {
            previous_snapshot_id: place.checked_sub(1).map(|before| snapshots[before].id),
            probes: PROBES.iter().map(read).collect(),
            snapshot: snapshots[place].clone(),
        })
    }
}

/// The baselines there are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Baselines)]
pub struct BaselineList {
    /// By name.
    pub baselines: Vec<Baseline>,
}

/// Parameters of [`BaselineList`].
#[derive(Debug, Clone, Default, Serialize, Deserialize, IntoParams)]
pub struct NoParams {}

impl Retrospect for BaselineList {
    type Params = NoParams;
    const PATH: &'static str = BASELINES;
    const ABOUT: &'static str = "The periods that are kept to compare others with";

    fn build(past: &dyn Past, _now: Timestamp, _params: &NoParams) -> Result<Self> {
        Ok(Self { baselines: past.baselines()? })
    }
}

/// A baseline to be made.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewBaseline {
    /// Its name: up to 63 letters, digits, `.`, `_` and `-`.
    pub name: String,
    /// First snapshot.
    pub start_snapshot_id: i64,
    /// Last snapshot.
    pub end_snapshot_id: i64,
    /// What it is, in your words.
    #[serde(default)]
    pub description: String,
}

impl NewBaseline {
    /// The baseline that it describes.
    ///
    /// # Errors
    /// `Usage` when the name or the order of the snapshots is wrong; `NotFound` when there is no such snapshot.
    pub fn resolve(&self, past: &dyn Past, now: Timestamp) -> Result<Baseline> {
        let good = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '-');
        if self.name.is_empty() || self.name.chars().count() > 63 || !self.name.chars().all(good) {
            return Err(Error::new(Kind::Usage, "a baseline's name has up to 63 letters, digits, \".\", \"_\" and \"-\""));
        }
        let snapshots = past.snapshots()?;
        let at = |id: i64| {
            let found = snapshots.iter().find(|snapshot| snapshot.id == id).map(|snapshot| snapshot.at);
            found.ok_or_else(|| {
                Error::new(Kind::NotFound, format!("there is no snapshot {id}")).hint("pgtend awr list shows those there are")
            })
        };
        let span = Span::asked(at(self.start_snapshot_id)?, at(self.end_snapshot_id)?)?;
        Ok(Baseline {
            name: self.name.clone(),
            start_snapshot_id: self.start_snapshot_id,
            end_snapshot_id: self.end_snapshot_id,
            span,
            description: self.description.clone(),
            created_at: now,
        })
    }
}
