//! Segments that are full: they must be whole in every required repository before the server may let them go.

use super::super::service::Service;
use super::source::Source;
use jiff::Timestamp;
use pgtend_model::error::{Kind, Result};
use pgtend_model::pgdata::Lsn;
use pgtend_model::pgdata::wal::{History, Segment, WalFile};
use pgtend_postgres::wal_session::Position;
use pgtend_store::repo::wal::DroppedWal;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long `archive_command` may take to bring a full segment before streaming does.
const ARCHIVER_PATIENCE: Duration = Duration::from_secs(15);
/// Segments in one round, after which the slot moves on.
const MOST_A_ROUND: usize = 16;

/// Which segments are safe.
#[derive(Debug)]
pub(super) struct Whole {
    server: String,
    service: Arc<Service>,
    /// Whether a slot keeps the WAL: then nobody else brings it.
    by_slot: bool,
    /// The first segment that is not known to be safe.
    next: u64,
    /// Since when it is full.
    full_since: Option<Instant>,
    /// The timeline that is written, and how it came about.
    timeline: Option<(u32, Option<History>)>,
}

impl Whole {
    /// From this segment on.
    pub fn new(server: &str, service: Arc<Service>, by_slot: bool, next: u64) -> Self {
        Self { server: server.to_owned(), service, by_slot, next, full_since: None, timeline: None }
    }

    /// The first segment that is not known to be safe.
    pub fn next(&self, at: Position, source: &Source) -> Segment {
        self.segment(self.next.min(Segment::holding(at.timeline, at.flushed, source.size()).number), source)
    }

    /// From where on WAL is needed on the server.
    pub fn needed_from(&self, source: &Source) -> Lsn {
        Segment { timeline: 1, number: self.next }.start(source.size())
    }

    /// Sees to it that full segments are safe; `held_bytes` is what the slot keeps.
    pub fn round(&mut self, source: &Source, at: Position, held_bytes: u64) -> Result<()> {
        self.follow(source, at)?;
        let open = Segment::holding(at.timeline, at.flushed, source.size()).number;
        for _ in 0..MOST_A_ROUND {
            if self.next >= open {
                self.full_since = None;
                return Ok(());
            }
            let name = self.segment(self.next, source).name(source.size());
            if !self.is_safe(source, &name)? {
                let full_since = *self.full_since.get_or_insert_with(Instant::now);
                if !self.by_slot && full_since.elapsed() < ARCHIVER_PATIENCE {
                    return Ok(());
                }
                self.keep(source, &name, held_bytes)?;
            }
            self.next += 1;
            self.full_since = None;
        }
        Ok(())
    }

    /// The file of the segment with this number, on the timeline that counts for its last byte.
    fn segment(&self, number: u64, source: &Source) -> Segment {
        let (timeline, history) = self.timeline.as_ref().map_or((1, None), |(timeline, history)| (*timeline, history.as_ref()));
        let last = Lsn(Segment { timeline, number }.end(source.size()).0 - 1);
        Segment { timeline: history.map_or(timeline, |history| history.timeline_at(last)), number }
    }

    /// Nobody can follow a timeline whose history is not there.
    fn follow(&mut self, source: &Source, at: Position) -> Result<()> {
        if self.timeline.as_ref().is_some_and(|(timeline, _)| *timeline == at.timeline) {
            return Ok(());
        }
        let history = source.history(at.timeline)?;
        if self.by_slot {
            let timelines = history.iter().flat_map(|history| &history.switches).map(|switch| switch.timeline);
            for timeline in timelines.chain([at.timeline]) {
                let name = WalFile::History(timeline).name(source.size());
                if source.has(&name) {
                    self.service.keep(&self.server, &name)?;
                }
            }
        }
        self.timeline = Some((at.timeline, history));
        Ok(())
    }

    fn is_safe(&self, source: &Source, name: &str) -> Result<bool> {
        for place in self.service.places().required() {
            if !place.repository()?.has_wal(&source.origin.owner, name)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn keep(&self, source: &Source, name: &str, held_bytes: u64) -> Result<()> {
        if !source.has(name) {
            return if self.by_slot { self.note_gap(source, name) } else { Ok(()) };
        }
        let Err(error) = self.service.keep(&self.server, name) else { return Ok(()) };
        let may_be_dropped = self.by_slot && !matches!(error.kind, Kind::Conflict | Kind::Usage);
        if may_be_dropped && self.service.drop_instead(&self.server, name, held_bytes) { Ok(()) } else { Err(error) }
    }

    /// What the slot should have kept is gone.
    fn note_gap(&self, source: &Source, name: &str) -> Result<()> {
        let reason = "the server let it go before it was in the repository: its slot was lost (max_slot_wal_keep_size), or taken away";
        let dropped = DroppedWal { name: name.to_owned(), at: Timestamp::now(), reason: reason.to_owned() };
        for place in self.service.places().required() {
            place.repository()?.note_dropped_wal(&source.origin.owner, &dropped)?;
        }
        tracing::error!(
            server = self.server,
            segment = name,
            reason,
            "WAL is LOST: until the next backup, no moment after this can be reached"
        );
        Ok(())
    }
}
