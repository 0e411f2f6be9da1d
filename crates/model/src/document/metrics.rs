//! The figures that one looks at first, as JSON in guide 3's shape; Prometheus gets them under `pgtend_…` names.

use super::{Document, Known, Unknowns};
use crate::derive::Executions;
use crate::error::Result;
use crate::figures;
use crate::sample::{Probe, Reason, Unknown};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// The figures that one looks at first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Metrics {
    /// The server as a whole.
    pub database: DatabaseMetrics,
    /// Shared buffers and disks.
    pub storage: StorageMetrics,
    /// Transactions.
    pub transactions: TransactionMetrics,
    /// How long statements take.
    pub query_performance: QueryMetrics,
    /// Why figures are null.
    pub unknown: Unknowns,
}

/// The server as a whole.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DatabaseMetrics {
    /// Seconds since it started.
    pub uptime_seconds: Option<f64>,
    /// Sessions of clients that execute something now.
    pub active_connections: Option<i64>,
    /// Transactions committed and rolled back a second, between the last two readings.
    pub transactions_per_second: Option<f64>,
    /// Statements executed a second, between the last two readings of pg_stat_statements.
    pub queries_per_second: Option<f64>,
}

/// Shared buffers and disks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct StorageMetrics {
    /// Size of shared buffers.
    pub buffer_pool_size_bytes: Option<i64>,
    /// Shared buffers in use; from PostgreSQL 16 on, with the extension pg_buffercache.
    pub buffer_pool_used_bytes: Option<i64>,
    /// Share of the blocks asked for between the last two readings that were in shared buffers, 0–1.
    pub buffer_pool_hit_ratio: Option<f64>,
    /// Reads a second of the devices that carry the server; where the agent runs on another host, of PostgreSQL's blocks.
    pub disk_reads_per_second: Option<f64>,
    /// Writes a second of the devices that carry the server.
    pub disk_writes_per_second: Option<f64>,
}

/// Transactions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TransactionMetrics {
    /// Transactions of clients open now, idle ones included.
    pub active_transactions: Option<i64>,
    /// Committed, of all databases; never goes down while the agent runs.
    pub committed_total: Option<i64>,
    /// Rolled back, of all databases.
    pub rolled_back_total: Option<i64>,
}

/// How long statements took between the last two readings of pg_stat_statements. It keeps no single executions: each counts as long as
/// its statement's mean.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct QueryMetrics {
    /// Mean of all executions.
    pub avg_query_time_ms: Option<f64>,
    /// 95 of 100 executions took no longer.
    pub p95_query_time_ms: Option<f64>,
    /// 99 of 100 executions took no longer.
    pub p99_query_time_ms: Option<f64>,
}

/// Parameters of [`Metrics`].
#[derive(Debug, Clone, Default, Serialize, Deserialize, IntoParams)]
pub struct Params {}

impl Document for Metrics {
    type Params = Params;
    const PATH: &'static str = "/api/v1/metrics";
    const ABOUT: &'static str = "The figures that one looks at first; all there are, for Prometheus, at /api/v1/metrics/prometheus";
    const PROBES: &'static [Probe] = &[
        Probe::Server,
        Probe::Activity,
        Probe::Connections,
        Probe::Database,
        Probe::Settings,
        Probe::Buffercache,
        Probe::Statements,
        Probe::HostDisk,
    ];
    const NEEDS_RATES: bool = true;
    const OPEN: bool = true;

    fn build(known: &Known<'_>, _params: &Params) -> Result<Self> {
        let mut unknown = Unknowns::default();
        Ok(Self {
            database: database(known, &mut unknown),
            storage: storage(known, &mut unknown),
            transactions: transactions(known, &mut unknown),
            query_performance: query_performance(known, &mut unknown),
            unknown,
        })
    }
}

fn database(known: &Known<'_>, unknown: &mut Unknowns) -> DatabaseMetrics {
    let view = known.view;
    DatabaseMetrics {
        uptime_seconds: unknown.take("database.uptime_seconds", figures::uptime_seconds(view, known.now)),
        active_connections: unknown.take("database.active_connections", figures::client_sessions(view, "active")),
        transactions_per_second: unknown.take("database.transactions_per_second", figures::transactions_per_second(view)),
        queries_per_second: unknown.take("database.queries_per_second", figures::queries_per_second(view)),
    }
}

fn storage(known: &Known<'_>, unknown: &mut Unknowns) -> StorageMetrics {
    let view = known.view;
    StorageMetrics {
        buffer_pool_size_bytes: unknown.take("storage.buffer_pool_size_bytes", figures::buffer_pool_size_bytes(view)),
        buffer_pool_used_bytes: unknown.take("storage.buffer_pool_used_bytes", figures::buffer_pool_used_bytes(view)),
        buffer_pool_hit_ratio: unknown.take("storage.buffer_pool_hit_ratio", figures::buffer_pool_hit_ratio(view)),
        disk_reads_per_second: unknown.take("storage.disk_reads_per_second", figures::disk_reads_per_second(view)),
        disk_writes_per_second: unknown.take("storage.disk_writes_per_second", figures::disk_writes_per_second(view)),
    }
}

fn transactions(known: &Known<'_>, unknown: &mut Unknowns) -> TransactionMetrics {
    let view = known.view;
    let derived = unknown.take("transactions.committed_total", view.readings.database.current()).map(|_| &view.readings.derived);
    TransactionMetrics {
        active_transactions: unknown.take("transactions.active_transactions", figures::active_transactions(view)),
        committed_total: derived.and_then(|derived| derived.committed),
        rolled_back_total: derived.and_then(|derived| derived.rolled_back),
    }
}

fn query_performance(known: &Known<'_>, unknown: &mut Unknowns) -> QueryMetrics {
    let done = unknown.take("query_performance", figures::statements(known.view));
    let none = || Unknown::new(Reason::Absent, "no statement ended between the last two readings");
    let mut figure = |place: &str, value: Option<f64>| done.as_ref().and_then(|_| unknown.take(place, value.ok_or_else(none)));
    let quantile = |share| done.as_ref().and_then(|done| done.quantile_ms(share));
    QueryMetrics {
        avg_query_time_ms: figure("query_performance.avg_query_time_ms", done.as_ref().and_then(Executions::mean_ms)),
        p95_query_time_ms: figure("query_performance.p95_query_time_ms", quantile(0.95)),
        p99_query_time_ms: figure("query_performance.p99_query_time_ms", quantile(0.99)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::by_hand::{at, built, view};
    use super::*;
    use crate::sample::database::Database;
    use crate::sample::server::Server;
    use crate::sample::settings::Setting;
    use crate::sample::statements::Statement;
    use crate::sample::testing::row;
    use crate::sample::{Sample, Taken};
    use std::time::Duration;

    fn sample<T>(seconds: i64, rows: Vec<T>) -> Sample<T> {
        Sample { at: at(seconds), took: Duration::ZERO, rows, missing: Vec::new() }
    }

    #[test]
    fn in_the_guides_shape_with_reasons_for_what_is_null() {
        let mut view = view();
        let setting = |name: &str, value: &str, unit: &str| {
            row(|row: &mut Setting| {
                row.name = name.into();
                row.setting = Some(value.into());
                row.unit = Some(unit.into());
            })
        };
        let database = |commits, hits, reads| {
            row(|row: &mut Database| {
                row.xact_commit = commits;
                row.blks_hit = hits;
                row.blks_read = reads;
            })
        };
        let statement = |calls, total| {
            row(|row: &mut Statement| {
                row.calls = calls;
                row.total_exec_time = total;
            })
        };
        let server = row(|row: &mut Server| (row.started_at, row.now, row.sees_all_sessions) = (at(10), at(60), true));
        view.readings.put(Taken::Server(sample(60, vec![server])));
        view.readings.put(Taken::Settings(sample(0, vec![setting("shared_buffers", "16384", "8kB"), setting("block_size", "8192", "")])));
        view.readings.put(Taken::Database(sample(40, vec![database(100, 0, 0)])));
        view.readings.put(Taken::Database(sample(50, vec![database(150, 90, 10)])));
        view.readings.put(Taken::Statements(sample(20, vec![statement(10, 100.0)])));
        view.readings.put(Taken::Statements(sample(50, vec![statement(70, 220.0)])));
        view.readings.fail(Probe::Buffercache, Unknown::new(Reason::Extension, "CREATE EXTENSION pg_buffercache"));
        view.readings.fail(Probe::HostDisk, Unknown::new(Reason::Remote, "the agent runs on another host"));
        insta::assert_json_snapshot!(built::<Metrics>(&view, &Params {}));
    }
}
