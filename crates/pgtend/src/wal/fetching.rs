//! Bringing WAL to a recovery: the file that it asks for, and the segments that follow.
//!
//! Replay goes through segments one after the other, so while one is replayed the next ones are fetched. What was not there when it was
//! fetched ahead is asked for anew when it is wanted.

use super::health::Health;
use super::places::Places;
use pgtend_model::error::{Error, Kind, Result};
use pgtend_model::pgdata::wal::{Segment, SegmentSize};
use pgtend_store::repo::wal::WalOwner;
use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

/// Memory that segments which wait for their turn may take.
const MOST_BYTES: u64 = 128 << 20;

/// Brings one cluster's WAL, on threads of its own.
#[derive(Debug)]
pub(super) struct Fetching {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

#[derive(Debug)]
struct Shared {
    places: Places,
    ahead: usize,
    health: Arc<Health>,
    state: Mutex<State>,
    wanted: Condvar,
    done: Condvar,
}

#[derive(Debug, Default)]
struct State {
    owner: Option<WalOwner>,
    queue: VecDeque<(WalOwner, String)>,
    files: HashMap<String, Stage>,
    over: bool,
}

#[derive(Debug)]
enum Stage {
    Waits,
    Worked,
    Here(Vec<u8>),
    Absent,
    Failed(Error),
}

/// What a recovery gets.
#[derive(Debug)]
pub(super) enum Brought {
    /// The file.
    Whole(Vec<u8>),
    /// Of a segment that is whole nowhere, as much as was streamed.
    Beginning(Vec<u8>),
}

impl Fetching {
    /// From these repositories, so many segments ahead.
    pub fn start(places: Places, ahead: usize, threads: usize, health: Arc<Health>) -> Self {
        let shared = Arc::new(Shared { places, ahead, health, state: Mutex::default(), wanted: Condvar::new(), done: Condvar::new() });
        let work = |_| {
            let shared = Arc::clone(&shared);
            std::thread::Builder::new().name("wal get".into()).spawn(move || shared.work())
        };
        let threads = Mutex::new((0..threads).map(work).filter_map(io::Result::ok).collect());
        Self { shared, threads }
    }

    /// Brings a file, or where that will do the beginning of a segment; none when no repository has it, all of them having answered.
    pub fn get(&self, owner: &WalOwner, name: &str, size: SegmentSize, open_too: bool) -> Result<Option<Brought>> {
        self.shared.get(owner, name, size, open_too)
    }

    /// Ends the threads.
    pub fn stop(&self) {
        self.shared.state().over = true;
        self.shared.wanted.notify_all();
        self.shared.done.notify_all();
        for thread in self.threads.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            let _ended = thread.join();
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn get(&self, owner: &WalOwner, name: &str, size: SegmentSize, open_too: bool) -> Result<Option<Brought>> {
        let Some(segment) = Segment::of_name(name, size) else {
            let content = self.places.get(owner, name)?;
            return Ok(content.inspect(|_| self.health.fetched(false)).map(Brought::Whole));
        };
        let here = self.line_up(owner, segment, size);
        self.wanted.notify_all();
        // What is not whole is never fetched ahead: a moment later there is more of it.
        let content = match self.wait_for(name)? {
            Some(whole) => Some(Brought::Whole(whole)),
            None if open_too => self.places.get_open(owner, segment, size)?,
            None => None,
        };
        if content.is_some() {
            // The WAL goes on, so what was missing further on may be there by now.
            self.state().files.retain(|_, stage| !matches!(stage, Stage::Absent | Stage::Failed(_)));
        }
        Ok(content.inspect(|_| self.health.fetched(here)))
    }

    /// Lines up the segment and its successors, and lets go of what recovery has left behind. Whether the segment is here already.
    fn line_up(&self, owner: &WalOwner, segment: Segment, size: SegmentSize) -> bool {
        let ahead = self.ahead.min(usize::try_from(MOST_BYTES / u64::from(size.bytes())).unwrap_or(0));
        let names: Vec<String> =
            std::iter::successors(Some(segment), |segment| Some(segment.next())).take(ahead + 1).map(|next| next.name(size)).collect();
        let mut state = self.state();
        if state.owner.as_ref() != Some(owner) {
            *state = State { owner: Some(owner.clone()), over: state.over, ..State::default() };
        }
        state.queue.retain(|(_, name)| names.contains(name));
        state.files.retain(|name, stage| matches!(stage, Stage::Worked) || names.contains(name));
        let here = names.first().is_some_and(|name| matches!(state.files.get(name), Some(Stage::Here(_))));
        for (place, name) in names.iter().enumerate() {
            // What was missing, or failed, when it was not wanted yet.
            let again = place == 0 && matches!(state.files.get(name), Some(Stage::Absent | Stage::Failed(_)));
            if again || !state.files.contains_key(name) {
                state.files.insert(name.clone(), Stage::Waits);
                let entry = (owner.clone(), name.clone());
                if place == 0 { state.queue.push_front(entry) } else { state.queue.push_back(entry) }
            }
        }
        here
    }

    fn wait_for(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let mut state = self.state();
        loop {
            match state.files.get(name) {
                Some(Stage::Waits | Stage::Worked) if !state.over => {}
                _ => break,
            }
            state = self.done.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        match state.files.remove(name) {
            Some(Stage::Here(content)) => Ok(Some(content)),
            Some(Stage::Absent) => Ok(None),
            Some(Stage::Failed(error)) => Err(error),
            _ => Err(Error::new(Kind::Unreachable, "the agent is ending")),
        }
    }

    fn work(&self) {
        loop {
            let mut state = self.state();
            let (owner, name) = loop {
                if state.over {
                    return;
                }
                if let Some(next) = state.queue.pop_front() {
                    break next;
                }
                state = self.wanted.wait(state).unwrap_or_else(PoisonError::into_inner);
            };
            state.files.insert(name.clone(), Stage::Worked);
            drop(state);
            let stage = match self.places.get(&owner, &name) {
                Ok(Some(content)) => Stage::Here(content),
                Ok(None) => Stage::Absent,
                Err(error) => Stage::Failed(error),
            };
            self.state().files.insert(name, stage);
            self.done.notify_all();
        }
    }
}
