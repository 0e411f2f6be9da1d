//! The names in `pg_wal`, the segments that cover a range, and the history of timelines.
//!
//! Names are those of PostgreSQL's `xlog_internal.h`, histories those of its `timeline.c`.

use super::Lsn;
use std::fmt;

/// The size of a WAL segment: a power of two from 1 MiB to 1 GiB, chosen by `initdb` (`IsValidWalSegSize`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SegmentSize(u32);

impl SegmentSize {
    /// A size in bytes; `None` when PostgreSQL knows no such segments.
    pub fn new(bytes: u32) -> Option<Self> {
        (bytes.is_power_of_two() && (1 << 20..=1 << 30).contains(&bytes)).then_some(Self(bytes))
    }

    /// In bytes.
    pub const fn bytes(self) -> u32 {
        self.0
    }

    /// How many segments the second number of a name counts up to.
    const fn per_log(self) -> u64 {
        (1 << 32) / self.0 as u64
    }
}

/// A WAL segment: the log cut into pieces of one size, on one timeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Segment {
    /// The timeline in its name.
    pub timeline: u32,
    /// Which piece, counted from the beginning of the log.
    pub number: u64,
}

impl Segment {
    /// The segment of this timeline that holds the byte at this position.
    pub fn holding(timeline: u32, lsn: Lsn, size: SegmentSize) -> Self {
        Self { timeline, number: lsn.0 / u64::from(size.0) }
    }

    /// The segment of this timeline that holds the last byte before this position: where what ended there was written
    /// (`XLByteToPrevSeg`), for example the end of a backup.
    pub fn ending_at(timeline: u32, lsn: Lsn, size: SegmentSize) -> Self {
        Self { timeline, number: lsn.0.saturating_sub(1) / u64::from(size.0) }
    }

    /// Its first byte.
    pub fn start(self, size: SegmentSize) -> Lsn {
        Lsn(self.number * u64::from(size.0))
    }

    /// The byte after its last one.
    pub fn end(self, size: SegmentSize) -> Lsn {
        Lsn((self.number + 1) * u64::from(size.0))
    }

    /// The next one on the same timeline.
    #[must_use]
    pub fn next(self) -> Self {
        Self { number: self.number + 1, ..self }
    }

    /// Its file's name: 24 hexadecimal digits.
    pub fn name(self, size: SegmentSize) -> String {
        format!("{:08X}{:08X}{:08X}", self.timeline, self.number / size.per_log(), self.number % size.per_log())
    }

    /// The segment of this name; `None` when it is no segment's, or none of segments of this size.
    pub fn of_name(name: &str, size: SegmentSize) -> Option<Self> {
        let [timeline, log, piece] = numbers(name)?;
        let piece = u64::from(piece);
        (piece < size.per_log()).then_some(Self { timeline, number: u64::from(log) * size.per_log() + piece })
    }
}

/// A file of `pg_wal`, or of an archive, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WalFile {
    /// A whole segment: `000000010000000000000002`.
    Segment(Segment),
    /// A segment that a timeline ended in, or that is still being received: `….partial`.
    Partial(Segment),
    /// What a backup that began at this offset of the segment noted: `….00000028.backup`.
    Backup(Segment, u32),
    /// How a timeline came about: `00000002.history`.
    History(u32),
}

impl WalFile {
    /// What file a name is. `None` for what is nothing of the kind, or not with segments of this size.
    pub fn of_name(name: &str, size: SegmentSize) -> Option<Self> {
        let Some((stem, rest)) = name.split_once('.') else { return Segment::of_name(name, size).map(Self::Segment) };
        if rest == "history" {
            return hex(stem).filter(|timeline| *timeline > 0).map(Self::History);
        }
        let segment = Segment::of_name(stem, size)?;
        if rest == "partial" {
            return Some(Self::Partial(segment));
        }
        let offset = hex(rest.strip_suffix(".backup")?)?;
        (offset < size.0).then_some(Self::Backup(segment, offset))
    }

    /// Its name.
    pub fn name(self, size: SegmentSize) -> String {
        match self {
            Self::Segment(segment) => segment.name(size),
            Self::Partial(segment) => segment.name(size) + ".partial",
            Self::Backup(segment, offset) => format!("{}.{offset:08X}.backup", segment.name(size)),
            Self::History(timeline) => format!("{timeline:08X}.history"),
        }
    }

    /// The timeline in its name.
    pub fn timeline(self) -> u32 {
        match self {
            Self::Segment(segment) | Self::Partial(segment) | Self::Backup(segment, _) => segment.timeline,
            Self::History(timeline) => timeline,
        }
    }
}

/// Whether a name is one of a file of WAL, whatever the size of segments.
pub fn is_wal_name(name: &str) -> bool {
    WalFile::of_name(name, SegmentSize(1 << 20)).is_some()
}

fn numbers(name: &str) -> Option<[u32; 3]> {
    let parts = (name.get(..8)?, name.get(8..16)?, name.get(16..24)?);
    (name.len() == 24).then_some(())?;
    Some([hex(parts.0).filter(|timeline| *timeline > 0)?, hex(parts.1)?, hex(parts.2)?])
}

/// Eight hexadecimal digits in capitals.
fn hex(text: &str) -> Option<u32> {
    let digits = text.len() == 8 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'A'..=b'F'));
    if digits { u32::from_str_radix(text, 16).ok() } else { None }
}

/// A step in the history of a timeline: up to where it followed another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Switch {
    /// The timeline that was left.
    pub timeline: u32,
    /// Where it was left: WAL of that timeline counts up to here.
    pub at: Lsn,
    /// Why, as the server wrote it: `no recovery target specified`.
    pub reason: String,
}

/// The history of a timeline: the timelines it followed, oldest first. Empty for timeline 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct History {
    /// Whose history.
    pub timeline: u32,
    /// Oldest first.
    pub switches: Vec<Switch>,
}

/// What is wrong with a history file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadHistory {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong, in lower case.
    pub why: &'static str,
}

impl fmt::Display for BadHistory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.why)
    }
}

impl History {
    /// Reads the text of a history file, `timeline` being the one in its name.
    ///
    /// # Errors
    /// A line is not `TIMELINE LSN REASON`, or the timelines do not grow, up to below this one.
    pub fn parse(timeline: u32, text: &str) -> Result<Self, BadHistory> {
        let mut switches: Vec<Switch> = Vec::new();
        for (number, line) in (1..).zip(text.lines()) {
            let bad = |why| BadHistory { line: number, why };
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let mut words = line.splitn(3, char::is_whitespace);
            let left = words.next().and_then(|word| word.parse().ok()).ok_or(bad("there is no timeline number"))?;
            let at = words.next().and_then(|word| word.parse().ok()).ok_or(bad("there is no position in the write-ahead log"))?;
            let reason = words.next().unwrap_or_default().trim().to_owned();
            if switches.last().is_some_and(|before| before.timeline >= left) {
                return Err(bad("the timelines do not grow"));
            }
            if left >= timeline {
                return Err(bad("a timeline cannot follow a later one"));
            }
            switches.push(Switch { timeline: left, at, reason });
        }
        Ok(Self { timeline, switches })
    }

    /// The timeline whose WAL counts for the byte at this position.
    pub fn timeline_at(&self, lsn: Lsn) -> u32 {
        self.switches.iter().find(|switch| lsn < switch.at).map_or(self.timeline, |switch| switch.timeline)
    }

    /// Whether this timeline went through that one up to that position at least: whether a copy made there can be rolled forward
    /// along it.
    pub fn passes(&self, timeline: u32, lsn: Lsn) -> bool {
        timeline == self.timeline && self.switches.last().is_none_or(|last| lsn >= last.at)
            || self
                .switches
                .iter()
                .any(|switch| switch.timeline == timeline && lsn <= switch.at && self.timeline_at(Lsn(lsn.0.saturating_sub(1))) == timeline)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u32 = 1 << 20;

    fn size(bytes: u32) -> SegmentSize {
        SegmentSize::new(bytes).unwrap()
    }

    #[test]
    fn sizes_are_powers_of_two_from_one_mebibyte_to_one_gibibyte() {
        for bad in [0, 1, MIB / 2, 3 * MIB, 1 << 31, u32::MAX] {
            assert_eq!(SegmentSize::new(bad), None, "{bad}");
        }
        assert_eq!(size(16 * MIB).bytes(), 16_777_216);
    }

    #[test]
    fn names_depend_on_the_size() {
        let lsn = Lsn(0x16_B374_D848);
        for (bytes, name) in
            [(16 * MIB, "0000000200000016000000B3"), (MIB, "000000020000001600000B37"), (1 << 30, "000000020000001600000002")]
        {
            let segment = Segment::holding(2, lsn, size(bytes));
            assert_eq!(segment.name(size(bytes)), name);
            assert_eq!(Segment::of_name(name, size(bytes)), Some(segment));
            assert!(segment.start(size(bytes)) <= lsn && lsn < segment.end(size(bytes)));
        }
        // A gibibyte's segments count only to 3.
        assert_eq!(Segment::of_name("000000020000001600000004", size(1 << 30)), None);
    }

    #[test]
    fn what_ends_at_a_boundary_is_in_the_segment_before() {
        let sixteen = size(16 * MIB);
        let boundary = Lsn(0x300_0000);
        assert_eq!(Segment::holding(1, boundary, sixteen).number, 3);
        assert_eq!(Segment::ending_at(1, boundary, sixteen).number, 2);
        assert_eq!(Segment::ending_at(1, Lsn(0x300_0001), sixteen).number, 3);
        let last = Segment { timeline: 1, number: 255 };
        assert_eq!(last.next().name(sixteen), "000000010000000100000000");
    }

    #[test]
    fn each_name_of_pg_wal_is_known_and_nothing_else() {
        let sixteen = size(16 * MIB);
        let segment = Segment { timeline: 1, number: 2 };
        for (name, file) in [
            ("000000010000000000000002", WalFile::Segment(segment)),
            ("000000010000000000000002.partial", WalFile::Partial(segment)),
            ("000000010000000000000002.00000028.backup", WalFile::Backup(segment, 0x28)),
            ("00000002.history", WalFile::History(2)),
        ] {
            assert_eq!(WalFile::of_name(name, sixteen), Some(file), "{name}");
            assert_eq!(file.name(sixteen), name);
        }
        for bad in [
            "",
            "archive_status",
            "00000001000000000000000",
            "0000000100000000000000022",
            "00000001000000000000000a",
            "000000010000000000000100",
            "000000000000000000000002",
            "000000010000000000000002.gz",
            "000000010000000000000002.partial.gz",
            "000000010000000000000002.28.backup",
            "000000010000000000000002.FF000028.backup",
            "0000002.history",
            "00000000.history",
            "xlogtemp.4711",
            "ÄÄÄÄÄÄÄÄÄÄÄÄ",
        ] {
            assert_eq!(WalFile::of_name(bad, sixteen), None, "{bad}");
        }
    }

    #[test]
    fn a_history_tells_which_timeline_counts_where() {
        let text = "1\t0/5000000\tno recovery target specified\n\n# by hand\n3\t0/7000098\tbefore 2026-11-21 05:00:00+00\n";
        let history = History::parse(4, text).unwrap();
        assert_eq!(history.switches[1], Switch { timeline: 3, at: Lsn(0x700_0098), reason: "before 2026-11-21 05:00:00+00".to_owned() });
        for (lsn, timeline) in [(0, 1), (0x4FF_FFFF, 1), (0x500_0000, 3), (0x700_0097, 3), (0x700_0098, 4), (u64::MAX, 4)] {
            assert_eq!(history.timeline_at(Lsn(lsn)), timeline, "{lsn:X}");
        }
        assert!(history.passes(1, Lsn(0x500_0000)) && history.passes(3, Lsn(0x600_0000)) && history.passes(4, Lsn(0x700_0098)));
        assert!(!history.passes(1, Lsn(0x500_0001)) && !history.passes(2, Lsn(0x600_0000)) && !history.passes(3, Lsn(0x400_0000)));
        assert!(!history.passes(4, Lsn(0x700_0000)) && !history.passes(5, Lsn(0x800_0000)));
        assert!(History::parse(1, "").unwrap().passes(1, Lsn(0)));
    }

    #[test]
    fn a_broken_history_says_where() {
        for (text, line, why) in [
            ("x", 1, "there is no timeline number"),
            ("1\t0/5\tok\n2 soon", 2, "there is no position in the write-ahead log"),
            ("2\t0/5\tok\n1\t0/6\tback", 2, "the timelines do not grow"),
            ("9\t0/5\tlater", 1, "a timeline cannot follow a later one"),
        ] {
            assert_eq!(History::parse(4, text), Err(BadHistory { line, why }), "{text}");
        }
    }
}
