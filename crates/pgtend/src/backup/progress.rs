//! How far a copy is: counted by the threads that work, read by whoever watches.

use pgtend_model::error::{Error, Kind, Result};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What is being done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// The server makes a checkpoint.
    Starting,
    /// Files are copied.
    Copying,
    /// The WAL that the backup needs is waited for.
    WaitingForWal,
    /// The backup is being published.
    Publishing,
    /// Files are written.
    Restoring,
    /// WAL is replayed.
    Recovering,
    /// Objects are read and proved.
    Verifying,
    /// Another backup of the same server goes on.
    Queued,
    /// Rows go from a restored copy to where they are wanted.
    Bringing,
}

impl Phase {
    const ALL: [Self; 9] = [
        Self::Starting,
        Self::Copying,
        Self::WaitingForWal,
        Self::Publishing,
        Self::Restoring,
        Self::Recovering,
        Self::Verifying,
        Self::Queued,
        Self::Bringing,
    ];

    /// For people.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Starting => "waiting for a checkpoint",
            Self::Copying => "copying",
            Self::WaitingForWal => "waiting for WAL",
            Self::Publishing => "publishing",
            Self::Restoring => "restoring",
            Self::Recovering => "replaying WAL",
            Self::Verifying => "verifying",
            Self::Queued => "waiting for another backup to end",
            Self::Bringing => "bringing rows",
        }
    }
}

/// How far a copy is. Clones share it.
#[derive(Debug, Clone)]
pub struct Progress(Arc<Counts>);

#[derive(Debug)]
struct Counts {
    phase: AtomicU8,
    total_bytes: AtomicU64,
    done_bytes: AtomicU64,
    stored_bytes: AtomicU64,
    files: AtomicU64,
    cancelled: AtomicBool,
    started: Instant,
    /// Bytes a second at most; 0 is as fast as it goes.
    pace: u64,
    paced_until: Mutex<Instant>,
}

/// What somebody sees who looks.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
pub struct Seen {
    /// What is being done.
    pub phase: Phase,
    /// Bytes of everything.
    pub total_bytes: u64,
    /// Bytes that are done.
    pub done_bytes: u64,
    /// Bytes written to the repository, or to the disk.
    pub stored_bytes: u64,
    /// Files that are done.
    pub files: u64,
    /// Seconds since it began.
    pub elapsed_seconds: f64,
}

impl Progress {
    /// Nothing is done; `pace` is how many bytes a second may be read, 0 for any.
    pub fn new(pace: u64) -> Self {
        let now = Instant::now();
        Self(Arc::new(Counts {
            phase: AtomicU8::new(0),
            total_bytes: AtomicU64::new(0),
            done_bytes: AtomicU64::new(0),
            stored_bytes: AtomicU64::new(0),
            files: AtomicU64::new(0),
            cancelled: AtomicBool::new(false),
            started: now,
            pace,
            paced_until: Mutex::new(now),
        }))
    }

    /// Goes over to another phase.
    pub fn enter(&self, phase: Phase) {
        self.0.phase.store(phase as u8, Ordering::Relaxed);
    }

    /// Says how much there is to do.
    pub fn expect(&self, bytes: u64) {
        self.0.total_bytes.store(bytes, Ordering::Relaxed);
    }

    /// Counts what is done.
    pub fn done(&self, bytes: u64) {
        self.0.done_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Counts what was written.
    pub fn stored(&self, bytes: u64) {
        self.0.stored_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Counts a file.
    pub fn file(&self) {
        self.0.files.fetch_add(1, Ordering::Relaxed);
    }

    /// Asks the threads to stop.
    pub fn cancel(&self) {
        self.0.cancelled.store(true, Ordering::Relaxed);
    }

    /// Whether somebody wants it to stop.
    ///
    /// # Errors
    /// `Conflict` when so.
    pub fn check(&self) -> Result<()> {
        if self.0.cancelled.load(Ordering::Relaxed) {
            return Err(
                Error::new(Kind::Conflict, "stopped on request").hint("what was copied is kept: the next backup goes on from there")
            );
        }
        Ok(())
    }

    /// Waits until this many more bytes may be read.
    pub fn pace(&self, bytes: u64) {
        if self.0.pace == 0 {
            return;
        }
        let takes = Duration::from_micros(bytes.saturating_mul(1_000_000) / self.0.pace);
        let until = {
            let mut until = self.0.paced_until.lock().unwrap_or_else(PoisonError::into_inner);
            *until = (*until).max(Instant::now()) + takes;
            *until
        };
        std::thread::sleep(until.saturating_duration_since(Instant::now()));
    }

    /// How far it is.
    pub fn see(&self) -> Seen {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Seen {
            phase: Phase::ALL.get(usize::from(self.0.phase.load(Ordering::Relaxed))).copied().unwrap_or(Phase::Starting),
            total_bytes: count(&self.0.total_bytes),
            done_bytes: count(&self.0.done_bytes),
            stored_bytes: count(&self.0.stored_bytes),
            files: count(&self.0.files),
            elapsed_seconds: self.0.started.elapsed().as_secs_f64(),
        }
    }
}
