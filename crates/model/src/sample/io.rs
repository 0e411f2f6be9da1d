//! I/O by who does it, on what and why, from `pg_stat_io`.

use super::Text;
use super::row::rows;
use jiff::Timestamp;

rows! {
    /// One kind of process, one kind of object, one context. A figure that has no meaning for them is none.
    pub struct Io {
        /// `client backend`, `checkpointer`, …
        label backend_type: Text;
        /// `relation`, `temp relation`, `wal` (from 18 on).
        label object: Text;
        /// `normal`, `vacuum`, `bulkread`, `bulkwrite`, `init`.
        label context: Text;
        /// Reads.
        counter reads: Option<i64>, "calls";
        /// Bytes read.
        counter read_bytes: Option<i64>, "bytes";
        /// Time spent reading; zero unless `track_io_timing` is on.
        counter read_time: Option<f64>, "ms";
        /// Writes.
        counter writes: Option<i64>, "calls";
        /// Bytes written.
        counter write_bytes: Option<i64>, "bytes";
        /// Time spent writing; zero unless `track_io_timing` is on.
        counter write_time: Option<f64>, "ms";
        /// Blocks whose writing out the process asked the kernel to begin.
        counter writebacks: Option<i64>, "blocks";
        /// Time spent asking for that; zero unless `track_io_timing` is on.
        counter writeback_time: Option<f64>, "ms";
        /// Extensions of a file.
        counter extends: Option<i64>, "calls";
        /// Bytes by which files were extended.
        counter extend_bytes: Option<i64>, "bytes";
        /// Time spent extending; zero unless `track_io_timing` is on.
        counter extend_time: Option<f64>, "ms";
        /// Blocks found in shared buffers.
        counter hits: Option<i64>, "blocks";
        /// Buffers given up to make place for other blocks.
        counter evictions: Option<i64>, "blocks";
        /// Buffers of a ring used again by a bulk operation.
        counter reuses: Option<i64>, "blocks";
        /// Calls of fsync.
        counter fsyncs: Option<i64>, "calls";
        /// Time spent in fsync; zero unless `track_io_timing` is on.
        counter fsync_time: Option<f64>, "ms";
        /// When these counters were last reset.
        info stats_reset: Option<Timestamp>;
    }
}
