//! The small caches for transaction states and the like, from `pg_stat_slru`.

use super::Text;
use super::row::rows;
use jiff::Timestamp;

rows! {
    /// One cache. From 17 on their names are other ones (`transaction` was `Xact`).
    pub struct Slru {
        /// Name.
        label name: Text;
        /// Blocks set to zero when they were new.
        counter blks_zeroed: i64, "blocks";
        /// Blocks found in the cache.
        counter blks_hit: i64, "blocks";
        /// Blocks read.
        counter blks_read: i64, "blocks";
        /// Blocks written.
        counter blks_written: i64, "blocks";
        /// Blocks whose existence was checked.
        counter blks_exists: i64, "blocks";
        /// Flushes of dirty blocks.
        counter flushes: i64, "flushes";
        /// Truncations.
        counter truncates: i64, "truncations";
        /// When these counters were last reset.
        info stats_reset: Option<Timestamp>;
    }
}
