//! Checkpoints and the background writer.

use super::with_seconds;
use crate::awr::known::{Known, over, over_f64, over_known};
use crate::awr::measure::{Measure, Unit};
use crate::awr::page::Section;
use crate::sample::{Reason, Unknown};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Checkpoints and the background writer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = AwrBackground)]
pub struct Background {
    /// Checkpoints.
    pub checkpoints: Vec<Measure>,
    /// The background writer.
    pub writer: Vec<Measure>,
}

impl Background {
    /// Works it out.
    pub fn build(known: &Known<'_>) -> Self {
        use Unit::{Bytes, Count, Seconds};
        let checkpointer = &known.checkpointer;
        let in_seconds = |time: Result<(f64, f64), Unknown>| time.map(|(ms, seconds)| (ms / 1000.0, seconds));
        let checkpoints = vec![
            Measure::sum("timed", "Checkpoints due by checkpoint_timeout", Count, over(checkpointer, |row| row.num_timed)),
            Measure::sum(
                "requested",
                "Checkpoints asked for, by max_wal_size or by command",
                Count,
                over(checkpointer, |row| row.num_requested),
            ),
            Measure::sum("done", "Checkpoints carried out", Count, over_known(checkpointer, "PostgreSQL 18", |row| row.num_done)),
            Measure::sum(
                "restartpoints",
                "Restartpoints carried out",
                Count,
                over_known(checkpointer, "PostgreSQL 17", |row| row.restartpoints_done),
            ),
            Measure::sum("buffers_written", "Buffers written by checkpoints", Count, over(checkpointer, |row| row.buffers_written)),
            Measure::sum("write_time", "Time writing, pauses included", Seconds, in_seconds(over_f64(checkpointer, |row| row.write_time))),
            Measure::sum("sync_time", "Time syncing", Seconds, in_seconds(over_f64(checkpointer, |row| row.sync_time))),
            Measure::single("wal_between", "WAL between two checkpoints, on average", Bytes, wal_between(known)),
        ];
        let bgwriter = &known.bgwriter;
        let writer = vec![
            Measure::sum("buffers_clean", "Buffers written by the background writer", Count, over(bgwriter, |row| row.buffers_clean)),
            Measure::sum(
                "maxwritten_clean",
                "Rounds cut short by bgwriter_lru_maxpages",
                Count,
                over(bgwriter, |row| row.maxwritten_clean),
            ),
            Measure::sum("buffers_backend", "Buffers written by sessions", Count, by_sessions(known)),
        ];
        Self { checkpoints, writer }
    }

    /// How it is laid out.
    pub fn section(&self) -> Section {
        let section = Section::new("checkpoints", "Checkpoints and background writer", "");
        with_seconds(with_seconds(section, "Checkpoints", &self.checkpoints), "Background writer", &self.writer)
    }
}

fn wal_between(known: &Known<'_>) -> Result<f64, Unknown> {
    let (count, _) = over(&known.checkpointer, |row| row.num_done.unwrap_or(row.num_timed + row.num_requested))?;
    let (bytes, _) = super::load_profile::wal_bytes(known)?;
    if count > 0.0 { Ok(bytes / count) } else { Err(Unknown::new(Reason::Absent, "there was no checkpoint in the period")) }
}

/// From the I/O of all processes but those whose work it is; before 16 as the background writer's view has it.
fn by_sessions(known: &Known<'_>) -> Result<(f64, f64), Unknown> {
    let counted = over(&known.io, |row| match (&*row.object, &*row.backend_type) {
        ("relation", "checkpointer" | "background writer") => 0,
        ("relation", _) => row.writes.unwrap_or(0),
        _ => 0,
    });
    counted.or_else(|_| over_known(&known.bgwriter, "PostgreSQL 16", |row| row.buffers_backend))
}
