//! Work that blocks, with what it remembers from one turn to the next. It has one turn at a time, however slow a repository is.

use pgtend_model::error::{Error, Kind, Result};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

/// Somebody who works in turns.
#[derive(Debug)]
pub(super) struct Turn<T> {
    idle: Option<T>,
    busy: Option<JoinHandle<(T, Result<()>)>>,
    /// How the last turn ended.
    last: Result<()>,
}

impl<T: Send + 'static> Turn<T> {
    pub const fn new(worker: T) -> Self {
        Self { idle: Some(worker), busy: None, last: Ok(()) }
    }

    /// The worker, while nothing goes on.
    pub const fn idle(&self) -> Option<&T> {
        self.idle.as_ref()
    }

    /// Begins a turn, unless one still goes on.
    pub fn begin(&mut self, work: impl FnOnce(&mut T) -> Result<()> + Send + 'static) {
        if let Some(mut worker) = self.idle.take() {
            self.busy = Some(tokio::task::spawn_blocking(move || {
                let done = work(&mut worker);
                (worker, done)
            }));
        }
    }

    /// Waits for the end of the turn, at most until then; gives how the last one ended.
    ///
    /// # Errors
    /// `Internal` when its thread ended without an answer.
    pub async fn wait(&mut self, until: Instant) -> Result<Result<()>> {
        if let Some(busy) = &mut self.busy
            && let Ok(done) = timeout_at(until, busy).await
        {
            self.busy = None;
            let (worker, last) = done.map_err(|error| Error::new(Kind::Internal, format!("a thread that did the work ended: {error}")))?;
            self.idle = Some(worker);
            self.last = last;
        }
        Ok(self.last.clone())
    }

    /// Waits for the end of the turn.
    pub async fn end(&mut self) {
        if let Some(busy) = self.busy.take() {
            let _its_result_is_of_no_use = busy.await;
        }
    }
}
