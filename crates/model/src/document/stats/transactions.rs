//! Transactions: how many, how long, and the ones that are open for too long.

use super::super::{Document, Known, Unknowns};
use super::{mean, never_told};
use crate::error::{Error, Kind, Result};
use crate::sample::activity::Activity;
use crate::sample::database::Database;
use crate::sample::session_locks::SessionLocks;
use crate::sample::{Probe, Reason, Unknown};
use jiff::{Timestamp, Unit};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use utoipa::{IntoParams, ToSchema};

/// Transactions of all databases.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = TransactionStatistics)]
pub struct Transactions {
    /// Sessions with an open transaction now.
    pub active_transactions: Option<usize>,
    /// Transactions prepared for two-phase commit.
    pub prepared_transactions: Option<usize>,
    /// Committed and rolled back, since `since`.
    pub total_transactions: Option<i64>,
    /// Committed.
    pub committed: Option<i64>,
    /// Rolled back.
    pub rolled_back: Option<i64>,
    /// Committed and rolled back a second, between the last two readings.
    pub transactions_per_second: Option<f64>,
    /// Mean time of a transaction, in ms: time that sessions spent on statements and idle in transactions, by transactions ended.
    pub avg_transaction_time_ms: Option<f64>,
    /// Deadlocks.
    pub deadlocks_total: Option<i64>,
    /// Since when the totals count, in the database that was reset last.
    pub since: Option<Timestamp>,
    /// Open transactions that are at least `min_seconds` old, oldest first.
    pub long_running_transactions: Vec<Transaction>,
    /// Why figures are null.
    pub unknown: Unknowns,
}

/// An open transaction.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Transaction {
    /// Its id; as long as it has written nothing, its number within the server's life, as `3/1234`.
    pub transaction_id: Option<String>,
    /// Process id of the session.
    pub session_id: i64,
    /// When the session started; with `session_id` this names it for good.
    pub backend_start: Option<Timestamp>,
    /// Role.
    pub user: Option<String>,
    /// Database.
    pub database: Option<String>,
    /// What the client calls itself.
    pub application_name: Option<String>,
    /// What the session does, in PostgreSQL's words.
    pub state: Option<String>,
    /// When it began.
    pub start_time: Timestamp,
    /// Its age, in seconds.
    pub duration_seconds: f64,
    /// `SERIALIZABLE` when it is; PostgreSQL shows no other level to other sessions.
    pub isolation_level: Option<String>,
    /// Locks that it holds.
    pub locks_held: Option<i64>,
    /// Age of the oldest transaction id that it keeps visible, in transactions: dead rows younger than that cannot be removed.
    pub xmin_age: Option<i64>,
    /// Its statement, or the last one.
    pub query: Option<String>,
}

/// Parameters of [`Transactions`].
#[derive(Debug, Clone, Default, Serialize, Deserialize, IntoParams)]
pub struct Params {
    /// Long-running transactions are at least so many seconds old: 60 unless said otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_seconds: Option<f64>,
    /// At most so many of them: 100 unless said otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

impl Document for Transactions {
    type Params = Params;
    const PATH: &'static str = "/api/v1/stats/transactions";
    const ABOUT: &'static str = "Transactions: how many, how long, and those that are open for long";
    const PROBES: &'static [Probe] = &[Probe::Server, Probe::Database, Probe::Activity, Probe::PreparedTransactions, Probe::SessionLocks];
    const NEEDS_RATES: bool = true;

    fn build(known: &Known<'_>, params: &Params) -> Result<Self> {
        let min_seconds = params.min_seconds.unwrap_or(60.0);
        if min_seconds.is_nan() || min_seconds < 0.0 {
            return Err(Error::new(Kind::Usage, "min_seconds must be zero or more"));
        }
        let readings = &known.view.readings;
        let mut unknown = Unknowns::default();
        let open = unknown.take("active_transactions", readings.activity.current());
        let prepared = unknown.take("prepared_transactions", readings.prepared_transactions.current());
        let databases = unknown.take("total_transactions", readings.database.current()).map(|sample| sample.rows.as_slice());
        let sum = |counter: fn(&Database) -> i64| databases.map(|rows| rows.iter().map(counter).sum::<i64>());
        let per_second = crate::delta::rate(&readings.database, |row| row.xact_commit + row.xact_rollback);
        let mut long = open.map(|sample| long_running(known, &sample.rows, min_seconds)).unwrap_or_default();
        long.truncate(params.limit.unwrap_or(100));
        note_locks(known, &mut long, &mut unknown);
        Ok(Self {
            active_transactions: open.and_then(|sample| {
                unknown.take("active_transactions", known.view.sees_all_sessions())?;
                Some(sample.rows.iter().filter(|row| is_open(row)).count())
            }),
            prepared_transactions: prepared.map(|sample| sample.rows.len()),
            total_transactions: sum(|row| row.xact_commit + row.xact_rollback),
            committed: sum(|row| row.xact_commit),
            rolled_back: sum(|row| row.xact_rollback),
            transactions_per_second: unknown.take("transactions_per_second", per_second),
            avg_transaction_time_ms: databases.and_then(|rows| unknown.take("avg_transaction_time_ms", mean_time(rows))),
            deadlocks_total: sum(|row| row.deadlocks),
            since: databases.and_then(|rows| rows.iter().filter_map(|row| row.stats_reset).max()),
            long_running_transactions: long,
            unknown,
        })
    }
}

fn is_open(row: &Activity) -> bool {
    row.xact_start.is_some() && row.backend_type.as_deref() == Some("client backend")
}

fn mean_time(databases: &[Database]) -> Result<f64, Unknown> {
    let times: Option<Vec<f64>> =
        databases.iter().filter(|row| row.datid != 0).map(|row| Some(row.active_time? + row.idle_in_transaction_time?)).collect();
    let times = times.ok_or_else(|| Unknown::new(Reason::Version, "PostgreSQL counts the time in transactions from 14 on"))?;
    mean(times.iter().sum(), databases.iter().map(|row| row.xact_commit + row.xact_rollback).sum(), "transaction")
}

fn long_running(known: &Known<'_>, rows: &[Activity], min_seconds: f64) -> Vec<Transaction> {
    let now = known.view.on_server_clock(known.now);
    let mut long: Vec<Transaction> = rows.iter().filter(|row| is_open(row)).filter_map(|row| transaction(row, now)).collect();
    long.retain(|transaction| transaction.duration_seconds >= min_seconds);
    long.sort_by(|a, b| a.start_time.cmp(&b.start_time).then(a.session_id.cmp(&b.session_id)));
    long
}

fn transaction(row: &Activity, now: Timestamp) -> Option<Transaction> {
    let text = |text: &Option<crate::sample::Text>| text.as_deref().map(str::to_owned);
    let start_time = row.xact_start?;
    Some(Transaction {
        transaction_id: None,
        session_id: row.pid,
        backend_start: row.backend_start,
        user: text(&row.usename),
        database: text(&row.datname),
        application_name: text(&row.application_name),
        state: text(&row.state),
        start_time,
        duration_seconds: now.since(start_time).and_then(|age| age.total(Unit::Second)).unwrap_or(0.0).max(0.0),
        isolation_level: None,
        locks_held: None,
        xmin_age: row.xmin_age,
        query: text(&row.query),
    })
}

/// Adds what the lock table says of these transactions. A session that holds no lock is not in it.
fn note_locks(known: &Known<'_>, long: &mut [Transaction], unknown: &mut Unknowns) {
    if long.is_empty() {
        return;
    }
    unknown.note(
        "long_running_transactions.isolation_level",
        never_told("PostgreSQL shows a transaction's level to nobody else, unless it is SERIALIZABLE"),
    );
    let Some(sample) = unknown.take("long_running_transactions.locks_held", known.view.readings.session_locks.current()) else { return };
    let locks: HashMap<i64, &SessionLocks> = sample.rows.iter().map(|row| (row.pid, row)).collect();
    for transaction in long {
        let Some(held) = locks.get(&transaction.session_id) else { continue };
        let id = held.transaction_id.as_ref().or(held.virtual_transaction.as_ref());
        transaction.transaction_id = id.map(ToString::to_string);
        transaction.locks_held = Some(held.held);
        transaction.isolation_level = held.serializable.then(|| "SERIALIZABLE".to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::by_hand::{built, put, view};
    use super::*;
    use serde_json::json;

    #[test]
    fn totals_means_and_the_old_ones() {
        let mut view = view();
        let database = |commits: i64, active_ms: f64| {
            json!([{"datid": 5, "xact_commit": commits, "xact_rollback": 10, "deadlocks": 1, "active_time": active_ms,
                    "idle_in_transaction_time": 100.0, "stats_reset": -60}, {"datid": 0}])
        };
        put(&mut view.readings.database, 50, database(80, 500.0));
        put(&mut view.readings.database, 60, database(90, 900.0));
        let session = |pid: i64, xact_start: i64| {
            json!({"pid": pid, "backend_type": "client backend", "backend_start": -600, "xact_start": xact_start, "usename": "app",
                   "state": "idle in transaction", "query": "update t set n = $1", "xmin_age": 12})
        };
        let vacuum = json!({"pid": 4, "backend_type": "autovacuum worker", "xact_start": -500});
        put(&mut view.readings.activity, 60, json!([session(1, -300), session(2, 30), session(3, -301), vacuum]));
        put(&mut view.readings.prepared_transactions, 60, json!([]));
        let locks = json!([{"pid": 1, "held": 25, "transaction_id": "7001", "virtual_transaction": "3/9", "serializable": true},
                           {"pid": 3, "held": 2, "virtual_transaction": "4/1"}]);
        put(&mut view.readings.session_locks, 60, locks);
        insta::assert_json_snapshot!(built::<Transactions>(&view, &Params::default()));
    }

    #[test]
    fn before_14_the_mean_time_is_unknown() {
        let mut view = view();
        put(&mut view.readings.database, 60, json!([{"datid": 5, "xact_commit": 90}]));
        let document = built::<Transactions>(&view, &Params::default());
        assert_eq!(document["unknown"]["avg_transaction_time_ms"]["reason"], "version");
        assert_eq!((&document["total_transactions"], &document["avg_transaction_time_ms"]), (&json!(90), &json!(null)));
    }
}
