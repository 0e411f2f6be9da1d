//! Profiles from readings and a past made by hand.

use super::*;
use crate::document::by_hand::{at, put, read, view};
use crate::past::Memory;
use crate::sample::statements::Statement;
use crate::sample::{Sample, Taken};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

fn statement(queryid: i64, userid: i64, calls: i64, time: f64) -> Value {
    json!({"userid": userid, "dbid": 5, "queryid": queryid, "calls": calls, "total_exec_time": time, "min_exec_time": 0.5,
           "max_exec_time": 9.0, "stddev_exec_time": 1.5, "rows": calls * 2, "shared_blks_hit": calls * 10, "shared_blks_read": calls,
           "wal_bytes": calls * 100, "toplevel": true})
}

fn frame(past: &mut Memory, seconds: i64, rows: &[Value]) {
    let rows: Vec<Statement> = rows.iter().map(|row| read(row.clone())).collect();
    past.put(at(seconds), Taken::Statements(Sample { at: at(seconds), took: Duration::from_millis(1), rows, missing: Vec::new() }));
}

/// Statement 7 of two roles, read every five minutes; nothing of it happened between the second and the third reading.
fn known() -> (View, Memory) {
    let mut past = Memory::default();
    frame(&mut past, 0, &[statement(7, 10, 100, 200.0), statement(8, 10, 5, 5.0)]);
    frame(&mut past, 300, &[statement(7, 10, 150, 300.0), statement(7, 11, 10, 40.0), statement(8, 10, 6, 6.0)]);
    frame(&mut past, 600, &[statement(7, 10, 150, 300.0), statement(7, 11, 10, 40.0), statement(8, 10, 7, 7.0)]);
    let mut view = view();
    put(&mut view.readings.statements, 900, json!([statement(7, 10, 350, 700.0), statement(7, 11, 10, 40.0), statement(8, 10, 8, 8.0)]));
    put(&mut view.readings.database, 900, json!([{"datid": 5, "datname": "shop"}]));
    put(&mut view.readings.roles, 900, json!([{"oid": 10, "rolname": "app"}, {"oid": 11, "rolname": "report"}]));
    put(&mut view.readings.statements_info, 900, json!([{"dealloc": 0, "stats_reset": -3600}]));
    view.statement_texts = Arc::new([(7, "select * from orders where id = $1".into()), (8, "commit".into())].into());
    (view, past)
}

fn profile(id: i64, params: &Params) -> Result<Profile> {
    let (view, past) = known();
    let text = view.statement_texts.get(&id).cloned();
    let plan = Err(Unknown::new(Reason::Failed, "no server here"));
    Profile::build(Materials { view: &view, past: &past, text, plan, now: at(900) }, QueryId(id), params)
}

#[test]
fn a_period_since_an_hour_until_now() {
    let profile = profile(7, &Params { from: Some(at(0)), ..Params::default() }).unwrap();
    let stats = profile.execution_stats.as_ref().unwrap();
    assert_eq!((stats.calls, stats.rows_returned, stats.cache_misses, stats.wal_bytes), (260, 520, 260, 26_000));
    assert!((stats.total_execution_time_ms - 540.0).abs() < 1e-9 && (stats.bytes_read - 260.0 * 8192.0).abs() < 1e-9);
    let overall = profile.overall.as_ref().unwrap();
    assert_eq!((overall.totals.calls, overall.stddev_execution_time_ms, overall.since), (360, None, Some(at(-3600))));
    let calls: Vec<i64> = profile.series.iter().map(|point| point.calls).collect();
    assert_eq!(calls, [60, 0, 200]);
    assert_eq!(profile.series[1].mean_execution_time_ms, None, "nothing was executed, which is no time of zero");
    let users: Vec<(&str, i64)> = profile.users.iter().map(|who| (who.user.as_str(), who.calls)).collect();
    assert_eq!(users, [("app", 250), ("report", 10)]);
    assert_eq!((profile.database.as_deref(), profile.sql.as_deref()), (Some("shop"), Some("select * from orders where id = $1")));
    for place in ["execution_plan", "wait_events", "plan_changes", "cpu_time_ms"] {
        assert!(profile.unknown.iter().any(|(told, _)| told == place), "{place} is null without a reason");
    }
    let json = serde_json::to_value(&profile).unwrap();
    assert_eq!(serde_json::from_value::<Profile>(json).unwrap(), profile, "a profile reads back");
}

#[test]
fn a_period_in_the_past_ends_there() {
    let profile = profile(7, &Params { from: Some(at(0)), to: Some(at(600)), plan: None }).unwrap();
    assert_eq!(profile.execution_stats.map(|stats| stats.calls), Some(60));
    assert_eq!(profile.series.len(), 2);
}

#[test]
fn what_makes_no_sense_and_what_is_not_there() {
    let backwards = profile(7, &Params { from: Some(at(600)), to: Some(at(0)), plan: None }).unwrap_err();
    assert_eq!(backwards.kind, Kind::Usage);
    assert_eq!(profile(99, &Params { from: Some(at(0)), ..Params::default() }).unwrap_err().kind, Kind::NotFound);
}

#[test]
fn a_statement_is_found_by_its_text_whatever_its_constants() {
    let (view, _) = known();
    let rows = &view.readings.statements.latest.as_ref().unwrap().rows;
    let by_text = |sql| find(None, sql, rows, view.statement_texts.iter().map(|(id, text)| (*id, text)));
    assert_eq!(by_text("SELECT * FROM orders\n WHERE id = 17 -- mine"), QueryId(7));
    assert_eq!(by_text("select 1 from elsewhere"), QueryId(crate::fingerprint::fingerprint("select 1 from elsewhere")));
    let find = |computed, sql| find(Some(QueryId(computed)), sql, rows, view.statement_texts.iter().map(|(id, text)| (*id, text)));
    assert_eq!(find(8, "select * from orders where id = 1"), QueryId(8), "the server's word counts");
    assert_eq!(find(99, "select * from orders where id = 1"), QueryId(7), "unless it counts no such statement");
    assert_eq!(find(99, "select 1 from elsewhere"), QueryId(99));
    assert_eq!(database(&view, QueryId(7)).as_deref(), Some("shop"));
}
