//! The background writer and the buffers that backends take, from `pg_stat_bgwriter`.

use super::row::rows;
use jiff::Timestamp;

rows! {
    /// One row: the background writer.
    pub struct Bgwriter {
        /// Buffers that the background writer wrote.
        counter buffers_clean: i64, "blocks";
        /// Times it stopped a round because of `bgwriter_lru_maxpages`.
        counter maxwritten_clean: i64, "rounds";
        /// Buffers that backends wrote themselves; up to 16, then per context in the io probe.
        counter buffers_backend: Option<i64>, "blocks";
        /// Times a backend had to call fsync itself; up to 16, then per context in the io probe.
        counter buffers_backend_fsync: Option<i64>, "calls";
        /// Buffers allocated.
        counter buffers_alloc: i64, "blocks";
        /// When these counters were last reset.
        info stats_reset: Option<Timestamp>;
    }
}
