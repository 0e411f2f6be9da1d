//! Sealed objects: a header, then frames, each compressed, encrypted and bound to its place (`docs/repository-format.md`).

use super::codec::Encoding;
use super::id::{ExtentId, RandomId, random};
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use pgtend_model::error::{Error, Kind as ErrorKind, Result, Retry};

/// Version of the format.
pub const VERSION: u8 = 1;
/// Bytes of an object's header.
pub const HEADER: usize = 40;
/// Bytes of a frame's header, without the base.
pub const FRAME: usize = 48;
/// Bytes of a frame's header with a base.
pub const FRAME_WITH_BASE: usize = 80;
/// The most plain bytes that a frame holds.
pub const MOST_PLAIN: usize = 16 << 20;

const MAGIC: &[u8; 4] = b"PGTR";
const TAG: usize = 16;
const LAST: u8 = 1;

/// What an object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Extents.
    Pack,
    /// Which extents lie where.
    Index,
    /// JSON.
    Document,
    /// A file of WAL.
    Wal,
}

impl Kind {
    const fn byte(self) -> u8 {
        match self {
            Self::Pack => 1,
            Self::Index => 2,
            Self::Document => 3,
            Self::Wal => 4,
        }
    }

    const fn read(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Self::Pack),
            2 => Some(Self::Index),
            3 => Some(Self::Document),
            4 => Some(Self::Wal),
            _ => None,
        }
    }
}

/// An object's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// What it is.
    pub kind: Kind,
    /// The key that seals it.
    pub key_id: RandomId,
    /// From which, with the key, the object's own key follows.
    pub salt: RandomId,
}

impl Header {
    /// Of a new object.
    ///
    /// # Errors
    /// `System` when the operating system gives no random numbers.
    pub fn new(kind: Kind, key_id: RandomId) -> Result<Self> {
        Ok(Self { kind, key_id, salt: RandomId(random()?) })
    }

    fn bytes(&self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        bytes[..4].copy_from_slice(MAGIC);
        bytes[4] = VERSION;
        bytes[5] = self.kind.byte();
        bytes[8..24].copy_from_slice(&self.key_id.0);
        bytes[24..].copy_from_slice(&self.salt.0);
        bytes
    }

    /// Reads the beginning of an object; `at` is its key.
    ///
    /// # Errors
    /// `Conflict` when it is damaged, `Unsupported` when a later pgtend wrote it.
    pub fn read(content: &[u8], at: &str) -> Result<Self> {
        let bytes: &[u8; HEADER] = content.first_chunk().ok_or_else(|| damaged(at, "it ends within its header"))?;
        if &bytes[..4] != MAGIC {
            return Err(damaged(at, "it does not begin as pgtend's objects do"));
        }
        if bytes[4] != VERSION {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!("an object of the repository has version {}, this pgtend knows {VERSION}", bytes[4]),
            )
            .at(at)
            .hint("use the pgtend that wrote it, or a later one"));
        }
        let kind = Kind::read(bytes[5]).ok_or_else(|| damaged(at, "its kind is unknown"))?;
        Ok(Self { kind, key_id: RandomId(array(&bytes[8..24])), salt: RandomId(array(&bytes[24..40])) })
    }
}

/// What seals and opens the frames of one object.
pub struct Seal {
    header: [u8; HEADER],
    key: LessSafeKey,
    at: String,
}

/// A frame's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameHeader {
    /// Bytes of the plain content.
    pub plain: u32,
    /// Bytes that follow the header.
    pub sealed: u32,
    /// How the content is encoded.
    pub encoding: Encoding,
    /// Whether it is the object's last frame.
    pub last: bool,
    /// Name of the plain content.
    pub id: ExtentId,
    /// Name of the base of a page delta.
    pub base: Option<ExtentId>,
}

impl FrameHeader {
    /// Bytes of the header.
    pub const fn header_bytes(&self) -> usize {
        if self.base.is_some() { FRAME_WITH_BASE } else { FRAME }
    }

    fn write(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&self.plain.to_le_bytes());
        out.extend_from_slice(&self.sealed.to_le_bytes());
        out.extend_from_slice(&[self.encoding.byte(), if self.last { LAST } else { 0 }, 0, 0]);
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&self.id.0);
        if let Some(base) = &self.base {
            out.extend_from_slice(&base.0);
        }
        let crc = header_crc(&out[start..]);
        out[start + 12..start + 16].copy_from_slice(&crc.to_le_bytes());
    }

    /// Reads the header at the beginning of `bytes`; `at` says where in which object.
    ///
    /// # Errors
    /// `Conflict` when it is damaged.
    pub fn read(bytes: &[u8], at: &str) -> Result<Self> {
        let fixed: &[u8; FRAME] = bytes.first_chunk().ok_or_else(|| damaged(at, "it ends within the header of a frame"))?;
        let encoding = Encoding::read(fixed[8]).ok_or_else(|| damaged(at, "a frame's encoding is unknown"))?;
        let base = match encoding {
            Encoding::PageDelta => {
                let whole: &[u8; FRAME_WITH_BASE] =
                    bytes.first_chunk().ok_or_else(|| damaged(at, "it ends within the header of a frame"))?;
                Some(ExtentId(array(&whole[FRAME..])))
            }
            _ => None,
        };
        let number = |from: usize| u32::from_le_bytes(array(&fixed[from..from + 4]));
        let header =
            Self { plain: number(0), sealed: number(4), encoding, last: fixed[9] & LAST != 0, id: ExtentId(array(&fixed[16..48])), base };
        if header_crc(&bytes[..header.header_bytes()]) != number(12) {
            return Err(damaged(at, "the header of a frame is damaged"));
        }
        if header.plain as usize > MOST_PLAIN || (header.sealed as usize) < TAG {
            return Err(damaged(at, "a frame has an impossible size"));
        }
        Ok(header)
    }
}

fn header_crc(header: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&header[..12]), &header[16..])
}

impl Seal {
    /// For the object under this key of the repository; `key` is what the key id of its header names.
    pub fn new(header: &Header, key: &[u8; 32], at: &str) -> Result<Self> {
        let own = blake3::keyed_hash(key, &header.salt.0);
        let unbound =
            UnboundKey::new(&AES_256_GCM, own.as_bytes()).map_err(|_| Error::new(ErrorKind::Internal, "a key does not fit the cipher"))?;
        Ok(Self { header: header.bytes(), key: LessSafeKey::new(unbound), at: at.to_owned() })
    }

    /// The beginning of a new object.
    pub fn begin(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.header);
    }

    /// Appends a frame to the object so far; `encoded` is the content as its encoding has it.
    ///
    /// # Errors
    /// `Internal` when the content is larger than a frame may be.
    pub fn append(&self, out: &mut Vec<u8>, frame: &NewFrame<'_>) -> Result<usize> {
        let too_large = || Error::new(ErrorKind::Internal, "a frame is larger than the format allows");
        let header = FrameHeader {
            plain: u32::try_from(frame.plain_bytes).ok().filter(|bytes| *bytes as usize <= MOST_PLAIN).ok_or_else(too_large)?,
            sealed: u32::try_from(frame.encoded.len() + TAG).map_err(|_| too_large())?,
            encoding: frame.encoding,
            last: frame.last,
            id: frame.id,
            base: frame.base,
        };
        let offset = out.len();
        header.write(out);
        let content = out.len();
        out.extend_from_slice(frame.encoded);
        let aad = self.aad(&out[offset..content]);
        let tag = self
            .key
            .seal_in_place_separate_tag(nonce(offset as u64), Aad::from(aad), &mut out[content..])
            .map_err(|_| Error::new(ErrorKind::Internal, "a frame could not be encrypted"))?;
        out.extend_from_slice(tag.as_ref());
        Ok(out.len() - offset)
    }

    /// Decrypts a frame, header and all, that lies at this offset; gives its encoded content.
    ///
    /// # Errors
    /// `Conflict` when it is not what was sealed there.
    pub fn open<'a>(&self, frame: &'a mut [u8], header: &FrameHeader, offset: u64) -> Result<&'a [u8]> {
        let (head, content) = frame
            .split_at_mut_checked(header.header_bytes())
            .filter(|(_, content)| content.len() == header.sealed as usize)
            .ok_or_else(|| damaged(&self.at, "a frame is cut off"))?;
        let aad = self.aad(head);
        let plain = self.key.open_in_place(nonce(offset), Aad::from(aad), content);
        plain
            .map(|plain| &*plain)
            .map_err(|_| damaged(&self.at, &format!("the frame at byte {offset} is damaged, or sealed with another key")))
    }

    fn aad(&self, frame_header: &[u8]) -> Vec<u8> {
        [self.at.as_bytes(), &self.header, frame_header].concat()
    }
}

/// A frame to be appended.
pub struct NewFrame<'a> {
    /// Name of the plain content.
    pub id: ExtentId,
    /// Bytes of the plain content.
    pub plain_bytes: usize,
    /// How it is encoded.
    pub encoding: Encoding,
    /// The base of a page delta.
    pub base: Option<ExtentId>,
    /// The encoded content.
    pub encoded: &'a [u8],
    /// Whether it is the object's last.
    pub last: bool,
}

fn nonce(offset: u64) -> Nonce {
    let mut bytes = [0; 12];
    bytes[4..].copy_from_slice(&offset.to_le_bytes());
    Nonce::assume_unique_for_key(bytes)
}

fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(bytes);
    array
}

/// How the message about a damaged object begins.
pub const DAMAGED: &str = "an object of the repository is damaged: ";

/// An object that is not what was written.
pub fn damaged(at: &str, how: &str) -> Error {
    Error::new(ErrorKind::Conflict, format!("{DAMAGED}{how}"))
        .at(at)
        .hint("`pgtend repo verify` names the backups that this hurts")
        .retry(Retry::Never)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: [u8; 32] = [7; 32];
    const AT: &str = "packs/ab/abcd";

    fn sealed() -> (Seal, Vec<u8>) {
        let header = Header { kind: Kind::Pack, key_id: RandomId([1; 16]), salt: RandomId([2; 16]) };
        let seal = Seal::new(&header, &KEY, AT).unwrap();
        let mut object = Vec::new();
        seal.begin(&mut object);
        let frame = |encoded, base| NewFrame {
            id: ExtentId([3; 32]),
            plain_bytes: 5,
            encoding: if base { Encoding::PageDelta } else { Encoding::Raw },
            base: base.then_some(ExtentId([4; 32])),
            encoded,
            last: false,
        };
        seal.append(&mut object, &frame(b"hello", false)).unwrap();
        seal.append(&mut object, &frame(b"world", true)).unwrap();
        (seal, object)
    }

    fn read(seal: &Seal, object: &[u8], offset: usize) -> Result<(FrameHeader, Vec<u8>)> {
        let header = FrameHeader::read(&object[offset..], AT)?;
        let end = offset + header.header_bytes() + header.sealed as usize;
        let mut frame = object.get(offset..end).unwrap_or(&object[offset..]).to_vec();
        let plain = seal.open(&mut frame, &header, offset as u64)?.to_vec();
        Ok((header, plain))
    }

    #[test]
    fn frames_are_read_as_they_were_written() {
        let (seal, object) = sealed();
        assert_eq!(Header::read(&object, AT).unwrap().key_id, RandomId([1; 16]));
        let (first, plain) = read(&seal, &object, HEADER).unwrap();
        assert_eq!((plain.as_slice(), first.base), (&b"hello"[..], None));
        let (second, plain) = read(&seal, &object, HEADER + first.header_bytes() + first.sealed as usize).unwrap();
        assert_eq!((plain.as_slice(), second.base), (&b"world"[..], Some(ExtentId([4; 32]))));
    }

    #[test]
    fn every_flipped_bit_is_found() {
        let (seal, object) = sealed();
        let first = FrameHeader::read(&object[HEADER..], AT).unwrap();
        let end = HEADER + first.header_bytes() + first.sealed as usize;
        for byte in HEADER..end {
            for bit in 0..8 {
                let mut damaged = object.clone();
                damaged[byte] ^= 1 << bit;
                assert!(read(&seal, &damaged, HEADER).is_err(), "byte {byte}, bit {bit}");
            }
        }
    }

    #[test]
    fn a_frame_in_another_place_is_refused() {
        let (_, object) = sealed();
        let header = Header::read(&object, AT).unwrap();
        let elsewhere = Seal::new(&header, &KEY, "packs/ab/other").unwrap();
        assert!(read(&elsewhere, &object, HEADER).is_err());
        let other_key = Seal::new(&header, &[8; 32], AT).unwrap();
        let error = read(&other_key, &object, HEADER).unwrap_err();
        assert!(error.what.contains("sealed with another key"), "{error}");
    }

    #[test]
    fn a_later_version_is_told() {
        let (_, mut object) = sealed();
        object[4] = 2;
        assert_eq!(Header::read(&object, AT).unwrap_err().kind, ErrorKind::Unsupported);
    }
}
