//! Whole reports over pasts made by hand.

use super::period::{Period, Point};
use super::report::Report;
use super::scenario::{self, put, sample};
use super::text;
use crate::document::by_hand::at;
use crate::past::{Memory, Past};
use crate::sample::Taken;
use serde_json::json;

fn report(past: &dyn Past, from: Point, to: Point) -> Report {
    Report::of(&Period::between(past, "main", from, to).unwrap(), 10, at(3600)).unwrap()
}

fn shop() -> Report {
    report(&scenario::shop(), Point::Snapshot(1), Point::Snapshot(2))
}

fn figure(figures: &[super::measure::Measure], name: &str) -> (Option<f64>, Option<f64>) {
    let figure = figures.iter().find(|figure| figure.name == name).unwrap();
    (figure.value, figure.per_second)
}

#[test]
fn the_text_of_a_report() {
    let text = text::render(&shop().page());
    for (number, line) in text.lines().enumerate() {
        assert!(line.chars().count() <= 120, "line {number} is too long: {line}");
    }
    insta::assert_snapshot!(text);
}

#[test]
fn a_report_reads_back() {
    let report = shop();
    let json = serde_json::to_string(&report).unwrap();
    let again: Report = serde_json::from_str(&json).unwrap();
    assert!(text::render(&again.page()) == text::render(&report.page()), "the report is another one after JSON");
}

#[test]
fn figures_of_the_load_profile() {
    let load = shop().load_profile.figures;
    assert_eq!(figure(&load, "transactions"), (Some(60_720.0), Some(101.2)));
    assert_eq!(figure(&load, "queries"), (Some(60_000.0), Some(100.0)));
    assert_eq!(figure(&load, "physical_reads"), (Some(60_000.0), Some(100.0)));
    assert_eq!(figure(&load, "db_time"), (Some(1800.0 + 600.0), Some(4.0)));
    let processor = figure(&load, "cpu_time").0.unwrap();
    assert!((processor - 600.0 * 1.37).abs() < 0.1, "{processor}");
}

#[test]
fn the_root_of_the_storm_is_named_with_its_statement() {
    let blocking = shop().blocking;
    let root = &blocking.roots[0];
    assert_eq!((root.blocker.session_id, root.sessions_held_up, root.most_at_once, root.longest_chain), (66, 5, 5, 2));
    assert_eq!((root.waited_ms, root.blocker.session_state.as_deref()), (600_000.0, Some("IDLE")));
    assert!(root.blocker.sql_text.as_deref().unwrap().starts_with("UPDATE stock SET left_over = 0"));
    assert_eq!((root.first_seen, root.last_seen), (at(240), at(359)));
    assert_eq!((blocking.waits.len(), blocking.waited_ms, blocking.roots.len()), (5, Some(600_000.0), 1));
}

#[test]
fn a_reset_in_the_period_is_added_up_and_said_where_it_matters() {
    let mut memory = Memory::default();
    for (second, committed) in [(0, 5000), (60, 6000), (120, 40), (180, 940)] {
        put!(
            memory,
            second,
            Database,
            json!([{"datid": 5, "datname": "shop", "xact_commit": committed, "stats_reset": if second < 100 { 0 } else { 100 }}])
        );
        put!(memory, second, Bgwriter, json!([{"buffers_clean": committed}]));
    }
    let report = report(&memory, Point::At(at(0)), Point::At(at(180)));
    let told: Vec<&str> = report.notes.iter().map(|note| note.text.as_str()).filter(|text| text.contains("went back")).collect();
    let seen = super::page::when(at(120));
    assert!(
        told.len() == 1 && told[0].contains(&format!("those of databases, seen at {seen}, the background writer, seen at {seen} (UTC)"))
    );
    assert_eq!(figure(&report.load_profile.figures, "transactions").0, Some(1000.0 + 40.0 + 900.0));
    let page = report.page();
    let profile = page.sections.iter().find(|section| section.id == "load_profile").unwrap();
    assert!(profile.notes.iter().any(|note| note.contains("went back")), "{:?}", profile.notes);
}

#[test]
fn what_is_not_known_is_said_and_nothing_is_zero_for_it() {
    let mut memory = Memory::default();
    for second in [0, 60] {
        put!(memory, second, Bgwriter, json!([{"buffers_clean": second}]));
    }
    let report = report(&memory, Point::At(at(0)), Point::At(at(60)));
    assert!(report.load_profile.figures.iter().all(|figure| figure.value.is_none() && figure.unknown.is_some()));
    assert!(report.waits.unknown.is_some() && report.tables.unknown.is_some());
    let text = text::render(&report.page());
    assert!(text.contains("Not read:") && text.contains("not sampled"), "{text}");
}

#[test]
fn a_gap_in_the_samples_is_named() {
    let mut memory = scenario::shop();
    put!(memory, 3600, Bgwriter, json!([{}]));
    let report = report(&memory, Point::At(at(0)), Point::At(at(1200)));
    assert!(report.notes.iter().any(|note| note.text.contains("not sampled for 10 min")), "{:?}", report.notes);
    assert!(report.waits.series.iter().any(|step| step.samples == 0));
}

#[test]
fn periods_that_make_no_sense_are_refused() {
    let memory = scenario::shop();
    let kind = |from, to| Period::between(&memory, "main", from, to).map(|_| ()).unwrap_err().kind;
    use crate::error::Kind::{NotFound, Usage};
    assert_eq!(kind(Point::Snapshot(2), Point::Snapshot(1)), Usage);
    assert_eq!(kind(Point::Snapshot(1), Point::Snapshot(9)), NotFound);
    assert_eq!(kind(Point::Snapshot(1), Point::Snapshot(1)), Usage);
    assert_eq!(kind(Point::At(at(-9000)), Point::At(at(-8000))), NotFound);
}

#[test]
fn without_a_begin_a_report_begins_with_the_last_snapshot_before_its_end() {
    use super::request::{Form, ReportRequest};
    let mut memory = scenario::shop();
    let asked = |memory: &Memory, from, to| {
        let report = ReportRequest::between(from, to, Form::Json).report(memory, "main", at(3600));
        report.map(|report| (report.summary.begin.snapshot_id, report.summary.end.snapshot_id)).map_err(|error| error.kind)
    };
    assert_eq!(asked(&memory, None, None), Ok((Some(1), Some(2))));
    memory.add_snapshot(at(900), "manual");
    assert_eq!(asked(&memory, None, None), Ok((Some(2), Some(3))));
    assert_eq!(asked(&memory, None, Some(Point::Snapshot(2))), Ok((Some(1), Some(2))));
    assert_eq!(asked(&memory, None, Some(Point::At(at(700)))), Ok((Some(2), None)));
    assert_eq!(asked(&memory, Some(Point::Snapshot(1)), None), Ok((Some(1), None)));
    assert_eq!(asked(&memory, None, Some(Point::Snapshot(1))), Err(crate::error::Kind::NotFound));
}

#[test]
fn two_periods_compared() {
    use super::compare::{CompareRequest, Comparison, Verdict};
    let mut memory = scenario::shop();
    memory.add_baseline("calm", 1, 2, at(0)).unwrap();
    let storm = CompareRequest {
        baseline_name: Some("calm".to_owned()),
        current_start_time: Some(at(240)),
        current_end_time: Some(at(360)),
        ..CompareRequest::default()
    };
    let comparison = storm.compare(&memory, "main", at(3600)).unwrap();
    let figure = |comparison: &Comparison, name: &str| comparison.figures.iter().find(|delta| delta.name == name).unwrap().clone();
    let locked = figure(&comparison, "db_time_application");
    assert_eq!((locked.before, locked.after, locked.percent, locked.verdict), (Some(1.0), Some(5.0), Some(400.0), Verdict::Worse));
    assert_eq!(comparison.waits[0].wait_event.as_deref(), Some("Lock:tuple"));
    assert_eq!(figure(&comparison, "transactions").significance, 0.0);
    let text = super::request::Paged::text(&comparison);
    assert!(text.lines().all(|line| line.chars().count() <= 120), "{text}");
    insta::assert_snapshot!(text);
    let missing = CompareRequest { baseline_name: Some("monday".to_owned()), ..storm };
    assert_eq!(missing.compare(&memory, "main", at(3600)).unwrap_err().kind, crate::error::Kind::NotFound);
}
