//! The repositories that WAL goes to and comes from.

use super::origin::Origin;
use jiff::Timestamp;
use pgtend_model::error::{Error, Kind, Result};
use pgtend_store::repo::Repository;
use pgtend_store::repo::backups::Identity;
use pgtend_store::repo::wal::{Pushed, WalOwner};
use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// Opens a repository.
type Open = Box<dyn Fn() -> Result<Repository> + Send + Sync>;

/// A repository, opened when it is first wanted: one that is away when the agent starts is there later.
pub struct Place {
    name: String,
    required: bool,
    open: Open,
    opened: OnceLock<Repository>,
    /// Held while it is opened: the first opening may make it.
    opening: Mutex<()>,
    claimed: Mutex<HashSet<String>>,
}

/// All repositories. Clones share them.
#[derive(Debug, Clone)]
pub struct Places(Arc<[Place]>);

/// What keeping a file came to, all required repositories together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Kept {
    /// Bytes written; 0 where it was there already.
    pub stored_bytes: u64,
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Place").field("name", &self.name).field("required", &self.required).finish_non_exhaustive()
    }
}

impl Place {
    /// A repository that this opens.
    pub fn new(name: &str, required: bool, open: impl Fn() -> Result<Repository> + Send + Sync + 'static) -> Self {
        Self {
            name: name.to_owned(),
            required,
            open: Box::new(open),
            opened: OnceLock::new(),
            opening: Mutex::default(),
            claimed: Mutex::default(),
        }
    }

    /// A repository that is open.
    pub fn opened(name: &str, repository: Repository) -> Self {
        Self { opened: OnceLock::from(repository), ..Self::new(name, true, || Err(Error::new(Kind::Internal, "it is open already"))) }
    }

    /// What it is called in the configuration.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether WAL counts as archived only when it is here.
    pub fn required(&self) -> bool {
        self.required
    }

    /// The repository.
    ///
    /// # Errors
    /// Why it cannot be opened now.
    pub fn repository(&self) -> Result<&Repository> {
        if let Some(repository) = self.opened.get() {
            return Ok(repository);
        }
        let _one_at_a_time = self.opening.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(repository) = self.opened.get() {
            return Ok(repository);
        }
        let repository = (self.open)().map_err(|error| error.at(format!("repository {}", self.name)))?;
        Ok(self.opened.get_or_init(|| repository))
    }

    /// Keeps a file here; durable when this returns.
    pub(super) fn push(&self, origin: &Origin, name: &str, content: &[u8], level: i32) -> Result<Pushed> {
        let repository = self.repository()?;
        self.claim(repository, origin)?;
        repository.push_wal(&origin.owner, name, content, level)
    }

    /// Says once that this cluster writes here under its name; a cluster that is another one is refused.
    fn claim(&self, repository: &Repository, origin: &Origin) -> Result<()> {
        let owner = &origin.owner;
        let key = format!("{}/{}", owner.server, owner.system_identifier);
        let claimed = |key: &str| self.claimed.lock().unwrap_or_else(PoisonError::into_inner).contains(key);
        if claimed(&key) {
            return Ok(());
        }
        let identity = Identity {
            system_identifier: owner.system_identifier.clone(),
            postgresql_version: origin.version(),
            first_seen: Timestamp::now(),
        };
        repository.claim_server(&owner.server, &identity)?;
        self.claimed.lock().unwrap_or_else(PoisonError::into_inner).insert(key);
        Ok(())
    }

    /// Brings a file from here; none when the repository answers and has no such file.
    pub(super) fn get(&self, owner: &WalOwner, name: &str) -> Result<Option<Vec<u8>>> {
        let repository = self.repository()?;
        match repository.get_wal(owner, name) {
            Ok(content) => Ok(Some(content)),
            // A directory that is not mounted has no such file either.
            Err(error) if error.kind == Kind::NotFound => repository.answers().map(|()| None),
            Err(error) => Err(error),
        }
    }
}

impl Places {
    /// Of these repositories. Where none is required, all are: WAL that is nowhere is not archived.
    pub fn new(mut places: Vec<Place>) -> Self {
        if !places.iter().any(|place| place.required) {
            places.iter_mut().for_each(|place| place.required = true);
        }
        Self(places.into())
    }

    /// All of them, in the order of the configuration.
    pub fn all(&self) -> &[Place] {
        &self.0
    }

    /// Those that WAL must be in.
    pub fn required(&self) -> impl Iterator<Item = &Place> {
        self.0.iter().filter(|place| place.required)
    }

    /// Those that get it later.
    pub fn others(&self) -> impl Iterator<Item = &Place> {
        self.0.iter().filter(|place| !place.required)
    }

    /// Keeps a file in every required repository; durable in all of them when this returns.
    pub(super) fn keep(&self, origin: &Origin, name: &str, content: &[u8], level: i32) -> Result<Kept> {
        let mut kept = Kept::default();
        for place in self.required() {
            if let Pushed::New(bytes) = place.push(origin, name, content, level)? {
                kept.stored_bytes += bytes as u64;
            }
        }
        Ok(kept)
    }

    /// Brings a file from the first repository that has it. That none has it is only said when all of them answer.
    pub(super) fn get(&self, owner: &WalOwner, name: &str) -> Result<Option<Vec<u8>>> {
        let mut trouble = None;
        for place in self.all() {
            match place.get(owner, name) {
                Ok(Some(content)) => return Ok(Some(content)),
                Ok(None) => {}
                Err(error) => trouble = trouble.or(Some(error)),
            }
        }
        trouble.map_or(Ok(None), Err)
    }
}
