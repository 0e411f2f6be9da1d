//! Ratios that people ask for, each with what it is worth.

use crate::awr::known::{Known, over, over_known, percent};
use crate::awr::measure::{Measure, Unit, reasons};
use crate::awr::page::{Section, Table};
use crate::sample::Unknown;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Ratios.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = AwrEfficiency)]
pub struct Efficiency {
    /// The ratios.
    pub ratios: Vec<Ratio>,
}

/// One ratio.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = AwrRatio)]
pub struct Ratio {
    /// The figure, in per cent.
    #[serde(flatten)]
    pub figure: Measure,
    /// What it is worth.
    pub worth: String,
}

impl Efficiency {
    /// Works it out.
    pub fn build(known: &Known<'_>) -> Self {
        let ratio = |name: &str, label: &str, value: Result<f64, Unknown>, worth: &str| Ratio {
            figure: Measure::single(name, label, Unit::Percent, value),
            worth: worth.to_owned(),
        };
        let ratios = vec![
            ratio(
                "buffer_hit",
                "Blocks found in shared buffers",
                hit(known),
                "A miss may still be in the operating system's cache: look at read times before buying memory",
            ),
            ratio(
                "rollback",
                "Transactions rolled back",
                rollback(known),
                "Some applications roll back on purpose; a jump is an error storm",
            ),
            ratio(
                "hot_update",
                "Updates in place (HOT)",
                hot(known),
                "Low on much-updated tables: lower their fillfactor, or drop an index on a column that changes",
            ),
            ratio(
                "timed_checkpoint",
                "Checkpoints due by time",
                timed(known),
                "Low: WAL fills max_wal_size first; a larger one means fewer full page images",
            ),
            ratio(
                "backend_write",
                "Buffers written by sessions themselves",
                backend_writes(known),
                "High: sessions wait for writes that the background writer could do; bulk loads do it on purpose",
            ),
            ratio(
                "full_page_wal",
                "WAL that is full page images",
                full_pages(known),
                "High: checkpoints are too close, or pages are touched once each; wal_compression helps",
            ),
            ratio(
                "parallel_launched",
                "Parallel workers that were to be had",
                workers(known),
                "Below 100: plans counted on workers that max_parallel_workers did not give",
            ),
        ];
        Self { ratios }
    }

    /// How it is laid out.
    pub fn section(&self) -> Section {
        let row = |ratio: &Ratio| [ratio.figure.label.as_str().into(), ratio.figure.shown(), ratio.worth.as_str().into()];
        let table = Table::new("", &["", ">share", "*what it is worth"]).rows(self.ratios.iter().map(row)).wrapping();
        let section =
            Section::new("efficiency", "Efficiency", "No target is right for every server: compare with a period in which all was well.");
        reasons(self.ratios.iter().map(|ratio| &ratio.figure)).into_iter().fold(section.with(table), Section::note)
    }
}

/// Blocks found in shared buffers.
///
/// # Errors
/// Why it is not known.
pub fn hit(known: &Known<'_>) -> Result<f64, Unknown> {
    let (found, _) = over(&known.databases, |row| row.blks_hit)?;
    let (read, _) = over(&known.databases, |row| row.blks_read)?;
    percent(found, found + read, "block reads")
}

fn rollback(known: &Known<'_>) -> Result<f64, Unknown> {
    let (back, _) = over(&known.databases, |row| row.xact_rollback)?;
    let (done, _) = over(&known.databases, |row| row.xact_commit)?;
    percent(back, back + done, "transactions")
}

fn hot(known: &Known<'_>) -> Result<f64, Unknown> {
    let (hot, _) = over(&known.tables, |row| row.n_tup_hot_upd)?;
    let (all, _) = over(&known.tables, |row| row.n_tup_upd)?;
    percent(hot, all, "updates")
}

fn timed(known: &Known<'_>) -> Result<f64, Unknown> {
    let (timed, _) = over(&known.checkpointer, |row| row.num_timed)?;
    let (asked, _) = over(&known.checkpointer, |row| row.num_requested)?;
    percent(timed, timed + asked, "checkpoints")
}

fn backend_writes(known: &Known<'_>) -> Result<f64, Unknown> {
    let (checkpoints, _) = over(&known.checkpointer, |row| row.buffers_written)?;
    let (cleaned, _) = over(&known.bgwriter, |row| row.buffers_clean)?;
    let sessions = over(&known.io, |row| match (&*row.object, &*row.backend_type) {
        ("relation", "checkpointer" | "background writer") => 0,
        ("relation", _) => row.writes.unwrap_or(0),
        _ => 0,
    });
    let (sessions, _) = sessions.or_else(|_| over_known(&known.bgwriter, "PostgreSQL 16", |row| row.buffers_backend))?;
    percent(sessions, sessions + cleaned + checkpoints, "buffers written")
}

fn full_pages(known: &Known<'_>) -> Result<f64, Unknown> {
    let (images, _) = over(&known.wal, |row| row.wal_fpi)?;
    let (bytes, _) = over(&known.wal, |row| row.wal_bytes)?;
    if known.setting("wal_compression").is_some_and(|value| value != "off") {
        return Err(Unknown::new(crate::sample::Reason::Absent, "with wal_compression the size of a full page image is not counted"));
    }
    percent(images * known.block_bytes(), bytes, "WAL records")
}

fn workers(known: &Known<'_>) -> Result<f64, Unknown> {
    let (wanted, _) = over_known(&known.databases, "PostgreSQL 18", |row| row.parallel_workers_to_launch)?;
    let (given, _) = over_known(&known.databases, "PostgreSQL 18", |row| row.parallel_workers_launched)?;
    percent(given, wanted, "parallel workers wanted")
}
