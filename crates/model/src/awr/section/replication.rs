//! Replication: standbys and how far they are behind, slots and what they hold back, replay on a standby.

use crate::awr::known::Known;
use crate::awr::page::{Cell, Section, Table};
use crate::document::Unknowns;
use crate::sample::replication::Replication as Row;
use crate::sample::slots::ReplicationSlot;
use crate::sample::{Probe, Taken};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// Replication.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = AwrReplication)]
pub struct Replication {
    /// Those that streamed from this server.
    pub standbys: Vec<StandbyDid>,
    /// Replication slots.
    pub slots: Vec<SlotDid>,
    /// This server's own replay, where it is a standby.
    pub replay: Option<ReplayDid>,
    /// Why figures are null.
    pub unknown: Unknowns,
}

/// A standby over the period.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = AwrStandby)]
pub struct StandbyDid {
    /// What it calls itself.
    pub name: String,
    /// `sync`, `quorum`, `potential`, `async`, as last seen.
    pub sync_state: Option<String>,
    /// Whether it was connected at the begin.
    pub at_begin: bool,
    /// Whether it was connected at the end.
    pub at_end: bool,
    /// Readings in which it was seen.
    pub seen: usize,
    /// Readings that there were.
    pub readings: usize,
    /// Bytes not yet replayed: the most in the period.
    pub max_lag_bytes: Option<i64>,
    /// Bytes not yet replayed at the end.
    pub lag_bytes: Option<i64>,
    /// Time from commit here to replay there: the longest in the period, in seconds.
    pub max_lag_seconds: Option<f64>,
}

/// A slot over the period.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = AwrSlot)]
pub struct SlotDid {
    /// Its name.
    pub slot: String,
    /// `physical` or `logical`.
    pub slot_type: String,
    /// Whether somebody streamed from it at the end.
    pub active: bool,
    /// `reserved`, `extended`, `unreserved` (about to be lost), `lost`.
    pub wal_status: Option<String>,
    /// WAL kept for it at the begin, in bytes.
    pub retained_bytes_before: Option<i64>,
    /// WAL kept for it at the end, in bytes.
    pub retained_bytes: Option<i64>,
}

/// Replay on this server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = AwrReplay)]
pub struct ReplayDid {
    /// WAL replayed, in bytes.
    pub replayed_bytes: Option<i64>,
    /// Received and not yet replayed at the end, in bytes.
    pub lag_bytes: Option<i64>,
    /// Time since the last replayed commit at the end, in seconds.
    pub lag_seconds: Option<f64>,
}

/// A standby while readings are gone through.
#[derive(Default)]
struct Seen {
    seen: usize,
    last_reading: usize,
    first_reading: usize,
    max_lag_bytes: Option<i64>,
    lag_bytes: Option<i64>,
    max_lag_ms: Option<f64>,
    sync_state: Option<String>,
}

impl Replication {
    /// Works it out.
    pub fn build(known: &Known<'_>) -> Self {
        let mut unknown = Unknowns::default();
        let standbys = standbys(known);
        if let Err(why) = known.period.last(|readings| &readings.replication) {
            unknown.note("standbys", why);
        }
        if let Err(why) = known.period.last(|readings| &readings.slots) {
            unknown.note("slots", why);
        }
        Self { standbys, slots: slots(known), replay: replay(known), unknown }
    }

    /// How it is laid out.
    #[expect(clippy::cast_precision_loss, reason = "what is shown is rounded")]
    pub fn section(&self) -> Section {
        let bytes = |bytes: Option<i64>| bytes.map_or_else(Cell::default, |bytes| Cell::bytes(bytes as f64));
        let standby = |row: &StandbyDid| {
            [
                row.name.as_str().into(),
                row.sync_state.as_deref().unwrap_or_default().into(),
                format!("{} of {}", row.seen, row.readings).into(),
                if row.at_end { "yes" } else { "no" }.into(),
                bytes(row.max_lag_bytes),
                bytes(row.lag_bytes),
                row.max_lag_seconds.map_or_else(Cell::default, Cell::seconds),
            ]
        };
        let slot = |row: &SlotDid| {
            [
                row.slot.as_str().into(),
                row.slot_type.as_str().into(),
                if row.active { "yes" } else { "no" }.into(),
                row.wal_status.as_deref().unwrap_or_default().into(),
                bytes(row.retained_bytes_before),
                bytes(row.retained_bytes),
            ]
        };
        let columns =
            ["standby", "kind", ">seen in readings", "connected at the end", ">most behind", ">behind at the end", ">longest lag"];
        let standbys = Table::new("Standbys", &columns).rows(self.standbys.iter().map(standby)).or("nobody streams from this server");
        let columns = ["slot", "type", "active", "WAL", ">kept at the begin", ">kept at the end"];
        let slots = Table::new("Replication slots", &columns).rows(self.slots.iter().map(slot)).or("there are none");
        let mut section = Section::new("replication", "Replication", "").missing(self.unknown.iter()).with(standbys).with(slots);
        for gone in self.standbys.iter().filter(|row| row.at_begin && !row.at_end) {
            section = section.note(format!("{} was connected at the begin and is not at the end.", gone.name));
        }
        if let Some(replay) = &self.replay {
            let row = [bytes(replay.replayed_bytes), bytes(replay.lag_bytes), Cell::maybe(replay.lag_seconds, Cell::seconds)];
            section = section
                .with(Table::new("Replay on this server", &[">replayed", ">behind at the end", ">since the last commit"]).rows([row]));
        }
        section
    }
}

fn standbys(known: &Known<'_>) -> Vec<StandbyDid> {
    let mut seen: BTreeMap<String, Seen> = BTreeMap::new();
    let mut readings = 0;
    // Rows that did not change are left out of a partial reading: a standby that is idle must not look gone for that.
    let mut add = |rows: &[Row], whole: bool| {
        readings += usize::from(whole);
        rows.iter().filter(|row| row.state.as_deref() != Some("backup")).for_each(|row| add_row(&mut seen, row, readings));
    };
    let begin = known.period.begin.readings.replication.current().ok();
    begin.iter().for_each(|sample| add(&sample.rows, true));
    let mut last = begin.map(|sample| sample.at);
    let read = known.period.past.frames(Probe::Replication, known.period.span(), &mut |frame| {
        if let Ok(Taken::Replication(sample)) = &frame.rows
            && last.is_none_or(|last| frame.at > last)
        {
            last = Some(frame.at);
            add(&sample.rows, frame.whole);
        }
    });
    let end = known.period.end.readings.replication.current().ok();
    if let Some(sample) = end.filter(|sample| read.is_err() || last.is_none_or(|last| sample.at > last)) {
        add(&sample.rows, true);
    }
    let did = |(name, seen): (String, Seen)| StandbyDid {
        name,
        sync_state: seen.sync_state,
        at_begin: seen.first_reading == 1,
        at_end: seen.last_reading == readings,
        seen: seen.seen,
        readings,
        max_lag_bytes: seen.max_lag_bytes,
        lag_bytes: seen.lag_bytes.filter(|_| seen.last_reading == readings),
        max_lag_seconds: seen.max_lag_ms.map(|ms| ms / 1000.0),
    };
    seen.into_iter().map(did).collect()
}

fn add_row(seen: &mut BTreeMap<String, Seen>, row: &Row, reading: usize) {
    let name = row.application_name.as_deref().filter(|name| !name.is_empty()).unwrap_or("(unnamed)");
    let entry = seen.entry(name.to_owned()).or_default();
    if entry.seen == 0 {
        entry.first_reading = reading;
    }
    if entry.last_reading != reading {
        entry.seen += 1;
        entry.last_reading = reading;
    }
    entry.lag_bytes = row.replay_lag_bytes;
    entry.max_lag_bytes = entry.max_lag_bytes.max(row.replay_lag_bytes);
    entry.max_lag_ms = entry.max_lag_ms.into_iter().chain(row.replay_lag_ms).reduce(f64::max);
    entry.sync_state = row.sync_state.as_deref().map(str::to_owned);
}

fn slots(known: &Known<'_>) -> Vec<SlotDid> {
    let (before, after) = known.period.ends(|readings| &readings.slots);
    let before: BTreeMap<&str, &ReplicationSlot> = before.unwrap_or_default().iter().map(|row| (&*row.slot_name, row)).collect();
    let did = |row: &ReplicationSlot| SlotDid {
        slot: row.slot_name.to_string(),
        slot_type: row.slot_type.to_string(),
        active: row.active,
        wal_status: row.wal_status.as_deref().map(str::to_owned),
        retained_bytes_before: before.get(&*row.slot_name).and_then(|row| row.retained_bytes),
        retained_bytes: row.retained_bytes,
    };
    after.unwrap_or_default().iter().map(did).collect()
}

fn replay(known: &Known<'_>) -> Option<ReplayDid> {
    let (before, after) = known.period.ends(|readings| &readings.recovery);
    let after = after?.first()?;
    let before = before.and_then(<[_]>::first).and_then(|row| row.replay_position);
    Some(ReplayDid {
        replayed_bytes: after.replay_position.zip(before).map(|(after, before)| (after - before).max(0)),
        lag_bytes: after.replay_lag_bytes,
        lag_seconds: after.replay_lag_ms.map(|ms| ms / 1000.0),
    })
}
