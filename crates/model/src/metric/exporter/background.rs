//! Background processes: writer, checkpointer, archiver; the WAL directory; shared buffers.

use super::or_nan;
use crate::metric::about::seconds;
use crate::metric::table::table;
use crate::sample::archiver::Archiver;
use crate::sample::bgwriter::Bgwriter;
use crate::sample::buffercache::Buffercache;
use crate::sample::checkpointer::Checkpointer;
use crate::sample::wal_files::WalFiles;
use jiff::Timestamp;

/// Whole seconds since 1970, 0 for never.
fn reset(at: Option<Timestamp>) -> i64 {
    at.map_or(0, Timestamp::as_second)
}

table! {
    /// pg_stat_bgwriter.
    BGWRITER: Bgwriter of bgwriter(Bgwriter) as inherited;
    labels {}
    counter pg_stat_bgwriter_buffers_clean_total(buffers_clean), "Buffers written by the background writer.";
    counter pg_stat_bgwriter_maxwritten_clean_total(maxwritten_clean), "Times the background writer stopped a round because of bgwriter_lru_maxpages.";
    counter pg_stat_bgwriter_buffers_backend_total(buffers_backend), "Buffers that backends wrote themselves; up to PostgreSQL 16.";
    counter pg_stat_bgwriter_buffers_backend_fsync_total(buffers_backend_fsync), "Times a backend had to call fsync itself; up to PostgreSQL 16.";
    counter pg_stat_bgwriter_buffers_alloc_total(buffers_alloc), "Buffers allocated.";
    counter pg_stat_bgwriter_stats_reset_total() = |row, _now| reset(row.stats_reset), "When the counters were last reset, in seconds since 1970; 0 for never.";
}

table! {
    /// The checkpointer under the names that it had up to PostgreSQL 16. postgres_exporter has none from 17 on; here they go on.
    BGWRITER_CHECKPOINTS: Checkpointer of checkpointer(Checkpointer) as inherited;
    labels {}
    counter pg_stat_bgwriter_checkpoints_timed_total(num_timed), "Checkpoints that were due by checkpoint_timeout.";
    counter pg_stat_bgwriter_checkpoints_req_total(num_requested), "Checkpoints that were asked for, by max_wal_size or by command.";
    counter pg_stat_bgwriter_checkpoint_write_time_total(write_time), "Time that checkpoints spent writing, in milliseconds.";
    counter pg_stat_bgwriter_checkpoint_sync_time_total(sync_time), "Time that checkpoints spent in fsync, in milliseconds.";
    counter pg_stat_bgwriter_buffers_checkpoint_total(buffers_written), "Buffers written by checkpoints.";
}

table! {
    /// The checkpointer under the names that it has from PostgreSQL 17 on.
    CHECKPOINTER: Checkpointer of checkpointer(Checkpointer);
    labels {}
    counter pg_stat_checkpointer_num_timed_total(num_timed), "Checkpoints that were due by checkpoint_timeout.";
    counter pg_stat_checkpointer_num_requested_total(num_requested), "Checkpoints that were asked for, by max_wal_size or by command.";
    counter pg_stat_checkpointer_restartpoints_timed_total(restartpoints_timed), "Restartpoints that were due by checkpoint_timeout; from PostgreSQL 17 on.";
    counter pg_stat_checkpointer_restartpoints_req_total(restartpoints_req), "Restartpoints that were asked for; from PostgreSQL 17 on.";
    counter pg_stat_checkpointer_restartpoints_done_total(restartpoints_done), "Restartpoints that were carried out; from PostgreSQL 17 on.";
    counter pg_stat_checkpointer_write_time_total(write_time), "Time that checkpoints and restartpoints spent writing, in milliseconds.";
    counter pg_stat_checkpointer_sync_time_total(sync_time), "Time that checkpoints and restartpoints spent in fsync, in milliseconds.";
    counter pg_stat_checkpointer_buffers_written_total(buffers_written), "Buffers written by checkpoints and restartpoints.";
    counter pg_stat_checkpointer_stats_reset_total() = |row, _now| reset(row.stats_reset), "When the counters were last reset, in seconds since 1970; 0 for never.";
}

table! {
    /// pg_stat_archiver.
    ARCHIVER: Archiver of archiver(Archiver) as inherited;
    labels {}
    counter pg_stat_archiver_archived_count(archived_count), "WAL files archived.";
    counter pg_stat_archiver_failed_count(failed_count), "Failed attempts to archive a WAL file.";
    gauge pg_stat_archiver_last_archive_age() = |row, now| or_nan(row.last_archived_time.map(|at| seconds(at, now))), "Seconds since the last WAL file was archived; NaN for never.";
}

table! {
    /// The WAL directory.
    WAL_FILES: WalFiles of wal_files(WalFiles);
    labels {}
    gauge pg_wal_segments(segments), "WAL segments in pg_wal.";
    gauge pg_wal_size_bytes(size_bytes), "Size of the WAL segments in pg_wal.";
}

table! {
    /// pg_buffercache_summary.
    BUFFERCACHE: Buffercache of buffercache(Buffercache);
    labels {}
    gauge pg_buffercache_summary_buffers_used(buffers_used), "Shared buffers in use.";
    gauge pg_buffercache_summary_buffers_unused(buffers_unused), "Shared buffers never used yet.";
    gauge pg_buffercache_summary_buffers_dirty(buffers_dirty), "Shared buffers with changes that are not on disk.";
    gauge pg_buffercache_summary_buffers_pinned(buffers_pinned), "Shared buffers that somebody works with now.";
    gauge pg_buffercache_summary_usagecount_avg(usagecount_avg), "Mean usage count of the shared buffers in use.";
}
