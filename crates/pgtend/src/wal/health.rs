//! How a server's archiving goes: what was kept, since when it fails, how much waits.

use jiff::Timestamp;
use pgtend_model::error::Error;
use std::sync::{Mutex, PoisonError};

/// What is known of a server's archiving since the agent started. Shared by the threads that work on it.
#[derive(Debug, Default)]
pub struct Health(Mutex<Archived>);

/// The same at an instant.
#[derive(Debug, Clone, Default)]
pub struct Archived {
    /// Files that became durable.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Bytes that they take in the required repositories.
    pub stored_bytes: u64,
    /// Files that were durable before PostgreSQL asked for it.
    pub ahead: u64,
    /// Tries that failed.
    pub failures: u64,
    /// The file that became durable last, and when.
    pub last: Option<(String, Timestamp)>,
    /// Since when every try fails, with the last error.
    pub failing: Option<(Timestamp, Error)>,
    /// Segments that were dropped.
    pub dropped: u64,
    /// Files that recovery asked for and got.
    pub fetched: u64,
    /// Those of them that were there before it asked.
    pub fetched_ahead: u64,
}

impl Health {
    fn change(&self, change: impl FnOnce(&mut Archived)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// What is known now.
    pub fn now(&self) -> Archived {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn kept(&self, name: &str, bytes: usize, stored_bytes: u64) {
        self.change(|archived| {
            archived.files += 1;
            archived.bytes += bytes as u64;
            archived.stored_bytes += stored_bytes;
            archived.last = Some((name.to_owned(), Timestamp::now()));
            if let Some((since, _)) = archived.failing.take() {
                tracing::info!(segment = name, %since, "WAL is archived again");
            }
        });
    }

    pub(super) fn failed(&self, name: &str, error: &Error) {
        self.change(|archived| {
            archived.failures += 1;
            let since = archived.failing.as_ref().map(|(since, _)| *since);
            // Once, until it goes well again: PostgreSQL's log has every try.
            if since.is_none() {
                let (what, place, hint) = (&error.what, &error.place, &error.hint);
                tracing::error!(segment = name, error = what, place, hint, "WAL is not archived; PostgreSQL keeps it and asks again");
            }
            archived.failing = Some((since.unwrap_or_else(Timestamp::now), error.clone()));
        });
    }

    pub(super) fn dropped(&self) {
        self.change(|archived| archived.dropped += 1);
    }

    pub(super) fn was_ahead(&self) {
        self.change(|archived| archived.ahead += 1);
    }

    pub(super) fn fetched(&self, ahead: bool) {
        self.change(|archived| {
            archived.fetched += 1;
            archived.fetched_ahead += u64::from(ahead);
        });
    }
}
