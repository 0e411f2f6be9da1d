//! A pack: extents one after the other in one object.

use super::codec::Encoding;
use super::id::{ExtentId, RandomId};
use super::keys::KeyRing;
use super::sealed::{Header, Kind, NewFrame, Seal};
use super::storage::Storage;
use pgtend_model::error::Result;

/// A pack is closed when it has this many bytes.
pub const FULL: usize = 16 << 20;

/// Where the pack of this id lies.
pub fn key(id: RandomId) -> String {
    let id = id.to_string();
    format!("packs/{}/{id}", &id[..2])
}

/// An extent in a pack, as an index lists it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub id: ExtentId,
    /// Where its frame begins.
    pub offset: u32,
    /// Bytes of its frame, header and all.
    pub stored: u32,
    /// Bytes of its content.
    pub plain: u32,
    /// How it is encoded.
    pub encoding: Encoding,
    /// The base of a page delta.
    pub base: Option<ExtentId>,
}

/// A pack that grows.
pub struct Builder {
    id: RandomId,
    seal: Seal,
    object: Vec<u8>,
    entries: Vec<Entry>,
}

/// A pack that is whole.
#[derive(Debug)]
pub struct Pack {
    /// Its name.
    pub id: RandomId,
    /// The object.
    pub object: Vec<u8>,
    /// What is in it.
    pub entries: Vec<Entry>,
}

impl Builder {
    /// An empty pack.
    pub fn new(storage: &dyn Storage, keys: &KeyRing) -> Result<Self> {
        let (key_id, data_key) = keys.data_key_to_write(storage)?;
        let header = Header::new(Kind::Pack, key_id)?;
        let seal = Seal::new(&header, &data_key, &key(header.salt))?;
        let mut object = Vec::with_capacity(FULL + (2 << 20));
        seal.begin(&mut object);
        Ok(Self { id: header.salt, seal, object, entries: Vec::new() })
    }

    /// Appends an extent; gives the bytes it takes.
    pub fn add(&mut self, id: ExtentId, plain_bytes: usize, encoding: Encoding, base: Option<ExtentId>, encoded: &[u8]) -> Result<usize> {
        let offset = self.object.len();
        let stored = self.seal.append(&mut self.object, &NewFrame { id, plain_bytes, encoding, base, encoded, last: false })?;
        #[expect(clippy::cast_possible_truncation, reason = "a pack and a frame are far below 4 GiB")]
        self.entries.push(Entry { id, offset: offset as u32, stored: stored as u32, plain: plain_bytes as u32, encoding, base });
        Ok(stored)
    }

    /// Whether it is time to close it.
    pub fn is_full(&self) -> bool {
        self.object.len() >= FULL
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Closes it.
    pub fn finish(self) -> Pack {
        Pack { id: self.id, object: self.object, entries: self.entries }
    }
}
