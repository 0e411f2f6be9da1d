//! Reading extents back.

use super::Repository;
use super::codec::{Decoder, Encoding};
use super::id::ExtentId;
use super::index::{Index, Location};
use super::pack;
use super::sealed::{FrameHeader, HEADER, Kind, Seal, damaged};
use pgtend_model::error::{Error, Kind as ErrorKind, Result, Retry};
use std::sync::Arc;

/// Reads extents, by an index that was read once and is shared by the threads that read.
#[derive(Debug, Clone)]
pub struct Extents {
    repository: Repository,
    index: Arc<Index>,
}

/// One thread's way to extents: keeps the pack it read last open.
pub struct Reader {
    extents: Extents,
    decoder: Decoder,
    seal: Option<(super::id::RandomId, Seal)>,
    /// A pack that was read whole, for those who read one extent after the other of it.
    whole: Option<(super::id::RandomId, Vec<u8>)>,
}

/// Where an extent lies: extents sorted by it are read in the order of the storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The pack.
    pub pack: super::id::RandomId,
    /// Where in it.
    pub offset: u32,
    /// Bytes to be read.
    pub stored: u32,
}

impl Repository {
    /// Reads the indexes, to read extents.
    ///
    /// # Errors
    /// What the storage says; `Conflict` when an index is damaged.
    pub fn extents(&self) -> Result<Extents> {
        Ok(Extents { repository: self.clone(), index: Arc::new(self.load_index()?) })
    }
}

impl Extents {
    pub(super) fn with(repository: Repository, index: Arc<Index>) -> Self {
        Self { repository, index }
    }

    /// Where an extent lies, if it is there.
    pub fn place(&self, id: [u8; 32]) -> Option<Place> {
        let location = self.index.find(&ExtentId(id))?;
        Some(Place { pack: self.index.pack(location).id, offset: location.offset, stored: location.stored })
    }

    /// The base of an extent that is read as a page delta.
    pub fn base(&self, id: [u8; 32]) -> Option<[u8; 32]> {
        self.index.base(&ExtentId(id)).map(|base| base.0)
    }

    /// For one thread.
    pub fn reader(&self) -> Reader {
        Reader { extents: self.clone(), decoder: Decoder::new(), seal: None, whole: None }
    }
}

impl Reader {
    /// The content of an extent, proved to be what its name says.
    ///
    /// # Errors
    /// `Conflict` when it is missing or damaged; what the storage says.
    pub fn extent(&mut self, id: [u8; 32]) -> Result<Vec<u8>> {
        let id = ExtentId(id);
        let plain = match self.extents.index.base(&id) {
            None => self.whole(&id)?,
            Some(base) => {
                let base = self.whole(&base)?;
                let (header, encoded) = self.frame(&id)?;
                if header.encoding != Encoding::PageDelta {
                    return Err(damaged(&id.to_string(), "the index calls it a delta, and it is none"));
                }
                self.decoder.delta(&encoded, &base)?
            }
        };
        self.proved(&id, plain)
    }

    /// Whether this content has that name.
    pub fn is(&self, plain: &[u8], id: [u8; 32]) -> bool {
        self.extents.repository.keys.extent_id(plain).0 == id
    }

    /// Has the pack of the next extents read as a whole: cheaper where most of it is wanted.
    ///
    /// # Errors
    /// What the storage says.
    pub fn read_ahead(&mut self, pack: super::id::RandomId) -> Result<()> {
        if self.whole.as_ref().is_none_or(|(id, _)| *id != pack) {
            self.whole = Some((pack, self.extents.repository.storage.get(&pack::key(pack))?));
        }
        Ok(())
    }

    fn whole(&mut self, id: &ExtentId) -> Result<Vec<u8>> {
        let (header, encoded) = self.frame(id)?;
        let plain = self.decoder.whole(header.encoding, &encoded, header.plain as usize)?;
        self.proved(id, plain)
    }

    fn proved(&self, id: &ExtentId, plain: Vec<u8>) -> Result<Vec<u8>> {
        if self.extents.repository.keys.extent_id(&plain) == *id {
            return Ok(plain);
        }
        Err(damaged(&id.to_string(), "an extent has not the content that its name says"))
    }

    fn frame(&mut self, id: &ExtentId) -> Result<(FrameHeader, Vec<u8>)> {
        let location = self.extents.index.find(id).ok_or_else(|| {
            Error::new(ErrorKind::Conflict, format!("extent {id} is not in the repository"))
                .at(self.extents.repository.shown())
                .hint("an index or a pack is missing: `pgtend repo verify --rebuild-index` looks into every pack")
                .retry(Retry::Never)
        })?;
        let pack = self.extents.index.pack(location).id;
        let at = pack::key(pack);
        self.seal_of(pack, &at)?;
        let mut frame = self.bytes(pack, &at, location)?;
        let header = FrameHeader::read(&frame, &at)?;
        if header.id != *id {
            return Err(damaged(&at, "another extent lies where the index says"));
        }
        let seal = self.seal.as_ref().map(|(_, seal)| seal).ok_or_else(|| Error::new(ErrorKind::Internal, "no pack is open"))?;
        let encoded = seal.open(&mut frame, &header, u64::from(location.offset))?.to_vec();
        Ok((header, encoded))
    }

    fn bytes(&self, pack: super::id::RandomId, at: &str, location: Location) -> Result<Vec<u8>> {
        let (start, bytes) = (location.offset as usize, location.stored as usize);
        match &self.whole {
            Some((id, object)) if *id == pack => {
                object.get(start..start + bytes).map(<[u8]>::to_vec).ok_or_else(|| damaged(at, "a pack is cut off"))
            }
            _ => self.extents.repository.storage.get_range(at, start as u64, bytes),
        }
    }

    fn seal_of(&mut self, pack: super::id::RandomId, at: &str) -> Result<()> {
        if self.seal.as_ref().is_some_and(|(id, _)| *id == pack) {
            return Ok(());
        }
        let repository = &self.extents.repository;
        let head = match &self.whole {
            Some((id, object)) if *id == pack => object.get(..HEADER).unwrap_or_default().to_vec(),
            _ => repository.storage.get_range(at, 0, HEADER)?,
        };
        self.seal = Some((pack, repository.seal_of(Kind::Pack, at, &head)?));
        Ok(())
    }
}
