//! What is known when the doctor decides. What could not be found out says why.

use crate::backup::wal_stream::Streaming;
use crate::backup::{BackupHead, Label};
use crate::error::Error;
use jiff::{SignedDuration, Timestamp};

/// Something that was asked for: the answer, or why there is none.
pub type Asked<T> = Result<T, Error>;

/// All facts about one server.
#[derive(Debug, Clone)]
pub struct Facts {
    /// By this machine's clock.
    pub now: Timestamp,
    /// Name of the server.
    pub server: String,
    /// The role that connects.
    pub role: String,
    /// What the server says.
    pub asked: Asked<ServerFacts>,
    /// Its data directory, where it is on this machine.
    pub data_directory: Option<Asked<FileFacts>>,
    /// How the streaming of its WAL goes; none where it is not wanted.
    pub streaming: Option<Streaming>,
    /// This machine.
    pub host: HostFacts,
    /// Whether logical backups are taken on schedule.
    pub logical: bool,
    /// Connections that a logical backup uses.
    pub jobs: u64,
    /// Each repository.
    pub repositories: Vec<RepositoryFacts>,
}

/// What the server says.
#[derive(Debug, Clone, Default)]
pub struct ServerFacts {
    /// As `server_version_num`.
    pub version: u32,
    /// Whether it is a standby.
    pub in_recovery: bool,
    /// Whether the role is a superuser.
    pub superuser: bool,
    /// Whether the role may make replication slots.
    pub replication: bool,
    /// Until when its password is valid.
    pub valid_until: Option<Timestamp>,
    /// Whether it may begin and end a backup.
    pub may_back_up: bool,
    /// Whether it may read settings and control data that a backup needs.
    pub monitor: bool,
    /// Whether it may read all tables; none before 14.
    pub reads_all_data: Option<bool>,
    /// `archive_mode`.
    pub archive_mode: String,
    /// `archive_command`, or the library.
    pub archiver: String,
    /// The segment that its archiver failed on last, if that was after the last success.
    pub failing: Option<String>,
    /// `max_connections`, without those reserved for superusers.
    pub connections: u64,
    /// Of these, in use.
    pub used_connections: u64,
    /// What its clock says more than this machine's.
    pub clock_ahead: SignedDuration,
}

/// A file or directory.
#[derive(Debug, Clone, Default)]
pub struct FileFacts {
    /// Its path.
    pub path: String,
    /// Who owns it.
    pub owner: String,
    /// Its permission bits.
    pub mode: u32,
    /// Whether this process may read it.
    pub readable: bool,
    /// Whether this process may write to it.
    pub writable: bool,
}

/// This machine.
#[derive(Debug, Clone, Default)]
pub struct HostFacts {
    /// Who runs the agent.
    pub user: String,
    /// Programs of PostgreSQL.
    pub tools: ToolFacts,
    /// Files that a process may hold open; none without a limit.
    pub open_files: Option<u64>,
    /// SELinux and AppArmor.
    pub security: SecurityFacts,
    /// The disk of `pg_wal`, where it is on this machine.
    pub wal_disk: Option<DiskFacts>,
    /// The disk of the staging directory.
    pub staging: Option<DiskFacts>,
}

/// Programs that are here.
#[derive(Debug, Clone, Default)]
pub struct ToolFacts {
    /// Majors of `postgres`, by which a backup is replayed.
    pub postgres: Vec<u16>,
    /// Majors of `pg_dump`.
    pub pg_dump: Vec<u16>,
    /// Majors of `pg_restore`.
    pub pg_restore: Vec<u16>,
    /// Majors of `pg_verifybackup`.
    pub pg_verifybackup: Vec<u16>,
}

/// What else may forbid access.
#[derive(Debug, Clone, Default)]
pub struct SecurityFacts {
    /// `enforcing` or `permissive`, where there is SELinux.
    pub selinux: Option<String>,
    /// Whether AppArmor is on.
    pub apparmor: bool,
    /// As what this process is confined, where it is.
    pub confined: Option<String>,
}

/// A file system.
#[derive(Debug, Clone, Default)]
pub struct DiskFacts {
    /// A path on it.
    pub path: String,
    /// Bytes that are free for the agent's user.
    pub free_bytes: u64,
    /// All bytes.
    pub total_bytes: u64,
    /// Share of inodes that are free; none where there is no such thing.
    pub free_inodes: Option<f64>,
}

/// A repository.
#[derive(Debug, Clone)]
pub struct RepositoryFacts {
    /// Its name.
    pub name: String,
    /// Where it is.
    pub place: String,
    /// Whether it could be opened, and what a probe of its storage came to: seconds.
    pub probed: Asked<f64>,
    /// What the storage's clock says.
    pub clock: Asked<ClockFacts>,
    /// Its directory, where it is one.
    pub directory: Option<Asked<FileFacts>>,
    /// Its disk, where it is a directory.
    pub disk: Option<DiskFacts>,
    /// Its key file, where it has one.
    pub key_file: Option<Asked<FileFacts>>,
    /// Whether the key file lies inside of the repository's directory.
    pub key_inside: bool,
    /// Whether this host can read what it writes.
    pub reads: bool,
    /// Backups of the server, oldest first; and what cannot be read.
    pub backups: Asked<(Vec<BackupHead>, Vec<Error>)>,
    /// Each kind that is taken on schedule.
    pub expected: Vec<ExpectedFacts>,
    /// What a sample of the newest backup came to; none where there is none.
    pub sample: Option<Asked<Sample>>,
    /// The last `repo verify` of this agent; none where there was none.
    pub verified: Option<Verified>,
    /// The server's WAL in it; none where it has none to be archived by this agent.
    pub wal: Option<Asked<WalFacts>>,
    /// Locks in it.
    pub locks: Asked<Vec<LockFacts>>,
}

/// The storage's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct ClockFacts {
    /// What it says more than this machine's.
    pub ahead: SignedDuration,
}

/// Backups of a kind that are taken on schedule.
#[derive(Debug, Clone)]
pub struct ExpectedFacts {
    /// Which, for people: `physical`, `logical`, `files etc`.
    pub what: String,
    /// How far apart two turns of the schedule are; none when it is off.
    pub every: Option<SignedDuration>,
    /// The newest.
    pub newest: Option<Newest>,
    /// Why the last try failed, if it did.
    pub failed: Option<Error>,
}

/// The newest backup of a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Newest {
    /// Its name.
    pub label: Label,
    /// When it ended.
    pub finished: Timestamp,
    /// What is not in it, and should be.
    pub warnings: u64,
    /// Pages that are wrong in it.
    pub wrong_pages: u64,
}

/// The last verification of the whole repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verified {
    /// When it ended.
    pub at: Timestamp,
    /// Whether all was sound.
    pub sound: bool,
}

/// A sample of a backup that was read back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// Of which.
    pub label: Label,
    /// Extents that were read and proved.
    pub extents: u64,
    /// Of so many.
    pub of: u64,
}

/// The server's WAL in a repository.
#[derive(Debug, Clone, Default)]
pub struct WalFacts {
    /// When the newest segment came.
    pub last: Option<Timestamp>,
    /// How many gaps there are.
    pub gaps: u64,
    /// The first segment that is missing after the newest backup.
    pub broken_by: Option<String>,
    /// Segments that wait in `pg_wal`.
    pub waiting: Option<u64>,
}

/// A lock.
#[derive(Debug, Clone)]
pub struct LockFacts {
    /// Its name.
    pub name: String,
    /// What its holder does.
    pub what: String,
    /// Where.
    pub host: String,
    /// Whether nobody renewed it within its lease.
    pub left_over: bool,
}
