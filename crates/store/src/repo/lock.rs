//! Locks in a repository: leases that are renewed, and that anyone may take over when their holder is gone.
//!
//! Each holding has a number of its own, and an object of its own: `locks/<name>.<number>`. The highest number holds. Numbers are taken by writing
//! a key that must be free, so that one of several gets it, and are never used again: whoever lets go leaves the last one, marked as free. A
//! holder renews its own object only. One that slept through its lease and then renews therefore never overwrites whoever came after.

use super::Repository;
use super::id::RandomId;
use super::storage::{Object, Put, Storage};
use jiff::{SignedDuration, Timestamp};
use pgtend_model::error::{Error, Kind, Result};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

const BELOW: &str = "locks";
/// How the names of the locks of those begin who write extents.
pub const BACKUP: &str = "backup-";
/// The lock of whoever removes packs, or writes indexes anew.
pub const COLLECT: &str = "collect";
/// How often a holder says that it is there.
const RENEWED_EVERY: Duration = Duration::from_secs(30);
/// A lock that was not renewed for this long is nobody's.
pub const LEASE: SignedDuration = SignedDuration::from_mins(5);
/// Digits of a holding's number.
const DIGITS: usize = 12;

/// Who holds a lock.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Holder {
    /// Different for every taking.
    pub id: String,
    /// Host name.
    pub host: String,
    /// Which run of which machine, and which processes see each other there: two machines may have one name.
    #[serde(default)]
    pub machine: String,
    /// Process id there.
    pub pid: u32,
    /// What it does.
    pub what: String,
    /// Since when.
    pub since: Timestamp,
    /// Whether it has let go.
    #[serde(default)]
    pub free: bool,
}

/// A holding, as it lies in the repository.
#[derive(Debug)]
struct Held {
    number: u64,
    /// When it was renewed last, by the storage's clock.
    renewed: Timestamp,
    holder: Holder,
}

/// A lock that is held, until this is dropped.
#[derive(Debug)]
pub struct Lock {
    storage: Arc<dyn Storage>,
    name: String,
    number: u64,
    holder: Holder,
    state: Arc<State>,
    renewing: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct State {
    lost: Mutex<Ended>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Ended {
    over: bool,
    lost: Option<Error>,
}

fn key(name: &str, number: u64) -> String {
    format!("{BELOW}/{name}.{number:0DIGITS$}")
}

/// The name and the number in the key of a holding.
fn parse(key: &str) -> Option<(&str, u64)> {
    let (name, number) = key.strip_prefix(BELOW)?.strip_prefix('/')?.rsplit_once('.')?;
    (number.len() == DIGITS).then(|| number.parse().ok()).flatten().map(|number| (name, number))
}

impl Holder {
    fn new(what: &str, now: Timestamp) -> Result<Self> {
        Ok(Self {
            id: RandomId::new()?.to_string(),
            host: rustix::system::uname().nodename().to_string_lossy().into_owned(),
            machine: machine(),
            pid: std::process::id(),
            what: what.to_owned(),
            since: now,
            free: false,
        })
    }

    /// Whether it was a process of this machine that is no more.
    fn is_dead(&self) -> bool {
        let here = !self.machine.is_empty() && self.machine == machine();
        let pid = i32::try_from(self.pid).ok().and_then(rustix::process::Pid::from_raw);
        here && pid.is_none_or(|pid| matches!(rustix::process::test_kill_process(pid), Err(rustix::io::Errno::SRCH)))
    }
}

/// This run of this machine, and this space of process ids.
fn machine() -> String {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let pids = std::fs::read_link("/proc/self/ns/pid").unwrap_or_default();
    if boot.is_empty() { String::new() } else { format!("{} {}", boot.trim(), pids.display()) }
}

impl Repository {
    /// Takes a lock.
    ///
    /// # Errors
    /// `Conflict` when somebody holds it, with who and since when.
    pub fn lock(&self, name: &str, what: &str, now: Timestamp) -> Result<Lock> {
        let last = self.last_holding(name)?;
        if let Some(held) = last.as_ref().filter(|held| !held.holder.free) {
            self.must_be_gone(name, held)?;
        }
        let number = last.map_or(1, |held| held.number + 1);
        let holder = Holder::new(what, now)?;
        self.take(name, number, &holder)?;
        Ok(Lock::hold(Arc::clone(&self.storage), name.to_owned(), number, holder))
    }

    fn take(&self, name: &str, number: u64, holder: &Holder) -> Result<()> {
        if self.storage.put_new(&key(name, number), &json(holder)?)? == Put::Exists {
            return Err(Error::new(Kind::Conflict, "somebody else took the lock just now").at(format!("{}: {BELOW}/{name}", self.shown())));
        }
        for (_, object) in holdings(&*self.storage, name)?.into_iter().filter(|(older, _)| *older < number) {
            self.storage.delete(&object.key)?;
        }
        Ok(())
    }

    fn must_be_gone(&self, name: &str, held: &Held) -> Result<()> {
        let holder = &held.holder;
        if self.storage_now()?.duration_since(held.renewed) < LEASE && !holder.is_dead() {
            return Err(Error::new(
                Kind::Conflict,
                format!("{} is going on: process {} on {}, since {}", holder.what, holder.pid, holder.host, holder.since),
            )
            .at(format!("{}: {BELOW}/{name}", self.shown()))
            .hint("wait for its end; a holder that is gone frees the lock after five minutes"));
        }
        tracing::warn!(lock = name, host = holder.host, pid = holder.pid, "taking over the lock of a process that is gone");
        Ok(())
    }

    /// Who has a lock, or had it last.
    fn last_holding(&self, name: &str) -> Result<Option<Held>> {
        let Some((number, object)) = holdings(&*self.storage, name)?.pop() else { return Ok(None) };
        let unknown = || Holder {
            id: String::new(),
            host: "?".into(),
            machine: String::new(),
            pid: 0,
            what: "something".into(),
            since: object.modified,
            free: false,
        };
        match self.storage.get(&object.key) {
            Ok(json) => {
                let holder = serde_json::from_slice(&json).unwrap_or_else(|_| unknown());
                Ok(Some(Held { number, renewed: object.modified, holder }))
            }
            // Somebody has taken it over between the list and the look.
            Err(error) if error.kind == Kind::NotFound => {
                Err(Error::new(Kind::Conflict, "somebody else took the lock just now").at(format!("{}: {BELOW}/{name}", self.shown())))
            }
            Err(error) => Err(error),
        }
    }

    /// The storage's own clock: two hosts need not agree on the time.
    pub(super) fn storage_now(&self) -> Result<Timestamp> {
        let key = format!("{BELOW}/clock-{}", RandomId::new()?);
        self.storage.replace(&key, b"")?;
        let found = self.storage.list(BELOW)?.into_iter().find(|object| object.key == key);
        self.storage.delete(&key)?;
        found
            .map(|object| object.modified)
            .ok_or_else(|| Error::new(Kind::Conflict, "an object that was just written is not listed").at(self.shown()))
    }

    /// Who takes a backup just now. A holder that is gone is shut out first: should it come back, it finds its lock lost and publishes nothing.
    ///
    /// # Errors
    /// What the storage says.
    pub fn backups_going_on(&self) -> Result<Vec<Holder>> {
        let mut names: Vec<String> = Vec::new();
        for object in self.storage.list(BELOW)? {
            names.extend(parse(&object.key).filter(|(name, _)| name.starts_with(BACKUP)).map(|(name, _)| name.to_owned()));
        }
        names.dedup();
        let mut holders = Vec::new();
        for name in names {
            let Some(held) = self.last_holding(&name)?.filter(|held| !held.holder.free) else { continue };
            if self.must_be_gone(&name, &held).is_err() {
                holders.push(held.holder);
                continue;
            }
            self.take(&name, held.number + 1, &Holder { free: true, ..held.holder })?;
        }
        Ok(holders)
    }
}

impl Repository {
    /// Every lock that is held, by name, and whether its holder is gone.
    ///
    /// # Errors
    /// What the storage says.
    pub fn locks(&self) -> Result<Vec<(String, Holder, bool)>> {
        let mut names: Vec<String> =
            self.storage.list(BELOW)?.iter().filter_map(|object| parse(&object.key).map(|(name, _)| name.to_owned())).collect();
        names.dedup();
        let now = self.storage_now()?;
        let mut locks = Vec::new();
        for name in names {
            let Ok(Some(held)) = self.last_holding(&name) else { continue };
            if !held.holder.free {
                let left_over = now.duration_since(held.renewed) >= LEASE || held.holder.is_dead();
                locks.push((name, held.holder, left_over));
            }
        }
        Ok(locks)
    }
}

/// The holdings of a lock, the last one at the end.
fn holdings(storage: &dyn Storage, name: &str) -> Result<Vec<(u64, Object)>> {
    let mut found: Vec<(u64, Object)> = storage
        .list(BELOW)?
        .into_iter()
        .filter_map(|object| parse(&object.key).filter(|(of, _)| *of == name).map(|(_, number)| number).map(|number| (number, object)))
        .collect();
    found.sort_by_key(|(number, _)| *number);
    Ok(found)
}

fn json(holder: &Holder) -> Result<Vec<u8>> {
    serde_json::to_vec(holder).map_err(|error| Error::new(Kind::Internal, format!("a lock cannot be written: {error}")))
}

impl Lock {
    fn hold(storage: Arc<dyn Storage>, name: String, number: u64, holder: Holder) -> Self {
        let state = Arc::new(State::default());
        let renewing = {
            let (storage, name, holder, state) = (Arc::clone(&storage), name.clone(), holder.clone(), Arc::clone(&state));
            std::thread::spawn(move || renew(&*storage, &name, number, &holder, &state))
        };
        Self { storage, name, number, holder, state, renewing: Some(renewing) }
    }

    /// Whether it is still held.
    ///
    /// # Errors
    /// `Conflict` when it was lost: what depends on it must not be published.
    pub fn check(&self) -> Result<()> {
        if let Some(error) = self.state.lost.lock().unwrap_or_else(PoisonError::into_inner).lost.clone() {
            return Err(error);
        }
        confirm(&*self.storage, &self.name, self.number, &self.holder)
    }

    /// Says that the holder is still there, as it does by itself every half minute.
    ///
    /// # Errors
    /// `Conflict` when the lock was lost; what the storage says.
    pub fn renew(&self) -> Result<()> {
        renew_once(&*self.storage, &self.name, self.number, &self.holder)
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        {
            let mut ended = self.state.lost.lock().unwrap_or_else(PoisonError::into_inner);
            ended.over = true;
        }
        self.state.changed.notify_all();
        if let Some(renewing) = self.renewing.take() {
            let _ = renewing.join();
        }
        let free = Holder { free: true, ..self.holder.clone() };
        // Its own object: whoever came after has another one.
        let let_go = confirm(&*self.storage, &self.name, self.number, &self.holder)
            .and_then(|()| json(&free))
            .and_then(|json| self.storage.replace(&key(&self.name, self.number), &json));
        if let Err(error) = let_go {
            tracing::debug!(lock = self.name, %error, "a lock could not be let go");
        }
    }
}

fn confirm(storage: &dyn Storage, name: &str, number: u64, holder: &Holder) -> Result<()> {
    let lost =
        || Error::new(Kind::Conflict, format!("the lock of this {} was taken over by somebody else", holder.what)).at(key(name, number));
    if holdings(storage, name)?.last().is_none_or(|(last, _)| *last != number) {
        return Err(lost());
    }
    let json = storage.get(&key(name, number)).map_err(|error| if error.kind == Kind::NotFound { lost() } else { error })?;
    let there: Holder = serde_json::from_slice(&json).map_err(|_| lost())?;
    if there.id == holder.id && !there.free { Ok(()) } else { Err(lost()) }
}

fn renew_once(storage: &dyn Storage, name: &str, number: u64, holder: &Holder) -> Result<()> {
    confirm(storage, name, number, holder)?;
    storage.replace(&key(name, number), &json(holder)?)?;
    // Somebody may have come in between, to whom what was just written means nothing: it goes again.
    confirm(storage, name, number, holder).inspect_err(|error| {
        if error.kind == Kind::Conflict {
            let _ = storage.delete(&key(name, number));
        }
    })
}

fn renew(storage: &dyn Storage, name: &str, number: u64, holder: &Holder, state: &State) {
    let mut renewed = std::time::Instant::now();
    loop {
        let ended = state.lost.lock().unwrap_or_else(PoisonError::into_inner);
        let (ended, _) =
            state.changed.wait_timeout_while(ended, RENEWED_EVERY, |ended| !ended.over).unwrap_or_else(PoisonError::into_inner);
        if ended.over {
            return;
        }
        drop(ended);
        let error = match renew_once(storage, name, number, holder) {
            Ok(()) => {
                renewed = std::time::Instant::now();
                continue;
            }
            // The storage may come back before the lease is over.
            Err(error) if error.kind != Kind::Conflict && renewed.elapsed().as_secs() + 60 < LEASE.unsigned_abs().as_secs() => continue,
            Err(error) => error,
        };
        state.lost.lock().unwrap_or_else(PoisonError::into_inner).lost = Some(error);
        return;
    }
}
