//! Streaming: WAL gets to the repositories every few seconds, before PostgreSQL hands over its segment
//! (`docs/decisions/2026-11-21-wal-streaming.md`).

mod pieces;
mod source;
mod told;
mod turn;
mod whole;

pub use told::Told;

use super::pushing::ready;
use super::service::Service;
use crate::blocking::blocking;
use pgtend_model::backup::wal_stream::{Keeper, Slot, SlotStep, StreamTrouble, check, keeper, slot_step};
use pgtend_model::error::{Error, Kind, Result};
use pgtend_model::pgdata::Lsn;
use pgtend_model::pgdata::wal::Segment;
use pgtend_model::schedule::backoff;
use pgtend_postgres::connect::{Limits, Target};
use pgtend_postgres::wal_session::{Position, WalSession};
use pieces::Pieces;
use source::Source;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use turn::Turn;
use whole::Whole;

/// What `pg_stat_activity` shows.
const APPLICATION_NAME: &str = "pgtend wal streaming";
/// How often a standby is asked whether it was promoted.
const STANDBY_EVERY: Duration = Duration::from_secs(5);
/// How often it is looked how the slot stands.
const SLOT_EVERY: Duration = Duration::from_secs(10);
/// Segments before a new slot that are looked for in `pg_wal`.
const MOST_BEHIND: u64 = 4096;

/// Streams one server's WAL.
#[derive(Debug)]
pub struct Stream {
    /// Name of the server.
    pub server: String,
    /// Its name in the repositories.
    pub filed: String,
    /// Its data directory.
    pub data: PathBuf,
    /// How to connect.
    pub target: Target,
    /// Bounds of the session.
    pub limits: Limits,
    /// How often.
    pub interval: Duration,
    /// The slot that the configuration names.
    pub slot: Option<String>,
    /// What keeps WAL.
    pub service: Arc<Service>,
    /// Where it is told how it goes.
    pub told: Arc<Told>,
    /// When it ends.
    pub ends: CancellationToken,
}

/// One stretch of streaming, over one connection.
struct Stretch {
    session: WalSession,
    source: Arc<Source>,
    slot: Option<Slot>,
    slot_looked_at: Instant,
    whole: Turn<Whole>,
    /// A turn for each repository.
    pieces: Vec<Turn<Pieces>>,
}

impl Stream {
    /// Streams until the end. What fails is tried again.
    pub async fn run(self) {
        let mut failed_attempts = 0;
        while !self.ends.is_cancelled() {
            let before = self.told.now().pieces;
            let Err(error) = self.stretch().await else { continue };
            failed_attempts = if self.told.now().pieces > before { 1 } else { failed_attempts + 1 };
            self.told.failed(&self.server, error);
            let pause = backoff(failed_attempts, 1.0).max(self.interval.min(Duration::from_secs(10)));
            tokio::select! {
                () = self.ends.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Ends well when the agent ends, or the server became a standby.
    async fn stretch(&self) -> Result<()> {
        let session = WalSession::open(&self.target, &self.limits, APPLICATION_NAME).await?;
        let Some(at) = self.primary(&session).await? else { return Ok(()) };
        let mut stretch = self.prepare(session, at).await?;
        let ended = self.rounds(&mut stretch).await;
        if let Err(error) = &ended {
            self.told.failed(&self.server, error.clone());
        }
        // A round that still goes on takes pieces away by what it knows: nobody else may begin meanwhile.
        let mut last = Box::pin(stretch.finish());
        tokio::select! {
            () = self.ends.cancelled() => {}
            () = &mut last => {}
        }
        ended
    }

    /// Waits until the server is a primary; none when the agent ends before.
    async fn primary(&self, session: &WalSession) -> Result<Option<Position>> {
        loop {
            if let Some(at) = session.position().await? {
                return Ok(Some(at));
            }
            self.told.standby(&self.server);
            tokio::select! {
                () = self.ends.cancelled() => return Ok(None),
                () = tokio::time::sleep(STANDBY_EVERY) => {}
            }
        }
    }

    async fn prepare(&self, session: WalSession, at: Position) -> Result<Stretch> {
        let keeping = session.keeping().await?;
        check(&keeping)?;
        let (filed, data, identifier) = (self.filed.clone(), self.data.clone(), keeping.system_identifier);
        let source = Arc::new(blocking(move || Source::open(&filed, &data, identifier)).await?);
        let open = Segment::holding(at.timeline, at.flushed, source.size()).number;
        let (slot, next) = match keeper(&keeping, &self.server, self.slot.as_deref()) {
            Keeper::Archiver => (None, self.first_waiting(&source).map_or(open, |first| first.min(open))),
            Keeper::Slot(name) => {
                let found = session.slot(&name).await?;
                let step = slot_step(&keeping, &name, found.as_ref())?;
                self.slot(&session, &source, &name, step).await.map(|(slot, from)| (Some(slot), from.min(open)))?
            }
        };
        let unbounded = keeping.max_slot_wal_keep_size == "-1";
        self.told.begun(&self.server, slot.as_ref().map(|slot| (slot.name.as_str(), unbounded)));
        let whole = Turn::new(Whole::new(&self.server, Arc::clone(&self.service), slot.is_some(), next));
        let pieces = self.service.places().all().iter().map(|_| Turn::new(Pieces::default())).collect();
        Ok(Stretch { session, source, slot, slot_looked_at: Instant::now(), whole, pieces })
    }

    /// The first full segment that `archive_command` has not brought yet.
    fn first_waiting(&self, source: &Source) -> Option<u64> {
        let names = ready(&self.data).unwrap_or_default();
        names.iter().filter_map(|name| Segment::of_name(name, source.size())).map(|segment| segment.number).min()
    }

    /// Makes the slot, or takes it as it is; with the first segment that it keeps, or should have kept.
    async fn slot(&self, session: &WalSession, source: &Arc<Source>, name: &str, step: SlotStep) -> Result<(Slot, u64)> {
        let holding = |lsn: Lsn| Segment::holding(1, lsn, source.size()).number;
        // Asked before the slot that was lost goes: it is the only sign that something was.
        let after = if matches!(step, SlotStep::Use(_)) { None } else { self.after_newest(Arc::clone(source)).await? };
        if step == SlotStep::Renew {
            session.drop_slot(name).await?;
        }
        if !matches!(step, SlotStep::Use(_)) {
            session.make_slot(name).await?;
            tracing::info!(server = self.server, slot = name, "a slot was made: it keeps WAL until the repositories have it");
        }
        let made = session.slot(name).await?;
        let gone = || Error::new(Kind::Conflict, format!("the slot \"{name}\" was taken away just now"));
        let slot = made.ok_or_else(gone)?;
        let from = holding(slot.restart_lsn.ok_or_else(gone)?);
        if step == SlotStep::Renew {
            tracing::error!(
                server = self.server,
                slot = name,
                "the slot lost WAL that was not in the repository yet, and was made anew: max_slot_wal_keep_size was reached"
            );
        }
        // What lies between the newest segment of the repository and the slot may still be in pg_wal; what is not is a gap.
        Ok((slot, after.map_or(from, |after| after.max(from.saturating_sub(MOST_BEHIND)).min(from))))
    }

    /// The segment after the newest one that is in the repositories.
    async fn after_newest(&self, source: Arc<Source>) -> Result<Option<u64>> {
        let (service, owner) = (Arc::clone(&self.service), source.origin.owner.clone());
        blocking(move || {
            let mut newest = None;
            for place in service.places().required() {
                let names = place.repository()?.wal(&owner)?;
                newest = newest
                    .max(names.iter().filter_map(|object| Segment::of_name(&object.name, source.size())).map(|found| found.number).max());
            }
            Ok(newest.map(|number| number + 1))
        })
        .await
    }

    /// Rounds until something fails, the agent ends, or the server is no primary any more.
    async fn rounds(&self, stretch: &mut Stretch) -> Result<()> {
        loop {
            let began = Instant::now();
            let Some(at) = stretch.session.position().await? else { return Ok(()) };
            let troubles = self.round(stretch, at, began + self.interval).await?;
            self.move_slot(stretch).await?;
            self.tell(stretch, at, began, troubles);
            tokio::select! {
                () = self.ends.cancelled() => return Ok(()),
                () = sleep_until(began + self.interval) => {}
            }
        }
    }

    /// Gives everybody who is not busy their turn, and waits for them, at most until the next round is due.
    async fn round(&self, stretch: &mut Stretch, at: Position, due: Instant) -> Result<Vec<StreamTrouble>> {
        let held = stretch.slot.as_ref().and_then(|slot| slot.held_bytes).unwrap_or(0);
        let source = Arc::clone(&stretch.source);
        stretch.whole.begin(move |whole| whole.round(&source, at, held));
        for (number, turn) in stretch.pieces.iter_mut().enumerate() {
            let (service, source) = (Arc::clone(&self.service), Arc::clone(&stretch.source));
            turn.begin(move |pieces| match service.places().all().get(number) {
                Some(place) => pieces.round(place, &source, at, service.level()),
                None => Ok(()),
            });
        }
        let mut troubles = Vec::new();
        if let Err(error) = stretch.whole.wait(due).await? {
            troubles.push(StreamTrouble { repository: String::new(), error });
        }
        for (turn, place) in stretch.pieces.iter_mut().zip(self.service.places().all()) {
            if let Err(error) = turn.wait(due).await? {
                troubles.push(StreamTrouble { repository: place.name().to_owned(), error });
            }
        }
        Ok(troubles)
    }

    /// Lets the slot go of what is safe.
    async fn move_slot(&self, stretch: &mut Stretch) -> Result<()> {
        let (Some(slot), Some(whole)) = (&mut stretch.slot, stretch.whole.idle()) else { return Ok(()) };
        let to = whole.needed_from(&stretch.source);
        let moves = slot.restart_lsn.is_none_or(|from| to > from);
        if moves {
            stretch.session.advance_slot(&slot.name, to).await?;
        }
        if moves || stretch.slot_looked_at.elapsed() >= SLOT_EVERY {
            stretch.slot_looked_at = Instant::now();
            let found = stretch.session.slot(&slot.name).await?;
            let lost = |slot: &Slot| slot.wal_status == "lost" || slot.restart_lsn.is_none();
            *slot = found.filter(|slot| !lost(slot)).ok_or_else(|| {
                Error::new(Kind::Conflict, format!("the slot \"{}\" keeps no WAL any more: it was lost, or taken away", slot.name))
                    .hint("max_slot_wal_keep_size bounds what a slot keeps: raise it, and see why the repository does not take WAL")
            })?;
        }
        Ok(())
    }

    fn tell(&self, stretch: &Stretch, at: Position, began: Instant, troubles: Vec<StreamTrouble>) {
        let whole = stretch.whole.idle().map(|whole| whole.next(at, &stretch.source));
        let required = stretch.pieces.iter().zip(self.service.places().all()).filter(|(_, place)| place.required());
        let reach = |(turn, _): (&Turn<Pieces>, _)| turn.idle().zip(whole).map(|(pieces, segment)| pieces.reach(segment, &stretch.source));
        let streamed: Option<Vec<Lsn>> = required.map(reach).collect();
        let streamed = streamed.and_then(|reached| reached.into_iter().min());
        let optional = |name: &str| self.service.places().all().iter().any(|place| place.name() == name && !place.required());
        let fails = troubles.iter().find(|trouble| !optional(&trouble.repository)).cloned();
        let done = stretch.pieces.iter().filter_map(Turn::idle);
        let (count, bytes) = done.fold((0, 0), |(count, bytes), pieces| (count + pieces.count, bytes + pieces.stored_bytes));
        let round = told::Round { flushed: at.flushed, streamed, began, count, bytes, slot: stretch.slot.as_ref(), troubles, fails };
        self.told.round(&self.server, round);
    }
}

impl Stretch {
    /// Waits for what still goes on, and says goodbye.
    async fn finish(mut self) {
        self.whole.end().await;
        for turn in &mut self.pieces {
            turn.end().await;
        }
        self.session.close().await;
    }
}
