//! Keeping one server's WAL: the file that PostgreSQL asks for, and those that it will ask for next.
//!
//! PostgreSQL runs one `archive_command` at a time. So while one file is being kept, others that are marked ready are kept beside it and
//! remembered; when their turn comes, the answer is there. Nothing depends on that memory: without it a file is pushed again, and found
//! to be there.

use super::dropping::Dropping;
use super::health::Health;
use super::origin::Origin;
use super::places::Places;
use super::service::Options;
use pgtend_model::error::{Error, Kind, Result};
use pgtend_model::pgdata::wal::is_wal_name;
use std::collections::{HashMap, HashSet, VecDeque};
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

/// Files that wait to be kept ahead, for each thread that keeps them.
const AHEAD_PER_THREAD: usize = 8;

/// Keeps one server's WAL, on threads of its own.
#[derive(Debug)]
pub(super) struct Pushing {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

#[derive(Debug)]
struct Shared {
    server: String,
    data: PathBuf,
    places: Places,
    level: i32,
    threads: usize,
    dropping: Option<Dropping>,
    health: Arc<Health>,
    origin: Mutex<Option<Origin>>,
    state: Mutex<State>,
    /// There is something to do.
    wanted: Condvar,
    /// Something was done.
    done: Condvar,
}

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<String>,
    files: HashMap<String, Stage>,
    over: bool,
}

#[derive(Debug, Clone)]
enum Stage {
    Waits,
    Worked,
    Kept(Stamp),
    Failed(Error),
}

/// By which a file is known not to have changed since it was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
}

impl Pushing {
    /// Of this server's data directory.
    pub fn start(server: &str, data: &Path, places: Places, options: &Options, health: Arc<Health>) -> Self {
        let threads = options.workers;
        let shared = Arc::new(Shared {
            server: server.to_owned(),
            data: data.to_owned(),
            places,
            level: options.level,
            threads,
            dropping: options.dropping.clone(),
            health,
            origin: Mutex::default(),
            state: Mutex::default(),
            wanted: Condvar::new(),
            done: Condvar::new(),
        });
        let work = |_| {
            let shared = Arc::clone(&shared);
            std::thread::Builder::new().name("wal push".into()).spawn(move || shared.work())
        };
        let threads = Mutex::new((0..threads).map(work).filter_map(io::Result::ok).collect());
        Self { shared, threads }
    }

    /// Keeps a file of `pg_wal`; it is durable when this returns.
    pub fn push(&self, name: &str) -> Result<()> {
        self.shared.push(name)
    }

    /// Keeps what the client sent, of which this agent can read nothing itself.
    pub fn push_sent(&self, name: &str, content: &[u8], control: &[u8]) -> Result<()> {
        let origin = Origin::of_bytes(&self.shared.server, control)?;
        let kept = self.shared.keep_content(&origin, name, content);
        let kept = kept.inspect_err(|error| self.shared.health.failed(name, error));
        self.shared.or_drop(kept, Some(&origin), name)
    }

    /// Keeps a file of `pg_wal` that PostgreSQL did not ask for; it is durable when this returns.
    pub fn keep(&self, name: &str) -> Result<()> {
        let kept = self.shared.keep(name, &mut Vec::new()).map(|_| ());
        kept.inspect_err(|error| self.shared.health.failed(name, error))
    }

    /// Drops a segment that a slot keeps, so many bytes in all, if that is allowed and time for it. Whether it did.
    pub fn drop_instead(&self, name: &str, held_bytes: u64) -> bool {
        let origin = self.shared.origin.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (Some(dropping), Some(origin)) = (&self.shared.dropping, origin) else { return false };
        dropping.instead(&self.shared.data, held_bytes, &origin, &self.shared.places, name, &self.shared.health)
    }

    /// Whether the agent may read this file; it may also not be there.
    pub fn may_read(&self, name: &str) -> bool {
        let denied = |error: io::Error| error.kind() == io::ErrorKind::PermissionDenied;
        !File::open(self.shared.path(name)).is_err_and(denied)
    }

    /// Hands gaps over to repositories that were away.
    pub fn settle(&self) {
        self.shared.settle();
    }

    /// Ends the threads; what is being kept becomes durable before.
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

    fn path(&self, name: &str) -> PathBuf {
        self.data.join("pg_wal").join(name)
    }

    fn settle(&self) {
        let origin = self.origin.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let (Some(dropping), Some(origin)) = (&self.dropping, origin) {
            dropping.settle(&origin, &self.places);
        }
    }

    fn push(&self, name: &str) -> Result<()> {
        let mut state = self.state();
        match state.files.get(name) {
            Some(Stage::Kept(stamp)) if Stamp::of(&self.path(name)).is_ok_and(|now| now == *stamp) => {
                state.files.remove(name);
                self.health.was_ahead();
                let runs_dry = state.queue.len() < self.threads;
                drop(state);
                if runs_dry {
                    self.look_ahead();
                }
                return Ok(());
            }
            Some(Stage::Worked) => {}
            Some(Stage::Waits) => {
                state.queue.retain(|other| other != name);
                state.queue.push_front(name.to_owned());
            }
            None | Some(Stage::Kept(_) | Stage::Failed(_)) => {
                state.files.insert(name.to_owned(), Stage::Waits);
                state.queue.push_front(name.to_owned());
            }
        }
        drop(state);
        self.wanted.notify_one();
        self.look_ahead();
        let kept = self.wait_for(name);
        let origin = self.origin.lock().unwrap_or_else(PoisonError::into_inner).clone();
        self.or_drop(kept, origin.as_ref(), name)
    }

    fn wait_for(&self, name: &str) -> Result<()> {
        let mut state = self.state();
        loop {
            match state.files.get(name) {
                Some(Stage::Waits | Stage::Worked) if !state.over => {}
                Some(Stage::Kept(_)) => {
                    state.files.remove(name);
                    return Ok(());
                }
                Some(Stage::Failed(error)) => {
                    let error = error.clone();
                    state.files.remove(name);
                    return Err(error);
                }
                // The agent ends, or another client had the same file kept and took the answer.
                _ => {
                    return Err(Error::new(Kind::Unreachable, "the file was not kept this time").hint("PostgreSQL keeps it and asks again"));
                }
            }
            state = self.done.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Lines up what PostgreSQL will ask for next, and forgets what it asks for no more.
    fn look_ahead(&self) {
        let Ok(mut ready) = ready(&self.data) else { return };
        let mut state = self.state();
        let there: HashSet<&String> = ready.iter().collect();
        state.files.retain(|name, stage| match stage {
            Stage::Kept(_) => there.contains(name),
            Stage::Failed(_) => false,
            Stage::Waits | Stage::Worked => true,
        });
        let room = (self.threads * AHEAD_PER_THREAD).saturating_sub(state.queue.len());
        ready.retain(|name| !state.files.contains_key(name));
        for name in ready.into_iter().take(room) {
            state.files.insert(name.clone(), Stage::Waits);
            state.queue.push_back(name);
        }
        drop(state);
        self.wanted.notify_all();
    }

    fn work(&self) {
        let mut buffer = Vec::new();
        loop {
            let mut state = self.state();
            let name = loop {
                if state.over {
                    return;
                }
                if let Some(name) = state.queue.pop_front() {
                    break name;
                }
                state = self.wanted.wait(state).unwrap_or_else(PoisonError::into_inner);
            };
            state.files.insert(name.clone(), Stage::Worked);
            drop(state);
            let kept = self.keep(&name, &mut buffer);
            let mut state = self.state();
            let stage = match kept {
                Ok(stamp) => Stage::Kept(stamp),
                Err(error) => {
                    self.health.failed(&name, &error);
                    // Whatever is wrong will be wrong for the next one too: PostgreSQL's own pauses between tries are kept.
                    let waiting: Vec<String> = state.queue.drain(..).collect();
                    for name in waiting {
                        state.files.insert(name, Stage::Failed(error.clone()));
                    }
                    Stage::Failed(error)
                }
            };
            state.files.insert(name, stage);
            drop(state);
            self.done.notify_all();
        }
    }

    fn keep(&self, name: &str, buffer: &mut Vec<u8>) -> Result<Stamp> {
        let path = self.path(name);
        let mut read = || -> io::Result<Stamp> {
            let mut file = File::open(&path)?;
            let stamp = Stamp::from(&file.metadata()?);
            buffer.clear();
            file.read_to_end(buffer)?;
            Ok(stamp)
        };
        let stamp =
            read().map_err(|error| Error::new(Kind::System, format!("the file cannot be read: {error}")).at(path.display().to_string()))?;
        self.keep_checked(name, buffer)?;
        Ok(stamp)
    }

    /// The control file is read again when a file does not fit: the directory may hold another cluster by now.
    fn keep_checked(&self, name: &str, content: &[u8]) -> Result<()> {
        let known = self.origin.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(origin) = known.filter(|origin| origin.check(name, content).is_ok()) {
            return self.keep_content(&origin, name, content);
        }
        let origin = Origin::of_data(&self.server, &self.data)?;
        *self.origin.lock().unwrap_or_else(PoisonError::into_inner) = Some(origin.clone());
        self.keep_content(&origin, name, content)
    }

    fn keep_content(&self, origin: &Origin, name: &str, content: &[u8]) -> Result<()> {
        origin.check(name, content)?;
        let kept = self.places.keep(origin, name, content, self.level)?;
        self.health.kept(name, content.len(), kept.stored_bytes);
        Ok(())
    }

    /// What PostgreSQL asks for, and cannot be kept, is dropped where that is allowed. What another server wrote never is.
    fn or_drop(&self, kept: Result<()>, origin: Option<&Origin>, name: &str) -> Result<()> {
        let Err(error) = kept else { return Ok(()) };
        let (Some(dropping), Some(origin)) = (&self.dropping, origin) else { return Err(error) };
        let stays = matches!(error.kind, Kind::Conflict | Kind::Usage) || self.state().over;
        if !stays && dropping.instead(&self.data, 0, origin, &self.places, name, &self.health) { Ok(()) } else { Err(error) }
    }
}

impl Stamp {
    fn of(path: &Path) -> io::Result<Self> {
        fs::metadata(path).map(|metadata| Self::from(&metadata))
    }

    fn from(metadata: &fs::Metadata) -> Self {
        Self { inode: metadata.ino(), bytes: metadata.len(), modified: (metadata.mtime(), metadata.mtime_nsec()) }
    }
}

/// What is marked ready in `pg_wal`, in the order in which PostgreSQL archives: histories of timelines first, then by name.
pub(super) fn ready(data: &Path) -> io::Result<Vec<String>> {
    let entries = fs::read_dir(data.join("pg_wal/archive_status"))?;
    let name = |entry: fs::DirEntry| entry.file_name().to_str()?.strip_suffix(".ready").map(str::to_owned);
    let mut names: Vec<String> = entries.flatten().filter_map(name).filter(|name| is_wal_name(name)).collect();
    names.sort_by_key(|name| (!name.ends_with(".history"), name.clone()));
    Ok(names)
}
