//! WAL generation, from `pg_stat_wal`; from 18 on writes and syncs are taken from `pg_stat_io`, where they moved.

use super::row::rows;
use jiff::Timestamp;

rows! {
    /// One row: WAL as the whole server writes it.
    pub struct Wal {
        /// Records generated.
        counter wal_records: i64, "records";
        /// Full page images generated.
        counter wal_fpi: i64, "pages";
        /// WAL generated.
        counter wal_bytes: i64, "bytes";
        /// Times WAL was written because `wal_buffers` were full.
        counter wal_buffers_full: i64, "writes";
        /// Writes of WAL buffers to disk.
        counter wal_write: i64, "writes";
        /// Times WAL files were synced to disk.
        counter wal_sync: i64, "syncs";
        /// Time spent writing; zero unless `track_wal_io_timing` is on.
        counter wal_write_time: f64, "ms";
        /// Time spent syncing; zero unless `track_wal_io_timing` is on.
        counter wal_sync_time: f64, "ms";
        /// When these counters were last reset.
        info stats_reset: Option<Timestamp>;
    }
}
