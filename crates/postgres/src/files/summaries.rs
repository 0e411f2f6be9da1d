//! WAL summaries (17 and later, `summarize_wal`): which pages changed between two positions in the write-ahead log.
//!
//! A file of `pg_wal/summaries` is named `TIMELINE START END .summary`, eight hexadecimal digits for the timeline and sixteen for each
//! position (`backup/walsummary.c`). It holds a block reference table (`common/blkreftable.c`): a magic number; for each fork a header
//! (tablespace, database, relfilenode, fork, limit block, number of chunks), the length of each chunk, and the chunks; a header of
//! zeros; a CRC-32C of all before. A chunk stands for 65,536 pages: up to 4,095 offsets of two bytes, or a bitmap of 4,096 words.

use super::bytes::{u16_at, u32_at};
use crate::process::system;
use pgtend_model::error::{Error, Kind, Result};
use pgtend_model::pgdata::Lsn;
use pgtend_model::pgdata::relation::{Fork, Locator};
use std::fs;
use std::path::{Path, PathBuf};

/// Where they are in a data directory.
pub const FOLDER: &str = "pg_wal/summaries";
/// What the file begins with (`BLOCKREFTABLE_MAGIC`).
const MAGIC: u32 = 0x652B_137B;
const HEADER_BYTES: usize = 24;
const CHUNK_PAGES: u32 = 1 << 16;
/// A chunk of this many words is a bitmap (`MAX_ENTRIES_PER_CHUNK`).
const BITMAP_WORDS: u16 = 4096;
/// The limit block of a fork that was not cut (`InvalidBlockNumber`).
const NOT_CUT: u32 = u32::MAX;

/// A summary by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Summary {
    /// The timeline.
    pub timeline: u32,
    /// The first position it covers.
    pub start: Lsn,
    /// The position after the last one it covers.
    pub end: Lsn,
}

impl Summary {
    /// The summary of this name; `None` when it is none.
    pub fn of_name(name: &str) -> Option<Self> {
        let digits = name.strip_suffix(".summary").filter(|digits| digits.len() == 40)?;
        let is_hex = digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'A'..=b'F'));
        let number = |from: usize, to: usize| is_hex.then(|| u64::from_str_radix(&digits[from..to], 16).ok()).flatten();
        let (start, end) = (Lsn(number(8, 24)?), Lsn(number(24, 40)?));
        (start < end).then_some(Self { timeline: u32::try_from(number(0, 8)?).ok()?, start, end })
    }

    /// Its file's name.
    pub fn name(&self) -> String {
        format!("{:08X}{:016X}{:016X}.summary", self.timeline, self.start.0, self.end.0)
    }

    /// Where it is in a data directory.
    pub fn path(&self, data: &Path) -> PathBuf {
        data.join(FOLDER).join(self.name())
    }
}

/// The summaries of a data directory, by timeline and start. None before 17, or where `summarize_wal` was never on.
///
/// # Errors
/// `System` when the folder cannot be read.
pub fn list(data: &Path) -> Result<Vec<Summary>> {
    let folder = data.join(FOLDER);
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(system("could not list the WAL summaries", &folder, &error)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| system("could not list the WAL summaries", &folder, &error))?;
        found.extend(entry.file_name().to_str().and_then(Summary::of_name));
    }
    found.sort_unstable();
    Ok(found)
}

/// The summaries of one timeline that together cover everything from one position to another, in order (`FilterWalSummaries` and
/// `WalSummariesAreComplete`).
///
/// # Errors
/// The first position that no summary covers.
pub fn covering(summaries: &[Summary], timeline: u32, from: Lsn, to: Lsn) -> Result<Vec<Summary>, Lsn> {
    let mut chosen: Vec<Summary> =
        summaries.iter().filter(|summary| summary.timeline == timeline && summary.start < to && summary.end > from).copied().collect();
    chosen.sort_unstable();
    let mut covered = from;
    for summary in &chosen {
        if summary.start > covered {
            break;
        }
        covered = covered.max(summary.end);
    }
    if covered >= to { Ok(chosen) } else { Err(covered) }
}

/// What happened to one fork in the range of a summary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// Which fork.
    pub locator: Locator,
    /// The fewest pages the fork had meanwhile: whatever it has from this page on is new. 0 when it was made or removed. `None` when it
    /// was never cut.
    pub limit_block: Option<u32>,
    /// The pages that changed, ascending within each chunk of 65,536.
    pub blocks: Vec<u32>,
}

/// Reads a summary, checks it as a whole, and gives all forks in it.
///
/// # Errors
/// `System` when it cannot be read, or is damaged: its pages cannot be known then.
pub fn read(path: &Path) -> Result<Vec<Changed>> {
    let bytes = fs::read(path).map_err(|error| system("could not read the WAL summary", path, &error))?;
    decode(&bytes).map_err(|why| {
        Error::new(Kind::System, format!("the WAL summary is damaged: {why}"))
            .at(path.display().to_string())
            .hint("the next backup has to read all files; remove the summary when nothing else needs it")
    })
}

/// Decodes the bytes of a summary.
///
/// # Errors
/// What is wrong with them.
pub fn decode(bytes: &[u8]) -> Result<Vec<Changed>, &'static str> {
    let (covered, sum) = bytes.split_last_chunk::<4>().ok_or("it is too short")?;
    if u32_at(bytes, 0) != MAGIC {
        return Err("it does not begin as one");
    }
    if crc32c::crc32c(covered) != u32::from_le_bytes(*sum) {
        return Err("its checksum does not match");
    }
    let mut rest = Rest(covered.get(4..).ok_or("it is too short")?);
    let mut all = Vec::new();
    loop {
        let header = rest.take(HEADER_BYTES)?;
        if header.iter().all(|byte| *byte == 0) {
            return if rest.0.is_empty() { Ok(all) } else { Err("there is something after its end") };
        }
        all.push(fork(header, &mut rest)?);
    }
}

fn fork(header: &[u8], rest: &mut Rest<'_>) -> Result<Changed, &'static str> {
    let word = |index: usize| u32_at(header, index * 4);
    let fork = Fork::of_number(word(3)).ok_or("it names a fork that there is not")?;
    let locator = Locator { tablespace: word(0), database: word(1), relfilenode: word(2), fork };
    let limit_block = Some(word(4)).filter(|limit| *limit != NOT_CUT);
    let chunks = usize::try_from(word(5)).map_err(|_| "it has too many chunks")?;
    let lengths = rest.take(chunks.checked_mul(2).ok_or("it has too many chunks")?)?;
    let mut blocks = Vec::new();
    for (first, length) in (0_u32..).step_by(CHUNK_PAGES as usize).zip(lengths.chunks_exact(2)) {
        let words = u16_at(length, 0);
        let chunk = rest.take(usize::from(words) * 2)?;
        let offsets = chunk.chunks_exact(2).map(|word| u16_at(word, 0));
        if words == BITMAP_WORDS {
            for (word, bits) in (0_u32..).zip(offsets) {
                blocks.extend((0..16).filter(|bit| bits & (1 << bit) != 0).map(|bit| first + word * 16 + bit));
            }
        } else {
            blocks.extend(offsets.map(|offset| first + u32::from(offset)));
        }
    }
    Ok(Changed { locator, limit_block, blocks })
}

/// The bytes that were not decoded yet.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], &'static str> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or("it ends too early")?;
        self.0 = rest;
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[u32]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
        bytes.extend([0; HEADER_BYTES]);
        let sum = crc32c::crc32c(&bytes);
        bytes.extend(sum.to_le_bytes());
        bytes
    }

    /// A fork with some pages in its first chunk, none in its second and a bitmap as its third; and one that was made anew.
    fn sample() -> Vec<u8> {
        let mut bytes = words(&[MAGIC, 1663, 5, 16384, 0, NOT_CUT, 3]);
        for length in [2_u16, 0, BITMAP_WORDS] {
            bytes.extend(length.to_le_bytes());
        }
        for offset in [7_u16, 65_535] {
            bytes.extend(offset.to_le_bytes());
        }
        let mut bitmap = vec![0; 8192];
        (bitmap[0], bitmap[8191]) = (0b10, 0x80);
        bytes.extend(bitmap);
        bytes.extend(words(&[1663, 5, 16385, 2, 0, 0]));
        sealed(bytes)
    }

    #[test]
    fn pages_come_from_offsets_and_bitmaps() {
        let all = decode(&sample()).unwrap();
        let locator = Locator { tablespace: 1663, database: 5, relfilenode: 16384, fork: Fork::Main };
        let blocks = vec![7, 65_535, 131_073, 196_607];
        let made = Locator { relfilenode: 16385, fork: Fork::Vm, ..locator };
        assert_eq!(all, [Changed { locator, limit_block: None, blocks }, Changed { locator: made, limit_block: Some(0), blocks: vec![] }]);
        assert_eq!(decode(&sealed(words(&[MAGIC]))), Ok(vec![]));
    }

    #[test]
    fn damage_is_never_read_as_fewer_pages() {
        let good = sample();
        for at in [0, 5, 30, 40, 5000, good.len() - 30, good.len() - 1] {
            let mut bytes = good.clone();
            bytes[at] ^= 1;
            assert!(decode(&bytes).is_err(), "byte {at}");
        }
        for length in [0, 3, 4, 20, 100, good.len() - 1] {
            assert!(decode(&good[..length]).is_err(), "{length} bytes");
        }
        assert_eq!(decode(&sealed(words(&[MAGIC, 1663, 5, 16384, 0, 0, u32::MAX]))), Err("it ends too early"));
        assert_eq!(decode(&sealed(words(&[MAGIC, 1663, 5, 16384, 9, 0, 0]))), Err("it names a fork that there is not"));
    }

    #[test]
    fn names_are_those_of_the_server() {
        let name = "0000000100000000010000280000000001523F78.summary";
        let summary = Summary::of_name(name).unwrap();
        assert_eq!(summary, Summary { timeline: 1, start: Lsn(0x100_0028), end: Lsn(0x152_3F78) });
        assert_eq!(summary.name(), name);
        for bad in ["temp.summary", "0000000100000000010000280000000001523F78", "00000001000000000152 3F780000000001000028.summary"] {
            assert_eq!(Summary::of_name(bad), None, "{bad}");
        }
        assert_eq!(Summary::of_name("0000000100000000015000280000000001000028.summary"), None, "it ends before it begins");
    }

    #[test]
    fn a_range_is_covered_without_a_gap_or_not_at_all() {
        let summary = |timeline, start, end| Summary { timeline, start: Lsn(start), end: Lsn(end) };
        let all = [summary(1, 10, 20), summary(1, 20, 30), summary(1, 40, 50), summary(2, 30, 40)];
        assert_eq!(covering(&all, 1, Lsn(12), Lsn(30)), Ok(vec![all[0], all[1]]));
        assert_eq!(covering(&all, 1, Lsn(12), Lsn(45)), Err(Lsn(30)));
        assert_eq!(covering(&all, 1, Lsn(5), Lsn(15)), Err(Lsn(5)));
        assert_eq!(covering(&all, 3, Lsn(12), Lsn(15)), Err(Lsn(12)));
        assert_eq!(covering(&all, 1, Lsn(12), Lsn(12)), Ok(vec![all[0]]));
    }
}
