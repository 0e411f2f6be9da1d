//! Which extents lie where: read from the `index/` objects, written after packs.

use super::Repository;
use super::codec::Encoding;
use super::id::{ExtentId, RandomId};
use super::pack::Entry;
use super::sealed::{Kind, damaged};
use super::storage::Put;
use pgtend_model::error::{Error, Kind as ErrorKind, Result};
use rustc_hash::FxHashMap;
use std::collections::{BTreeMap, HashSet};

const BELOW: &str = "index";
/// Bytes of an entry without a base.
const ENTRY: usize = 45;

/// Where an extent lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Location {
    /// Its pack, by its number in the index.
    pack: u32,
    /// Where its frame begins.
    pub offset: u32,
    /// Bytes of its frame.
    pub stored: u32,
    /// Bytes of its content.
    pub plain: u32,
}

/// A pack, as an index tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PackInfo {
    /// Its name.
    pub id: RandomId,
    /// Its size.
    pub bytes: u64,
}

/// All extents of a repository.
#[derive(Debug, Default)]
pub struct Index {
    packs: Vec<PackInfo>,
    extents: FxHashMap<ExtentId, Location>,
    /// Of page deltas.
    bases: FxHashMap<ExtentId, ExtentId>,
}

/// A pack with its entries, to be written to an index.
#[derive(Debug, Clone)]
pub struct Indexed {
    /// The pack.
    pub pack: PackInfo,
    /// What is in it.
    pub entries: Vec<Entry>,
}

impl Index {
    /// Where an extent lies.
    pub fn find(&self, id: &ExtentId) -> Option<Location> {
        self.extents.get(id).copied()
    }

    /// The base of an extent that is a page delta.
    pub fn base(&self, id: &ExtentId) -> Option<ExtentId> {
        self.bases.get(id).copied()
    }

    /// The pack of a location.
    pub fn pack(&self, location: Location) -> PackInfo {
        self.packs[location.pack as usize]
    }

    /// Every pack.
    pub fn packs(&self) -> &[PackInfo] {
        &self.packs
    }

    /// Of these packs. Where an extent lies in several, the choice does not depend on which index told it: whoever reads and whoever removes
    /// packs choose the same. Whole extents come before deltas, and packs that are to be avoided last; or, for a writer, not at all, nor
    /// deltas whose base is only there.
    pub(super) fn of(packs: Vec<Indexed>, avoid: &HashSet<RandomId>, avoided_are_absent: bool) -> Self {
        let mut index = Self::default();
        let mut merged: BTreeMap<RandomId, (u64, Vec<Entry>)> = BTreeMap::new();
        for indexed in packs {
            merged.entry(indexed.pack.id).or_insert((indexed.pack.bytes, Vec::new())).1.extend(indexed.entries);
        }
        let (avoided, trusted): (Vec<_>, Vec<_>) = merged.into_iter().partition(|(id, _)| avoid.contains(id));
        index.add_all(&trusted, true);
        if !avoided_are_absent {
            index.add_all(&avoided, false);
            index.add_deltas(&trusted, |_, _| true);
        }
        index
    }

    fn add_all(&mut self, packs: &[(RandomId, (u64, Vec<Entry>))], need_base: bool) {
        let first = self.packs.len();
        for (place, (id, (bytes, entries))) in (first..).zip(packs) {
            self.packs.push(PackInfo { id: *id, bytes: *bytes });
            entries.iter().filter(|entry| entry.base.is_none()).for_each(|entry| self.add(place, entry));
        }
        self.add_deltas(packs, |index, base| !need_base || index.extents.contains_key(base));
    }

    /// Deltas come after all whole extents. They may be of packs that are among `self.packs` already.
    fn add_deltas(&mut self, packs: &[(RandomId, (u64, Vec<Entry>))], counts: impl Fn(&Self, &ExtentId) -> bool) {
        let places: FxHashMap<RandomId, usize> = self.packs.iter().enumerate().map(|(place, pack)| (pack.id, place)).collect();
        for (id, (_, entries)) in packs {
            let Some(place) = places.get(id) else { continue };
            for entry in entries {
                if entry.base.is_some_and(|base| counts(self, &base)) {
                    self.add(*place, entry);
                }
            }
        }
    }

    fn add(&mut self, place: usize, entry: &Entry) {
        let pack = u32::try_from(place).unwrap_or(u32::MAX);
        if let std::collections::hash_map::Entry::Vacant(vacant) = self.extents.entry(entry.id) {
            vacant.insert(Location { pack, offset: entry.offset, stored: entry.stored, plain: entry.plain });
            if let Some(base) = entry.base {
                self.bases.insert(entry.id, base);
            }
        }
    }
}

impl Repository {
    /// Reads all indexes, to read extents or to see which are needed.
    pub(super) fn load_index(&self) -> Result<Index> {
        let avoided = self.avoided()?;
        let mut packs = Vec::new();
        for object in self.storage.list(BELOW)? {
            packs.extend(self.read_index(&object.key).map_err(lost)?);
        }
        Ok(Index::of(packs, &avoided, false))
    }

    /// Reads all indexes, to write. What is only in packs of `absent`, or in damaged ones, is left out, as is what an index that cannot be
    /// read tells: it is written again.
    pub(super) fn load_index_to_write(&self, absent: &HashSet<RandomId>) -> Result<Index> {
        let mut avoided = self.avoided()?;
        avoided.extend(absent);
        let mut packs = Vec::new();
        for object in self.storage.list(BELOW)? {
            match self.read_index(&object.key) {
                Ok(read) => packs.extend(read),
                Err(error) if error.kind == ErrorKind::Conflict => {
                    let error = lost(error);
                    tracing::error!(
                        error = error.what,
                        place = error.place,
                        hint = error.hint,
                        "an index is left out: what it tells of is written again"
                    );
                }
                Err(error) => return Err(error),
            }
        }
        Ok(Index::of(packs, &avoided, true))
    }

    /// Reads one index.
    pub(super) fn read_index(&self, at: &str) -> Result<Vec<Indexed>> {
        let plain = self.unseal(Kind::Index, at, self.storage.get(at)?)?;
        let mut rest = plain.as_slice();
        let mut all = Vec::new();
        while !rest.is_empty() {
            all.push(read_pack(&mut rest).ok_or_else(|| damaged(at, "an index is cut off"))?);
        }
        Ok(all)
    }

    /// Writes an index of these packs.
    pub(super) fn write_index(&self, packs: &[Indexed]) -> Result<()> {
        let at = format!("{BELOW}/{}", RandomId::new()?);
        let mut plain = Vec::new();
        for pack in packs {
            write_pack(&mut plain, pack)?;
        }
        match self.storage.put_new(&at, &self.seal(Kind::Index, &at, &plain, 3)?)? {
            Put::Made => Ok(()),
            Put::Exists => Err(Error::new(ErrorKind::Conflict, "an index of this random name exists already").at(at)),
        }
    }
}

/// An index that cannot be read can be made again.
fn lost(mut error: Error) -> Error {
    if error.kind == ErrorKind::Conflict {
        "`pgtend repo verify --rebuild-index` makes indexes anew from the packs".clone_into(&mut error.hint);
    }
    error
}

fn write_pack(out: &mut Vec<u8>, indexed: &Indexed) -> Result<()> {
    out.extend_from_slice(&indexed.pack.id.0);
    out.extend_from_slice(&indexed.pack.bytes.to_le_bytes());
    let count = u32::try_from(indexed.entries.len()).map_err(|_| Error::new(ErrorKind::Internal, "a pack has too many extents"))?;
    out.extend_from_slice(&count.to_le_bytes());
    for entry in &indexed.entries {
        out.extend_from_slice(&entry.id.0);
        for number in [entry.offset, entry.stored, entry.plain] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        out.push(entry.encoding.byte());
        if let Some(base) = &entry.base {
            out.extend_from_slice(&base.0);
        }
    }
    Ok(())
}

fn read_pack(rest: &mut &[u8]) -> Option<Indexed> {
    let id = RandomId(*take(rest)?);
    let bytes = u64::from_le_bytes(*take(rest)?);
    let count = u32::from_le_bytes(*take(rest)?);
    if rest.len() / ENTRY < count as usize {
        return None;
    }
    let entries = (0..count).map(|_| read_entry(rest)).collect::<Option<Vec<_>>>()?;
    Some(Indexed { pack: PackInfo { id, bytes }, entries })
}

fn read_entry(rest: &mut &[u8]) -> Option<Entry> {
    let id = ExtentId(*take(rest)?);
    let [offset, stored, plain] = [u32::from_le_bytes(*take(rest)?), u32::from_le_bytes(*take(rest)?), u32::from_le_bytes(*take(rest)?)];
    let encoding = Encoding::read(take::<1>(rest)?[0])?;
    let base = match encoding {
        Encoding::PageDelta => Some(ExtentId(*take(rest)?)),
        _ => None,
    };
    Some(Entry { id, offset, stored, plain, encoding, base })
}

fn take<'a, const N: usize>(rest: &mut &'a [u8]) -> Option<&'a [u8; N]> {
    let (taken, left) = rest.split_first_chunk::<N>()?;
    *rest = left;
    Some(taken)
}
