//! How the streaming of one server goes, for everybody who asks.

use jiff::Timestamp;
use pgtend_model::backup::wal_stream::{Slot, StreamState, StreamTrouble, Streaming};
use pgtend_model::error::Error;
use pgtend_model::pgdata::Lsn;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::time::Instant;

/// What is told of the streaming of one server.
#[derive(Debug, Default)]
pub struct Told(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    streaming: Streaming,
    /// When all that was flushed was safe.
    safe_at: Option<Instant>,
    /// Counts of stretches that are over.
    before: (u64, u64),
}

/// What a round came to.
pub(super) struct Round<'a> {
    pub flushed: Lsn,
    pub streamed: Option<Lsn>,
    pub began: Instant,
    pub count: u64,
    pub bytes: u64,
    pub slot: Option<&'a Slot>,
    pub troubles: Vec<StreamTrouble>,
    /// The first of them that keeps WAL from where it is required.
    pub fails: Option<StreamTrouble>,
}

impl Told {
    /// How it goes now.
    pub fn now(&self) -> Streaming {
        let state = self.state();
        let lag_seconds = state.safe_at.map(|at| at.elapsed().as_secs_f64());
        Streaming { lag_seconds, ..state.streaming.clone() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn begun(&self, server: &str, slot: Option<(&str, bool)>) {
        let mut state = self.state();
        state.before = (state.streaming.pieces, state.streaming.stored_bytes);
        state.streaming.slot = slot.map(|(name, _)| name.to_owned());
        match slot {
            None => tracing::info!(server, "WAL is streamed; archive_command brings whole segments"),
            Some((slot, false)) => tracing::info!(server, slot, "WAL is streamed; a slot keeps it until the repositories have it"),
            Some((slot, true)) => tracing::warn!(
                server,
                slot,
                "WAL is streamed, and a slot keeps it without a limit while the agent or a repository is away: set max_slot_wal_keep_size to what the disk of pg_wal can spare"
            ),
        }
    }

    pub(super) fn standby(&self, server: &str) {
        let mut state = self.state();
        if state.streaming.state != StreamState::Standby {
            tracing::info!(server, "a standby: its primary's WAL is streamed where the primary is, its own once it is promoted");
        }
        state.safe_at = None;
        state.streaming = Streaming { state: StreamState::Standby, pieces: state.streaming.pieces, ..Streaming::default() };
    }

    pub(super) fn failed(&self, server: &str, error: Error) {
        let mut state = self.state();
        state.fails(server, error);
    }

    pub(super) fn round(&self, server: &str, round: Round<'_>) {
        let mut state = self.state();
        let lag_bytes = round.streamed.map(|streamed| round.flushed.0.saturating_sub(streamed.0));
        if lag_bytes == Some(0) {
            state.safe_at = Some(round.began);
        }
        let (count, bytes) = state.before;
        let told = &mut state.streaming;
        told.flushed_lsn = Some(round.flushed);
        told.streamed_lsn = round.streamed.or(told.streamed_lsn);
        told.lag_bytes = told.streamed_lsn.map(|streamed| round.flushed.0.saturating_sub(streamed.0));
        told.pieces = told.pieces.max(count + round.count);
        told.stored_bytes = told.stored_bytes.max(bytes + round.bytes);
        told.slot_held_bytes = round.slot.and_then(|slot| slot.held_bytes);
        told.slot_wal_status = round.slot.map(|slot| slot.wal_status.clone());
        told.troubles = round.troubles;
        match round.fails {
            None => state.goes_well(server),
            Some(StreamTrouble { repository, error }) if repository.is_empty() => state.fails(server, error),
            Some(StreamTrouble { repository, error }) => state.fails(server, error.at(format!("repository {repository}"))),
        }
    }
}

impl State {
    /// Said once for each reason.
    fn fails(&mut self, server: &str, error: Error) {
        let told = &mut self.streaming;
        if told.error.as_ref().is_none_or(|before| before.what != error.what) {
            let (what, place, hint) = (&error.what, &error.place, &error.hint);
            tracing::error!(server, error = what, place, hint, "WAL is not streamed; it is tried again");
        }
        told.state = StreamState::Failing;
        told.failing_since.get_or_insert_with(Timestamp::now);
        told.error = Some(error);
    }

    fn goes_well(&mut self, server: &str) {
        let told = &mut self.streaming;
        if let Some(since) = told.failing_since.take() {
            tracing::info!(server, %since, "WAL is streamed again");
        }
        told.error = None;
        told.state = StreamState::Streaming;
    }
}
