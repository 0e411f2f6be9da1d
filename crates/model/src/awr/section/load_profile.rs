//! What the server had to do, a second and a transaction.

use super::with_rates;
use crate::awr::known::{Known, over, over_known};
use crate::awr::measure::{Measure, Unit};
use crate::awr::page::Section;
use crate::sample::Unknown;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What the server had to do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = AwrLoadProfile)]
pub struct LoadProfile {
    /// Its figures.
    pub figures: Vec<Measure>,
}

impl LoadProfile {
    /// Works it out.
    pub fn build(known: &Known<'_>) -> Self {
        use Unit::{Bytes, Count, Seconds};
        let databases = &known.databases;
        let mut figures = vec![
            Measure::sum("transactions", "Transactions", Count, over(databases, |row| row.xact_commit + row.xact_rollback)),
            Measure::sum("rollbacks", "Rollbacks", Count, over(databases, |row| row.xact_rollback)),
            Measure::sum("queries", "Statements executed", Count, queries(known)),
            Measure::sum("logical_reads", "Logical reads (blocks)", Count, over(databases, |row| row.blks_hit + row.blks_read)),
            Measure::sum("physical_reads", "Physical reads (blocks)", Count, over(databases, |row| row.blks_read)),
            Measure::sum("blocks_dirtied", "Blocks made dirty", Count, over(&known.statements, |row| row.shared_blks_dirtied)),
            Measure::sum("rows_read", "Rows read", Count, over(databases, |row| row.tup_returned + row.tup_fetched)),
            Measure::sum(
                "rows_changed",
                "Rows changed",
                Count,
                over(databases, |row| row.tup_inserted + row.tup_updated + row.tup_deleted),
            ),
            Measure::sum("wal_bytes", "WAL generated", Bytes, wal_bytes(known)),
            Measure::sum("temp_bytes", "Temporary files written", Bytes, over(databases, |row| row.temp_bytes)),
            Measure::sum("sessions", "Sessions established", Count, over_known(databases, "PostgreSQL 14", |row| row.sessions)),
            Measure::sum("db_time", "DB time", Seconds, sampled(known, |active| active.sampled.seconds(active.busy()))),
            Measure::sum("cpu_time", "Processor time of clients", Seconds, cpu_time(known)),
        ];
        figures = figures.into_iter().map(|figure| figure.per_transaction(known.transactions_per_second())).collect();
        Self { figures }
    }

    /// How it is laid out.
    pub fn section(&self) -> Section {
        let about = "DB time is the time that clients' sessions spent in statements, waiting or not; DB time a second is the number of \
                     average active sessions.";
        with_rates(Section::new("load_profile", "Load profile", about), &self.figures)
    }
}

/// Statements that clients sent; those within functions belong to them.
///
/// # Errors
/// Why they are not known.
pub fn queries(known: &Known<'_>) -> Result<(f64, f64), Unknown> {
    over(&known.statements, |row| if row.toplevel == Some(false) { 0 } else { row.calls })
}

/// WAL, from its counters or from the position in it.
///
/// # Errors
/// Why it is not known.
pub fn wal_bytes(known: &Known<'_>) -> Result<(f64, f64), Unknown> {
    over(&known.wal, |row| row.wal_bytes).or_else(|_| over_known(&known.server, "a primary", |row| row.wal_position))
}

/// A figure of the samples, with the time that was sampled.
///
/// # Errors
/// Why there is none.
pub fn sampled(known: &Known<'_>, figure: impl Fn(&crate::awr::active::Active) -> f64) -> Result<(f64, f64), Unknown> {
    let active = known.active.as_ref().map_err(Clone::clone)?;
    Ok((figure(active), active.sampled.whole_seconds()))
}

/// Processor time of clients, as the operating system counted it.
///
/// # Errors
/// Why it is not known.
pub fn cpu_time(known: &Known<'_>) -> Result<(f64, f64), Unknown> {
    let active = known.active.as_ref().map_err(Clone::clone)?;
    if let Some(seconds) = active.cpu_seconds() {
        return Ok((seconds, active.sampled.whole_seconds()));
    }
    Err(known
        .period
        .end
        .readings
        .host_cpu
        .current()
        .err()
        .cloned()
        .unwrap_or_else(|| Unknown::new(crate::sample::Reason::Absent, "no sampled session has processor time")))
}
