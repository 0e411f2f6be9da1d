//! The figures that one looks at first, each made in one place for metrics and documents alike. One that cannot be made says why.

use crate::delta::rate;
use crate::derive::{Executions, executions};
use crate::sample::host_cpu::HostCpu;
use crate::sample::server::Server;
use crate::sample::{Reason, Sample, Slot, Unknown};
use crate::view::View;
use jiff::{Timestamp, Unit};

/// A figure, or why there is none.
pub type Figure<T> = Result<T, Unknown>;

/// How far one standby is behind.
#[derive(Debug, Clone, PartialEq)]
pub struct Lag {
    /// The standby's name: what it calls itself, or the server's own name on a standby.
    pub standby: String,
    /// Bytes of WAL that it has not replayed.
    pub bytes: Option<i64>,
    /// How far its replay is behind in time.
    pub seconds: Option<f64>,
}

/// Seconds since the server started.
///
/// # Errors
/// Why it is not known.
pub fn uptime_seconds(view: &View, now: Timestamp) -> Figure<f64> {
    let started_at = server(view)?.started_at;
    Ok((view.on_server_clock(now) - started_at).total(Unit::Second).unwrap_or(0.0).max(0.0))
}

/// Sessions of clients in a state (`active`, `idle`, …).
///
/// # Errors
/// Why it is not known.
pub fn client_sessions(view: &View, state: &str) -> Figure<i64> {
    view.sees_all_sessions()?;
    let rows = &view.readings.connections.current()?.rows;
    let wanted = rows.iter().filter(|row| row.backend_type.as_deref() == Some("client backend") && row.state.as_deref() == Some(state));
    Ok(wanted.map(|row| row.count).sum())
}

/// Sessions of clients in a transaction, idle or not.
///
/// # Errors
/// Why it is not known.
pub fn active_transactions(view: &View) -> Figure<i64> {
    view.sees_all_sessions()?;
    let rows = &view.readings.activity.current()?.rows;
    let open = rows.iter().filter(|row| row.xact_start.is_some() && row.backend_type.as_deref() == Some("client backend"));
    Ok(i64::try_from(open.count()).unwrap_or(i64::MAX))
}

/// Transactions committed and rolled back a second, between the last two readings.
///
/// # Errors
/// Why it is not known.
pub fn transactions_per_second(view: &View) -> Figure<f64> {
    rate(&view.readings.database, |row| row.xact_commit + row.xact_rollback)
}

/// The statements executed between the last two readings of `pg_stat_statements`.
///
/// # Errors
/// Why they are not known.
pub fn statements(view: &View) -> Figure<Executions> {
    let (older, newer, _) = view.readings.statements.pair()?;
    Ok(executions(Some(older), newer))
}

/// Statements executed a second, between these readings.
///
/// # Errors
/// Why it is not known.
#[expect(clippy::cast_precision_loss, reason = "a rate is a double by definition")]
pub fn queries_per_second(view: &View) -> Figure<f64> {
    let (_, _, seconds) = view.readings.statements.pair()?;
    Ok(statements(view)?.calls() as f64 / seconds)
}

/// Size of shared buffers.
///
/// # Errors
/// Why it is not known.
pub fn buffer_pool_size_bytes(view: &View) -> Figure<i64> {
    setting_in_base_unit(view, "shared_buffers")
}

/// Shared buffers in use.
///
/// # Errors
/// Why it is not known; `pg_buffercache` tells it.
pub fn buffer_pool_used_bytes(view: &View) -> Figure<i64> {
    Ok(first(&view.readings.buffercache)?.buffers_used * setting_in_base_unit(view, "block_size")?)
}

/// Share of the blocks asked for since the last reading that were in shared buffers, 0–1.
///
/// # Errors
/// Why it is not known.
pub fn buffer_pool_hit_ratio(view: &View) -> Figure<f64> {
    let hit = rate(&view.readings.database, |row| row.blks_hit)?;
    let read = rate(&view.readings.database, |row| row.blks_read)?;
    if hit + read > 0.0 {
        Ok(hit / (hit + read))
    } else {
        Err(Unknown::new(Reason::Absent, "no block was asked for since the last reading"))
    }
}

/// Reads a second of the devices that carry the server, or of PostgreSQL's blocks where the agent is elsewhere.
///
/// # Errors
/// Why it is not known.
pub fn disk_reads_per_second(view: &View) -> Figure<f64> {
    match rate(&view.readings.host_disk, |row| row.reads) {
        Err(unknown) if unknown.reason == Reason::Remote => rate(&view.readings.database, |row| row.blks_read),
        reads => reads,
    }
}

/// Writes a second of the devices that carry the server.
///
/// # Errors
/// Why it is not known.
pub fn disk_writes_per_second(view: &View) -> Figure<f64> {
    rate(&view.readings.host_disk, |row| row.writes)
}

/// Share of the host's processor time since the last reading that was not idle, 0–100.
///
/// # Errors
/// Why it is not known.
pub fn cpu_percent(view: &View) -> Figure<f64> {
    let (older, newer, _) = view.readings.host_cpu.pair()?;
    let rows = older.rows.first().zip(newer.rows.first());
    rows.and_then(|(older, newer)| HostCpu::busy_percent(older, newer))
        .ok_or_else(|| Unknown::new(Reason::Reset, "the host was booted between the last two readings"))
}

/// How far each standby of this server is behind; on a standby, how far it is behind itself.
///
/// # Errors
/// Why it is not known.
pub fn lags(view: &View) -> Figure<Vec<Lag>> {
    let in_ms = |ms: Option<f64>| ms.map(|ms| ms / 1000.0);
    if server(view)?.in_recovery {
        let own = first(&view.readings.recovery)?;
        return Ok(vec![Lag { standby: view.name.clone(), bytes: own.replay_lag_bytes, seconds: in_ms(own.replay_lag_ms) }]);
    }
    let senders = view.readings.replication.current()?.rows.iter().filter(|row| row.state.as_deref() != Some("backup"));
    Ok(senders
        .map(|row| Lag {
            standby: row.application_name.as_deref().unwrap_or_default().to_owned(),
            bytes: row.replay_lag_bytes,
            // A standby that has confirmed everything tells no time: it is none behind.
            seconds: row.replay_lag_bytes.and(in_ms(row.replay_lag_ms).or(Some(0.0))),
        })
        .collect())
}

/// The server's row.
///
/// # Errors
/// Why there is none.
pub fn server(view: &View) -> Figure<&Server> {
    first(&view.readings.server)
}

fn first<T>(slot: &Slot<T>) -> Figure<&T> {
    let none = || Unknown::new(Reason::Absent, "the server has no such row");
    slot.current().map_err(Clone::clone).and_then(|sample: &Sample<T>| sample.rows.first().ok_or_else(none))
}

#[expect(clippy::cast_possible_truncation, reason = "sizes are whole numbers far below 2^53")]
fn setting_in_base_unit(view: &View, name: &str) -> Figure<i64> {
    let rows = &view.readings.settings.current()?.rows;
    let setting = rows.iter().find(|row| &*row.name == name);
    let value = setting.and_then(|setting| setting.in_base_unit(setting.setting.as_deref()?));
    value.map(|(_, value)| value as i64).ok_or_else(|| Unknown::new(Reason::Absent, format!("the server has no setting {name}")))
}
