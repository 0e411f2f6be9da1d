//! The figures that one looks at first, under names that say nothing of where PostgreSQL keeps them.

use super::single::singles;
use crate::derive::{Derived, Histogram};
use crate::figures;
use crate::metric::scrape::Subject;
use crate::sample::{Probe, Reason};

singles! {
    /// The overview.
    OVERVIEW;
    gauge pgtend_uptime_seconds, "Time since the server started.",
    |subject, series| series.add(&[], figures::uptime_seconds(subject.view, subject.now).ok());
    counter pgtend_queries_total, "Statements executed, the sum over pg_stat_statements; beginning with what it shows when the agent first looks, and never going down when statements are evicted or reset. Nested statements count too where pg_stat_statements.track is all.",
    |subject, series| series.add(&[], since(subject, Probe::Statements, |all| all.queries));
    gauge pgtend_queries_per_second, "Statements executed a second, between the last two readings of pg_stat_statements.",
    |subject, series| series.add(&[], figures::queries_per_second(subject.view).ok());
    counter pgtend_queries_errors, "Transactions rolled back, of all databases. PostgreSQL does not count failed statements: one outside a transaction block counts here, a block with several counts once, and a ROLLBACK that the application asked for counts too.",
    |subject, series| series.add(&[], since(subject, Probe::Database, |all| all.rolled_back));
    histogram pgtend_query_duration_ms, "Execution times in milliseconds since the agent started, from pg_stat_statements, which keeps no single ones: between two readings all executions of a statement count with their mean.",
    |subject, series| if subject.view.readings.statements.current().is_ok() {
        series.add_histogram(&[], &derived(subject).query_ms);
    };
    gauge pgtend_active_connections, "Sessions of clients that execute something now; the same as pgtend_connections_active.",
    |subject, series| series.add(&[], figures::client_sessions(subject.view, "active").ok());
    gauge pgtend_active_transactions, "Transactions of clients open now, idle ones included.",
    |subject, series| series.add(&[], figures::active_transactions(subject.view).ok());
    counter pgtend_transactions_total { status }, "Transactions of all databases, committed or rolled_back; beginning with what the server shows when the agent first looks, and never going down when counters are reset or a database is dropped.",
    |subject, series| {
        series.add(&["committed"], since(subject, Probe::Database, |all| all.committed));
        series.add(&["rolled_back"], since(subject, Probe::Database, |all| all.rolled_back));
    };
    gauge pgtend_transactions_per_second, "Transactions committed and rolled back a second, between the last two readings.",
    |subject, series| series.add(&[], figures::transactions_per_second(subject.view).ok());
    gauge pgtend_buffer_pool_size_bytes, "Size of shared buffers.",
    |subject, series| series.add(&[], figures::buffer_pool_size_bytes(subject.view).ok());
    gauge pgtend_buffer_pool_used_bytes, "Shared buffers in use; from PostgreSQL 16 on, with the extension pg_buffercache in the database that pgtend connects to.",
    |subject, series| series.add(&[], figures::buffer_pool_used_bytes(subject.view).ok());
    gauge pgtend_buffer_pool_hit_ratio, "Share of the blocks asked for between the last two readings that were in shared buffers, 0 to 1. The others may have been in the operating system's cache.",
    |subject, series| series.add(&[], figures::buffer_pool_hit_ratio(subject.view).ok());
    counter pgtend_buffer_pool_hits, "Blocks found in shared buffers, of all databases.",
    |subject, series| series.add(&[], since(subject, Probe::Database, |all| all.blocks_hit));
    counter pgtend_buffer_pool_misses, "Blocks not found in shared buffers, of all databases.",
    |subject, series| series.add(&[], since(subject, Probe::Database, |all| all.blocks_read));
    counter pgtend_disk_reads_total, "Reads of the block devices that carry the server; where the agent runs on another host, blocks that PostgreSQL read from outside shared buffers.",
    |subject, series| series.add(&[], if is_remote(subject) { since(subject, Probe::Database, |all| all.blocks_read) } else { since(subject, Probe::HostDisk, |all| all.disk_reads) });
    counter pgtend_disk_writes_total, "Writes of the block devices that carry the server; none where the agent runs on another host.",
    |subject, series| series.add(&[], since(subject, Probe::HostDisk, |all| all.disk_writes));
    gauge pgtend_disk_reads_per_second, "Reads a second, between the last two readings, made as pgtend_disk_reads_total.",
    |subject, series| series.add(&[], figures::disk_reads_per_second(subject.view).ok());
    gauge pgtend_disk_writes_per_second, "Writes a second, between the last two readings, made as pgtend_disk_writes_total.",
    |subject, series| series.add(&[], figures::disk_writes_per_second(subject.view).ok());
    histogram pgtend_disk_read_latency_ms, "How long reads took, in milliseconds since the agent started: between two readings all reads of a device count with their mean. Where the agent runs on another host, blocks read by PostgreSQL, with the mean of their database (needs track_io_timing).",
    |subject, series| add_known(series, if is_remote(subject) { &derived(subject).block_read_ms } else { &derived(subject).disk_read_ms });
    histogram pgtend_disk_write_latency_ms, "How long writes took, in milliseconds since the agent started: between two readings all writes of a device count with their mean. None where the agent runs on another host.",
    |subject, series| add_known(series, &derived(subject).disk_write_ms);
    counter pgtend_connections_total, "Sessions established, of all databases; from PostgreSQL 14 on.",
    |subject, series| series.add(&[], since(subject, Probe::Database, |all| all.sessions));
    gauge pgtend_connections_active, "Sessions of clients that execute something now.",
    |subject, series| series.add(&[], figures::client_sessions(subject.view, "active").ok());
    gauge pgtend_connections_idle, "Sessions of clients that wait for the client, outside a transaction.",
    |subject, series| series.add(&[], figures::client_sessions(subject.view, "idle").ok());
    gauge pgtend_cpu_usage_percent, "Share of the host's processor time between the last two readings that was not idle, 0 to 100; none where the agent runs on another host.",
    |subject, series| series.add(&[], figures::cpu_percent(subject.view).ok());
    gauge pgtend_replication_lag_bytes { standby }, "Bytes of WAL that the standby has not replayed. On a primary one series for each standby, by its application_name; on a standby one, of what it has received and not replayed, by its name in the configuration.",
    |subject, series| for lag in figures::lags(subject.view).into_iter().flatten() {
        series.add(&[&lag.standby], lag.bytes);
    };
    gauge pgtend_replication_lag_seconds { standby }, "How far the standby's replay is behind in time, with the same series; 0 when it has replayed all that there is.",
    |subject, series| for lag in figures::lags(subject.view).into_iter().flatten() {
        series.add(&[&lag.standby], lag.seconds);
    };
}

fn derived<'a>(subject: &Subject<'a>) -> &'a Derived {
    &subject.view.readings.derived
}

/// A figure that was added up, as long as the probe that it is made from is read.
fn since(subject: &Subject<'_>, probe: Probe, figure: fn(&Derived) -> Option<i64>) -> Option<i64> {
    subject.view.readings.current(probe).ok().and_then(|_| figure(derived(subject)))
}

/// Whether the host cannot be looked at because the agent is elsewhere.
fn is_remote(subject: &Subject<'_>) -> bool {
    subject.view.readings.host_disk.unknown.as_ref().is_some_and(|unknown| unknown.reason == Reason::Remote)
}

/// A histogram without events is one of something that nobody measured.
fn add_known(series: &mut super::single::Series<'_>, histogram: &Histogram) {
    if histogram.count() > 0 {
        series.add_histogram(&[], histogram);
    }
}
