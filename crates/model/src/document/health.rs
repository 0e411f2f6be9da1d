//! The overall health of a server, part by part.

use super::monitoring::Condition;
use super::status::Status;
use super::{Document, Known, Unknowns};
use crate::error::Result;
use crate::health::{Level, Threshold};
use crate::sample::{Probe, Reason, Unknown};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// The overall health of a server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Health {
    /// The worst of the parts; a part of which nothing is known does not count.
    pub status: Condition,
    /// Now.
    pub timestamp: Timestamp,
    /// Its parts.
    pub components: Components,
    /// Why figures are null.
    pub unknown: Unknowns,
}

/// The parts of a server, held against the thresholds in `[health_checks]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = HealthComponents)]
pub struct Components {
    /// The server as a whole: whether it answers.
    pub database: Database,
    /// Its file systems and shared buffers.
    pub storage: Storage,
    /// The host's memory.
    pub memory: Memory,
    /// Its connections.
    pub connections: Connections,
    /// Its standbys.
    pub replication: Replication,
    /// Its transactions.
    pub transactions: Transactions,
}

/// Whether the server answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = HealthDatabase)]
pub struct Database {
    /// UP or DOWN.
    pub status: Level,
    /// Seconds since it started.
    pub uptime_sec: Option<f64>,
    /// PostgreSQL's version.
    pub version: Option<String>,
    /// Why it does not answer.
    pub error: Option<String>,
}

/// File systems and shared buffers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = HealthStorage)]
pub struct Storage {
    /// UP, DEGRADED or DOWN.
    pub status: Level,
    /// How full the fullest of the server's file systems is, in per cent.
    pub disk_usage_percent: Option<f64>,
    /// Share of block reads found in shared buffers between the last two readings, 0–1.
    pub buffer_pool_hit_ratio: Option<f64>,
}

/// The host's memory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = HealthMemory)]
pub struct Memory {
    /// UP, DEGRADED or DOWN.
    pub status: Level,
    /// Share in use, in per cent.
    pub used_percent: Option<f64>,
}

/// Connections.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = HealthConnections)]
pub struct Connections {
    /// UP, DEGRADED or DOWN.
    pub status: Level,
    /// Running a statement.
    pub active: Option<i64>,
    /// All client connections.
    pub total: Option<i64>,
    /// `max_connections`.
    pub max: Option<i64>,
    /// Share of the connections open to ordinary roles that is in use, in per cent.
    pub utilization_percent: Option<f64>,
}

/// Standbys.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = HealthReplication)]
pub struct Replication {
    /// UP, DEGRADED or DOWN; UP where there are none.
    pub status: Level,
    /// WAL that the standby furthest behind has not replayed, in bytes; on a standby, its own.
    pub lag_bytes: Option<i64>,
    /// The same as time, in seconds.
    pub lag_seconds: Option<f64>,
    /// Standbys that stream and keep up.
    pub replicas_healthy: Option<usize>,
    /// Standbys that are connected.
    pub replicas_total: Option<usize>,
}

/// Transactions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = HealthTransactions)]
pub struct Transactions {
    /// UP where they are known.
    pub status: Level,
    /// Sessions in a transaction.
    pub active: Option<usize>,
    /// Deadlocks within the last hour.
    pub deadlocks_last_hour: Option<i64>,
    /// Deadlocks since the counters were last reset.
    pub deadlocks_total: Option<i64>,
}

/// Parameters of [`Health`].
#[derive(Debug, Clone, Default, Serialize, Deserialize, IntoParams)]
pub struct Params {}

impl Document for Health {
    type Params = Params;
    const PATH: &'static str = "/api/v1/admin/health";
    const ABOUT: &'static str = "The overall health of a server, part by part";
    const PROBES: &'static [Probe] = Status::PROBES;
    const NEEDS_RATES: bool = true;

    fn build(known: &Known<'_>, _params: &Params) -> Result<Self> {
        let status = Status::build(known, &super::status::Params::default())?;
        let components = Components {
            database: database(&status),
            storage: storage(&status, known.thresholds.hit_ratio),
            memory: Memory { status: status.memory.level, used_percent: status.memory.used_percent },
            connections: connections(&status),
            replication: replication(known, &status),
            transactions: transactions(&status),
        };
        let mut unknown = status.unknown;
        unknown.note("transactions.deadlocks_last_hour", Unknown::new(Reason::Absent, "no history of an hour is kept yet"));
        Ok(Self { status: condition(&components), timestamp: known.now, components, unknown })
    }
}

/// The worst of the parts.
fn condition(components: &Components) -> Condition {
    let Components { database, storage, memory, connections, replication, transactions } = components;
    let levels = [database.status, storage.status, memory.status, connections.status, replication.status, transactions.status];
    match levels.into_iter().max() {
        Some(Level::Down) => Condition::Unhealthy,
        Some(Level::Degraded) => Condition::Degraded,
        Some(Level::Up | Level::Unknown) | None => Condition::Healthy,
    }
}

fn database(status: &Status) -> Database {
    let level = match status.state.as_str() {
        "up" => Level::Up,
        "down" => Level::Down,
        _ => Level::Unknown,
    };
    Database { status: level, uptime_sec: status.uptime, version: status.version.clone(), error: status.error.clone() }
}

fn storage(status: &Status, hit_ratio: Threshold) -> Storage {
    let disk = status.disk.level;
    // A server that has just been started reads everything from disk: a bad ratio is worth a look, and no emergency by itself.
    let hits = hit_ratio.level(status.cache_hit_ratio).min(Level::Degraded);
    let level = if disk == Level::Unknown {
        hits
    } else if hits == Level::Unknown {
        disk
    } else {
        disk.max(hits)
    };
    Storage { status: level, disk_usage_percent: status.disk.used_percent, buffer_pool_hit_ratio: status.cache_hit_ratio }
}

fn connections(status: &Status) -> Connections {
    Connections {
        status: status.connections.level,
        active: status.connections.active,
        total: status.connections.total,
        max: status.connections.max,
        utilization_percent: status.connections.used_percent,
    }
}

fn replication(known: &Known<'_>, status: &Status) -> Replication {
    let threshold = known.thresholds.replication_lag_seconds;
    let rows = known.view.readings.replication.current().ok().map(|sample| sample.rows.as_slice());
    let standbys = || rows.into_iter().flatten().filter(|row| row.state.as_deref() != Some("backup"));
    let keeps_up = |ms: Option<f64>| threshold.level(Some(ms.unwrap_or(0.0) / 1e3)) == Level::Up;
    let healthy = standbys().filter(|row| row.state.as_deref() == Some("streaming") && keeps_up(row.replay_lag_ms)).count();
    Replication {
        status: status.replication.level,
        lag_bytes: status.replication.lag_bytes,
        lag_seconds: status.replication.lag_seconds,
        replicas_healthy: rows.map(|_| healthy),
        replicas_total: rows.map(|_| standbys().count()),
    }
}

fn transactions(status: &Status) -> Transactions {
    let sessions = &status.sessions;
    let counts = [sessions.on_cpu, sessions.waiting, sessions.blocked, sessions.idle_in_transaction];
    let active: Option<usize> = counts.into_iter().sum();
    Transactions {
        status: if active.is_some() { Level::Up } else { Level::Unknown },
        active,
        deadlocks_last_hour: None,
        deadlocks_total: status.transactions.deadlocks_total,
    }
}

#[cfg(test)]
mod tests {
    use super::super::by_hand::{at, built, put, view};
    use super::*;
    use crate::error::{Error, Kind};
    use crate::view::{Link, View};
    use serde_json::json;

    fn seen(clients: i64, free_bytes: i64) -> View {
        let mut view = view();
        let server = json!([{"version": "18.4", "started_at": -86_340, "now": 60, "max_connections": 100, "client_backends": clients, "sees_all_sessions": true}]);
        put(&mut view.readings.server, 60, server);
        put(&mut view.readings.database, 50, json!([{"blks_hit": 900, "blks_read": 100}]));
        put(&mut view.readings.database, 60, json!([{"blks_hit": 1882, "blks_read": 118, "deadlocks": 3}]));
        let session = json!({"pid": 1, "backend_type": "client backend", "state": "active", "xact_start": 0});
        put(&mut view.readings.activity, 60, json!([session]));
        let standby = |lag_ms: f64| json!({"pid": 9, "state": "streaming", "replay_lag_ms": lag_ms, "replay_lag_bytes": 1024});
        put(&mut view.readings.replication, 60, json!([standby(200.0), standby(12_000.0)]));
        let disk = json!([{"role": "data", "path": "/data", "size_bytes": 1000, "free_bytes": free_bytes, "available_bytes": free_bytes}]);
        put(&mut view.readings.host_filesystem, 60, disk);
        view
    }

    #[test]
    fn part_by_part() {
        insta::assert_json_snapshot!(built::<Health>(&seen(45, 544), &Params::default()));
    }

    #[test]
    fn the_worst_part_decides() {
        let status = |view: &View| built::<Health>(view, &Params::default())["status"].clone();
        assert_eq!(status(&seen(96, 544)), "UNHEALTHY");
        assert_eq!(status(&seen(45, 100)), "UNHEALTHY");
        let mut down = seen(45, 544);
        down.link = Link::Down { since: at(30), why: Error::new(Kind::Unreachable, "connection refused"), retry_at: at(61) };
        assert_eq!(status(&down), "UNHEALTHY");
        let document = built::<Health>(&view(), &Params::default());
        assert_eq!((&document["status"], &document["components"]["storage"]["status"]), (&json!("HEALTHY"), &json!("UNKNOWN")));
    }
}
