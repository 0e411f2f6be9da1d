//! A backup repository: extents by their content, in packs; backups; WAL. The format is written down in `docs/repository-format.md`.
//!
//! Calls block: the caller gives them threads.

pub mod backups;
mod codec;
pub mod cutting;
mod damage;
pub mod document;
pub mod gc;
pub mod id;
mod index;
pub mod inspect;
pub mod keys;
pub mod lock;
pub mod notes;
pub mod open_wal;
mod pack;
pub mod read;
pub mod rebuild;
mod sealed;
pub mod storage;
#[cfg(test)]
mod tests;
pub mod wal;
pub mod write;

use jiff::Timestamp;
use keys::{Access, KeyRing};
use pgtend_model::error::{Error, Kind, Result};
use std::sync::Arc;
use storage::{Put, Storage};

const DESCRIPTION: &str = "repository.json";
/// Version of the format that this pgtend writes.
pub const FORMAT: u32 = 1;

/// An open repository.
#[derive(Debug, Clone)]
pub struct Repository {
    storage: Arc<dyn Storage>,
    keys: Arc<KeyRing>,
    description: Description,
}

/// What `repository.json` says.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Description {
    /// Version of the format.
    pub format: u32,
    /// The repository's own name, for people and logs.
    pub id: String,
    /// When it was made.
    pub created: Timestamp,
    /// The id of its meta key.
    pub meta_key: String,
}

impl Repository {
    /// Makes a repository, or opens the one that is there.
    ///
    /// # Errors
    /// What the storage says; `Authentication` when there is one that this key does not open.
    pub fn create(storage: Arc<dyn Storage>, access: &Access, now: Timestamp) -> Result<Self> {
        if let Some(description) = Self::describe(&*storage)? {
            return Self::with(storage, access, description);
        }
        storage.probe()?;
        let keys = KeyRing::create(&*storage, access)?;
        let description =
            Description { format: FORMAT, id: id::RandomId::new()?.to_string(), created: now, meta_key: keys.meta_id().to_string() };
        let json = serde_json::to_vec_pretty(&description)
            .map_err(|error| Error::new(Kind::Internal, format!("the repository's description cannot be written: {error}")))?;
        match storage.put_new(DESCRIPTION, &json)? {
            Put::Made => Ok(Self { storage, keys: Arc::new(keys), description }),
            // Somebody else made it just now: what they wrote counts.
            Put::Exists => Self::open(storage, access),
        }
    }

    /// Opens a repository.
    ///
    /// # Errors
    /// `NotFound` when there is none; `Authentication` when the key does not open it; `Unsupported` when a later pgtend made it.
    pub fn open(storage: Arc<dyn Storage>, access: &Access) -> Result<Self> {
        let description = Self::describe(&*storage)?
            .ok_or_else(|| Error::new(Kind::NotFound, "there is no repository").at(storage.shown()).hint("`pgtend repo init` makes it"))?;
        Self::with(storage, access, description)
    }

    fn with(storage: Arc<dyn Storage>, access: &Access, description: Description) -> Result<Self> {
        let meta = id::RandomId::parse(&description.meta_key).ok_or_else(|| {
            Error::new(Kind::Conflict, "the repository's description names no key").at(format!("{}: {DESCRIPTION}", storage.shown()))
        })?;
        let keys = Arc::new(KeyRing::open(&*storage, access, meta)?);
        Ok(Self { storage, keys, description })
    }

    fn describe(storage: &dyn Storage) -> Result<Option<Description>> {
        let json = match storage.get(DESCRIPTION) {
            Ok(json) => json,
            Err(error) if error.kind == Kind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let at = || format!("{}: {DESCRIPTION}", storage.shown());
        let description: Description = serde_json::from_slice(&json)
            .map_err(|error| Error::new(Kind::Conflict, format!("the repository's description is damaged: {error}")).at(at()))?;
        if description.format != FORMAT {
            let what = format!("the repository has format {}, this pgtend knows {FORMAT}", description.format);
            return Err(Error::new(Kind::Unsupported, what).at(at()).hint("use the pgtend that wrote it, or a later one"));
        }
        Ok(Some(description))
    }

    /// What it says of itself.
    pub const fn description(&self) -> &Description {
        &self.description
    }

    /// Where its objects lie.
    pub fn storage(&self) -> &dyn Storage {
        &*self.storage
    }

    /// Whether this host can read what it writes.
    pub fn reads(&self) -> bool {
        self.keys.reads()
    }

    /// Where it is, for people.
    pub fn shown(&self) -> String {
        self.storage.shown()
    }
}

/// A name that may be part of a key.
///
/// # Errors
/// `Config` when it has other characters than letters, digits, `-`, `_` and `.`.
pub fn check_name(server: &str) -> Result<()> {
    let plain = !server.is_empty()
        && server.len() <= 100
        && !server.starts_with('.')
        && server.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    if plain {
        return Ok(());
    }
    Err(Error::new(Kind::Config, format!("\"{server}\" cannot name a server in a backup repository"))
        .hint("letters, digits, \"-\", \"_\" and \".\" can"))
}
