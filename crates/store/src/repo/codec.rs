//! How the content of a frame is encoded: as it is, zstd, or the pages that differ from a base.

use pgtend_model::error::{Error, Kind, Result};
use zstd::zstd_safe::{CCtx, CParameter, DCtx};

/// Bytes of a page, of which deltas are made.
pub const PAGE: usize = 8192;
/// Log2 of the window that holds a base of one extent and the pages that replace it.
const DELTA_WINDOW_LOG: u32 = 22;

/// Whether the base's pages are the prefix of a delta's zstd frame.
const WITH_PREFIX: u8 = 1;
const WITHOUT_PREFIX: u8 = 0;

/// How content is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// As it is.
    Raw,
    /// One zstd frame.
    Zstd,
    /// Pages that differ from a base.
    PageDelta,
}

impl Encoding {
    /// As the format writes it.
    pub const fn byte(self) -> u8 {
        match self {
            Self::Raw => 0,
            Self::Zstd => 1,
            Self::PageDelta => 2,
        }
    }

    /// As the format has it.
    pub const fn read(byte: u8) -> Option<Self> {
        match byte {
            0 => Some(Self::Raw),
            1 => Some(Self::Zstd),
            2 => Some(Self::PageDelta),
            _ => None,
        }
    }
}

/// Compresses, one piece after the other, with one context.
pub struct Encoder {
    context: CCtx<'static>,
    level: i32,
    encoded: Vec<u8>,
}

/// Decompresses, one piece after the other, with one context.
pub struct Decoder {
    context: DCtx<'static>,
    /// Pages of a base, and those that replace them.
    before: Vec<u8>,
    pages: Vec<u8>,
}

impl Encoder {
    /// At this level of zstd; 0 leaves everything as it is.
    pub fn new(level: i32) -> Self {
        Self { context: CCtx::create(), level, encoded: Vec::new() }
    }

    /// The smaller of the content as it is and its zstd frame.
    ///
    /// # Errors
    /// `Internal` when zstd refuses.
    pub fn whole<'a>(&'a mut self, plain: &'a [u8]) -> Result<(Encoding, &'a [u8])> {
        if self.level == 0 {
            return Ok((Encoding::Raw, plain));
        }
        compress(&mut self.context, self.level, plain, &mut self.encoded)?;
        // What hardly shrinks is not worth decompressing.
        if self.encoded.len() > plain.len() - plain.len() / 32 {
            return Ok((Encoding::Raw, plain));
        }
        Ok((Encoding::Zstd, &self.encoded))
    }

    /// The pages of `plain` that differ from `base`, of the same length; `None` when a delta is not smaller than `limit`.
    ///
    /// # Errors
    /// `Internal` when zstd refuses.
    pub fn delta(&mut self, plain: &[u8], base: &[u8], limit: usize) -> Result<Option<Vec<u8>>> {
        let Some(Changed { bitmap, pages, before }) = changed(plain, base) else { return Ok(None) };
        // A prefix must outlive its context, so this one has a context of its own.
        let mut context = CCtx::create();
        context.set_parameter(CParameter::WindowLog(DELTA_WINDOW_LOG)).map_err(refused)?;
        context.ref_prefix(&before).map_err(refused)?;
        compress(&mut context, self.level.max(1), &pages, &mut self.encoded)?;
        let bitmap_bytes = u16::try_from(bitmap.len()).map_err(|_| Error::new(Kind::Internal, "an extent has too many pages"))?;
        let delta = [&bitmap_bytes.to_le_bytes()[..], &bitmap, &[WITH_PREFIX], &self.encoded].concat();
        Ok((delta.len() < limit).then_some(delta))
    }
}

/// One zstd frame of this content, in place of what was in `out`.
fn compress(context: &mut CCtx<'_>, level: i32, plain: &[u8], out: &mut Vec<u8>) -> Result<()> {
    context.set_parameter(CParameter::CompressionLevel(level)).map_err(refused)?;
    out.clear();
    out.reserve(zstd::zstd_safe::compress_bound(plain.len()));
    context.compress2(out, plain).map(|_| ()).map_err(refused)
}

/// Pages that differ: which, what they are now, what they were.
struct Changed {
    bitmap: Vec<u8>,
    pages: Vec<u8>,
    before: Vec<u8>,
}

/// `None` when the two have not the same length in whole pages, or nearly everything differs.
fn changed(plain: &[u8], base: &[u8]) -> Option<Changed> {
    if plain.len() != base.len() || !plain.len().is_multiple_of(PAGE) {
        return None;
    }
    let count = plain.len() / PAGE;
    let mut found = Changed { bitmap: vec![0; count.div_ceil(8)], pages: Vec::new(), before: Vec::new() };
    for (index, (now, was)) in plain.chunks_exact(PAGE).zip(base.chunks_exact(PAGE)).enumerate() {
        if now != was {
            found.bitmap[index / 8] |= 1 << (index % 8);
            found.pages.extend_from_slice(now);
            found.before.extend_from_slice(was);
        }
    }
    (found.pages.len() <= plain.len() / 10 * 9).then_some(found)
}

impl Decoder {
    /// With a context of its own.
    pub fn new() -> Self {
        Self { context: DCtx::create(), before: Vec::new(), pages: Vec::new() }
    }

    /// The plain content of what is no delta.
    ///
    /// # Errors
    /// `Conflict` when the content does not decode to this many bytes.
    pub fn whole(&mut self, encoding: Encoding, encoded: &[u8], plain_bytes: usize) -> Result<Vec<u8>> {
        let mut plain = Vec::new();
        self.whole_into(encoding, encoded, plain_bytes, &mut plain)?;
        Ok(plain)
    }

    /// The same into a buffer.
    ///
    /// # Errors
    /// As [`Self::whole`].
    pub fn whole_into(&mut self, encoding: Encoding, encoded: &[u8], plain_bytes: usize, plain: &mut Vec<u8>) -> Result<()> {
        match encoding {
            Encoding::Raw if encoded.len() == plain_bytes => {
                plain.clear();
                plain.extend_from_slice(encoded);
                Ok(())
            }
            Encoding::Zstd => decompress_into(&mut self.context, encoded, plain_bytes, plain),
            _ => Err(wrong()),
        }
    }

    /// The plain content of a page delta.
    ///
    /// # Errors
    /// `Conflict` when it does not fit its base.
    pub fn delta(&mut self, encoded: &[u8], base: &[u8]) -> Result<Vec<u8>> {
        let mut plain = base.to_vec();
        self.delta_into(encoded, &mut plain)?;
        Ok(plain)
    }

    /// Makes the content of a page delta of its base, where that lies.
    ///
    /// # Errors
    /// `Conflict` when it does not fit its base, which then is neither.
    pub fn delta_into(&mut self, encoded: &[u8], base: &mut [u8]) -> Result<()> {
        let (bitmap, rest) = split_bitmap(encoded, base.len()).ok_or_else(wrong)?;
        let (with_prefix, zstd) = rest.split_first().ok_or_else(wrong)?;
        let replaced = || (0..base.len() / PAGE).filter(|index| bitmap[index / 8] & (1 << (index % 8)) != 0).map(|index| index * PAGE);
        let starts: Vec<usize> = replaced().collect();
        self.before.clear();
        match *with_prefix {
            WITHOUT_PREFIX => {}
            WITH_PREFIX => starts.iter().for_each(|start| self.before.extend_from_slice(&base[*start..start + PAGE])),
            _ => return Err(wrong()),
        }
        let mut context = DCtx::create();
        if !self.before.is_empty() {
            context.ref_prefix(&self.before).map_err(refused)?;
        }
        decompress_into(&mut context, zstd, starts.len() * PAGE, &mut self.pages)?;
        for (start, page) in starts.iter().zip(self.pages.chunks_exact(PAGE)) {
            base[*start..start + PAGE].copy_from_slice(page);
        }
        Ok(())
    }
}

/// A zstd frame of exactly this many plain bytes.
fn decompress_into(context: &mut DCtx<'_>, encoded: &[u8], plain_bytes: usize, plain: &mut Vec<u8>) -> Result<()> {
    plain.clear();
    plain.reserve_exact(plain_bytes);
    context.decompress(plain, encoded).map_err(|_| wrong())?;
    if plain.len() == plain_bytes { Ok(()) } else { Err(wrong()) }
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new()
    }
}

fn split_bitmap(encoded: &[u8], base_bytes: usize) -> Option<(&[u8], &[u8])> {
    let (length, rest) = encoded.split_first_chunk::<2>()?;
    let length = usize::from(u16::from_le_bytes(*length));
    (length == (base_bytes / PAGE).div_ceil(8)).then_some(())?;
    rest.split_at_checked(length)
}

fn refused(code: usize) -> Error {
    Error::new(Kind::Internal, format!("zstd refused: {}", zstd::zstd_safe::get_error_name(code)))
}

fn wrong() -> Error {
    Error::new(Kind::Conflict, "the content of a frame does not decode to what its header says").retry(pgtend_model::error::Retry::Never)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn noise(bytes: usize, seed: u64) -> Vec<u8> {
        let mut state = seed | 1;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()[3]
        };
        (0..bytes).map(|_| next()).collect()
    }

    #[test]
    fn content_comes_back_whole() {
        let mut encoder = Encoder::new(3);
        for plain in [vec![], vec![0; 1 << 20], noise(100_000, 5), b"a few words, a few words".to_vec()] {
            let (encoding, encoded) = encoder.whole(&plain).unwrap();
            assert_eq!(Decoder::new().whole(encoding, encoded, plain.len()).unwrap(), plain);
        }
        assert_eq!(encoder.whole(&noise(100_000, 5)).unwrap().0, Encoding::Raw);
    }

    #[test]
    fn a_changed_row_costs_bytes_not_pages() {
        let base = noise(128 * PAGE, 3);
        let mut plain = base.clone();
        plain[5 * PAGE + 100] ^= 1;
        plain[90 * PAGE..90 * PAGE + 40].fill(7);
        let delta = Encoder::new(3).delta(&plain, &base, usize::MAX).unwrap().unwrap();
        assert!(delta.len() < 300, "{}", delta.len());
        assert_eq!(Decoder::new().delta(&delta, &base).unwrap(), plain);
    }

    #[test]
    fn no_delta_where_nearly_everything_differs() {
        assert!(Encoder::new(3).delta(&noise(8 * PAGE, 1), &noise(8 * PAGE, 2), usize::MAX).unwrap().is_none());
        assert!(Encoder::new(3).delta(&noise(8 * PAGE, 1), &noise(4 * PAGE, 1), usize::MAX).unwrap().is_none());
    }

    proptest! {
        #[test]
        fn any_delta_comes_back(pages in 1_usize..20, edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..40)) {
            let base = noise(pages * PAGE, 11);
            let mut plain = base.clone();
            for (at, value) in edits {
                let at = at.index(plain.len());
                plain[at] = value;
            }
            if let Some(delta) = Encoder::new(1).delta(&plain, &base, usize::MAX).unwrap() {
                prop_assert_eq!(Decoder::new().delta(&delta, &base).unwrap(), plain);
            }
        }

        #[test]
        fn nonsense_is_refused_without_harm(encoded in prop::collection::vec(any::<u8>(), 0..200)) {
            let base = noise(4 * PAGE, 1);
            let _ = Decoder::new().delta(&encoded, &base);
            let _ = Decoder::new().whole(Encoding::Zstd, &encoded, 100);
        }
    }
}
