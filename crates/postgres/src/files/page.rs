//! Pages of relations: what their headers say, and their checksums.
//!
//! The header is `struct PageHeaderData` (`storage/bufpage.h`): LSN 0–7 (the upper half first), checksum 8–9, flags 10–11, the bounds
//! `pd_lower`, `pd_upper`, `pd_special` 12–17, size and layout version 18–19, `pd_prune_xid` 20–23.

mod checksum;

use super::bytes::{u16_at, u32_at};
pub use checksum::checksum;
use pgtend_model::pgdata::Lsn;

/// The length of a page's header up to the first line pointer (`SizeOfPageHeaderData`).
pub const HEADER_BYTES: u16 = 24;
/// The layout of pages since PostgreSQL 8.3 (`PG_PAGE_LAYOUT_VERSION`).
const LAYOUT_VERSION: u16 = 4;
/// All flags that are in use (`PD_VALID_FLAG_BITS`).
const FLAGS: u16 = 0x0007;

/// The header of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// The end of the last WAL record that changed the page.
    pub lsn: Lsn,
    /// The checksum it carries; 0 where checksums are off.
    pub checksum: u16,
    /// `pd_flags`.
    pub flags: u16,
    /// Where free space begins.
    pub lower: u16,
    /// Where free space ends.
    pub upper: u16,
    /// Where the part begins that belongs to the access method.
    pub special: u16,
    /// The size of the page in the upper byte, the layout version in the lower.
    pub size_and_version: u16,
}

impl Header {
    /// The header of a page; the page is at least [`HEADER_BYTES`] long.
    pub fn of(page: &[u8]) -> Self {
        Self {
            lsn: Lsn(u64::from(u32_at(page, 0)) << 32 | u64::from(u32_at(page, 4))),
            checksum: u16_at(page, 8),
            flags: u16_at(page, 10),
            lower: u16_at(page, 12),
            upper: u16_at(page, 14),
            special: u16_at(page, 16),
            size_and_version: u16_at(page, 18),
        }
    }

    /// Whether the page was allocated and never initialized (`PageIsNew`). Such a page has no checksum, and is sound only when it is
    /// zero all over.
    pub const fn is_new(&self) -> bool {
        self.upper == 0
    }

    /// What is wrong with the header of a page of this size, by PostgreSQL's own rule (`PageIsVerifiedExtended`), and that size and
    /// layout are those of this server.
    pub fn fault(&self, page_bytes: usize) -> Option<HeaderFault> {
        let size = usize::from(self.size_and_version & 0xFF00);
        let (lower, upper, special) = (usize::from(self.lower), usize::from(self.upper), usize::from(self.special));
        if self.flags & !FLAGS != 0 {
            Some(HeaderFault::Flags)
        } else if lower > upper || upper > special || special > page_bytes {
            Some(HeaderFault::Bounds)
        } else if special % 8 != 0 {
            Some(HeaderFault::Special)
        } else if lower < usize::from(HEADER_BYTES) {
            Some(HeaderFault::Bounds)
        } else if size != page_bytes || self.size_and_version & 0xFF != LAYOUT_VERSION {
            Some(HeaderFault::Size)
        } else {
            None
        }
    }
}

/// What is wrong with a page's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum HeaderFault {
    /// Flags are set that mean nothing.
    Flags,
    /// The parts of the page overlap or reach beyond it.
    Bounds,
    /// The access method's part begins at no multiple of 8.
    Special,
    /// The page says another size or layout.
    Size,
}

/// What a page is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing is wrong with it as far as can be told from itself.
    Sound,
    /// It was never used: all bytes are zero.
    New,
    /// Its header says that it was never used, but there is something in it.
    NotZero,
    /// It is not what was written.
    Checksum {
        /// What the page says.
        stored: u16,
        /// What its bytes and its place give.
        computed: u16,
    },
    /// Its checksum is right or there is none, but its header cannot be.
    Header(HeaderFault),
}

impl Verdict {
    /// Whether there is nothing to complain of.
    pub const fn is_good(self) -> bool {
        matches!(self, Self::Sound | Self::New)
    }
}

/// Judges a page. `block` is its number in the whole fork, see [`pgtend_model::pgdata::RelationFile::first_block`]. Its length is the
/// page size, a multiple of 128 bytes.
pub fn judge(page: &[u8], block: u32, with_checksums: bool) -> Verdict {
    let header = Header::of(page);
    if header.is_new() {
        return if is_zero(page) { Verdict::New } else { Verdict::NotZero };
    }
    if with_checksums {
        let computed = checksum(page, block);
        if computed != header.checksum {
            return Verdict::Checksum { stored: header.checksum, computed };
        }
    }
    header.fault(page.len()).map_or(Verdict::Sound, Verdict::Header)
}

/// Whether all bytes are zero.
pub fn is_zero(page: &[u8]) -> bool {
    page.chunks(128).all(|part| part.iter().fold(0, |seen, byte| seen | byte) == 0)
}

#[cfg(test)]
mod tests;
