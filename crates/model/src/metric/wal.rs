//! WAL on its way to the repositories.

use super::single::singles;
use crate::backup::wal_bounds::WalPressure;
use crate::backup::wal_status::Archiving;
use crate::backup::wal_stream::{StreamState, Streaming};
use crate::metric::scrape::Subject;

singles! {
    /// Archiving through pgtend.
    WAL;
    counter pgtend_wal_archived_total, "Files of WAL that became durable in every required repository since the agent started.",
    |subject, series| series.add(&[], of(subject, |wal| int(wal.archived_files)));
    counter pgtend_wal_archived_bytes, "Bytes of these files.",
    |subject, series| series.add(&[], of(subject, |wal| int(wal.archived_bytes)));
    counter pgtend_wal_stored_bytes, "Bytes that they take in the required repositories.",
    |subject, series| series.add(&[], of(subject, |wal| int(wal.stored_bytes)));
    counter pgtend_wal_archive_failures_total, "Files of WAL that could not be archived when it was tried, since the agent started.",
    |subject, series| series.add(&[], of(subject, |wal| int(wal.failures)));
    gauge pgtend_wal_archive_failing, "Whether the last try to archive WAL failed: 1 until one succeeds.",
    |subject, series| series.add(&[], of(subject, |wal| Some(i64::from(wal.failing_since.is_some()))));
    gauge pgtend_wal_last_archived_timestamp_seconds, "When the last file of WAL became durable, in seconds since 1970; none before the first.",
    |subject, series| series.add(&[], subject.view.wal.as_ref().and_then(|wal| wal.last_archived_at));
    gauge pgtend_wal_waiting_segments, "Segments in pg_wal that wait to be archived.",
    |subject, series| series.add(&[], of(subject, |wal| wal.waiting_segments.and_then(int)));
    gauge pgtend_wal_waiting_bytes, "Bytes of the segments in pg_wal that wait to be archived.",
    |subject, series| series.add(&[], of(subject, |wal| wal.waiting_bytes.and_then(int)));
    gauge pgtend_wal_waiting_seconds, "Age of the oldest segment that waits to be archived; 0 when none does.",
    |subject, series| series.add(&[], subject.view.wal.as_ref().and_then(|wal| wal.waiting_seconds));
    gauge pgtend_wal_pressure, "Whether WAL that waits endangers the disk: 0 fine, 1 more than half of what may wait waits or too little is free, 2 a limit is crossed.",
    |subject, series| series.add(&[], of(subject, |wal| Some(match wal.pressure {
        WalPressure::Fine => 0,
        WalPressure::Alarm => 1,
        WalPressure::Over => 2,
    })));
    counter pgtend_wal_dropped_total, "Segments that were dropped so that the server goes on, since the agent started. Each is a gap.",
    |subject, series| series.add(&[], of(subject, |wal| int(wal.dropped_files)));
    gauge pgtend_wal_streaming, "Whether WAL is streamed: 1 while what is flushed gets to every required repository, 0 while something stands in the way; none where it is not wanted, and on a standby.",
    |subject, series| series.add(&[], streaming(subject).and_then(|told| match told.state {
        StreamState::Streaming => Some(1),
        StreamState::Starting | StreamState::Failing => Some(0),
        StreamState::Standby | StreamState::Off => None,
    }));
    gauge pgtend_wal_streaming_lag_bytes, "WAL on the server's disk that is not in every required repository yet, in bytes: what would be lost with the machine.",
    |subject, series| series.add(&[], streaming(subject).and_then(|told| told.lag_bytes).and_then(int));
    gauge pgtend_wal_streaming_lag_seconds, "Since when not all WAL is in every required repository: what would be lost with the machine.",
    |subject, series| series.add(&[], streaming(subject).and_then(|told| told.lag_seconds));
    counter pgtend_wal_streamed_pieces_total, "Pieces of segments that were stored since the agent started.",
    |subject, series| series.add(&[], streaming(subject).and_then(|told| int(told.pieces)));
    counter pgtend_wal_streamed_stored_bytes, "Bytes that these pieces took in all repositories.",
    |subject, series| series.add(&[], streaming(subject).and_then(|told| int(told.stored_bytes)));
    gauge pgtend_wal_slot_held_bytes, "WAL that the server keeps for the slot of streaming, in bytes. Also while streaming is switched off and its slot is still there.",
    |subject, series| series.add(&[], streaming(subject).and_then(|told| told.slot_held_bytes).and_then(int));
    gauge pgtend_wal_gaps { repository }, "Gaps in the WAL of this server in the repository, as of the last look, every ten minutes.",
    |subject, series| for gaps in subject.view.wal.iter().flat_map(|wal| &wal.gaps) {
        series.add(&[&gaps.repository], int(gaps.gaps));
    };
    gauge pgtend_wal_broken { repository }, "Whether WAL is missing after the start of the newest backup, so that the present cannot be reached until the next one.",
    |subject, series| for gaps in subject.view.wal.iter().flat_map(|wal| &wal.gaps) {
        series.add(&[&gaps.repository], gaps.broken);
    };
}

fn of(subject: &Subject<'_>, figure: fn(&Archiving) -> Option<i64>) -> Option<i64> {
    subject.view.wal.as_deref().and_then(figure)
}

fn streaming<'a>(subject: &'a Subject<'_>) -> Option<&'a Streaming> {
    subject.view.wal.as_deref()?.streaming.as_ref()
}

fn int(value: u64) -> Option<i64> {
    i64::try_from(value).ok()
}
