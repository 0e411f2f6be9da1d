//! Checkpoints and restartpoints: `pg_stat_checkpointer` from 17 on, `pg_stat_bgwriter` before. Named as in 17.

use super::row::rows;
use jiff::Timestamp;

rows! {
    /// One row: the checkpointer.
    pub struct Checkpointer {
        /// Checkpoints that were due by `checkpoint_timeout`, also those skipped because nothing had been written.
        counter num_timed: i64, "checkpoints";
        /// Checkpoints that were asked for, by `max_wal_size` or by command.
        counter num_requested: i64, "checkpoints";
        /// Checkpoints that were carried out; from 18 on.
        counter num_done: Option<i64>, "checkpoints";
        /// Restartpoints that were due by `checkpoint_timeout`; from 17 on.
        counter restartpoints_timed: Option<i64>, "restartpoints";
        /// Restartpoints that were asked for; from 17 on.
        counter restartpoints_req: Option<i64>, "restartpoints";
        /// Restartpoints that were carried out; from 17 on.
        counter restartpoints_done: Option<i64>, "restartpoints";
        /// Time spent writing, the pauses of `checkpoint_completion_target` included.
        counter write_time: f64, "ms";
        /// Time spent in fsync.
        counter sync_time: f64, "ms";
        /// Buffers written.
        counter buffers_written: i64, "blocks";
        /// Buffers of the small caches (transaction states and the like) written; from 18 on.
        counter slru_written: Option<i64>, "blocks";
        /// When these counters were last reset.
        info stats_reset: Option<Timestamp>;
    }
}
