//! The repositories that WAL goes to and comes from.

use super::fetching::Brought;
use super::origin::Origin;
use jiff::Timestamp;
use pgtend_model::backup::wal_open::{OpenPiece, chain};
use pgtend_model::error::{Error, Kind, Result};
use pgtend_model::pgdata::wal::{Segment, SegmentSize};
use pgtend_store::repo::Repository;
use pgtend_store::repo::backups::Identity;
use pgtend_store::repo::open_wal::WalPiece;
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

/// A piece of a segment, as plans see it.
pub fn open_piece(piece: &WalPiece, size: SegmentSize) -> Option<OpenPiece> {
    let segment = Segment::of_name(&piece.segment, size)?;
    Some(OpenPiece { segment, from_byte: piece.from_byte, to_byte: piece.to_byte, at: piece.archived })
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

    /// Keeps a piece of a segment here; durable when this returns.
    pub(super) fn push_piece(&self, origin: &Origin, piece: &WalPiece, content: &[u8], level: i32) -> Result<Pushed> {
        let repository = self.repository()?;
        self.claim(repository, origin)?;
        repository.push_wal_piece(&origin.owner, piece, content, level)
    }

    /// The beginning of a segment, made of its pieces; none when there are none.
    pub(super) fn beginning(&self, owner: &WalOwner, segment: Segment, size: SegmentSize) -> Result<Option<Vec<u8>>> {
        let repository = self.repository()?;
        let pieces: Vec<OpenPiece> = repository.wal_pieces(owner)?.iter().filter_map(|piece| open_piece(piece, size)).collect();
        let mut content: Vec<u8> = Vec::new();
        for piece in chain(&pieces, segment) {
            let read = match repository.get_wal_piece(owner, &WalPiece::new(&segment.name(size), piece.from_byte, piece.to_byte)) {
                // What comes before a piece that is damaged is good.
                Err(error) if error.kind == Kind::Conflict && !content.is_empty() => {
                    tracing::error!(segment = segment.name(size), error = error.what, place = error.place, "a piece of WAL is damaged");
                    break;
                }
                read => read?,
            };
            content.truncate(piece.from_byte as usize);
            content.extend_from_slice(&read);
        }
        Ok(Some(content).filter(|content| !content.is_empty()))
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

    /// Brings a segment that is whole nowhere, as far as it was streamed: the longest beginning that a repository has. That there is none is only said
    /// when all repositories answer.
    pub(super) fn get_open(&self, owner: &WalOwner, segment: Segment, size: SegmentSize) -> Result<Option<Brought>> {
        let (mut longest, mut trouble): (Option<Vec<u8>>, Option<Error>) = (None, None);
        for place in self.all() {
            // Pieces go when others replace them, and when the whole segment has come: then it is looked again.
            let found = match place.beginning(owner, segment, size) {
                Err(error) if error.kind == Kind::NotFound => place.beginning(owner, segment, size),
                found => found,
            };
            let length = |content: &Option<Vec<u8>>| content.as_ref().map_or(0, Vec::len);
            match found {
                Ok(found) if length(&found) > length(&longest) => longest = found,
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!(
                        segment = segment.name(size),
                        error = error.what,
                        place = error.place,
                        "what was streamed of a segment cannot be read"
                    );
                    trouble = trouble.or(Some(error));
                }
            }
        }
        if let Some(whole) = self.get(owner, &segment.name(size))? {
            return Ok(Some(Brought::Whole(whole)));
        }
        match (longest, trouble) {
            (Some(content), _) => Ok(Some(Brought::Beginning(content))),
            (None, Some(error)) => Err(error),
            (None, None) => Ok(None),
        }
    }
}
