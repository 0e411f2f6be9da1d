//! What lies in pg_wal, from `pg_ls_waldir` and `pg_ls_archive_statusdir`.

use super::row::rows;
use jiff::Timestamp;

rows! {
    /// One row: the WAL directory.
    pub struct WalFiles {
        /// Segments, those kept for reuse included.
        gauge segments: i64, "files";
        /// What the segments take.
        gauge size_bytes: i64, "bytes";
        /// When the oldest segment was last written.
        info oldest_at: Option<Timestamp>;
        /// Files that still wait to be archived.
        gauge ready_to_archive: i64, "files";
    }
}
