//! What was seen of a data directory whose server does not start.

use crate::backup::Label;
use crate::pgdata::Lsn;
use crate::pgdata::wal::{Segment, SegmentSize};
use std::collections::BTreeSet;

/// Everything that was looked at.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// The major version, or why it is not known.
    pub version: Option<u32>,
    /// The control file.
    pub control: Control,
    /// A `postmaster.pid` that names no running server.
    pub stale_pid: Option<u32>,
    /// `backup_label`.
    pub label: Option<StartLabel>,
    /// Whether `backup_manifest` is there: the directory was made by a base backup.
    pub manifest: bool,
    /// Whether a server has run in this directory: base backups leave `postmaster.opts` out.
    pub has_run: bool,
    /// `recovery.signal` or `standby.signal`, by name.
    pub signal: Option<String>,
    /// Whether `pgtend restore` was cut short here.
    pub unfinished_restore: bool,
    /// Who owns the files, and who should.
    pub owner: Owner,
    /// WAL, where its size of segments is known.
    pub wal: Wal,
    /// Directories that PostgreSQL wants and that are not there.
    pub missing_directories: Vec<String>,
    /// Tablespaces whose directories are not there: OID, and where the link leads.
    pub lost_tablespaces: Vec<(String, String)>,
    /// Commit states and the like.
    pub slru: Vec<Slru>,
    /// First and last number of the files in `pg_xact`, `pg_multixact/offsets` and `pg_multixact/members`.
    pub slru_spans: [Option<(u64, u64)>; 3],
    /// Small files whose contents cannot be: path and why.
    pub damaged_files: Vec<(String, String)>,
    /// Databases without a `PG_VERSION`: paths of those files.
    pub missing_versions: Vec<String>,
    /// Configuration that PostgreSQL does not take: file and what it says.
    pub configuration: Vec<(String, String)>,
    /// File systems with nothing left: path and free bytes.
    pub full: Vec<(String, u64)>,
    /// The newest backup of this cluster, where a repository was given.
    pub backup: Option<Backup>,
    /// What PostgreSQL said last.
    pub log: Vec<String>,
}

/// The control file.
#[derive(Debug, Clone, Default)]
pub enum Control {
    /// It is not there.
    #[default]
    Missing,
    /// It cannot be used, and why.
    Damaged(String),
    /// It is of another version or machine.
    Foreign(String),
    /// It is as it was written.
    Good(Box<State>),
}

/// What a good control file says.
#[derive(Debug, Clone)]
pub struct State {
    /// Which cluster.
    pub system_identifier: u64,
    /// What the server was doing, as `pg_controldata` says it.
    pub doing: String,
    /// Whether it was shut down cleanly.
    pub clean: bool,
    /// The last checkpoint.
    pub checkpoint: Lsn,
    /// Where replay begins.
    pub redo: Lsn,
    /// The timeline.
    pub timeline: u32,
    /// The next transaction, with epoch.
    pub next_xid: u64,
    /// The oldest one that matters.
    pub oldest_xid: u32,
    /// The next multixact.
    pub next_multixact: u32,
    /// The oldest one that matters.
    pub oldest_multixact: u32,
}

/// What `backup_label` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartLabel {
    /// Where replay would begin; none when the file is not understood.
    pub start: Option<(Lsn, u32)>,
}

/// Who owns the data directory.
#[derive(Debug, Clone, Default)]
pub struct Owner {
    /// The user who is to run PostgreSQL.
    pub wanted: String,
    /// The owner of the directory.
    pub found: String,
    /// Its mode.
    pub mode: u32,
    /// How many files belong to others.
    pub foreign: u64,
    /// The first of them.
    pub first: Option<String>,
}

/// The write-ahead log, here and elsewhere.
#[derive(Debug, Clone, Default)]
pub struct Wal {
    /// The size of segments.
    pub size: Option<SegmentSize>,
    /// Segments in `pg_wal` whose header is of this place.
    pub here: BTreeSet<Segment>,
    /// Files in `pg_wal` with the name of a segment that are none: name and why. Recycled ones are not among them.
    pub damaged: Vec<(String, String)>,
    /// Places in the log that those stand for.
    pub damaged_segments: BTreeSet<Segment>,
    /// Segments that can be had elsewhere.
    pub elsewhere: BTreeSet<Segment>,
    /// Where that is; empty where nothing was given.
    pub elsewhere_named: String,
}

impl Wal {
    /// Whether a segment can be had at all.
    pub fn has(&self, segment: Segment) -> bool {
        self.here.contains(&segment) || self.elsewhere.contains(&segment)
    }

    /// The last segment that can be reached from this one without a gap; none when this one is not to be had.
    pub fn reaches(&self, from: Segment) -> Option<Segment> {
        let mut last = self.has(from).then_some(from)?;
        while self.has(last.next()) {
            last = last.next();
        }
        Some(last)
    }

    /// The last segment of this timeline that is anywhere.
    pub fn newest(&self, timeline: u32) -> Option<Segment> {
        self.here.iter().chain(&self.elsewhere).chain(&self.damaged_segments).copied().filter(|segment| segment.timeline == timeline).max()
    }
}

/// A missing or short file of `pg_xact`, `pg_multixact`, ….
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Slru {
    /// Path of the file.
    pub path: String,
    /// What is wrong with it.
    pub why: String,
    /// Bytes that a whole one has.
    pub bytes: u64,
}

/// A backup of this cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backup {
    /// Its name.
    pub label: Label,
    /// Where replay from it begins.
    pub start: Lsn,
    /// On which timeline.
    pub timeline: u32,
    /// The size of its segments.
    pub size: SegmentSize,
}

/// Pages of SLRU files in one segment (`SLRU_PAGES_PER_SEGMENT`).
const PAGES_PER_SEGMENT: u64 = 32;
/// The size of these pages.
const PAGE: u64 = 8192;
/// Transactions in one segment of `pg_xact`: four in a byte.
pub const XIDS_PER_SEGMENT: u64 = PAGE * 4 * PAGES_PER_SEGMENT;
/// Multixacts in one segment of `pg_multixact/offsets`: four bytes each.
pub const MULTIXACTS_PER_SEGMENT: u64 = PAGE / 4 * PAGES_PER_SEGMENT;
/// Members in one segment of `pg_multixact/members`: 409 groups of four in a page.
pub const MEMBERS_PER_SEGMENT: u64 = 409 * 4 * PAGES_PER_SEGMENT;
/// Bytes of a whole segment.
pub const SLRU_BYTES: u64 = PAGE * PAGES_PER_SEGMENT;

/// Which files of a directory are missing or short for identifiers from `oldest` up to (not including) `next`. `there` are the files with their
/// lengths. The first ones may have been removed since the control file was written, unless the server was shut down.
pub fn slru_gaps(directory: &str, there: &[(u64, u64)], oldest: u64, next: u64, per_segment: u64, clean: bool) -> Vec<Slru> {
    if next <= oldest {
        // Wrapped around, or nothing yet: which are wanted is not known well enough.
        return Vec::new();
    }
    let (first, last) = (oldest / per_segment, (next - 1) / per_segment);
    let bytes = |number: u64| there.iter().find(|(found, _)| *found == number).map(|(_, bytes)| *bytes);
    let begins =
        if clean { first } else { there.iter().map(|(number, _)| *number).filter(|number| *number >= first).min().unwrap_or(last) };
    let mut gaps = Vec::new();
    for number in begins..=last {
        let wanted = if number < last { SLRU_BYTES } else { ((next - 1) % per_segment / (per_segment / PAGES_PER_SEGMENT) + 1) * PAGE };
        let why = match bytes(number) {
            None => "it is missing".to_owned(),
            Some(found) if found < wanted && clean => format!("it has {found} bytes and needs {wanted}"),
            Some(_) => continue,
        };
        gaps.push(Slru { path: format!("{directory}/{number:04X}"), why, bytes: SLRU_BYTES });
    }
    gaps
}
