//! What a backup is, as its head in the repository says: `docs/repository-format.md`.

use super::Label;
use crate::pgdata::Lsn;
use jiff::Timestamp;

/// What was backed up, and how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum BackupKind {
    /// The files of a server, to be made consistent by replaying WAL.
    #[default]
    Physical,
    /// What `pg_dump` and `pg_dumpall --globals-only` gave.
    Logical,
    /// A tree of files that is none of PostgreSQL's.
    Files,
}

impl BackupKind {
    /// Its name.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Physical => "physical",
            Self::Logical => "logical",
            Self::Files => "files",
        }
    }
}

/// The head of a backup. A backup exists when its head does.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
pub struct BackupHead {
    /// Version of the format.
    pub format: u32,
    /// Its name.
    #[schema(value_type = String)]
    pub label: Label,
    /// Name of the server in the configuration.
    pub server: String,
    /// The cluster's identity, decimal.
    pub system_identifier: String,
    /// The server's version, as `server_version_num` counts.
    pub postgresql_version: u32,
    /// What was backed up.
    pub kind: BackupKind,
    /// When it began, by the clock of the host that copied.
    pub started: Timestamp,
    /// When everything was durable.
    pub finished: Timestamp,
    /// Where replay begins.
    #[schema(value_type = String)]
    pub start_lsn: Lsn,
    /// Where the data is consistent.
    #[schema(value_type = String)]
    pub stop_lsn: Lsn,
    /// The timeline it was taken on.
    pub timeline: u32,
    /// The first segment of WAL it needs.
    pub start_wal: String,
    /// The last segment of WAL without which it is worth nothing.
    pub stop_wal: String,
    /// Bytes of a WAL segment.
    pub wal_segment_bytes: u64,
    /// Whether a standby was read.
    pub from_standby: bool,
    /// What was found of the pages' checksums.
    pub checksums: Checksums,
    /// Tablespaces beside the default ones.
    #[serde(default)]
    pub tablespaces: Vec<Tablespace>,
    /// Bytes of all files.
    pub bytes: u64,
    /// Bytes of extents that the repository did not have.
    pub new_bytes: u64,
    /// Bytes that those take in the repository.
    pub stored_bytes: u64,
    /// Number of files.
    pub files: u64,
    /// What its reader should know.
    #[serde(default)]
    pub notes: Vec<String>,
    /// What should be in it and is not; at most [`MOST_WARNINGS`] are named.
    #[serde(default)]
    pub warnings: Vec<String>,
    /// How many of those there are.
    #[serde(default)]
    pub warning_count: u64,
    /// What is in a logical backup.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dump: Option<Dump>,
    /// The host of a file tree.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub host: String,
    /// What a file tree consists of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roots: Vec<String>,
}

/// Warnings that a head names at most.
pub const MOST_WARNINGS: usize = 1000;

/// What is in a logical backup.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
#[schema(as = BackupDump)]
pub struct Dump {
    /// The version of the `pg_dump` that wrote it, such as `15.18`.
    pub pg_dump: String,
    /// Whether `globals.sql` has the passwords of roles; only a superuser may read them.
    pub role_passwords: bool,
    /// The databases.
    pub databases: Vec<DumpedDatabase>,
    /// Databases that were left out on purpose.
    #[serde(default)]
    pub left_out: Vec<String>,
}

/// A database in a logical backup.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
pub struct DumpedDatabase {
    /// Its name.
    pub name: String,
    /// Where its dump lies in the backup.
    pub path: String,
    /// Who owned it.
    pub owner: String,
    /// Its encoding, by name.
    pub encoding: String,
    /// `LC_COLLATE`.
    pub collate: String,
    /// `LC_CTYPE`.
    pub ctype: String,
    /// Bytes of its dump.
    pub bytes: u64,
    /// Its extensions.
    #[serde(default)]
    pub extensions: Vec<DumpedExtension>,
}

/// An extension in a database.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
pub struct DumpedExtension {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// A tablespace: a link in `pg_tblspc`.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
pub struct Tablespace {
    /// Its OID, which is the link's name.
    pub oid: u32,
    /// Where the link leads.
    pub path: String,
}

/// Page checksums, as they were read while the files were copied.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
pub struct Checksums {
    /// Whether the cluster has them.
    pub enabled: bool,
    /// Pages that were read and checked; those in files that had not changed were not.
    pub checked_pages: u64,
    /// Pages that were wrong twice in a row, as `path: block`; at most 1,000 are named.
    #[serde(default)]
    pub wrong: Vec<String>,
    /// How many were wrong.
    pub wrong_pages: u64,
}

/// The format of heads that this program writes.
const FORMAT: u32 = 1;

impl BackupHead {
    /// A backup that began and has copied nothing yet.
    pub fn begun(kind: BackupKind, server: impl Into<String>, label: Label, started: Timestamp) -> Self {
        Self { format: FORMAT, label, server: server.into(), kind, started, finished: started, ..Self::default() }
    }

    /// The note of a backup of a server that nobody archives.
    pub const UNARCHIVED: &str = "nobody archives the server's WAL: this backup can be restored, but not rolled forward";

    /// Whether nobody archived when it was taken, so that it had to bring its own WAL.
    pub fn is_unarchived(&self) -> bool {
        self.notes.iter().any(|note| note == Self::UNARCHIVED)
    }

    /// How long it took, in seconds.
    pub fn duration_seconds(&self) -> f64 {
        self.finished.duration_since(self.started).as_secs_f64()
    }
}
