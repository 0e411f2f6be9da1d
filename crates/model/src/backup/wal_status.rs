//! How a server's WAL gets into its repositories, and what of it is there: what `pgtend wal status` tells.

use super::wal_bounds::WalPressure;
use super::wal_gap::{TimelineWal, WalRange};
use super::wal_stream::Streaming;
use crate::error::Error;
use crate::pgdata::Lsn;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How the archiving of one server goes. Counts are since the agent started.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Archiving {
    /// Files that became durable in every required repository.
    pub archived_files: u64,
    /// Their bytes.
    pub archived_bytes: u64,
    /// Bytes that they take there.
    pub stored_bytes: u64,
    /// Files that were durable before PostgreSQL asked for it.
    pub ahead_files: u64,
    /// The file that became durable last.
    pub last_archived: Option<String>,
    /// When that was.
    pub last_archived_at: Option<Timestamp>,
    /// Bytes a second over the last minute.
    pub bytes_per_second: Option<f64>,
    /// Tries that failed.
    pub failures: u64,
    /// Since when every try fails.
    pub failing_since: Option<Timestamp>,
    /// The last error, while it fails.
    pub error: Option<Error>,
    /// Segments that wait in `pg_wal`: the lag of the archive. Unknown where `pg_wal` cannot be looked into.
    pub waiting_segments: Option<u64>,
    /// Their bytes.
    pub waiting_bytes: Option<u64>,
    /// Age of the oldest of them, in seconds; 0 when none waits.
    pub waiting_seconds: Option<f64>,
    /// Bytes that are free on the file system of `pg_wal`.
    pub free_bytes: Option<u64>,
    /// Whether too much waits, or too little is free.
    pub pressure: WalPressure,
    /// Why, where it is so.
    pub pressure_reason: Option<String>,
    /// Segments that were dropped, so that the server goes on.
    pub dropped_files: u64,
    /// Files that recovery asked for and got.
    pub fetched_files: u64,
    /// Those of them that were there before it asked.
    pub fetched_ahead_files: u64,
    /// How streaming goes; none where it is not wanted.
    #[serde(default)]
    pub streaming: Option<Streaming>,
    /// Gaps in each repository, where it has been looked.
    pub gaps: Vec<RepositoryGaps>,
}

/// Gaps in a repository, as of the last look.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RepositoryGaps {
    /// Its name.
    pub repository: String,
    /// How many there are.
    pub gaps: u64,
    /// Whether one lies after the start of the newest backup, so that the present cannot be reached.
    pub broken: bool,
}

/// All servers' WAL.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct WalStatus {
    /// In the order of the configuration.
    pub servers: Vec<ServerWal>,
}

/// One server's WAL.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ServerWal {
    /// The server.
    pub server: String,
    /// How archiving goes.
    pub archiving: Archiving,
    /// What is in each repository.
    pub repositories: Vec<RepositoryWal>,
}

/// One server's WAL in one repository.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RepositoryWal {
    /// The repository.
    pub repository: String,
    /// Whether WAL counts as archived only when it is there.
    pub required: bool,
    /// Why nothing can be told of it now.
    pub error: Option<Error>,
    /// The cluster's identity, decimal.
    pub system_identifier: Option<String>,
    /// Segments that are there.
    pub segments: u64,
    /// Bytes that all WAL takes there.
    pub stored_bytes: u64,
    /// The oldest segment, by its place in the log.
    pub oldest: Option<String>,
    /// The newest one.
    pub newest: Option<String>,
    /// The segment after it that is not whole yet, as far as it was streamed.
    #[serde(default)]
    pub open: Option<OpenSegment>,
    /// When the newest object came, by the storage's clock.
    pub last_archived_at: Option<Timestamp>,
    /// What is there of each timeline, and what is missing.
    pub timelines: Vec<TimelineWal>,
    /// Segments that were dropped on purpose.
    pub dropped: Vec<String>,
    /// The first gap after the start of the newest backup: until the next backup, no moment after it can be reached.
    pub broken_by: Option<WalRange>,
}

/// A segment of which a part was streamed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OpenSegment {
    /// Its name.
    pub segment: String,
    /// Up to where it is there.
    #[schema(value_type = String)]
    pub end_lsn: Lsn,
    /// When the last of it came, by the storage's clock.
    pub at: Timestamp,
}
