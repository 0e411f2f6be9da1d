//! The write-ahead log in a repository, a file an object.

use super::sealed::{FrameHeader, HEADER, Kind, MOST_PLAIN, damaged};
use super::storage::Put;
use super::{Repository, check_name};
use jiff::Timestamp;
use pgtend_model::error::{Error, Kind as ErrorKind, Result, Retry};
use pgtend_model::pgdata::wal::is_wal_name;

const BELOW: &str = "wal";
/// Below an owner's WAL: what was dropped.
const GAPS: &str = "gaps";

/// Whose WAL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WalOwner {
    /// Name of the server.
    pub server: String,
    /// The cluster's identity, decimal.
    pub system_identifier: String,
}

/// A file of WAL that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WalObject {
    /// Its name in `pg_wal`.
    pub name: String,
    /// Bytes it takes.
    pub stored_bytes: u64,
    /// When it came, by the storage's clock.
    pub archived: Timestamp,
}

/// A segment that was dropped on purpose, and so will never be there.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct DroppedWal {
    /// Its name.
    pub name: String,
    /// When it was dropped.
    pub at: Timestamp,
    /// Why, in words.
    pub reason: String,
}

/// What became of a file of WAL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pushed {
    /// It is there now; bytes it takes.
    New(usize),
    /// The same was there already.
    Same,
}

impl WalOwner {
    pub(super) fn below(&self) -> String {
        format!("{BELOW}/{}/{}", self.server, self.system_identifier)
    }

    /// Segments lie together with those of which the first 16 digits are the same, so that no directory holds all of them.
    fn key(&self, name: &str) -> Result<String> {
        if !is_wal_name(name) {
            return Err(Error::new(ErrorKind::Usage, format!("\"{name}\" is no file of WAL"))
                .hint("archive_command is given %f and %p by PostgreSQL"));
        }
        let (timeline, rest) = name.split_at(8);
        Ok(match rest.get(..8).filter(|_| !rest.starts_with('.')) {
            Some(log) => format!("{}/{timeline}/{log}/{name}", self.below()),
            None => format!("{}/{timeline}/{name}", self.below()),
        })
    }
}

impl Repository {
    /// Keeps a file of WAL. When this returns, it is durable.
    ///
    /// # Errors
    /// `Conflict` when another file of this name is there; what the storage says.
    pub fn push_wal(&self, owner: &WalOwner, name: &str, content: &[u8], level: i32) -> Result<Pushed> {
        check_name(&owner.server)?;
        let at = owner.key(name)?;
        let object = self.seal(Kind::Wal, &at, content, level)?;
        match self.storage.put_new(&at, &object)? {
            Put::Made => Ok(Pushed::New(object.len())),
            Put::Exists if self.is_same(&at, content)? => Ok(Pushed::Same),
            Put::Exists => Err(Error::new(ErrorKind::Conflict, format!("another {name} is in the repository already"))
                .at(format!("{}: {at}", self.shown()))
                .hint(
                    "two servers write into one place: a clone, or a restored copy that went on by itself; give one of them another name, and take a new backup of it",
                )
                .retry(Retry::Never)),
        }
    }

    /// Whether the file that is there is this one.
    ///
    /// # Errors
    /// `NotFound` when it is not there, `Conflict` when it is damaged.
    pub fn has_same_wal(&self, owner: &WalOwner, name: &str, content: &[u8]) -> Result<bool> {
        self.is_same(&owner.key(name)?, content)
    }

    /// Whether what is there is this content: names are compared, so that a host that cannot read can tell too.
    pub(super) fn is_same(&self, at: &str, content: &[u8]) -> Result<bool> {
        let object = self.storage.get(at)?;
        let mut offset = HEADER;
        let mut pieces = content.chunks(MOST_PLAIN);
        loop {
            let frame = FrameHeader::read(object.get(offset..).unwrap_or_default(), at)?;
            let piece = pieces.next().unwrap_or_default();
            if self.keys.extent_id(piece) != frame.id {
                return Ok(false);
            }
            offset += frame.header_bytes() + frame.sealed as usize;
            if offset > object.len() {
                return Err(damaged(at, "it is cut off"));
            }
            if frame.last {
                return Ok(pieces.next().is_none());
            }
        }
    }

    /// Brings a file of WAL.
    ///
    /// # Errors
    /// `NotFound` when it is not there, `Conflict` when it is damaged.
    pub fn get_wal(&self, owner: &WalOwner, name: &str) -> Result<Vec<u8>> {
        let at = owner.key(name)?;
        self.unseal(Kind::Wal, &at, self.storage.get(&at)?)
    }

    /// Whether the repository is there: what is missing in one that is not mounted, or that cannot be reached, is not known to be missing.
    ///
    /// # Errors
    /// What the storage says; `Unreachable` when there is nothing at its place.
    pub fn answers(&self) -> Result<()> {
        match self.storage.get(super::DESCRIPTION) {
            Ok(_) => Ok(()),
            Err(error) if error.kind == ErrorKind::NotFound => {
                Err(Error::new(ErrorKind::Unreachable, "the repository is not there").at(self.shown()).hint("is its file system mounted?"))
            }
            Err(error) => Err(error),
        }
    }

    /// Whether a file of WAL is there.
    ///
    /// # Errors
    /// What the storage says.
    pub fn has_wal(&self, owner: &WalOwner, name: &str) -> Result<bool> {
        match self.storage.get_range(&owner.key(name)?, 0, HEADER) {
            Ok(_) => Ok(true),
            Err(error) if error.kind == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Everything that is there of this cluster's WAL, in the order of names.
    ///
    /// # Errors
    /// What the storage says.
    pub fn wal(&self, owner: &WalOwner) -> Result<Vec<WalObject>> {
        let name = |key: &str| key.rsplit('/').next().filter(|name| is_wal_name(name)).map(str::to_owned);
        let objects = self.storage.list(&owner.below())?;
        let gaps = format!("{}/{GAPS}/", owner.below());
        Ok(objects
            .iter()
            .filter(|object| !object.key.starts_with(&gaps))
            .filter_map(|object| Some(WalObject { name: name(&object.key)?, stored_bytes: object.bytes, archived: object.modified }))
            .collect())
    }

    /// Notes that a segment was dropped. Durable when this returns.
    ///
    /// # Errors
    /// What the storage says.
    pub fn note_dropped_wal(&self, owner: &WalOwner, dropped: &DroppedWal) -> Result<()> {
        check_name(&owner.server)?;
        owner.key(&dropped.name)?;
        self.put_document(&format!("{}/{GAPS}/{}", owner.below(), dropped.name), dropped).map(|_| ())
    }

    /// What was dropped, in the order of names.
    ///
    /// # Errors
    /// What the storage says; a note that is damaged.
    pub fn dropped_wal(&self, owner: &WalOwner) -> Result<Vec<DroppedWal>> {
        let objects = self.storage.list(&format!("{}/{GAPS}", owner.below()))?;
        objects.iter().map(|object| self.get_document(&object.key)).collect()
    }

    /// Takes a file of WAL away; none is fine.
    ///
    /// # Errors
    /// What the storage says.
    pub fn remove_wal(&self, owner: &WalOwner, name: &str) -> Result<()> {
        self.storage.delete(&owner.key(name)?)
    }
}
