//! Per database, from `pg_stat_database`.

use super::Text;
use super::row::rows;
use jiff::Timestamp;

rows! {
    /// One database; the row with `datid` 0 stands for the shared objects.
    pub struct Database {
        /// Object identifier; 0 for the shared objects.
        label datid: i64;
        /// Name; empty for the shared objects.
        label datname: Text;
        /// Backends connected now.
        gauge numbackends: i64, "connections";
        /// Transactions committed.
        counter xact_commit: i64, "transactions";
        /// Transactions rolled back.
        counter xact_rollback: i64, "transactions";
        /// Blocks read from disk or the operating system's cache.
        counter blks_read: i64, "blocks";
        /// Blocks found in shared buffers.
        counter blks_hit: i64, "blocks";
        /// Rows read by sequential scans and index entries returned.
        counter tup_returned: i64, "rows";
        /// Rows fetched by index scans.
        counter tup_fetched: i64, "rows";
        /// Rows inserted.
        counter tup_inserted: i64, "rows";
        /// Rows updated.
        counter tup_updated: i64, "rows";
        /// Rows deleted.
        counter tup_deleted: i64, "rows";
        /// Queries cancelled on a standby because of a conflict with recovery.
        counter conflicts: i64, "queries";
        /// Temporary files created.
        counter temp_files: i64, "files";
        /// Bytes written to temporary files.
        counter temp_bytes: i64, "bytes";
        /// Deadlocks detected.
        counter deadlocks: i64, "deadlocks";
        /// Data page checksum failures; none where checksums are off.
        counter checksum_failures: Option<i64>, "pages";
        /// When a checksum last failed; none where none did.
        info checksum_last_failure: Option<Timestamp>;
        /// Time spent reading blocks; zero unless track_io_timing is on.
        counter blk_read_time: f64, "ms";
        /// Time spent writing blocks; zero unless track_io_timing is on.
        counter blk_write_time: f64, "ms";
        /// Time spent by sessions; from 14 on.
        counter session_time: Option<f64>, "ms";
        /// Time spent executing statements; from 14 on.
        counter active_time: Option<f64>, "ms";
        /// Time spent idle in a transaction; from 14 on.
        counter idle_in_transaction_time: Option<f64>, "ms";
        /// Sessions established; from 14 on.
        counter sessions: Option<i64>, "sessions";
        /// Sessions lost because the client went away; from 14 on.
        counter sessions_abandoned: Option<i64>, "sessions";
        /// Sessions ended by a fatal error; from 14 on.
        counter sessions_fatal: Option<i64>, "sessions";
        /// Sessions ended by an operator; from 14 on.
        counter sessions_killed: Option<i64>, "sessions";
        /// Parallel workers that statements planned to launch; from 18 on.
        counter parallel_workers_to_launch: Option<i64>, "workers";
        /// Parallel workers that were launched; fewer than planned means that `max_parallel_workers` is used up. From 18 on.
        counter parallel_workers_launched: Option<i64>, "workers";
        /// When these counters were last reset.
        info stats_reset: Option<Timestamp>;
        /// Connections allowed; -1 for no limit, none for the shared objects.
        gauge datconnlimit: Option<i64>, "connections";
        /// Whether connections are allowed at all; none for the shared objects.
        info datallowconn: Option<bool>;
        /// Whether it is a template; none for the shared objects.
        info datistemplate: Option<bool>;
        /// Whether the watching role may connect; none for the shared objects.
        info connectable: Option<bool>;
        /// Age of the oldest unfrozen transaction id; none for the shared objects.
        gauge frozen_xid_age: Option<i64>, "transactions";
        /// Age of the oldest multixact id; none for the shared objects.
        gauge min_mxid_age: Option<i64>, "multixacts";
    }
}
