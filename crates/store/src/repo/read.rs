//! Reading extents back.

use super::Repository;
use super::codec::{Decoder, Encoding};
use super::id::ExtentId;
use super::index::{Index, Location};
use super::pack;
use super::sealed::{FrameHeader, HEADER, Kind, Seal, damaged};
use pgtend_model::error::{Error, Kind as ErrorKind, Result, Retry};
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

/// Reads extents, by an index that was read once and is shared by the threads that read.
#[derive(Debug, Clone)]
pub struct Extents {
    repository: Repository,
    index: Arc<Index>,
}

/// One thread's way to extents.
pub struct Reader {
    extents: Extents,
    decoder: Decoder,
    seal: Option<(super::id::RandomId, Arc<Seal>)>,
    seals: FxHashMap<super::id::RandomId, Arc<Seal>>,
    /// Parts of packs that were read at once.
    ahead: Vec<Part>,
    /// The frame that was read last, and where in it its content is.
    frame: Vec<u8>,
    content: Range<usize>,
}

/// A part of a pack.
struct Part {
    pack: super::id::RandomId,
    start: u32,
    bytes: Vec<u8>,
}

/// Packs whose heads a reader remembers: each costs a read, which bases and deltas in turn would do again and again.
const SEALS: usize = 4096;

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

    /// Where most of what an extent needs lies: its base, if it is read as a page delta. Whoever reads many reads them in this order.
    pub fn bulk(&self, id: [u8; 32]) -> Option<Place> {
        self.place(self.base(id).unwrap_or(id))
    }

    /// The base of an extent that is read as a page delta.
    pub fn base(&self, id: [u8; 32]) -> Option<[u8; 32]> {
        self.index.base(&ExtentId(id)).map(|base| base.0)
    }

    /// For one thread.
    pub fn reader(&self) -> Reader {
        Reader {
            extents: self.clone(),
            decoder: Decoder::new(),
            seal: None,
            seals: FxHashMap::default(),
            ahead: Vec::new(),
            frame: Vec::new(),
            content: 0..0,
        }
    }
}

impl Reader {
    /// The content of an extent, proved to be what its name says.
    ///
    /// # Errors
    /// `Conflict` when it is missing or damaged; what the storage says.
    pub fn extent(&mut self, id: [u8; 32]) -> Result<Vec<u8>> {
        let mut plain = Vec::new();
        self.extent_into(id, &mut plain)?;
        Ok(plain)
    }

    /// The same into a buffer, which whoever reads many gives again and again.
    ///
    /// # Errors
    /// As [`Self::extent`].
    pub fn extent_into(&mut self, id: [u8; 32], plain: &mut Vec<u8>) -> Result<()> {
        let id = ExtentId(id);
        let Some(base) = self.extents.index.base(&id) else {
            self.whole_into(&id, plain)?;
            return self.proved(&id, plain);
        };
        self.whole_into(&base, plain)?;
        let header = self.frame(&id)?;
        if header.encoding != Encoding::PageDelta {
            return Err(damaged(&id.to_string(), "the index calls it a delta, and it is none"));
        }
        let patched = self.decoder.delta_into(&self.frame[self.content.clone()], plain).and_then(|()| self.proved(&id, plain));
        // What is proved in the end need not be proved on the way; what is not is the base's fault, if the base is wrong.
        patched.or_else(|error| {
            self.whole_into(&base, plain)?;
            self.proved(&base, plain).and(Err(error))
        })
    }

    /// Whether this content has that name.
    pub fn is(&self, plain: &[u8], id: [u8; 32]) -> bool {
        self.extents.repository.keys.extent_id(plain).0 == id
    }

    /// Reads at once what these extents and their bases need, where it lies close together; what was read so before is let go.
    pub fn read_ahead(&mut self, ids: impl IntoIterator<Item = [u8; 32]>) {
        let mut needed: BTreeMap<super::id::RandomId, BTreeMap<u32, u32>> = BTreeMap::new();
        for id in ids {
            for place in self.extents.base(id).into_iter().chain([id]).filter_map(|id| self.extents.place(id)) {
                needed.entry(place.pack).or_default().insert(place.offset, place.stored);
            }
        }
        self.ahead.clear();
        for (pack, frames) in needed {
            let (Some((&start, _)), Some((&last, &stored))) = (frames.first_key_value(), frames.last_key_value()) else { continue };
            let (span, wanted) = (last + stored - start, frames.values().sum::<u32>());
            if frames.len() < 2 || wanted < span / 2 {
                continue;
            }
            // What cannot be read at once is read frame by frame, and then the frame that is damaged has a name.
            if let Ok(bytes) = self.extents.repository.storage.get_range(&pack::key(pack), u64::from(start), span as usize) {
                self.ahead.push(Part { pack, start, bytes });
            }
        }
    }

    /// The content as its frame has it, not yet proved.
    fn whole_into(&mut self, id: &ExtentId, plain: &mut Vec<u8>) -> Result<()> {
        let header = self.frame(id)?;
        self.decoder.whole_into(header.encoding, &self.frame[self.content.clone()], header.plain as usize, plain)
    }

    fn proved(&self, id: &ExtentId, plain: &[u8]) -> Result<()> {
        if self.extents.repository.keys.extent_id(plain) == *id {
            return Ok(());
        }
        Err(damaged(&id.to_string(), "an extent has not the content that its name says"))
    }

    /// Reads a frame and opens it where it lies: then `self.content` is where in `self.frame` its content is.
    fn frame(&mut self, id: &ExtentId) -> Result<FrameHeader> {
        let location = self.extents.index.find(id).ok_or_else(|| {
            Error::new(ErrorKind::Conflict, format!("extent {id} is not in the repository"))
                .at(self.extents.repository.shown())
                .hint("an index or a pack is missing: `pgtend repo verify --rebuild-index` looks into every pack")
                .retry(Retry::Never)
        })?;
        let pack = self.extents.index.pack(location).id;
        let at = pack::key(pack);
        self.seal_of(pack, &at)?;
        self.bytes(pack, &at, location)?;
        let header = FrameHeader::read(&self.frame, &at)?;
        if header.id != *id {
            return Err(damaged(&at, "another extent lies where the index says"));
        }
        let seal = self.seal.as_ref().map(|(_, seal)| seal).ok_or_else(|| Error::new(ErrorKind::Internal, "no pack is open"))?;
        let content_bytes = seal.open(&mut self.frame, &header, u64::from(location.offset))?.len();
        self.content = header.header_bytes()..header.header_bytes() + content_bytes;
        Ok(header)
    }

    fn bytes(&mut self, pack: super::id::RandomId, at: &str, location: Location) -> Result<()> {
        let (start, bytes) = (location.offset, location.stored as usize);
        let read = self.ahead.iter().find_map(|part| part.get(pack, start, bytes));
        if let Some(read) = read {
            self.frame.clear();
            self.frame.extend_from_slice(read);
        } else {
            self.frame = self.extents.repository.storage.get_range(at, u64::from(start), bytes)?;
        }
        Ok(())
    }

    fn seal_of(&mut self, pack: super::id::RandomId, at: &str) -> Result<()> {
        if self.seal.as_ref().is_some_and(|(id, _)| *id == pack) {
            return Ok(());
        }
        if let Some(known) = self.seals.get(&pack) {
            self.seal = Some((pack, Arc::clone(known)));
            return Ok(());
        }
        let repository = &self.extents.repository;
        let head = repository.storage.get_range(at, 0, HEADER)?;
        let seal = Arc::new(repository.seal_of(Kind::Pack, at, &head)?);
        if self.seals.len() >= SEALS {
            self.seals.clear();
        }
        self.seals.insert(pack, Arc::clone(&seal));
        self.seal = Some((pack, seal));
        Ok(())
    }
}

impl Part {
    fn get(&self, pack: super::id::RandomId, start: u32, bytes: usize) -> Option<&[u8]> {
        let from = start.checked_sub(self.start).filter(|_| self.pack == pack)? as usize;
        self.bytes.get(from..from + bytes)
    }
}
