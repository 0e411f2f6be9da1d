//! Replay on a standby, from the recovery functions and `pg_stat_recovery_prefetch`.

use super::Text;
use super::row::rows;
use jiff::Timestamp;

rows! {
    /// One row on a server in recovery, none on a primary. Positions are byte counts from 0/0.
    pub struct Recovery {
        /// Last position received by streaming; none when WAL comes from the archive only.
        counter receive_position: Option<i64>, "bytes";
        /// Last position replayed.
        counter replay_position: Option<i64>, "bytes";
        /// Received and not yet replayed.
        gauge replay_lag_bytes: Option<i64>, "bytes";
        /// Time since the commit that was replayed last; 0 when all that was received is replayed. Grows on a primary without
        /// writes when WAL comes from the archive.
        gauge replay_lag_ms: Option<f64>, "ms";
        /// Commit time of the transaction that was replayed last.
        info last_replayed_at: Option<Timestamp>;
        /// `not paused`, `pause requested`, `paused`.
        info pause_state: Option<Text>;
        /// Blocks prefetched because they were not in shared buffers; from 15 on.
        counter prefetch: Option<i64>, "blocks";
        /// Blocks not prefetched because they were in shared buffers; from 15 on.
        counter prefetch_hit: Option<i64>, "blocks";
        /// How far ahead the prefetcher looks; from 15 on.
        gauge prefetch_wal_distance: Option<i64>, "bytes";
        /// Prefetches that have been begun and not yet ended; from 15 on.
        gauge prefetch_io_depth: Option<i64>, "calls";
    }
}
