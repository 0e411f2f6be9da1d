//! The archiver, from `pg_stat_archiver`.

use super::Text;
use super::row::rows;
use jiff::Timestamp;

rows! {
    /// One row: the archiver.
    pub struct Archiver {
        /// Files archived.
        counter archived_count: i64, "files";
        /// Last file archived.
        info last_archived_wal: Option<Text>;
        /// When it was.
        info last_archived_time: Option<Timestamp>;
        /// Failed attempts.
        counter failed_count: i64, "attempts";
        /// File of the last failed attempt.
        info last_failed_wal: Option<Text>;
        /// When that was.
        info last_failed_time: Option<Timestamp>;
        /// When these counters were last reset.
        info stats_reset: Option<Timestamp>;
    }
}
