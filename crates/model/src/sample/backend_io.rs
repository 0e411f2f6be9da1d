//! I/O and WAL of each session that does something, from `pg_stat_get_backend_io` and `pg_stat_get_backend_wal`.

use super::row::rows;
use jiff::Timestamp;

rows! {
    /// One backend that is not idle; its figures since it started.
    pub struct BackendIo {
        /// Process id.
        label pid: i64;
        /// When the process started; with `pid` it names a session.
        label backend_start: Timestamp;
        /// Reads of data and temporary tables.
        counter reads: i64, "calls";
        /// Bytes read.
        counter read_bytes: i64, "bytes";
        /// Time spent reading; zero unless `track_io_timing` is on.
        counter read_time: f64, "ms";
        /// Writes and extensions.
        counter writes: i64, "calls";
        /// Bytes written or extended by.
        counter write_bytes: i64, "bytes";
        /// Time spent writing and extending; zero unless `track_io_timing` is on.
        counter write_time: f64, "ms";
        /// Blocks found in shared buffers.
        counter hits: i64, "blocks";
        /// Calls of fsync on data.
        counter fsyncs: i64, "calls";
        /// WAL records generated.
        counter wal_records: i64, "records";
        /// Full page images generated.
        counter wal_fpi: i64, "pages";
        /// WAL generated.
        counter wal_bytes: i64, "bytes";
    }
}
