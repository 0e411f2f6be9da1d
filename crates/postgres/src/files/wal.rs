//! The first page of a WAL segment: which server, which timeline and which place a segment is of.
//!
//! The layout is `struct XLogLongPageHeaderData` (`access/xlog_internal.h`): magic 0–1, flags 2–3, timeline 4–7, address 8–15,
//! remaining length 16–19, padding, system identifier 24–31, segment size 32–35, page size 36–39.

use super::bytes::{u16_at, u32_at, u64_at};
use super::control::ControlFile;
use crate::process::system;
use pgtend_model::error::Result;
use pgtend_model::pgdata::Lsn;
use pgtend_model::pgdata::wal::Segment;
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// The length of the header.
pub const HEADER_BYTES: usize = 40;
/// The flag of pages with this header: the first of each segment (`XLP_LONG_HEADER`).
const LONG_HEADER: u16 = 0x0002;

/// What the first page of a segment says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Changes with the format of WAL; see [`major_of_magic`].
    pub magic: u16,
    /// The timeline of the first record on the page. In the first segment after a switch it is the older one.
    pub timeline: u32,
    /// Where the segment begins.
    pub address: Lsn,
    /// The cluster's identifier, as in its control file.
    pub system_identifier: u64,
    /// The size of segments in bytes.
    pub segment_bytes: u32,
    /// The size of pages in bytes.
    pub page_bytes: u32,
}

impl Header {
    /// The header of a segment that begins with these bytes, [`HEADER_BYTES`] at least. `None` when they are no long page header: the
    /// segment was never written, or is damaged.
    pub fn of(bytes: &[u8]) -> Option<Self> {
        let is_one = bytes.len() >= HEADER_BYTES && u16_at(bytes, 2) & LONG_HEADER != 0 && major_of_magic(u16_at(bytes, 0)).is_some();
        is_one.then(|| Self {
            magic: u16_at(bytes, 0),
            timeline: u32_at(bytes, 4),
            address: Lsn(u64_at(bytes, 8)),
            system_identifier: u64_at(bytes, 24),
            segment_bytes: u32_at(bytes, 32),
            page_bytes: u32_at(bytes, 36),
        })
    }

    /// Reads the header of a segment's file; `None` as for [`Header::of`].
    ///
    /// # Errors
    /// `System` when the file cannot be read.
    pub fn read(path: &Path) -> Result<Option<Self>> {
        let mut bytes = Vec::with_capacity(HEADER_BYTES);
        File::open(path)
            .and_then(|file| file.take(HEADER_BYTES as u64).read_to_end(&mut bytes))
            .map_err(|error| system("could not read the WAL segment", path, &error))?;
        Ok(Self::of(&bytes))
    }
}

/// The first page of these bytes, which begin at a page's start, that was not written for its place: a recycled segment beyond the end of the WAL has
/// pages of long ago.
pub fn unwritten_page(bytes: &[u8], start: Lsn, header: &Header) -> Option<Lsn> {
    let page_bytes = usize::try_from(header.page_bytes).ok().filter(|bytes| *bytes >= HEADER_BYTES)?;
    let pages = bytes.chunks(page_bytes).zip((start.0..).step_by(page_bytes));
    let is_other = |page: &[u8], at| page.len() < 16 || u16_at(page, 0) != header.magic || u64_at(page, 8) != at;
    pages.into_iter().find(|(page, at)| is_other(page, *at)).map(|(_, at)| Lsn(at))
}

/// The major version that writes WAL with this magic number (`XLOG_PAGE_MAGIC` of each branch).
pub const fn major_of_magic(magic: u16) -> Option<u32> {
    match magic {
        0xD106 => Some(13),
        0xD10D => Some(14),
        0xD110 => Some(15),
        0xD113 => Some(16),
        0xD116 => Some(17),
        0xD118 => Some(18),
        _ => None,
    }
}

/// Why a segment is not what its name and this server's control file make one expect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(tag = "mismatch", rename_all = "snake_case")]
pub enum Mismatch {
    /// It does not begin as WAL of a supported version does: never written, damaged, compressed or encrypted.
    NoHeader,
    /// It was written by another cluster: a clone that archives into the same place, or a wrong directory.
    OtherServer {
        /// Whose it is.
        found: u64,
        /// Whose it should be.
        expected: u64,
    },
    /// It was written by another major version.
    OtherVersion {
        /// The version whose format it has.
        found: u32,
        /// The version of this server.
        expected: u32,
    },
    /// Segments of this server have another size.
    OtherSize {
        /// In bytes.
        found: u32,
        /// In bytes.
        expected: u32,
    },
    /// It begins elsewhere than its name says: a recycled segment that was not written yet, or a renamed one.
    OtherPlace {
        /// Where it begins.
        found: Lsn,
        /// Where its name says that it begins.
        expected: Lsn,
    },
    /// It begins on a later timeline than its name says.
    OtherTimeline {
        /// Its timeline.
        found: u32,
        /// The one in its name.
        expected: u32,
    },
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoHeader => f.write_str("it does not begin as a WAL segment of PostgreSQL 13 to 18 does"),
            Self::OtherServer { found, expected } => write!(f, "it belongs to the cluster {found}, not to {expected}"),
            Self::OtherVersion { found, expected } => write!(f, "PostgreSQL {found} wrote it, not {expected}"),
            Self::OtherSize { found, expected } => write!(f, "its segments have {found} bytes, those of this server {expected}"),
            Self::OtherPlace { found, expected } => write!(f, "it begins at {found}, its name says {expected}"),
            Self::OtherTimeline { found, expected } => write!(f, "it begins on timeline {found}, its name says {expected}"),
        }
    }
}

/// Whether a segment of this name, with these first bytes, belongs to the server with this control file and major version.
///
/// # Errors
/// The first thing that does not fit.
pub fn check(first_bytes: &[u8], segment: Segment, control: &ControlFile, major: u32) -> Result<Header, Mismatch> {
    let header = Header::of(first_bytes).ok_or(Mismatch::NoHeader)?;
    let expected = control.system_identifier;
    if header.system_identifier != expected {
        return Err(Mismatch::OtherServer { found: header.system_identifier, expected });
    }
    if let Some(found) = major_of_magic(header.magic).filter(|found| *found != major) {
        return Err(Mismatch::OtherVersion { found, expected: major });
    }
    let expected = control.wal_segment.bytes();
    if header.segment_bytes != expected {
        return Err(Mismatch::OtherSize { found: header.segment_bytes, expected });
    }
    let expected = segment.start(control.wal_segment);
    if header.address != expected {
        return Err(Mismatch::OtherPlace { found: header.address, expected });
    }
    // The segment in which a timeline begins is copied from the one before, so its first pages may carry an older timeline.
    if header.timeline > segment.timeline {
        return Err(Mismatch::OtherTimeline { found: header.timeline, expected: segment.timeline });
    }
    Ok(header)
}
