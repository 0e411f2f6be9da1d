//! The figures whose trend can be had.

use super::measure::Unit;
use super::trend::{Values, read};
use crate::error::Result;
use crate::past::Past;
use crate::sample::database::Database;
use crate::sample::database_size::DatabaseSize;
use crate::sample::host_cpu::HostCpu;
use crate::sample::host_filesystem::HostFilesystem;
use crate::sample::replication::Replication;
use crate::sample::sequences::Sequence;
use crate::sample::server::Server;
use crate::sample::statements::Statement;
use crate::sample::wal::Wal;
use crate::sample::wal_files::WalFiles;
use crate::sample::{Probe, Readings};
use jiff::Timestamp;

/// A figure.
pub(super) struct Metric {
    pub name: &'static str,
    pub about: &'static str,
    pub unit: Unit,
    pub way: Way,
    /// Where it must not go, and what happens there.
    pub limit: Option<(f64, &'static str)>,
    /// What is nearest to the limit.
    pub subject: Option<Subject>,
}

/// Reads a value at some instants.
type Reader = fn(&dyn Past, &[Timestamp]) -> Result<Values>;
/// Names what is nearest to a limit.
type Subject = fn(&dyn Past, Timestamp) -> Result<Option<String>>;

/// How a figure is made.
pub(super) enum Way {
    /// As it is read.
    Gauge(Reader),
    /// A counter's growth a second.
    Rate(Reader),
    /// A counter's growth as a share of another one's.
    Ratio(Reader, Reader),
}

/// From here on the server takes no more transactions that write: 2^31 less three million, from 14 on.
const XID_STOP: f64 = 2_144_483_647.0;

#[expect(clippy::cast_precision_loss, reason = "what is drawn needs no more than a double's precision")]
fn databases(past: &dyn Past, at: &[Timestamp], counter: fn(&Database) -> i64) -> Result<Values> {
    read::<Database>(past, at, |rows| Some(rows.iter().map(|row| counter(row)).sum::<i64>() as f64))
}

/// The largest of some values.
fn largest(values: impl Iterator<Item = f64>) -> Option<f64> {
    values.reduce(f64::max)
}

const fn metric(name: &'static str, about: &'static str, unit: Unit, way: Way) -> Metric {
    Metric { name, about, unit, way, limit: None, subject: None }
}

#[expect(clippy::cast_precision_loss, reason = "what is drawn needs no more than a double's precision")]
pub(super) const METRICS: &[Metric] = &[
    metric(
        "queries_per_second",
        "Statements executed a second, from pg_stat_statements",
        Unit::Number,
        Way::Rate(|past, at| {
            let count = |row: &&Statement| if row.toplevel == Some(false) { 0 } else { row.calls };
            read::<Statement>(past, at, |rows| Some(rows.iter().map(count).sum::<i64>() as f64))
        }),
    ),
    metric(
        "transactions_per_second",
        "Transactions committed or rolled back a second",
        Unit::Number,
        Way::Rate(|past, at| databases(past, at, |row| row.xact_commit + row.xact_rollback)),
    ),
    metric(
        "rollbacks_per_second",
        "Transactions rolled back a second",
        Unit::Number,
        Way::Rate(|past, at| databases(past, at, |row| row.xact_rollback)),
    ),
    metric(
        "active_sessions",
        "Sessions in statements on average, as the server counts their time; from PostgreSQL 14 on",
        Unit::Number,
        Way::Rate(|past, at| {
            read::<Database>(past, at, |rows| rows.iter().filter_map(|row| row.active_time).reduce(|a, b| a + b).map(|ms| ms / 1000.0))
        }),
    ),
    metric(
        "logical_reads_per_second",
        "Blocks asked for a second",
        Unit::Number,
        Way::Rate(|past, at| databases(past, at, |row| row.blks_hit + row.blks_read)),
    ),
    metric(
        "physical_reads_per_second",
        "Blocks read a second",
        Unit::Number,
        Way::Rate(|past, at| databases(past, at, |row| row.blks_read)),
    ),
    metric(
        "buffer_pool_hit_ratio",
        "Share of the blocks asked for that were in shared buffers, 0 to 1",
        Unit::Number,
        Way::Ratio(|past, at| databases(past, at, |row| row.blks_hit), |past, at| databases(past, at, |row| row.blks_hit + row.blks_read)),
    ),
    metric(
        "rows_changed_per_second",
        "Rows inserted, updated or deleted a second",
        Unit::Number,
        Way::Rate(|past, at| databases(past, at, |row| row.tup_inserted + row.tup_updated + row.tup_deleted)),
    ),
    metric(
        "temp_bytes_per_second",
        "Bytes written to temporary files a second",
        Unit::Bytes,
        Way::Rate(|past, at| databases(past, at, |row| row.temp_bytes)),
    ),
    metric("deadlocks_per_second", "Deadlocks a second", Unit::Number, Way::Rate(|past, at| databases(past, at, |row| row.deadlocks))),
    metric(
        "wal_bytes_per_second",
        "WAL generated a second",
        Unit::Bytes,
        Way::Rate(|past, at| read::<Wal>(past, at, |rows| rows.first().map(|row| row.wal_bytes as f64))),
    ),
    metric(
        "wal_size_bytes",
        "Size of pg_wal",
        Unit::Bytes,
        Way::Gauge(|past, at| read::<WalFiles>(past, at, |rows| rows.first().map(|row| row.size_bytes as f64))),
    ),
    metric(
        "database_size_bytes",
        "Size of all databases",
        Unit::Bytes,
        Way::Gauge(|past, at| {
            read::<DatabaseSize>(past, at, |rows| (!rows.is_empty()).then(|| rows.iter().map(|row| row.size_bytes).sum::<i64>() as f64))
        }),
    ),
    metric(
        "replication_lag_bytes",
        "WAL that the slowest standby has not replayed",
        Unit::Bytes,
        Way::Gauge(|past, at| {
            read::<Replication>(past, at, |rows| largest(rows.iter().filter_map(|row| row.replay_lag_bytes).map(|bytes| bytes as f64)))
        }),
    ),
    metric(
        "cpu_percent",
        "Processors of the host busy",
        Unit::Number,
        Way::Ratio(
            |past, at| read::<HostCpu>(past, at, |rows| rows.first().map(|row| 100.0 * row.busy_seconds())),
            |past, at| read::<HostCpu>(past, at, |rows| rows.first().map(|row| row.total_seconds())),
        ),
    ),
    Metric {
        limit: Some((100.0, "no client can connect any more")),
        ..metric(
            "connection_usage_percent",
            "Client connections as a share of max_connections",
            Unit::Percent,
            Way::Gauge(|past, at| {
                let share = |row: &&Server| 100.0 * row.client_backends as f64 / row.max_connections.max(1) as f64;
                read::<Server>(past, at, |rows| rows.first().map(share))
            }),
        )
    },
    Metric {
        limit: Some((100.0, "the file system is full: PostgreSQL stops")),
        subject: Some(fullest),
        ..metric(
            "disk_usage_percent",
            "Use of the fullest file system that carries the server",
            Unit::Percent,
            Way::Gauge(|past, at| read::<HostFilesystem>(past, at, |rows| largest(rows.iter().map(|row| row.used_percent())))),
        )
    },
    Metric {
        limit: Some((XID_STOP, "the server takes no more transactions that write, until VACUUM has frozen old rows (wraparound)")),
        subject: Some(oldest),
        ..metric(
            "xid_age",
            "Age of the oldest unfrozen transaction id of any database",
            Unit::Count,
            Way::Gauge(|past, at| {
                read::<Database>(past, at, |rows| largest(rows.iter().filter_map(|row| row.frozen_xid_age).map(|age| age as f64)))
            }),
        )
    },
    Metric {
        limit: Some((XID_STOP, "the server takes no more transactions that lock rows together, until VACUUM has frozen old ones")),
        ..metric(
            "mxid_age",
            "Age of the oldest multixact id of any database",
            Unit::Count,
            Way::Gauge(|past, at| {
                read::<Database>(past, at, |rows| largest(rows.iter().filter_map(|row| row.min_mxid_age).map(|age| age as f64)))
            }),
        )
    },
    Metric {
        limit: Some((100.0, "the sequence gives no more values: inserts fail")),
        subject: Some(most_used),
        ..metric(
            "sequence_used_percent",
            "How far the most used sequence that does not begin anew is used up",
            Unit::Percent,
            Way::Gauge(|past, at| {
                read::<Sequence>(past, at, |rows| largest(rows.iter().filter(|row| !row.is_cycle).map(|row| 100.0 * row.used_ratio)))
            }),
        )
    },
];

fn last(past: &dyn Past, now: Timestamp, probe: Probe) -> Result<Readings> {
    past.readings(now, &[probe])
}

fn fullest(past: &dyn Past, now: Timestamp) -> Result<Option<String>> {
    let readings = last(past, now, Probe::HostFilesystem)?;
    let rows = readings.host_filesystem.latest.iter().flat_map(|sample| &sample.rows);
    Ok(rows.max_by(|a, b| a.used_percent().total_cmp(&b.used_percent())).map(|row| row.path.to_string()))
}

fn oldest(past: &dyn Past, now: Timestamp) -> Result<Option<String>> {
    let readings = last(past, now, Probe::Database)?;
    let rows = readings.database.latest.iter().flat_map(|sample| &sample.rows);
    Ok(rows.max_by_key(|row| row.frozen_xid_age).map(|row| format!("database {}", row.datname)))
}

fn most_used(past: &dyn Past, now: Timestamp) -> Result<Option<String>> {
    let readings = last(past, now, Probe::Sequences)?;
    let rows = readings.sequences.latest.iter().flat_map(|sample| &sample.rows).filter(|row| !row.is_cycle);
    let most = rows.max_by(|a, b| a.used_ratio.total_cmp(&b.used_ratio));
    Ok(most.map(|row| format!("{}.{}.{}", row.datname, row.schemaname, row.sequencename)))
}
