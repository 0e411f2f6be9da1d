//! How a server is: the fields of guide 1's health check and what one looks at next.

pub(super) mod host;
mod replication;

use super::{Document, Known, Unknowns};
use crate::ash::State;
use crate::error::{Error, Kind, Result};
use crate::health::Level;
use crate::sample::activity::Activity;
use crate::sample::{Probe, Reason, Sample, Unknown};
use crate::view::{Link, View};
use jiff::{Timestamp, Unit};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// How a server is now. Figures that could not be had are null; `unknown` says why.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Status {
    /// Its name in the configuration.
    pub server: String,
    /// Where it is, without user or password.
    pub target: String,
    /// Whether it answers: `up`, `down` or `connecting`.
    pub state: String,
    /// Since when.
    pub since: Option<Timestamp>,
    /// Why it does not answer.
    pub error: Option<String>,
    /// What kind of error that is.
    pub error_kind: Option<Kind>,
    /// PostgreSQL's version.
    pub version: Option<String>,
    /// `primary` or `standby`.
    pub role: Option<String>,
    /// Seconds since the server started.
    pub uptime: Option<f64>,
    /// Client connections.
    pub connections: Connections,
    /// Transactions since the counters were last reset.
    pub transactions: Transactions,
    /// Share of block reads found in shared buffers since the last reading, 0–1.
    pub cache_hit_ratio: Option<f64>,
    /// What sessions do now.
    pub sessions: Sessions,
    /// The host's processors.
    pub cpu: Cpu,
    /// The host's memory.
    pub memory: Memory,
    /// The fullest of the file systems that hold the server's directories.
    pub disk: Disk,
    /// How far standbys are behind; on a standby, how far it is behind itself.
    pub replication: Replication,
    /// Errors that the server reports.
    pub errors: Errors,
    /// Why figures are null.
    pub unknown: Unknowns,
}

/// How every server of an agent is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Servers {
    /// In the order of the configuration.
    pub servers: Vec<Status>,
}

/// Client connections.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = StatusConnections)]
pub struct Connections {
    /// All client backends.
    pub total: Option<i64>,
    /// Running a statement.
    pub active: Option<i64>,
    /// `max_connections`.
    pub max: Option<i64>,
    /// Share of the connections open to ordinary roles that is in use, in per cent.
    pub used_percent: Option<f64>,
    /// That share, held against `[health_checks.connection_pool]`.
    pub level: Level,
}

/// Transactions of all databases.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = StatusTransactions)]
pub struct Transactions {
    /// Committed, since the counters were last reset.
    pub committed_total: Option<i64>,
    /// Rolled back, since the counters were last reset.
    pub rolled_back_total: Option<i64>,
    /// Committed and rolled back a second, between the last two readings.
    pub per_second: Option<f64>,
    /// Deadlocks, since the counters were last reset.
    pub deadlocks_total: Option<i64>,
}

/// What sessions do now.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = StatusSessions)]
pub struct Sessions {
    /// On a processor, as far as PostgreSQL knows.
    pub on_cpu: Option<usize>,
    /// Waiting for something other than a lock.
    pub waiting: Option<usize>,
    /// Waiting for a lock.
    pub blocked: Option<usize>,
    /// Idle in a transaction.
    pub idle_in_transaction: Option<usize>,
    /// Age of the oldest transaction, in seconds.
    pub oldest_transaction_seconds: Option<f64>,
}

/// The host's processors.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = StatusCpu)]
pub struct Cpu {
    /// Share of their time that was not idle, of all processes of the host, between the last two readings, in per cent.
    pub used_percent: Option<f64>,
    /// Share of their time in which they had nothing to do but to wait for a disk, in per cent.
    pub iowait_percent: Option<f64>,
    /// Processors, or the limit of the server's control group.
    pub cores: Option<f64>,
    /// Processes that ran or waited for a processor or a disk, mean of one minute.
    pub load1: Option<f64>,
}

/// The host's memory.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = StatusMemory)]
pub struct Memory {
    /// Share that programs can no longer get without swapping, in per cent; of the limit of the server's control group where there is one.
    pub used_percent: Option<f64>,
    /// All memory, or the limit of the server's control group, in bytes.
    pub total_bytes: Option<i64>,
    /// What programs can still get, in bytes.
    pub available_bytes: Option<i64>,
    /// Swap space in use, in bytes.
    pub swap_used_bytes: Option<i64>,
    /// The share in use, held against `[health_checks.memory]`.
    pub level: Level,
}

/// A file system.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = StatusDisk)]
pub struct Disk {
    /// Share in use, in per cent, as df has it.
    pub used_percent: Option<f64>,
    /// Which of the server's directories is on it.
    pub path: Option<String>,
    /// Its size in bytes.
    pub size_bytes: Option<i64>,
    /// What the server can still write, in bytes.
    pub available_bytes: Option<i64>,
    /// The share in use, held against `[health_checks.disk_space]`.
    pub level: Level,
}

/// How far standbys are behind.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = StatusReplication)]
pub struct Replication {
    /// On a primary the lag of the standby that is furthest behind, on a standby its own, in seconds.
    pub lag_seconds: Option<f64>,
    /// The same in bytes of WAL.
    pub lag_bytes: Option<i64>,
    /// Standbys that stream from this server.
    pub standbys: Option<usize>,
    /// The lag, held against `[health_checks.replication_lag]`; UP where nothing replicates.
    pub level: Level,
}

/// Errors that the server reports.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = StatusErrors)]
pub struct Errors {
    /// Messages of level ERROR and above in the server's log, a minute.
    pub rate_per_minute: Option<f64>,
}

/// Parameters of [`Status`].
#[derive(Debug, Clone, Default, Serialize, Deserialize, IntoParams)]
pub struct Params {}

impl Document for Status {
    type Params = Params;
    const PATH: &'static str = "/api/v1/status";
    const ABOUT: &'static str = "How a server is: reachability, connections, transactions, sessions";
    const PROBES: &'static [Probe] = &[
        Probe::Server,
        Probe::Database,
        Probe::Activity,
        Probe::Replication,
        Probe::Recovery,
        Probe::HostCpu,
        Probe::HostMemory,
        Probe::HostFilesystem,
        Probe::LogReading,
    ];
    const FRESH: &'static [Probe] = &[Probe::Server, Probe::Database, Probe::Connections];
    const NEEDS_RATES: bool = true;

    fn build(known: &Known<'_>, _params: &Params) -> Result<Self> {
        let view = known.view;
        let mut unknown = Unknowns::default();
        let server = unknown.take("version", view.readings.server.current()).and_then(|sample| sample.rows.first());
        let (state, since, error) = link(&view.link);
        let error_kind = error.as_ref().map(|error| error.kind);
        Ok(Self {
            server: view.name.clone(),
            target: view.target.clone(),
            state: state.to_owned(),
            since,
            error: error.map(ToString::to_string),
            error_kind,
            version: server.map(|row| row.version.to_string()),
            role: server.map(|row| if row.in_recovery { "standby" } else { "primary" }.to_owned()),
            uptime: server.map(|row| seconds(row.now, row.started_at)),
            connections: connections(known, &mut unknown),
            transactions: transactions(view, &mut unknown),
            cache_hit_ratio: unknown.take("cache_hit_ratio", cache_hit_ratio(view)),
            sessions: sessions(known, &mut unknown),
            cpu: host::cpu(view, &mut unknown),
            memory: host::memory(known, &mut unknown),
            disk: host::disk(known, &mut unknown),
            replication: replication::lag(known, &mut unknown),
            errors: Errors { rate_per_minute: unknown.take("errors.rate_per_minute", error_rate(view)) },
            unknown,
        })
    }
}

fn error_rate(view: &View) -> Result<f64, Unknown> {
    let reading = view.readings.log_reading.current().map_err(Clone::clone)?;
    reading.rows.first().map(|row| row.errors_per_minute).ok_or_else(|| Unknown::new(Reason::Pending, "the log was not read yet"))
}

fn link(link: &Link) -> (&'static str, Option<Timestamp>, Option<&Error>) {
    match link {
        Link::Connecting => ("connecting", None, None),
        Link::Up { since } => ("up", Some(*since), None),
        Link::Down { since, why, .. } => ("down", Some(*since), Some(why)),
    }
}

fn connections(known: &Known<'_>, unknown: &mut Unknowns) -> Connections {
    let view = known.view;
    let Some(server) = unknown.take("connections", view.readings.server.current()).and_then(|sample| sample.rows.first()) else {
        return Connections::default();
    };
    let active = unknown.take("connections.active", all_sessions(view)).map(|sample| {
        sample
            .rows
            .iter()
            .filter(|row| row.backend_type.as_deref() == Some("client backend") && row.state.as_deref() == Some("active"))
            .count()
    });
    let open = (server.max_connections - server.reserved_connections).max(1);
    let used_percent = Some(percent(server.client_backends, open));
    Connections {
        total: Some(server.client_backends),
        active: active.and_then(|count| i64::try_from(count).ok()),
        max: Some(server.max_connections),
        used_percent,
        level: known.thresholds.connections_percent.level(used_percent),
    }
}

fn transactions(view: &View, unknown: &mut Unknowns) -> Transactions {
    let Some(sample) = unknown.take("transactions", view.readings.database.current()) else { return Transactions::default() };
    let sum = |figure: fn(&crate::sample::database::Database) -> i64| Some(sample.rows.iter().map(figure).sum());
    Transactions {
        committed_total: sum(|row| row.xact_commit),
        rolled_back_total: sum(|row| row.xact_rollback),
        per_second: unknown
            .take("transactions.per_second", crate::delta::rate(&view.readings.database, |row| row.xact_commit + row.xact_rollback)),
        deadlocks_total: sum(|row| row.deadlocks),
    }
}

fn cache_hit_ratio(view: &View) -> Result<f64, Unknown> {
    let hits = crate::delta::growth(&view.readings.database, |row| row.blks_hit)?;
    let reads = crate::delta::growth(&view.readings.database, |row| row.blks_read)?;
    if hits + reads == 0 {
        return Err(Unknown::new(Reason::Absent, "no block was read since the last reading"));
    }
    Ok(percent(hits, hits + reads) / 100.0)
}

/// The sessions, as long as the role sees those of others: counts of a part would be wrong.
fn all_sessions(view: &View) -> Result<&Sample<Activity>, Unknown> {
    view.readings.server.current()?;
    view.sees_all_sessions()?;
    view.readings.activity.current().map_err(Clone::clone)
}

fn sessions(known: &Known<'_>, unknown: &mut Unknowns) -> Sessions {
    let Some(sample) = unknown.take("sessions", all_sessions(known.view)) else { return Sessions::default() };
    let clients = || sample.rows.iter().filter(|row| row.backend_type.as_deref() == Some("client backend"));
    let count = |state: State| Some(clients().filter(|row| crate::ash::state_of(row) == state).count());
    Sessions {
        on_cpu: count(State::Active),
        waiting: count(State::Waiting),
        blocked: count(State::Blocked),
        idle_in_transaction: count(State::Idle),
        oldest_transaction_seconds: clients()
            .filter_map(|row| row.xact_start)
            .min()
            .map(|oldest| seconds(known.view.on_server_clock(sample.at), oldest)),
    }
}

fn seconds(later: Timestamp, earlier: Timestamp) -> f64 {
    (later - earlier).total(Unit::Second).unwrap_or(0.0).max(0.0)
}

#[expect(clippy::cast_precision_loss, reason = "a percentage needs no more than a double's precision")]
fn percent(part: i64, whole: i64) -> f64 {
    part as f64 * 100.0 / whole as f64
}
