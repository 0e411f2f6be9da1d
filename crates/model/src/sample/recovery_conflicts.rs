//! Queries of a standby cancelled for the sake of replay, from `pg_stat_database_conflicts`.

use super::Text;
use super::row::rows;

rows! {
    /// One database. All counters stay at zero on a primary.
    pub struct RecoveryConflicts {
        /// Object identifier.
        label datid: i64;
        /// Name.
        label datname: Text;
        /// Cancelled because a tablespace was dropped.
        counter confl_tablespace: i64, "queries";
        /// Cancelled because of locks.
        counter confl_lock: i64, "queries";
        /// Cancelled because of snapshots that had become too old.
        counter confl_snapshot: i64, "queries";
        /// Cancelled because of pinned buffers.
        counter confl_bufferpin: i64, "queries";
        /// Cancelled because of deadlocks with replay.
        counter confl_deadlock: i64, "queries";
        /// Logical slots invalidated; from 16 on.
        counter confl_active_logicalslot: Option<i64>, "slots";
    }
}
