//! Pieces of segments that are not finished: what streaming brings before PostgreSQL hands over the whole.

use super::sealed::Kind;
use super::storage::Put;
use super::wal::{Pushed, WalOwner};
use super::{Repository, check_name};
use jiff::Timestamp;
use pgtend_model::error::{Error, Kind as ErrorKind, Result, Retry};
use pgtend_model::pgdata::wal::is_wal_name;

/// Below an owner's WAL: pieces of segments.
const OPEN: &str = "open";

/// A piece of a segment that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WalPiece {
    /// The segment's name.
    pub segment: String,
    /// The first byte, counted from the segment's start.
    pub from_byte: u32,
    /// The byte after the last one.
    pub to_byte: u32,
    /// Bytes it takes.
    pub stored_bytes: u64,
    /// When it came, by the storage's clock.
    pub archived: Timestamp,
}

impl WalPiece {
    /// A piece, by its place.
    pub fn new(segment: &str, from_byte: u32, to_byte: u32) -> Self {
        Self { segment: segment.to_owned(), from_byte, to_byte, stored_bytes: 0, archived: Timestamp::UNIX_EPOCH }
    }

    /// The object's name: `<segment>.<from>-<to>`, hexadecimal.
    pub fn name(&self) -> String {
        format!("{}.{:08X}-{:08X}", self.segment, self.from_byte, self.to_byte)
    }

    /// Reads the name of an object; none for what is no piece.
    pub fn of_name(name: &str) -> Option<Self> {
        let (segment, range) = name.split_once('.')?;
        let (from, to) = range.split_once('-')?;
        let number = |text: &str| u32::from_str_radix(text, 16).ok().filter(|_| text.len() == 8);
        let piece = Self::new(segment, number(from)?, number(to)?);
        let is_one = segment.len() == 24 && is_wal_name(segment) && piece.from_byte < piece.to_byte && piece.name() == name;
        is_one.then_some(piece)
    }

    fn key(&self, owner: &WalOwner) -> String {
        format!("{}/{OPEN}/{}", owner.below(), self.name())
    }
}

impl Repository {
    /// Keeps a piece of a segment. When this returns, it is durable.
    ///
    /// # Errors
    /// `Conflict` when another piece of this place is there; what the storage says.
    pub fn push_wal_piece(&self, owner: &WalOwner, piece: &WalPiece, content: &[u8], level: i32) -> Result<Pushed> {
        check_name(&owner.server)?;
        let at = piece.key(owner);
        let object = self.seal(Kind::Wal, &at, content, level)?;
        match self.storage.put_new(&at, &object)? {
            Put::Made => Ok(Pushed::New(object.len())),
            Put::Exists if self.is_same(&at, content)? => Ok(Pushed::Same),
            Put::Exists => Err(self.other_piece(&at)),
        }
    }

    /// Whether the piece that is there has this content; also told where nothing can be read.
    ///
    /// # Errors
    /// `NotFound` when it is not there, `Conflict` when it is damaged.
    pub fn has_same_wal_piece(&self, owner: &WalOwner, piece: &WalPiece, content: &[u8]) -> Result<bool> {
        self.is_same(&piece.key(owner), content)
    }

    /// Brings a piece.
    ///
    /// # Errors
    /// `NotFound` when it is not there, `Conflict` when it is damaged.
    pub fn get_wal_piece(&self, owner: &WalOwner, piece: &WalPiece) -> Result<Vec<u8>> {
        let at = piece.key(owner);
        self.unseal(Kind::Wal, &at, self.storage.get(&at)?)
    }

    /// All pieces of this cluster's segments, in the order of names.
    ///
    /// # Errors
    /// What the storage says.
    pub fn wal_pieces(&self, owner: &WalOwner) -> Result<Vec<WalPiece>> {
        let objects = self.storage.list(&format!("{}/{OPEN}", owner.below()))?;
        let piece = |object: &super::storage::Object| {
            let piece = WalPiece::of_name(object.key.rsplit('/').next()?)?;
            Some(WalPiece { stored_bytes: object.bytes, archived: object.modified, ..piece })
        };
        Ok(objects.iter().filter_map(piece).collect())
    }

    /// Takes a piece away; none is fine.
    ///
    /// # Errors
    /// What the storage says.
    pub fn remove_wal_piece(&self, owner: &WalOwner, piece: &WalPiece) -> Result<()> {
        self.storage.delete(&piece.key(owner))
    }

    /// The piece with this key, and whose it is.
    pub fn wal_piece_of_key(key: &str) -> Option<(WalOwner, WalPiece)> {
        let parts: Vec<&str> = key.split('/').collect();
        let ["wal", server, system_identifier, OPEN, name] = parts.as_slice() else { return None };
        let owner = WalOwner { server: (*server).to_owned(), system_identifier: (*system_identifier).to_owned() };
        Some((owner, WalPiece::of_name(name)?))
    }

    fn other_piece(&self, at: &str) -> Error {
        Error::new(ErrorKind::Conflict, "other WAL is in the repository at the place where this server writes now")
            .at(format!("{}: {at}", self.shown()))
            .hint("two servers write into one place: a clone, or a copy that went on by itself; give one of them another name, and take a new backup of it")
            .retry(Retry::Never)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_pieces_are_read_back_and_no_file_of_wal_is_one() {
        let piece = WalPiece::new("000000010000000000000005", 0x2000, 0x1234);
        assert_eq!(WalPiece::of_name(&piece.name()), None, "it ends before it begins");
        let piece = WalPiece::new("000000010000000000000005", 0, 0x0100_0000);
        assert_eq!(piece.name(), "000000010000000000000005.00000000-01000000");
        assert_eq!(WalPiece::of_name(&piece.name()), Some(piece.clone()));
        assert!(!is_wal_name(&piece.name()));
        for other in ["000000010000000000000005", "000000010000000000000005.partial", "00000002.history", "x.00000000-00000001"] {
            assert_eq!(WalPiece::of_name(other), None, "{other}");
        }
        let key = format!("wal/main/7/open/{}", piece.name());
        let owner = WalOwner { server: "main".into(), system_identifier: "7".into() };
        assert_eq!(Repository::wal_piece_of_key(&key), Some((owner, piece)));
    }
}
