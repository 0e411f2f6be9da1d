//! A history as a whole: what is told of the past stays the same from the journal to a day's file.

use super::*;
use jiff::Timestamp;
use pgtend_model::ash::block::{Columns, Dimension, Key, Wanted};
use pgtend_model::ash::cube::Cube;
use pgtend_model::ash::{Session, State, Statement, Tick, Wait, WaitClass, Who};
use pgtend_model::past::{Past, Span};
use pgtend_model::sample::database_size::DatabaseSize;
use pgtend_model::sample::{Probe, Reason, Sample, Taken, Unknown};
use std::time::Duration;

pub(super) const POLICY: Policy = Policy {
    ash_keep: Duration::from_secs(7 * 86_400),
    ash_max_bytes: u64::MAX,
    awr_keep: Duration::from_secs(30 * 86_400),
    awr_max_bytes: u64::MAX,
    baseline_keep: Duration::from_secs(90 * 86_400),
};

pub(super) fn at(text: &str) -> Timestamp {
    format!("2026-11-{text}Z").parse().unwrap()
}

pub(super) fn plus(from: Timestamp, seconds: i64) -> Timestamp {
    from + jiff::SignedDuration::from_secs(seconds)
}

/// Session 1 runs, session 2 waits for it.
pub(super) fn tick(at: Timestamp, sessions: usize) -> Tick {
    let session = |n: usize| Session {
        who: Arc::new(Who {
            pid: i64::try_from(n).unwrap(),
            backend_start: Some(plus(at, -60)),
            database: Some("shop".into()),
            user: Some(format!("user{n}").into()),
            application: None,
            client: None,
            backend_type: Some("client backend".into()),
        }),
        statement: Some(Arc::new(Statement { id: 100, id_is_native: true, text: "update t".into() })),
        wait: (n > 1).then(|| Arc::new(Wait { wait_type: "Lock".into(), event: "tuple".into() })),
        class: if n > 1 { WaitClass::Application } else { WaitClass::Cpu },
        state: if n > 1 { State::Blocked } else { State::Active },
        xact_age_ms: Some(1000),
        query_age_ms: None,
        cpu_ms: (n == 1).then_some(500.0),
        blocked_by: if n > 1 { Box::new([1]) } else { Box::default() },
    };
    Tick { at, sessions: (1..=sessions).map(session).collect() }
}

fn sizes(at: Timestamp, rows: &[(&str, i64)]) -> Taken {
    let row =
        |(name, bytes): &(&str, i64)| DatabaseSize { datid: i64::from(name.as_bytes()[0]), datname: (*name).into(), size_bytes: *bytes };
    Taken::DatabaseSize(Sample { at, took: Duration::ZERO, rows: rows.iter().map(row).collect(), missing: Vec::new() })
}

pub(super) fn put(recorder: &mut Recorder, at: Timestamp, rows: &[(&str, i64)]) {
    recorder.reading("main", at, Duration::ZERO, &sizes(at, rows));
}

fn told(history: &History, at: Timestamp) -> Result<Vec<(String, i64)>, Reason> {
    let readings = history.server("main").readings(at, &[Probe::DatabaseSize]).unwrap();
    let sample = readings.database_size.current().map_err(|unknown| unknown.reason)?;
    let mut rows: Vec<_> = sample.rows.iter().map(|row| (row.datname.to_string(), row.size_bytes)).collect();
    rows.sort();
    Ok(rows)
}

fn counted(history: &History, from: Timestamp, to: Timestamp) -> Vec<(Key, Key, u64)> {
    let dimensions = [Dimension::User, Dimension::WaitEvent];
    let mut cube = Cube::new(&dimensions);
    let wanted = Wanted { from: Some(from), to: Some(to), columns: Columns::of(&dimensions).with_cpu(), ..Wanted::default() };
    history.server("main").sessions(&wanted, &mut |block| cube.add(block)).unwrap();
    let mut cells: Vec<_> = cube.cells().map(|(cell, count)| (cell.keys[0].clone(), cell.keys[1].clone(), count.samples)).collect();
    cells.sort();
    cells
}

/// Checks everything that was recorded below.
fn check(history: &History) {
    let row = |name: &str, bytes: i64| (name.to_owned(), bytes);
    assert_eq!(told(history, at("20T10:59:00")), Ok(vec![row("a", 1), row("b", 1)]));
    assert_eq!(told(history, at("20T11:30:30")), Ok(vec![row("a", 1), row("b", 2)]));
    assert_eq!(told(history, at("20T11:32:00")), Ok(vec![row("b", 3), row("c", 9)]));
    assert_eq!(told(history, at("20T11:33:00")), Err(Reason::Timeout));
    assert_eq!(told(history, at("20T18:00:00")), Err(Reason::Absent));

    let user = |n: u8| Key::Text(format!("user{n}").into());
    let waits = Key::Text("Lock:tuple".into());
    let both = vec![(user(1), Key::None, 60), (user(2), waits.clone(), 60)];
    assert_eq!(counted(history, at("20T11:00:00"), at("20T12:00:00")), both);
    let part = vec![(user(1), Key::None, 10), (user(2), waits, 10)];
    assert_eq!(counted(history, at("20T11:30:05"), at("20T11:30:15")), part);

    let past = history.server("main");
    let ticks = past.ticks(Span::new(at("20T11:00:00"), at("20T13:00:00"))).unwrap();
    assert_eq!(ticks.iter().filter(|tick| tick.sessions == 0).count(), 5);
    assert_eq!(ticks.len(), 65);

    let mut frames = Vec::new();
    let span = Span::new(at("20T11:30:30"), at("20T12:00:00"));
    past.frames(Probe::DatabaseSize, span, &mut |frame| frames.push((frame.whole, frame.rows.as_ref().map(Taken::len).ok()))).unwrap();
    assert_eq!(frames, [(true, Some(2)), (false, Some(0)), (false, Some(2)), (false, None)]);

    let blocked = Wanted { blocked: true, columns: Columns::all(), ..Wanted::default() };
    let mut waiting = 0;
    past.sessions(&blocked, &mut |block| {
        waiting += block.len();
        assert!(block.blocked_by.iter().all(|pids| **pids == [1]));
        assert_eq!(block.key(0, Dimension::Query), &Key::Query(100));
        assert_eq!((block.xact_age_ms[0], block.query_age_ms[0]), (1024, -1));
    })
    .unwrap();
    assert_eq!(waiting, 60);
}

fn tend(recorder: &mut Recorder, now: Timestamp) {
    recorder.close(now);
    recorder.history().tend(now);
}

fn record(recorder: &mut Recorder) {
    put(recorder, at("20T10:58:00"), &[("a", 1), ("b", 1)]);
    recorder.flush();
    put(recorder, at("20T11:30:00"), &[("a", 1), ("b", 2)]);
    for second in 0..60 {
        recorder.tick("main", &tick(plus(at("20T11:30:00"), second), 2));
    }
    put(recorder, at("20T11:31:00"), &[("a", 1), ("b", 2)]);
    recorder.flush();
    put(recorder, at("20T11:31:30"), &[("b", 3), ("c", 9)]);
    recorder.unknown("main", at("20T11:32:30"), Probe::DatabaseSize, &Unknown::new(Reason::Timeout, "too slow"));
    for second in 0..5 {
        recorder.tick("main", &tick(plus(at("20T12:00:00"), second), 0));
    }
    recorder.flush();
}

#[test]
fn the_past_stays_the_same_from_journal_to_hour_to_day() {
    let directory = tempfile::tempdir().unwrap();
    let history = History::open(directory.path(), POLICY).unwrap();
    let mut recorder = history.recorder().unwrap();
    record(&mut recorder);
    check(&history);

    tend(&mut recorder, at("20T12:10:00"));
    assert_eq!(history.layout().journals("main").unwrap().len(), 1);
    check(&history);

    drop(recorder);
    let mut recorder = history.recorder().unwrap();
    tend(&mut recorder, at("21T00:10:00"));
    assert!(history.layout().journals("main").unwrap().is_empty());
    let files = history.layout().sealed_files("ash", "main").unwrap();
    assert!(files.iter().all(|file| file.hour.is_none()) && files.len() == 1, "{files:?}");
    check(&history);

    tend(&mut recorder, at("28T12:00:00"));
    assert!(history.layout().sealed_files("ash", "main").unwrap().is_empty());
    assert_eq!(history.layout().sealed_files("frames", "main").unwrap().len(), 1);
}

#[test]
fn a_day_that_is_read_by_several_threads_is_the_same_each_time() {
    let directory = tempfile::tempdir().unwrap();
    let history = History::open(directory.path(), POLICY).unwrap();
    let mut recorder = history.recorder().unwrap();
    for hour in 0..24 {
        for second in 0..40 {
            recorder.tick("main", &tick(plus(at("20T00:00:00"), hour * 3600 + second), 50));
        }
        recorder.flush();
    }
    tend(&mut recorder, at("21T01:10:00"));
    assert_eq!(history.layout().sealed_files("ash", "main").unwrap().len(), 1);
    let day = || counted(&history, at("20T00:00:00"), at("21T00:00:00"));
    let first = day();
    assert_eq!(first.iter().map(|(_, _, samples)| samples).sum::<u64>(), 24 * 40 * 50);
    (0..60).for_each(|_| assert_eq!(day(), first));
}

#[test]
fn a_crash_between_sealing_and_removing_leaves_nothing_twice() {
    let directory = tempfile::tempdir().unwrap();
    let history = History::open(directory.path(), POLICY).unwrap();
    let mut recorder = history.recorder().unwrap();
    record(&mut recorder);
    drop(recorder);
    for journal in history.layout().journals("main").unwrap() {
        sealing::seal(history.layout(), "main", &journal).unwrap();
    }
    check(&history);
    history.tend(at("20T13:10:00"));
    check(&history);
    let files = history.layout().sealed_files("ash", "main").unwrap();
    sealing::compact(history.layout(), "ash", "main", at("20T00:00:00").to_zoned(jiff::tz::TimeZone::UTC).date(), &files).unwrap();
    check(&history);
}

#[test]
fn a_journal_is_written_on_after_a_restart_and_a_clock_that_jumps_back_loses_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let history = History::open(directory.path(), POLICY).unwrap();
    for (minute, hour) in [(1, "03"), (2, "03"), (3, "01"), (4, "03")] {
        let mut recorder = history.recorder().unwrap();
        recorder.tick("main", &tick(at(&format!("20T{hour}:{minute:02}:00")), 1));
        tend(&mut recorder, at("20T03:30:00"));
    }
    assert_eq!(history.layout().journals("main").unwrap().len(), 1);
    let ticks = history.server("main").ticks(Span::new(at("20T00:00:00"), at("21T00:00:00"))).unwrap();
    assert_eq!(ticks.len(), 4);
    assert_eq!(history.server("main").extent().unwrap(), Some(Span::new(at("20T01:00:00"), at("20T04:00:00"))));
}

#[test]
fn two_agents_cannot_write_one_history() {
    let directory = tempfile::tempdir().unwrap();
    let history = History::open(directory.path(), POLICY).unwrap();
    let _writes = history.recorder().unwrap();
    let error = History::open(directory.path(), POLICY).unwrap().recorder().unwrap_err();
    assert_eq!(error.kind, Kind::Conflict);
}

#[test]
fn what_is_more_than_may_be_goes_oldest_first_and_a_baseline_outlives_its_time() {
    let directory = tempfile::tempdir().unwrap();
    let history = History::open(directory.path(), POLICY).unwrap();
    let mut recorder = history.recorder().unwrap();
    for day in ["01", "02", "03"] {
        put(&mut recorder, at(&format!("{day}T10:00:00")), &[("a", 1)]);
        recorder.tick("main", &tick(at(&format!("{day}T10:00:00")), 5));
    }
    tend(&mut recorder, at("04T00:00:00"));
    let dates = |dataset: &str| -> Vec<String> {
        history.layout().sealed_files(dataset, "main").unwrap().iter().map(|file| file.date.to_string()).collect()
    };
    assert_eq!(dates("ash"), ["2026-11-01", "2026-11-02", "2026-11-03"]);
    let one_day: u64 = history.usage().unwrap().iter().filter(|usage| usage.dataset != "frames").map(|usage| usage.bytes).sum::<u64>() / 3;
    history.set_policy(Policy { ash_max_bytes: one_day * 3 / 2, ..POLICY });
    tend(&mut recorder, at("04T00:00:00"));
    assert_eq!(dates("ash"), ["2026-11-03"]);

    let baseline = pgtend_model::past::Baseline {
        name: "normal".to_owned(),
        start_snapshot_id: 1,
        end_snapshot_id: 2,
        span: Span::new(at("02T09:00:00"), at("02T11:00:00")),
        description: String::new(),
        created_at: at("03T00:00:00"),
    };
    history.server("main").add_baseline(&baseline).unwrap();
    history.set_policy(Policy { awr_keep: Duration::from_secs(86_400), ..POLICY });
    tend(&mut recorder, at("28T00:00:00"));
    assert_eq!(dates("database_size"), ["2026-11-02"]);
    assert!(history.0.layout.sealed_files("database_size", "main").unwrap().len() == 1 && history.free_oldest());
    assert!(dates("database_size").is_empty());
}

#[tokio::test]
async fn a_copy_follows_hours_and_days_and_keeps_what_is_gone_here() {
    let directory = tempfile::tempdir().unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let history = History::open(directory.path(), POLICY).unwrap();
    let mut recorder = history.recorder().unwrap();
    record(&mut recorder);
    recorder.texts("main", &[(100, "update t".into())], Origin::Statements, at("20T11:00:00")).unwrap();
    tend(&mut recorder, at("20T12:10:00"));

    let to = CopyTo { url: format!("file://{}", elsewhere.path().display()), ..CopyTo::default() };
    let mut copier = Copier::new(history.clone(), &to).unwrap();
    let first = copier.round().await.unwrap();
    let copy = History::open(elsewhere.path(), POLICY).unwrap();
    assert!(first.files > 3 && first.bytes > 0, "{first:?}");
    assert_eq!(counted(&copy, at("20T11:00:00"), at("20T12:00:00")), counted(&history, at("20T11:00:00"), at("20T12:00:00")));
    assert_eq!(copier.round().await.unwrap(), Copied::default());

    tend(&mut recorder, at("21T00:10:00"));
    let second = copier.round().await.unwrap();
    assert!(second.removed > 0, "{second:?}");
    check(&copy);
    tend(&mut recorder, at("28T12:00:00"));
    let mut anew = Copier::new(history.clone(), &to).unwrap();
    assert_eq!(anew.round().await.unwrap().removed, 0);
    check(&copy);
}

#[test]
fn an_address_that_is_none_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let history = History::open(directory.path(), POLICY).unwrap();
    for url in ["", "/backup", "s3:", "s3://x", "http://bucket/x", "file://relative"] {
        let to = CopyTo { url: url.to_owned(), ..CopyTo::default() };
        assert_eq!(Copier::new(history.clone(), &to).unwrap_err().kind, Kind::Config, "{url}");
    }
}
