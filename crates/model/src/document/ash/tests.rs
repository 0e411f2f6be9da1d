//! The session history told of ten minutes of a shop, with a lock storm from noon + 4 min to noon + 6 min: a session idle in its
//! transaction (66) holds up one (21), behind which four more queue (22 to 25). Meanwhile two sessions (11, 12) compute and one (13) reads.

use super::super::Dated;
use super::super::by_hand::at;
use super::report::{By, Params, Report, ReportType};
use super::samples::{self, Samples};
use super::session_stats::{self, SessionStats};
use super::sql_stats::{self, SqlStats};
use super::top::{self, Top};
use crate::ash::WaitClass;
use crate::awr::scenario::shop;
use crate::error::Kind;
use crate::past::{Memory, Span};
use crate::query_id::QueryId;
use serde_json::json;

fn told<D: Dated>(past: &Memory, params: &D::Params) -> D {
    let document = D::of_past(past, at(600), params).unwrap();
    serde_json::from_value(serde_json::to_value(document).unwrap()).expect("a document reads back")
}

fn report(params: Params) -> Report {
    told(&shop(), &Params { start: Some(at(0)), ..params })
}

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-6 * b.abs().max(1.0)
}

#[test]
fn top_sql_by_cpu_in_the_guides_shape() {
    let report = report(Params { report_type: Some(ReportType::TopSqlByCpu), ..Params::default() });
    let json = serde_json::to_value(&report).unwrap();
    let first = &json["top_sql"][0];
    for (key, expected) in [
        ("sql_id", json!("102")),
        ("sql_text", json!("SELECT * FROM orders WHERE customer = $1 ORDER BY at DESC LIMIT $2")),
        ("executions", json!(20_000)),
        ("total_cpu_time_ms", json!(822_000.0)),
        ("avg_cpu_time_ms", json!(41.1)),
        ("total_samples", json!(1800)),
        ("percent_of_total_cpu", json!(100.0)),
    ] {
        assert_eq!(first[key], expected, "{key}");
    }
    assert_eq!((&json["report_type"], &json["time_range"]["start"]), (&json!("top_sql_by_cpu"), &json!("2026-01-01T12:00:00Z")));
    assert_eq!(json["top_sql"].as_array().unwrap().len(), 1, "the others used no processor time");
}

#[test]
fn averages_are_sessions_and_idle_in_transaction_is_none() {
    let report = report(Params::default());
    let all = report.all.unwrap();
    assert!(close(all.average_active_sessions, 4.0), "{all:?}");
    assert!(close(all.wait_classes[&WaitClass::Cpu], 2.0) && close(all.wait_classes[&WaitClass::Application], 1.0), "{all:?}");
    assert!(close(all.idle_in_transaction_ms, 120_000.0) && !all.wait_classes.contains_key(&WaitClass::Idle), "{all:?}");
    let sql: Vec<(String, u64)> =
        report.top_sql.unwrap().iter().map(|row| (row.sql_id.unwrap().to_string(), row.figures.total_samples)).collect();
    assert_eq!(sql, [("102".to_owned(), 1800), ("101".to_owned(), 600)]);
}

#[test]
fn wait_events_add_up_to_everything() {
    let report = report(Params { report_type: Some(ReportType::WaitEvents), ..Params::default() });
    let classes = report.wait_classes.unwrap();
    let told: Vec<_> = classes.iter().map(|class| (class.wait_class, class.wait_count, class.total_wait_time_ms)).collect();
    let expected = [(WaitClass::Cpu, 1200, 1.2e6), (WaitClass::UserIO, 600, 600_000.0), (WaitClass::Application, 600, 600_000.0)];
    assert_eq!(told, expected);
    assert!(close(classes.iter().map(|class| class.percent_of_total).sum(), 100.0));
    let events: Vec<_> = classes[2].top_events.iter().map(|event| (event.event.as_str(), event.wait_count)).collect();
    assert_eq!(events, [("Lock:tuple", 480), ("Lock:transactionid", 120)]);
    assert!(report.unknown.get("wait_classes.avg_wait_ms").is_some());
}

#[test]
fn the_root_of_a_storm_is_named_with_its_statement() {
    let report = report(Params { report_type: Some(ReportType::Blocking), ..Params::default() });
    let blocking = report.blocking.unwrap();
    assert_eq!((blocking.roots.len(), blocking.waited_ms), (1, 600_000.0));
    let root = &blocking.roots[0];
    assert_eq!((root.blocker.session_id, root.blocker.session_state.as_deref()), (66, Some("IDLE")));
    assert_eq!(root.blocker.sql_text.as_deref(), Some("UPDATE stock SET left_over = 0 WHERE item = 42 -- <b>batch</b>"));
    assert_eq!((root.first_seen, root.last_seen, root.duration_ms), (at(240), at(359), 120_000.0));
    assert_eq!((root.sessions_held_up, root.most_at_once, root.longest_chain), (5, 5, 2));
    let pairs: Vec<_> = blocking.waits.iter().map(|wait| (wait.waiter.session_id, wait.blocker.session_id, wait.root_session_id)).collect();
    assert_eq!(pairs, [(21, 66, 66), (22, 21, 66), (23, 21, 66), (24, 21, 66), (25, 21, 66)]);
    assert!(blocking.waits.iter().all(|wait| close(wait.duration_ms, 120_000.0) && wait.waiter.sql_id == Some(QueryId(101))));
}

#[test]
fn a_storm_is_told_of_whoever_took_part_in_it() {
    let waits = |params: Params| {
        let report = report(Params { report_type: Some(ReportType::Blocking), ..params });
        report.blocking.unwrap().waits.len()
    };
    assert_eq!(waits(Params { session_id: Some(24), ..Params::default() }), 5);
    assert_eq!(waits(Params { user: Some("ops".to_owned()), ..Params::default() }), 5);
    assert_eq!(waits(Params { session_id: Some(11), ..Params::default() }), 0);
    assert_eq!(waits(Params { end: Some(at(239)), ..Params::default() }), 0);
}

#[test]
fn a_session_is_told_one_thing_after_the_other() {
    let activity = Params { report_type: Some(ReportType::SessionActivity), session_id: Some(66), ..Params::default() };
    let report = report(activity);
    let session = &report.sessions.unwrap()[0];
    assert_eq!((session.figures.total_samples, session.states_ms["IDLE"]), (0, 120_000.0));
    let timeline = report.timeline.unwrap();
    assert_eq!((timeline.len(), timeline[0].first_seen, timeline[0].duration_ms), (1, at(240), 120_000.0));
}

#[test]
fn activity_by_any_dimension() {
    let by = |by: By| -> Vec<(Option<String>, u64)> {
        let groups = report(Params { by: Some(by), ..Params::default() }).groups.unwrap();
        groups.into_iter().map(|group| (group.name, group.figures.total_samples)).collect()
    };
    let name = |name: &str| Some(name.to_owned());
    assert_eq!(by(By::User), [(name("app"), 2400), (name("ops"), 0)]);
    assert_eq!(by(By::Program), [(name("web"), 2400), (name("batch"), 0)]);
    assert_eq!(by(By::WaitEvent)[0], (name("CPU"), 1200));
    assert_eq!(by(By::Query)[0], (name("102"), 1800));
    let error = Report::of_past(&shop(), at(600), &Params { report_type: Some(ReportType::Activity), ..Params::default() }).unwrap_err();
    assert_eq!(error.kind, Kind::Usage);
}

#[test]
fn statements_say_who_ran_them_and_when() {
    let stats: SqlStats = told(&shop(), &sql_stats::Params { start: Some(at(0)), ..Default::default() });
    let waiting = &stats.statements[1];
    assert_eq!((waiting.sql_id, waiting.executions), (Some(QueryId(101)), Some(30_000)));
    assert_eq!((waiting.first_seen, waiting.last_seen), (Some(at(240)), Some(at(359))));
    assert_eq!((waiting.users.as_slice(), waiting.programs.as_slice()), (&["app".to_owned()][..], &["web".to_owned()][..]));
    assert_eq!(waiting.figures.top_waits[0].event.as_deref(), Some("Lock:tuple"));
    assert_eq!(stats.executions_of, Some(Span::new(at(0), at(600))));
}

#[test]
fn executions_of_another_period_give_no_mean() {
    let stats: SqlStats = told(&shop(), &sql_stats::Params { start: Some(at(70)), end: Some(at(150)), ..Default::default() });
    let first = &stats.statements[0];
    assert_eq!((stats.executions_of, first.executions), (Some(Span::new(at(60), at(120))), Some(2000)));
    assert_eq!((first.avg_cpu_time_ms, first.sql_id), (None, Some(QueryId(102))));
    assert!(stats.unknown.get("avg_cpu_time_ms").is_some_and(|why| why.detail.contains("another period")));
}

#[test]
fn executions_of_a_session_are_not_known_and_not_guessed() {
    let stats: SqlStats = told(&shop(), &sql_stats::Params { start: Some(at(0)), session_id: Some(11), ..Default::default() });
    assert_eq!((stats.statements[0].executions, stats.statements[0].figures.total_samples), (None, 600));
    assert!(stats.unknown.get("executions").is_some());
    let elsewhere: SqlStats = told(&shop(), &sql_stats::Params { start: Some(at(0)), user: Some("ops".to_owned()), ..Default::default() });
    assert!(elsewhere.statements.is_empty(), "{:?}", elsewhere.statements);
}

#[test]
fn sessions_come_with_their_states_and_statements() {
    let stats: SessionStats = told(&shop(), &session_stats::Params { start: Some(at(0)), limit: Some(4), ..Default::default() });
    let pids: Vec<i64> = stats.sessions.iter().map(|session| session.session_id).collect();
    assert_eq!(pids, [11, 12, 13, 21]);
    assert_eq!(stats.sessions[2].states_ms["WAITING"], 600_000.0);
    assert_eq!(stats.sessions[3].top_sql[0].active_time_ms, 120_000.0);
}

#[test]
fn load_over_time_shows_the_storm() {
    let top: Top = told(&shop(), &top::Params { start: Some(at(0)), steps: Some(10), ..Default::default() });
    let load: Vec<f64> = top.load.iter().map(|step| step.average_active_sessions.unwrap()).collect();
    assert_eq!(load, [3.0, 3.0, 3.0, 3.0, 8.0, 8.0, 3.0, 3.0, 3.0, 3.0]);
    assert_eq!((top.step_seconds, top.top_waits[0].wait_class), (Some(60.0), WaitClass::Cpu));
}

#[test]
fn what_was_not_sampled_is_named() {
    let early: Top = told(&shop(), &top::Params { start: Some(at(-600)), steps: Some(20), ..Default::default() });
    assert_eq!(early.coverage.not_sampled, [Span::new(at(-600), at(0))]);
    assert_eq!((early.load[0].average_active_sessions, early.load[19].average_active_sessions), (None, Some(3.0)));
    let never: Top = told(&shop(), &top::Params { start: Some(at(-900)), end: Some(at(-600)), ..Default::default() });
    assert_eq!((never.coverage.samples_taken, never.all.is_none()), (0, true));
    assert!(never.unknown.get("samples").is_some());
}

#[test]
fn a_prepared_transaction_is_a_root_too() {
    let mut past = Memory::default();
    past.add_ring(&super::super::by_hand::ring(&[(
        0..10,
        json!([{"pid": 5, "state": "active", "backend_type": "client backend", "query": "update t", "query_id": 7, "wait_event_type": "Lock",
                "wait_event": "transactionid", "blocked_by": [0]}]),
    )]));
    let report: Report = told(&past, &Params { start: Some(at(0)), report_type: Some(ReportType::Blocking), ..Params::default() });
    let root = &report.blocking.unwrap().roots[0];
    assert_eq!((root.blocker.session_id, root.sessions_held_up, root.blocker.session_state.as_ref()), (0, 1, None));
}

#[test]
fn pages_of_samples_go_back_in_time_without_loss() {
    let past = shop();
    let mut end = None;
    let mut seen = Vec::new();
    loop {
        let params = samples::Params { limit: Some(500), end, start: Some(at(200)), ..Default::default() };
        let page: Samples = told(&past, &params);
        assert!(page.samples.len() <= 500);
        seen.extend(page.samples.iter().map(|sample| (sample.sample_time, sample.session_id)));
        match page.next_end {
            Some(next) => end = Some(next),
            None => break,
        }
    }
    assert_eq!(seen.len(), 400 * 3 + 120 * 6);
    assert!(seen.is_sorted_by(|a, b| a.0 > b.0 || (a.0 == b.0 && a.1 < b.1)), "newest first, each once");
}

#[test]
fn a_period_that_ends_before_it_begins_is_refused() {
    let params = Params { start: Some(at(10)), end: Some(at(5)), ..Params::default() };
    assert_eq!(Report::of_past(&shop(), at(600), &params).unwrap_err().kind, Kind::Usage);
}
