//! Databases and roles.

use super::or_nan;
use crate::metric::table::table;
use crate::sample::database::Database;
use crate::sample::database_size::DatabaseSize;
use crate::sample::recovery_conflicts::RecoveryConflicts;
use crate::sample::roles::Role;
use jiff::Timestamp;

#[expect(clippy::cast_precision_loss, reason = "metrics are doubles by definition")]
fn seconds(at: Timestamp) -> f64 {
    at.as_microsecond() as f64 / 1e6
}

#[expect(clippy::cast_precision_loss, reason = "metrics are doubles by definition")]
fn count(number: i64) -> f64 {
    number as f64
}

table! {
    /// pg_stat_database. Columns that 0.11 does not know are untyped there.
    DATABASES: Database of database(Database) as inherited;
    labels { datid, datname }
    gauge pg_stat_database_numbackends(numbackends), "Backends connected to the database now.";
    counter pg_stat_database_xact_commit(xact_commit), "Transactions committed.";
    counter pg_stat_database_xact_rollback(xact_rollback), "Transactions rolled back.";
    counter pg_stat_database_blks_read(blks_read), "Blocks read from disk or the operating system's cache.";
    counter pg_stat_database_blks_hit(blks_hit), "Blocks found in shared buffers.";
    counter pg_stat_database_tup_returned(tup_returned), "Rows read by sequential scans and index entries returned.";
    counter pg_stat_database_tup_fetched(tup_fetched), "Rows fetched by index scans.";
    counter pg_stat_database_tup_inserted(tup_inserted), "Rows inserted.";
    counter pg_stat_database_tup_updated(tup_updated), "Rows updated.";
    counter pg_stat_database_tup_deleted(tup_deleted), "Rows deleted.";
    counter pg_stat_database_conflicts(conflicts), "Queries cancelled on a standby because of a conflict with recovery.";
    counter pg_stat_database_temp_files(temp_files), "Temporary files created.";
    counter pg_stat_database_temp_bytes(temp_bytes), "Bytes written to temporary files.";
    counter pg_stat_database_deadlocks(deadlocks), "Deadlocks detected.";
    counter pg_stat_database_blk_read_time(blk_read_time), "Time spent reading blocks, in milliseconds; 0 unless track_io_timing is on.";
    counter pg_stat_database_blk_write_time(blk_write_time), "Time spent writing blocks, in milliseconds; 0 unless track_io_timing is on.";
    counter pg_stat_database_stats_reset() = |row, _now| or_nan(row.stats_reset.map(seconds)), "When the counters were last reset, in seconds since 1970; NaN for never.";
    counter pg_stat_database_active_time_seconds_total() = |row, _now| row.active_time.map(|ms| ms / 1000.0), "Time spent executing statements; from PostgreSQL 14 on.";
    untyped pg_stat_database_active_time(active_time), "Time spent executing statements, in milliseconds; from PostgreSQL 14 on.";
    untyped pg_stat_database_session_time(session_time), "Time spent by sessions, in milliseconds; from PostgreSQL 14 on.";
    untyped pg_stat_database_idle_in_transaction_time(idle_in_transaction_time), "Time spent idle in a transaction, in milliseconds; from PostgreSQL 14 on.";
    untyped pg_stat_database_sessions(sessions), "Sessions established; from PostgreSQL 14 on.";
    untyped pg_stat_database_sessions_abandoned(sessions_abandoned), "Sessions lost because the client went away; from PostgreSQL 14 on.";
    untyped pg_stat_database_sessions_fatal(sessions_fatal), "Sessions ended by a fatal error; from PostgreSQL 14 on.";
    untyped pg_stat_database_sessions_killed(sessions_killed), "Sessions ended by an operator; from PostgreSQL 14 on.";
    untyped pg_stat_database_parallel_workers_to_launch(parallel_workers_to_launch), "Parallel workers planned; from PostgreSQL 18 on.";
    untyped pg_stat_database_parallel_workers_launched(parallel_workers_launched), "Parallel workers started; from PostgreSQL 18 on.";
    untyped pg_stat_database_checksum_failures(checksum_failures) = |row, _now| or_nan(row.checksum_failures.map(count)), "Data page checksum failures; NaN where checksums are off.";
    untyped pg_stat_database_checksum_last_failure() = |row, _now| or_nan(row.checksum_last_failure.map(seconds)), "When the last checksum failure was, in seconds since 1970; NaN for never.";
}

table! {
    /// pg_stat_database_conflicts.
    CONFLICTS: RecoveryConflicts of recovery_conflicts(RecoveryConflicts) as inherited;
    labels { datid, datname }
    counter pg_stat_database_conflicts_confl_tablespace(confl_tablespace), "Queries cancelled because a tablespace was dropped.";
    counter pg_stat_database_conflicts_confl_lock(confl_lock), "Queries cancelled because of locks.";
    counter pg_stat_database_conflicts_confl_snapshot(confl_snapshot), "Queries cancelled because of snapshots that had become too old.";
    counter pg_stat_database_conflicts_confl_bufferpin(confl_bufferpin), "Queries cancelled because of pinned buffers.";
    counter pg_stat_database_conflicts_confl_deadlock(confl_deadlock), "Queries cancelled because of deadlocks with replay.";
    untyped pg_stat_database_conflicts_confl_active_logicalslot(confl_active_logicalslot), "Logical slots invalidated; from PostgreSQL 16 on.";
}

table! {
    /// Sizes of databases.
    SIZES: DatabaseSize of database_size(DatabaseSize) as inherited;
    labels { datname }
    gauge pg_database_size_bytes(size_bytes), "Disk space used by the database. Read every ten minutes unless [probes.database_size] says otherwise: it makes the server look at every file.";
}

table! {
    /// Connection limits of databases.
    LIMITS: Database of database(Database) where |row| row.datid != 0;
    labels { datname }
    gauge pg_database_connection_limit(datconnlimit), "Connections allowed to the database; -1 for no limit.";
}

table! {
    /// Distance from wraparound. The names say seconds since 0.15; the figures are transactions.
    WRAPAROUND: Database of database(Database) where |row| row.datallowconn == Some(true);
    labels { datname }
    gauge pg_database_wraparound_age_datfrozenxid_seconds(frozen_xid_age), "Age of the oldest transaction id that is not frozen, in transactions (not seconds, whatever the name says).";
    gauge pg_database_wraparound_age_datminmxid_seconds(min_mxid_age), "Age of the oldest multixact id, in multixacts (not seconds, whatever the name says).";
}

table! {
    /// Connection limits of roles.
    ROLES: Roles of roles(Role);
    labels { rolname }
    gauge pg_roles_connection_limit(connection_limit), "Connections allowed to the role; -1 for no limit.";
}
