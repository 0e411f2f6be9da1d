//! Sessions and locks.

use crate::metric::about::seconds;
use crate::metric::scrape::Subject;
use crate::metric::single::{Series, singles};
use crate::sample::activity::Activity;
use crate::sample::idle_sessions::IdleSessions;
use std::collections::BTreeMap;

/// The states that every database has a series for, zero or not.
const STATES: [&str; 6] = ["active", "idle", "idle in transaction", "idle in transaction (aborted)", "fastpath function call", "disabled"];
/// The lock modes that every database has a series for, zero or not.
const MODES: [&str; 9] = [
    "accesssharelock",
    "rowsharelock",
    "rowexclusivelock",
    "shareupdateexclusivelock",
    "sharelock",
    "sharerowexclusivelock",
    "exclusivelock",
    "accessexclusivelock",
    "sireadlock",
];

singles! {
    /// Sessions and locks. pgtend's own session counts nowhere.
    ACTIVITY;
    gauge pg_stat_activity_count { datname, state } shows Connections.count as inherited, "Sessions of the database in this state, those of pgtend excepted.",
    |subject, series| of_every_database(subject, &STATES, sessions(subject).map(|all| all.count), series);
    gauge pg_stat_activity_max_tx_duration { datname, state } shows Connections.max_xact_age_ms as inherited, "Age of the oldest transaction among these sessions, in seconds; 0 when there is none.",
    |subject, series| of_every_database(subject, &STATES, sessions(subject).map(|all| all.max_tx_seconds), series);
    gauge pg_locks_count { datname, mode } shows Locks.granted, Locks.waiting as inherited, "Locks of this mode in the database, held or waited for.",
    |subject, series| of_every_database(subject, &MODES, locks(subject), series);
    gauge pg_long_running_transactions, "Transactions open now, autovacuum's excepted.",
    |subject, series| series.add(&[], transactions(subject).map(|all| i64::try_from(all.count()).unwrap_or(i64::MAX)));
    gauge pg_long_running_transactions_oldest_timestamp_seconds, "Age of the oldest transaction open now, in seconds; 0 when there is none.",
    |subject, series| series.add(&[], transactions(subject).map(|all| all.filter_map(|row| row.xact_start).map(|at| seconds(at, subject.server_now)).fold(0.0, f64::max)));
    gauge pg_stat_activity_autovacuum_timestamp_seconds { relname }, "When autovacuum began with the table, in seconds since 1970.",
    |subject, series| for row in autovacuums(subject) {
        let table = row.query.as_deref().and_then(|query| query.split('.').nth(1)).unwrap_or_default();
        series.add(&[table], row.xact_start);
    };
    histogram pg_process_idle_seconds { state, application_name }
    shows IdleSessions.sessions, IdleSessions.idle_seconds, IdleSessions.idle_up_to_1s, IdleSessions.idle_up_to_2s, IdleSessions.idle_up_to_5s,
        IdleSessions.idle_up_to_15s, IdleSessions.idle_up_to_30s, IdleSessions.idle_up_to_60s, IdleSessions.idle_up_to_90s,
        IdleSessions.idle_up_to_120s, IdleSessions.idle_up_to_300s,
    "How long the sessions that are idle now have been so.",
    |subject, series| for row in subject.view.readings.idle_sessions.current().iter().flat_map(|sample| &sample.rows) {
        series.add_buckets(&[&row.state, &row.application_name], idle(row), row.idle_seconds, row.sessions);
    };
}

fn idle(row: &IdleSessions) -> impl Iterator<Item = (Option<f64>, i64)> {
    let counts = [
        (Some(1.0), row.idle_up_to_1s),
        (Some(2.0), row.idle_up_to_2s),
        (Some(5.0), row.idle_up_to_5s),
        (Some(15.0), row.idle_up_to_15s),
        (Some(30.0), row.idle_up_to_30s),
        (Some(60.0), row.idle_up_to_60s),
        (Some(90.0), row.idle_up_to_90s),
        (Some(120.0), row.idle_up_to_120s),
        (Some(300.0), row.idle_up_to_300s),
        (None, row.sessions),
    ];
    counts.into_iter()
}

/// Figures by database and state, or by database and mode.
type ByDatabase<'a> = BTreeMap<(&'a str, String), f64>;

struct Sessions<'a> {
    count: ByDatabase<'a>,
    max_tx_seconds: ByDatabase<'a>,
}

#[expect(clippy::cast_precision_loss, reason = "metrics are doubles by definition")]
fn sessions<'a>(subject: &'a Subject<'_>) -> Option<Sessions<'a>> {
    subject.view.sees_all_sessions().ok()?;
    let sample = subject.view.readings.connections.current().ok()?;
    let mut all = Sessions { count: BTreeMap::new(), max_tx_seconds: BTreeMap::new() };
    for row in &sample.rows {
        let (Some(datname), Some(state)) = (row.datname.as_deref(), row.state.as_deref()) else { continue };
        *all.count.entry((datname, state.to_owned())).or_default() += row.count as f64;
        let oldest = all.max_tx_seconds.entry((datname, state.to_owned())).or_default();
        *oldest = oldest.max(row.max_xact_age_ms.unwrap_or(0.0) / 1000.0);
    }
    Some(all)
}

#[expect(clippy::cast_precision_loss, reason = "metrics are doubles by definition")]
fn locks<'a>(subject: &'a Subject<'_>) -> Option<ByDatabase<'a>> {
    let sample = subject.view.readings.locks.current().ok()?;
    let mut all = BTreeMap::new();
    for row in &sample.rows {
        if let Some(datname) = row.datname.as_deref() {
            *all.entry((datname, row.mode.to_lowercase())).or_default() += (row.granted + row.waiting) as f64;
        }
    }
    Some(all)
}

fn of_every_database(subject: &Subject<'_>, kinds: &[&str], figures: Option<ByDatabase<'_>>, series: &mut Series<'_>) {
    let (Some(figures), Ok(databases)) = (figures, subject.view.readings.database.current()) else { return };
    for database in databases.rows.iter().filter(|row| row.datid != 0) {
        for kind in kinds {
            let figure = figures.get(&(&*database.datname, (*kind).to_owned())).copied();
            series.add(&[&database.datname, kind], figure.unwrap_or(0.0));
        }
    }
}

fn transactions<'a>(subject: &'a Subject<'_>) -> Option<impl Iterator<Item = &'a Activity>> {
    subject.view.sees_all_sessions().ok()?;
    let rows = &subject.view.readings.activity.current().ok()?.rows;
    Some(rows.iter().filter(|row| row.xact_start.is_some() && !is_autovacuum(row)))
}

fn autovacuums<'a>(subject: &'a Subject<'_>) -> impl Iterator<Item = &'a Activity> {
    subject.view.readings.activity.current().into_iter().flat_map(|sample| &sample.rows).filter(|row| is_autovacuum(row))
}

fn is_autovacuum(row: &Activity) -> bool {
    row.query.as_deref().is_some_and(|query| query.starts_with("autovacuum:"))
}
