//! Locks in a repository: leases that are renewed, and that anyone may take over when their holder is gone.

use super::Repository;
use super::id::RandomId;
use super::storage::{Put, Storage};
use jiff::{SignedDuration, Timestamp};
use pgtend_model::error::{Error, Kind, Result};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

const BELOW: &str = "locks";
/// How the names of the locks of those begin who write extents.
pub const BACKUP: &str = "backup-";
/// How often a holder says that it is there.
const RENEWED_EVERY: Duration = Duration::from_secs(30);
/// A lock that was not renewed for this long is nobody's.
pub const LEASE: SignedDuration = SignedDuration::from_mins(5);

/// Who holds a lock.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Holder {
    /// Different for every taking.
    pub id: String,
    /// Host name.
    pub host: String,
    /// Process id there.
    pub pid: u32,
    /// What it does.
    pub what: String,
    /// Since when.
    pub since: Timestamp,
}

/// A lock that is held, until this is dropped.
#[derive(Debug)]
pub struct Lock {
    storage: Arc<dyn Storage>,
    key: String,
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

impl Repository {
    /// Takes a lock.
    ///
    /// # Errors
    /// `Conflict` when somebody holds it, with who and since when.
    pub fn lock(&self, name: &str, what: &str, now: Timestamp) -> Result<Lock> {
        let key = format!("{BELOW}/{name}");
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let holder = Holder { id: RandomId::new()?.to_string(), host, pid: std::process::id(), what: what.to_owned(), since: now };
        let json = json(&holder)?;
        if self.storage.put_new(&key, &json)? == Put::Exists {
            self.take_over(&key, &json)?;
        }
        Ok(Lock::hold(Arc::clone(&self.storage), key, holder))
    }

    fn take_over(&self, key: &str, json: &[u8]) -> Result<()> {
        let (object, holder) = match self.held(key)? {
            Some(held) => held,
            None => return self.again(key, json),
        };
        let idle = self.storage_now()?.duration_since(object);
        if idle < LEASE && !is_dead(&holder) {
            return Err(Error::new(
                Kind::Conflict,
                format!("{} is going on: process {} on {}, since {}", holder.what, holder.pid, holder.host, holder.since),
            )
            .at(format!("{}: {key}", self.shown()))
            .hint("wait for its end; a holder that is gone frees the lock after five minutes"));
        }
        tracing::warn!(lock = key, host = holder.host, pid = holder.pid, "taking over the lock of a process that is gone");
        self.storage.delete(key)?;
        self.again(key, json)
    }

    fn again(&self, key: &str, json: &[u8]) -> Result<()> {
        match self.storage.put_new(key, json)? {
            Put::Made => Ok(()),
            Put::Exists => Err(Error::new(Kind::Conflict, "somebody else took the lock just now").at(format!("{}: {key}", self.shown()))),
        }
    }

    /// Who holds a lock, and when they last said so.
    fn held(&self, key: &str) -> Result<Option<(Timestamp, Holder)>> {
        let Some(object) = self.storage.list(BELOW)?.into_iter().find(|object| object.key == key) else { return Ok(None) };
        match self.storage.get(key) {
            Ok(json) => {
                let unknown = |_| Holder { id: String::new(), host: "?".into(), pid: 0, what: "something".into(), since: object.modified };
                Ok(Some((object.modified, serde_json::from_slice(&json).unwrap_or_else(unknown))))
            }
            Err(error) if error.kind == Kind::NotFound => Ok(None),
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

    /// Who takes a backup just now.
    ///
    /// # Errors
    /// What the storage says.
    pub fn backups_going_on(&self) -> Result<Vec<Holder>> {
        let mut holders = Vec::new();
        for object in self.storage.list(BELOW)? {
            if object.key.starts_with(&format!("{BELOW}/{BACKUP}")) {
                holders.extend(self.held(&object.key)?.map(|(_, holder)| holder));
            }
        }
        Ok(holders)
    }
}

/// Whether the holder was a process of this host that is no more.
fn is_dead(holder: &Holder) -> bool {
    let here = rustix::system::uname().nodename().to_string_lossy() == holder.host.as_str();
    let pid = i32::try_from(holder.pid).ok().and_then(rustix::process::Pid::from_raw);
    here && pid.is_none_or(|pid| matches!(rustix::process::test_kill_process(pid), Err(rustix::io::Errno::SRCH)))
}

fn json(holder: &Holder) -> Result<Vec<u8>> {
    serde_json::to_vec(holder).map_err(|error| Error::new(Kind::Internal, format!("a lock cannot be written: {error}")))
}

impl Lock {
    fn hold(storage: Arc<dyn Storage>, key: String, holder: Holder) -> Self {
        let state = Arc::new(State::default());
        let renewing = {
            let (storage, key, holder, state) = (Arc::clone(&storage), key.clone(), holder.clone(), Arc::clone(&state));
            std::thread::spawn(move || renew(&*storage, &key, &holder, &state))
        };
        Self { storage, key, holder, state, renewing: Some(renewing) }
    }

    /// Whether it is still held.
    ///
    /// # Errors
    /// `Conflict` when it was lost: what depends on it must not be published.
    pub fn check(&self) -> Result<()> {
        if let Some(error) = self.state.lost.lock().unwrap_or_else(PoisonError::into_inner).lost.clone() {
            return Err(error);
        }
        confirm(&*self.storage, &self.key, &self.holder)
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        let lost = {
            let mut ended = self.state.lost.lock().unwrap_or_else(PoisonError::into_inner);
            ended.over = true;
            ended.lost.is_some()
        };
        self.state.changed.notify_all();
        if let Some(renewing) = self.renewing.take() {
            let _ = renewing.join();
        }
        if !lost && confirm(&*self.storage, &self.key, &self.holder).is_ok() {
            let _ = self.storage.delete(&self.key);
        }
    }
}

fn confirm(storage: &dyn Storage, key: &str, holder: &Holder) -> Result<()> {
    let lost = || Error::new(Kind::Conflict, format!("the lock of this {} was taken over by somebody else", holder.what)).at(key);
    let json = storage.get(key).map_err(|error| if error.kind == Kind::NotFound { lost() } else { error })?;
    let there: Holder = serde_json::from_slice(&json).map_err(|_| lost())?;
    if there.id == holder.id { Ok(()) } else { Err(lost()) }
}

fn renew(storage: &dyn Storage, key: &str, holder: &Holder, state: &State) {
    let mut renewed = std::time::Instant::now();
    loop {
        let ended = state.lost.lock().unwrap_or_else(PoisonError::into_inner);
        let (ended, _) =
            state.changed.wait_timeout_while(ended, RENEWED_EVERY, |ended| !ended.over).unwrap_or_else(PoisonError::into_inner);
        if ended.over {
            return;
        }
        drop(ended);
        let written = confirm(storage, key, holder).and_then(|()| json(holder)).and_then(|json| storage.replace(key, &json));
        let error = match written {
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
