//! `global/pg_control`: whose data directory this is, how far it is, and the sizes it was made with.
//!
//! The layout is PostgreSQL's `struct ControlFileData` (`catalog/pg_control.h`) as a 64-bit machine with 8-byte alignment lays it out.
//! It has three formats in 13 to 18: 1300 (13 to 16), 1700, which put `wal_level` into what was padding in `struct CheckPoint`, and
//! 1800, which put `default_char_signedness` before the nonce, so that only the place of the checksum at the end differs.

use super::bytes::{bool_at, u32_at, u64_at};
use crate::process::system;
use pgtend_model::error::{Error, Kind, Result};
use pgtend_model::pgdata::Lsn;
use pgtend_model::pgdata::relation;
use pgtend_model::pgdata::wal::SegmentSize;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where it is in a data directory.
pub const PATH: &str = "global/pg_control";
/// How often it is read before a mismatch of its checksum is believed: the server may be writing it (`get_controlfile` tries as often).
const ATTEMPTS: u32 = 10;
/// How long between two readings.
const PAUSE: Duration = Duration::from_millis(10);
/// Where the copy of the last checkpoint starts.
const CHECKPOINT: usize = 40;

/// What the server was doing when it last wrote the file (`enum DBState`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Starting for the first time.
    Startup,
    /// Shut down cleanly: everything is in the data files.
    ShutDown,
    /// A standby, shut down cleanly: replay goes on at its next start.
    ShutDownInRecovery,
    /// Shutting down.
    ShuttingDown,
    /// Replaying WAL after a crash.
    InCrashRecovery,
    /// Replaying WAL from an archive or a primary.
    InArchiveRecovery,
    /// Running, or it crashed while it did.
    InProduction,
}

impl State {
    fn of_number(number: u32) -> Option<Self> {
        let known = [
            Self::Startup,
            Self::ShutDown,
            Self::ShutDownInRecovery,
            Self::ShuttingDown,
            Self::InCrashRecovery,
            Self::InArchiveRecovery,
            Self::InProduction,
        ];
        known.get(usize::try_from(number).ok()?).copied()
    }

    /// Whether the data files are complete without replaying WAL, apart from what a standby still wants to replay.
    pub const fn is_clean(self) -> bool {
        matches!(self, Self::ShutDown | Self::ShutDownInRecovery)
    }
}

impl fmt::Display for State {
    /// As `pg_controldata` says it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Startup => "starting up",
            Self::ShutDown => "shut down",
            Self::ShutDownInRecovery => "shut down in recovery",
            Self::ShuttingDown => "shutting down",
            Self::InCrashRecovery => "in crash recovery",
            Self::InArchiveRecovery => "in archive recovery",
            Self::InProduction => "in production",
        })
    }
}

/// The last checkpoint (`struct CheckPoint`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Where its record is.
    pub lsn: Lsn,
    /// Where replay has to begin.
    pub redo: Lsn,
    /// The timeline it was made on.
    pub timeline: u32,
    /// The timeline before; the same unless this checkpoint begins a timeline.
    pub previous_timeline: u32,
    /// Whether `full_page_writes` was on.
    pub full_page_writes: bool,
    /// The next transaction's identifier with its epoch in the upper half.
    pub next_xid: u64,
    /// The next object's OID.
    pub next_oid: u32,
    /// The next multixact.
    pub next_multixact: u32,
    /// The next multixact's place among the members.
    pub next_multixact_offset: u32,
    /// The oldest transaction identifier that may still be in a data file.
    pub oldest_xid: u32,
    /// The database that has it.
    pub oldest_xid_database: u32,
    /// The oldest multixact that may still be in a data file.
    pub oldest_multixact: u32,
    /// The database that has it.
    pub oldest_multixact_database: u32,
    /// When it was made, in seconds since 1970.
    pub time_s: i64,
}

/// `wal_level`, as the file has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum WalLevel {
    /// Crash recovery only: no backup can be rolled forward.
    Minimal,
    /// Enough for archiving and standbys.
    Replica,
    /// Enough for logical decoding too.
    Logical,
}

/// Settings that replay needs at least as high as they were on the server that wrote the WAL (`CheckRequiredParameterValues`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capacity {
    /// `max_connections`.
    pub connections: u32,
    /// `max_worker_processes`.
    pub worker_processes: u32,
    /// `max_wal_senders`.
    pub wal_senders: u32,
    /// `max_prepared_transactions`.
    pub prepared_transactions: u32,
    /// `max_locks_per_transaction`.
    pub locks_per_transaction: u32,
}

/// What `pg_control` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ControlFile {
    /// Which cluster this is: the same in all of its copies and standbys and in every WAL segment.
    pub system_identifier: u64,
    /// The format of the file: 1300, 1700 or 1800.
    pub control_version: u32,
    /// The format of the system catalogs, which names the tablespaces' folders.
    pub catalog_version: u32,
    /// What the server was doing.
    pub state: State,
    /// When the file was last written, in seconds since 1970.
    pub written_s: i64,
    /// The last checkpoint, or restart point of a standby.
    pub checkpoint: Checkpoint,
    /// Up to where a standby or a restored copy has to replay before it is consistent.
    pub minimum_recovery: Option<Lsn>,
    /// The timeline of that position.
    pub minimum_recovery_timeline: u32,
    /// Where the backup began that this copy is being recovered from.
    pub backup_start: Option<Lsn>,
    /// Where a backup taken from a standby ended.
    pub backup_end: Option<Lsn>,
    /// Whether replay has to meet the end of that backup before the copy is consistent.
    pub backup_end_required: bool,
    /// `wal_level` of the running or last run server.
    pub wal_level: WalLevel,
    /// What the running or last run server had room for: replaying its WAL needs as much.
    pub capacity: Capacity,
    /// `wal_log_hints`: hint bits reach the WAL even without checksums, so that `pg_rewind` works.
    pub wal_log_hints: bool,
    /// The size of a page in bytes (`BLCKSZ`).
    pub block_bytes: u32,
    /// How many pages a relation's file has before the next one begins (`RELSEG_SIZE`).
    pub relation_segment_blocks: u32,
    /// The size of a WAL page in bytes (`XLOG_BLCKSZ`).
    pub wal_block_bytes: u32,
    /// The size of a WAL segment.
    pub wal_segment: SegmentSize,
    /// The version of page checksums; 0 without.
    pub data_checksum_version: u32,
}

/// Why the bytes are no `pg_control` that can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// Fewer bytes than any version writes.
    Short,
    /// A format that this program does not know.
    Format(u32),
    /// The bytes of its numbers are in the other order: it is of another kind of machine.
    ByteOrder,
    /// It was not written as its checksum says. It may be being written.
    Checksum {
        /// What the file says.
        stored: u32,
        /// What its bytes give.
        computed: u32,
    },
    /// A value that cannot be, although the checksum is right.
    Value(&'static str),
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short => f.write_str("the control file is too short"),
            Self::Format(version) => write!(f, "the control file has the format {version}, which is none of PostgreSQL 13 to 18"),
            Self::ByteOrder => f.write_str("the control file was written on a machine with another byte order"),
            Self::Checksum { stored, computed } => {
                write!(f, "the control file is damaged: its checksum is {stored:08x}, its contents give {computed:08x}")
            }
            Self::Value(what) => write!(f, "the control file says something that cannot be: {what}"),
        }
    }
}

/// A control file as it was read, with its bytes: what a backup keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// What it says.
    pub control: ControlFile,
    /// The whole file, of which this was decoded.
    pub bytes: Vec<u8>,
}

/// Reads the control file of a data directory, again and again for a tenth of a second when its checksum does not match.
///
/// # Errors
/// `NotFound` when there is none: this is no data directory. `Unsupported` for formats of other versions and machines. `System` when
/// it cannot be read or is damaged.
pub fn read(data: &Path) -> Result<Reading> {
    let path = data.join(PATH);
    let mut attempt = 1;
    loop {
        let bytes = fs::read(&path).map_err(|error| unreadable(data, &path, &error))?;
        match decode(&bytes) {
            Ok(control) => return Ok(Reading { control, bytes }),
            Err(Trouble::Checksum { .. } | Trouble::Short) if attempt < ATTEMPTS => std::thread::sleep(PAUSE),
            Err(trouble) => return Err(refusal(&trouble, path)),
        }
        attempt += 1;
    }
}

fn unreadable(data: &Path, path: &Path, error: &std::io::Error) -> Error {
    if error.kind() == std::io::ErrorKind::NotFound {
        return Error::new(Kind::NotFound, "this is not a PostgreSQL data directory: it has no global/pg_control")
            .at(data.display().to_string());
    }
    system("could not read the control file", path, error)
}

fn refusal(trouble: &Trouble, path: PathBuf) -> Error {
    let kind = match trouble {
        Trouble::Format(_) | Trouble::ByteOrder => Kind::Unsupported,
        Trouble::Short | Trouble::Checksum { .. } | Trouble::Value(_) => Kind::System,
    };
    let refused = Error::new(kind, trouble.to_string()).at(path.display().to_string());
    if kind == Kind::Unsupported {
        return refused.hint("use pgtend on the machine that runs this server, which has to be PostgreSQL 13 to 18");
    }
    refused.hint("restore global/pg_control from a backup; do not run pg_resetwal before the whole directory has been copied")
}

/// Decodes the bytes of a control file.
///
/// # Errors
/// What is wrong with them.
pub fn decode(bytes: &[u8]) -> Result<ControlFile, Trouble> {
    let control_version = u32_at(bytes, 8);
    let checksum_at = match control_version {
        1300 | 1700 => 288,
        1800 => 292,
        version if matches!(version.swap_bytes(), 1300 | 1700 | 1800) => return Err(Trouble::ByteOrder),
        _ if bytes.len() < 296 => return Err(Trouble::Short),
        version => return Err(Trouble::Format(version)),
    };
    let covered = bytes.get(..checksum_at).filter(|_| bytes.len() >= 296).ok_or(Trouble::Short)?;
    let (stored, computed) = (u32_at(bytes, checksum_at), crc32c::crc32c(covered));
    if stored != computed {
        return Err(Trouble::Checksum { stored, computed });
    }
    let control = ControlFile {
        system_identifier: u64_at(bytes, 0),
        control_version,
        catalog_version: u32_at(bytes, 12),
        state: State::of_number(u32_at(bytes, 16)).ok_or(Trouble::Value("the state of the server"))?,
        written_s: u64_at(bytes, 24).cast_signed(),
        checkpoint: checkpoint(bytes),
        minimum_recovery: Lsn(u64_at(bytes, 136)).known(),
        minimum_recovery_timeline: u32_at(bytes, 144),
        backup_start: Lsn(u64_at(bytes, 152)).known(),
        backup_end: Lsn(u64_at(bytes, 160)).known(),
        backup_end_required: bool_at(bytes, 168),
        wal_level: wal_level(u32_at(bytes, 172)).ok_or(Trouble::Value("wal_level"))?,
        capacity: Capacity {
            connections: u32_at(bytes, 180),
            worker_processes: u32_at(bytes, 184),
            wal_senders: u32_at(bytes, 188),
            prepared_transactions: u32_at(bytes, 192),
            locks_per_transaction: u32_at(bytes, 196),
        },
        wal_log_hints: bool_at(bytes, 176),
        block_bytes: u32_at(bytes, 216),
        relation_segment_blocks: u32_at(bytes, 220),
        wal_block_bytes: u32_at(bytes, 224),
        wal_segment: SegmentSize::new(u32_at(bytes, 228)).ok_or(Trouble::Value("the size of WAL segments"))?,
        data_checksum_version: u32_at(bytes, 252),
    };
    sane(&control)?;
    Ok(control)
}

fn checkpoint(bytes: &[u8]) -> Checkpoint {
    let word = |offset| u32_at(bytes, CHECKPOINT + offset);
    Checkpoint {
        lsn: Lsn(u64_at(bytes, 32)),
        redo: Lsn(u64_at(bytes, CHECKPOINT)),
        timeline: word(8),
        previous_timeline: word(12),
        full_page_writes: bool_at(bytes, CHECKPOINT + 16),
        next_xid: u64_at(bytes, CHECKPOINT + 24),
        next_oid: word(32),
        next_multixact: word(36),
        next_multixact_offset: word(40),
        oldest_xid: word(44),
        oldest_xid_database: word(48),
        oldest_multixact: word(52),
        oldest_multixact_database: word(56),
        time_s: u64_at(bytes, CHECKPOINT + 64).cast_signed(),
    }
}

fn wal_level(number: u32) -> Option<WalLevel> {
    match number {
        0 => Some(WalLevel::Minimal),
        1 => Some(WalLevel::Replica),
        2 => Some(WalLevel::Logical),
        _ => None,
    }
}

/// What others divide by and allocate by has to be possible: pages of 1 to 32 KiB in powers of two (`configure --with-blocksize`).
fn sane(control: &ControlFile) -> Result<(), Trouble> {
    let is_page = |bytes: u32| bytes.is_power_of_two() && (1024..=32_768).contains(&bytes);
    if !is_page(control.block_bytes) {
        return Err(Trouble::Value("the size of pages"));
    }
    if !(control.wal_block_bytes.is_power_of_two() && (1024..=65_536).contains(&control.wal_block_bytes)) {
        return Err(Trouble::Value("the size of WAL pages"));
    }
    if control.relation_segment_blocks == 0 {
        return Err(Trouble::Value("the size of relation files"));
    }
    Ok(())
}

impl ControlFile {
    /// Whether pages carry checksums.
    pub const fn has_checksums(&self) -> bool {
        self.data_checksum_version != 0
    }

    /// The folder of this version in tablespaces, for a server of this major version.
    pub fn version_folder(&self, major: u32) -> String {
        relation::version_folder(major, self.catalog_version)
    }
}

/// The major version of a data directory, from its `PG_VERSION`.
///
/// # Errors
/// `NotFound` when there is none, `System` when it cannot be read, `Unsupported` when it is no number.
pub fn major(data: &Path) -> Result<u32> {
    let path = data.join("PG_VERSION");
    let text = fs::read_to_string(&path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            Error::new(Kind::NotFound, "this is not a PostgreSQL data directory: it has no PG_VERSION").at(data.display().to_string())
        }
        _ => system("could not read the version of the data directory", &path, &error),
    })?;
    text.trim().parse().map_err(|_| {
        Error::new(Kind::Unsupported, "the data directory is of a version that is no number, so of none that is supported")
            .at(path.display().to_string())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A control file of this format in which nothing is zero that counts.
    fn sample(version: u32) -> Vec<u8> {
        let mut bytes = vec![0; 8192];
        let mut put = |at: usize, value: &[u8]| bytes[at..at + value.len()].copy_from_slice(value);
        put(0, &7_123_456_789_012_345_678_u64.to_le_bytes());
        put(8, &version.to_le_bytes());
        put(16, &6_u32.to_le_bytes());
        put(172, &1_u32.to_le_bytes());
        for (at, value) in [(216, 8192_u32), (220, 131_072), (224, 8192), (228, 16_777_216), (252, 1)] {
            put(at, &value.to_le_bytes());
        }
        seal(&mut bytes, version);
        bytes
    }

    fn seal(bytes: &mut [u8], version: u32) {
        let at = if version == 1800 { 292 } else { 288 };
        let sum = crc32c::crc32c(&bytes[..at]);
        bytes[at..at + 4].copy_from_slice(&sum.to_le_bytes());
    }

    #[test]
    fn each_format_is_read() {
        for version in [1300, 1700, 1800] {
            let control = decode(&sample(version)).unwrap();
            assert_eq!(control.system_identifier, 7_123_456_789_012_345_678);
            assert_eq!((control.state, control.wal_level), (State::InProduction, WalLevel::Replica));
            assert_eq!((control.block_bytes, control.relation_segment_blocks), (8192, 131_072));
            assert!(control.has_checksums());
        }
    }

    #[test]
    fn damage_is_noticed_in_every_byte_that_is_covered() {
        let good = sample(1800);
        for at in 0..296 {
            let mut bytes = good.clone();
            bytes[at] ^= 4;
            assert!(decode(&bytes).is_err(), "byte {at}");
        }
        assert_eq!(decode(&good[..100]), Err(Trouble::Short));
        assert_eq!(decode(&[]), Err(Trouble::Short));
    }

    #[test]
    fn other_versions_and_machines_are_told_apart() {
        let mut bytes = sample(1300);
        bytes[8..12].copy_from_slice(&1201_u32.to_le_bytes());
        assert_eq!(decode(&bytes), Err(Trouble::Format(1201)));
        bytes[8..12].copy_from_slice(&1300_u32.to_be_bytes());
        assert_eq!(decode(&bytes), Err(Trouble::ByteOrder));
    }

    #[test]
    fn values_that_cannot_be_are_refused_before_anybody_divides_by_them() {
        for (at, value) in [(216, 0_u32), (216, 5000), (220, 0), (224, 3), (228, 1), (16, 7), (172, 9)] {
            let mut bytes = sample(1300);
            bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
            seal(&mut bytes, 1300);
            assert!(matches!(decode(&bytes), Err(Trouble::Value(_))), "{at}");
        }
    }
}
