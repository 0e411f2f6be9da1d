//! Objects that are read and written whole: documents of JSON, and indexes.

use super::Repository;
use super::codec::{Decoder, Encoder};
use super::sealed::{FrameHeader, HEADER, Header, Kind, MOST_PLAIN, NewFrame, Seal, damaged};
use super::storage::Put;
use pgtend_model::error::{Error, Kind as ErrorKind, Result};

/// The level at which documents are compressed.
const LEVEL: i32 = 9;

impl Repository {
    /// Seals content of any length as the object under this key.
    pub(super) fn seal(&self, kind: Kind, at: &str, plain: &[u8], level: i32) -> Result<Vec<u8>> {
        let (key_id, key) = match kind {
            Kind::Index | Kind::Document => {
                let (id, key) = self.keys.document_key();
                (id, *key)
            }
            Kind::Pack | Kind::Wal => self.keys.data_key_to_write(&*self.storage)?,
        };
        let header = Header::new(kind, key_id)?;
        let seal = Seal::new(&header, &key, at)?;
        let mut object = Vec::with_capacity(plain.len() / 3 + 256);
        seal.begin(&mut object);
        let mut encoder = Encoder::new(level);
        let pieces: Vec<&[u8]> = if plain.is_empty() { vec![plain] } else { plain.chunks(MOST_PLAIN).collect() };
        let count = pieces.len();
        for (index, piece) in pieces.into_iter().enumerate() {
            let id = self.keys.extent_id(piece);
            let (encoding, encoded) = encoder.whole(piece)?;
            let last = index + 1 == count;
            seal.append(&mut object, &NewFrame { id, plain_bytes: piece.len(), encoding, base: None, encoded, last })?;
        }
        Ok(object)
    }

    /// Opens an object of this kind as a whole.
    pub(super) fn unseal(&self, kind: Kind, at: &str, mut object: Vec<u8>) -> Result<Vec<u8>> {
        let seal = self.seal_of(kind, at, &object)?;
        let mut decoder = Decoder::new();
        let mut plain = Vec::new();
        let mut offset = HEADER;
        loop {
            let frame = FrameHeader::read(object.get(offset..).unwrap_or_default(), at)?;
            let end = offset + frame.header_bytes() + frame.sealed as usize;
            let bytes = object.get_mut(offset..end).ok_or_else(|| damaged(at, "it is cut off"))?;
            let encoded = seal.open(bytes, &frame, offset as u64)?;
            let piece = decoder.whole(frame.encoding, encoded, frame.plain as usize).map_err(|error| error.at(at))?;
            if self.keys.extent_id(&piece) != frame.id {
                return Err(damaged(at, "its content has not the name that it should have"));
            }
            plain.extend_from_slice(&piece);
            offset = end;
            if frame.last {
                break;
            }
        }
        if offset == object.len() { Ok(plain) } else { Err(damaged(at, "something follows its last frame")) }
    }

    /// What opens the frames of an object, whose beginning is given.
    pub(super) fn seal_of(&self, kind: Kind, at: &str, object: &[u8]) -> Result<Seal> {
        let header = Header::read(object, at)?;
        if header.kind != kind {
            return Err(damaged(at, "it is of another kind"));
        }
        let key = match kind {
            Kind::Index | Kind::Document => {
                let (id, key) = self.keys.document_key();
                if id != header.key_id {
                    return Err(damaged(at, "it is sealed with the key of another repository"));
                }
                *key
            }
            Kind::Pack | Kind::Wal => self.keys.data_key(&*self.storage, header.key_id).map_err(|error| self.no_key(error, at))?,
        };
        Seal::new(&header, &key, at)
    }

    /// Where this host reads what it writes, an object that names a key that is not there is damaged, or that key is lost.
    fn no_key(&self, error: Error, at: &str) -> Error {
        if error.kind == ErrorKind::Authentication && self.reads() {
            return damaged(
                at,
                "no key that is here opens it: its header is damaged, its key is missing, or it was written for other recipients",
            );
        }
        error
    }

    /// Writes a document under a key that must be free.
    ///
    /// # Errors
    /// What the storage says.
    pub fn put_document<T: serde::Serialize>(&self, at: &str, document: &T) -> Result<Put> {
        let json = serde_json::to_vec(document)
            .map_err(|error| Error::new(ErrorKind::Internal, format!("a document cannot be written: {error}")))?;
        self.put_text(at, &json)
    }

    /// Writes text under a key that must be free.
    ///
    /// # Errors
    /// What the storage says.
    pub fn put_text(&self, at: &str, text: &[u8]) -> Result<Put> {
        self.storage.put_new(at, &self.seal(Kind::Document, at, text, LEVEL)?)
    }

    /// Reads a document.
    ///
    /// # Errors
    /// `NotFound` when there is none, `Conflict` when it is damaged.
    pub fn get_document<T: serde::de::DeserializeOwned>(&self, at: &str) -> Result<T> {
        let json = self.get_text(at)?;
        serde_json::from_slice(&json).map_err(|error| damaged(at, &format!("it is no such document: {error}")))
    }

    /// Reads text.
    ///
    /// # Errors
    /// `NotFound` when there is none, `Conflict` when it is damaged.
    pub fn get_text(&self, at: &str) -> Result<Vec<u8>> {
        self.unseal(Kind::Document, at, self.storage.get(at)?)
    }
}
