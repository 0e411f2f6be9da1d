//! Looking at every object of a repository: whether it is what was written, and what is lost where it is not.

use super::Repository;
use super::codec::{Decoder, Encoding};
use super::id::RandomId;
use super::index::{Index, Indexed, PackInfo};
use super::pack::{self, Entry};
use super::read::{Extents, Reader};
use super::sealed::{DAMAGED, FrameHeader, HEADER, Kind, Seal};
use pgtend_model::error::{Error, Kind as ErrorKind, Result};
use rustc_hash::FxHashSet;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

/// What the indexes of a repository tell, as far as they can be read.
#[derive(Debug)]
pub struct Inspection {
    repository: Repository,
    extents: Extents,
    packs: BTreeMap<RandomId, Vec<Entry>>,
    damaged: Vec<Error>,
}

/// One thread's way to look at objects.
pub struct Checker<'a> {
    inspection: &'a Inspection,
    reader: Reader,
    decoder: Decoder,
}

/// What is in a pack.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PackCheck {
    /// Bytes that were read.
    pub bytes: u64,
    /// Frames that are sound.
    pub frames: u64,
    /// Whether it could not be decrypted here: then only its form was looked at.
    pub sealed: bool,
    /// Whether it is not there.
    pub missing: bool,
    /// Where something is wrong, with what.
    pub wrong: Vec<(u32, String)>,
    /// Sound frames that no index tells of.
    pub unindexed: Vec<Found>,
}

/// A frame that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found(pub(super) Entry);

impl Repository {
    /// Reads the indexes, as far as they can be read.
    ///
    /// # Errors
    /// What the storage says.
    pub fn inspect(&self) -> Result<Inspection> {
        let mut read: Vec<Indexed> = Vec::new();
        let mut damaged = Vec::new();
        for object in self.storage.list("index")? {
            match self.read_index(&object.key) {
                Ok(packs) => read.extend(packs),
                // Written anew, without what was removed, between the list and the look.
                Err(error) if error.kind == ErrorKind::NotFound => {}
                Err(error) if error.kind == ErrorKind::Conflict => damaged.push(error),
                Err(error) => return Err(error),
            }
        }
        let mut packs: BTreeMap<RandomId, Vec<Entry>> = BTreeMap::new();
        for indexed in &read {
            packs.entry(indexed.pack.id).or_default().extend(&indexed.entries);
        }
        let index = Index::of(read, &self.avoided()?, false);
        Ok(Inspection { repository: self.clone(), extents: Extents::with(self.clone(), Arc::new(index)), packs, damaged })
    }

    /// Opens a WAL object by its key, and proves its content.
    ///
    /// # Errors
    /// `Conflict` when it is damaged, `Authentication` when this host cannot read what it writes, `NotFound` when it is not there.
    pub fn check_wal(&self, key: &str) -> Result<Vec<u8>> {
        self.unseal(Kind::Wal, key, self.storage.get(key)?)
    }

    /// Whether this host's key opens every data key that is wrapped for it; gives those that it does not.
    ///
    /// # Errors
    /// What the storage says.
    pub fn check_keys(&self) -> Result<Vec<Error>> {
        self.keys.check(&*self.storage)
    }

    /// The pack with this key.
    pub fn pack_of_key(key: &str) -> Option<RandomId> {
        RandomId::parse(key.strip_prefix("packs/")?.split_once('/')?.1)
    }
}

impl Inspection {
    /// Indexes that cannot be read.
    pub fn damaged_indexes(&self) -> &[Error] {
        &self.damaged
    }

    /// The keys of the packs that indexes tell of.
    pub fn packs(&self) -> impl Iterator<Item = (RandomId, String)> + '_ {
        self.packs.keys().map(|id| (*id, pack::key(*id)))
    }

    /// Whether an index tells where this extent lies.
    pub fn knows(&self, id: &[u8; 32]) -> bool {
        self.extents.place(*id).is_some()
    }

    /// The pack that is read for an extent, and the one of its base.
    pub fn packs_of(&self, id: &[u8; 32]) -> impl Iterator<Item = RandomId> {
        let base = self.extents.base(*id);
        [Some(*id), base].into_iter().flatten().filter_map(|id| self.extents.place(id).map(|place| place.pack))
    }

    /// For one thread.
    pub fn checker(&self) -> Checker<'_> {
        Checker { inspection: self, reader: self.extents.reader(), decoder: Decoder::new() }
    }

    /// Extents of which no sound copy is left, when these frames are damaged, and these packs missing: also deltas whose base is lost.
    pub fn lost(&self, wrong: &HashSet<(RandomId, u32)>, missing: &HashSet<RandomId>) -> HashSet<[u8; 32]> {
        if wrong.is_empty() && missing.is_empty() {
            return HashSet::new();
        }
        let sound = |(id, entries): (&RandomId, &Vec<Entry>)| Indexed {
            pack: PackInfo { id: *id, bytes: 0 },
            entries: entries.iter().filter(|entry| !wrong.contains(&(*id, entry.offset))).copied().collect(),
        };
        let left = self.packs.iter().filter(|(id, _)| !missing.contains(*id)).map(sound).collect();
        let index = Index::of(left, &HashSet::new(), true);
        let all = self.packs.values().flatten();
        all.filter(|entry| index.find(&entry.id).is_none()).map(|entry| entry.id.0).collect()
    }
}

/// What is wrong, without the words that say that something is.
fn plainly(what: &str) -> String {
    what.strip_prefix(DAMAGED).unwrap_or(what).to_owned()
}

impl Checker<'_> {
    /// Reads a pack as a whole and proves every frame. What looks damaged is read once more before it is called so.
    ///
    /// # Errors
    /// What the storage says, but for a pack that is not there.
    pub fn pack(&mut self, id: RandomId) -> Result<PackCheck> {
        let first = self.pack_once(id)?;
        if first.wrong.is_empty() && !first.missing { Ok(first) } else { self.pack_once(id) }
    }

    fn pack_once(&mut self, id: RandomId) -> Result<PackCheck> {
        let at = pack::key(id);
        let repository = &self.inspection.repository;
        let object = match repository.storage.get(&at) {
            Ok(object) => object,
            Err(error) if error.kind == ErrorKind::NotFound => return Ok(PackCheck { missing: true, ..PackCheck::default() }),
            Err(error) => return Err(error),
        };
        let indexed: BTreeMap<u32, Entry> =
            self.inspection.packs.get(&id).into_iter().flatten().map(|entry| (entry.offset, *entry)).collect();
        let mut check = PackCheck { bytes: object.len() as u64, ..PackCheck::default() };
        let seal = match repository.seal_of(Kind::Pack, &at, &object) {
            Ok(seal) => Some(seal),
            Err(error) if error.kind == ErrorKind::Authentication => None,
            Err(error) => {
                check.wrong.push((0, plainly(&error.what)));
                check.wrong.extend(indexed.keys().map(|offset| (*offset, "the pack's header is damaged".to_owned())));
                return Ok(check);
            }
        };
        check.sealed = seal.is_none();
        self.frames(&object, seal.as_ref(), &at, &indexed, &mut check);
        Ok(check)
    }

    fn frames(&mut self, object: &[u8], seal: Option<&Seal>, at: &str, indexed: &BTreeMap<u32, Entry>, check: &mut PackCheck) {
        let mut offset = HEADER;
        let mut seen = FxHashSet::default();
        while offset < object.len() {
            let here = u32::try_from(offset).unwrap_or(u32::MAX);
            let (end, outcome) = self.frame(object, offset, seal, at);
            seen.insert(here);
            match (outcome, indexed.get(&here)) {
                (Ok(found), Some(entry)) if found.0 == *entry => check.frames += 1,
                (Ok(_), Some(_)) => check.wrong.push((here, "the index tells otherwise of it than it is".to_owned())),
                (Ok(found), None) => {
                    check.frames += 1;
                    check.unindexed.push(found);
                }
                (Err(what), _) => check.wrong.push((here, what)),
            }
            // Where a header cannot be read, the index tells where the next frame begins.
            let next = || indexed.range(here + 1..).next().map(|(offset, _)| *offset as usize);
            match end.or_else(next) {
                Some(end) => offset = end,
                None => break,
            }
        }
        let unseen = indexed.keys().filter(|offset| !seen.contains(*offset));
        check.wrong.extend(unseen.map(|offset| (*offset, "nothing is there: the pack is cut off, or the index is wrong".to_owned())));
    }

    /// One frame: where it ends, if that can be told, and what it is.
    fn frame(&mut self, object: &[u8], offset: usize, seal: Option<&Seal>, at: &str) -> (Option<usize>, Result<Found, String>) {
        let header = match FrameHeader::read(object.get(offset..).unwrap_or_default(), at) {
            Ok(header) => header,
            Err(error) => return (None, Err(plainly(&error.what))),
        };
        let end = offset + header.header_bytes() + header.sealed as usize;
        let Some(bytes) = object.get(offset..end) else { return (None, Err("the frame is cut off".to_owned())) };
        #[expect(clippy::cast_possible_truncation, reason = "a pack is far below 4 GiB")]
        let entry = Entry {
            id: header.id,
            offset: offset as u32,
            stored: (end - offset) as u32,
            plain: header.plain,
            encoding: header.encoding,
            base: header.base,
        };
        let proved = seal.map_or(Ok(()), |seal| self.prove(&mut bytes.to_vec(), &header, seal, offset as u64));
        (Some(end), proved.map(|()| Found(entry)).map_err(|error| plainly(&error.what)))
    }

    fn prove(&mut self, bytes: &mut [u8], header: &FrameHeader, seal: &Seal, offset: u64) -> Result<()> {
        let encoded = seal.open(bytes, header, offset)?;
        let plain = match (header.encoding, header.base) {
            (Encoding::PageDelta, Some(base)) => {
                // Where the base cannot be read, that is its own damage, and this frame is what was written.
                let Ok(base) = self.reader.extent(base.0) else { return Ok(()) };
                self.decoder.delta(encoded, &base)?
            }
            (encoding, _) => self.decoder.whole(encoding, encoded, header.plain as usize)?,
        };
        if self.inspection.repository.keys.extent_id(&plain) == header.id {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Conflict, "its content has not the name that it should have"))
    }
}
