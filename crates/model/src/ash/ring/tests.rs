//! The ring's bounds, and that ticks without sessions are kept apart from missing ones.

use super::*;
use crate::sample::activity::Activity;
use crate::sample::testing::active;
use std::time::Duration;

fn row(pid: i64, query: &str) -> Activity {
    Activity { xact_start: Some(Timestamp::UNIX_EPOCH), query: Some(query.into()), ..active(pid) }
}

fn sample(second: i64, rows: Vec<Activity>) -> Sample<Activity> {
    Sample { at: Timestamp::from_second(second).expect("a valid second"), took: Duration::ZERO, rows, missing: Vec::new() }
}

#[test]
fn it_keeps_the_newest_within_both_bounds() {
    let mut ring = Ring::new(3, usize::MAX);
    for second in 0..5 {
        ring.record(&sample(second, vec![row(1, "select 1")]), &HashMap::new());
    }
    let held = ring.held();
    assert_eq!((held.samples, held.sessions, held.dropped), (3, 3, 2));
    assert_eq!(held.oldest, Timestamp::from_second(2).ok());

    let mut tight = Ring::new(1000, 10 * (BYTES_A_SESSION + BYTES_A_TICK));
    for second in 0..100 {
        tight.record(&sample(second, vec![row(1, "select 1")]), &HashMap::new());
    }
    assert!(tight.held().samples <= 10 && tight.held().samples > 5, "{:?}", tight.held());
}

#[test]
fn an_idle_sample_counts_and_sessions_share_what_stays_the_same() {
    let mut ring = Ring::new(100, usize::MAX);
    ring.record(&sample(1, vec![row(7, "select 1"), row(8, "select 2")]), &HashMap::from([(7, 12.5)]));
    ring.record(&sample(2, Vec::new()), &HashMap::new());
    ring.record(&sample(3, vec![row(7, "select 3")]), &HashMap::new());
    assert_eq!(ring.held().samples, 3);
    let filter = Filter { pid: Some(7), ..Filter::default() };
    let seen: Vec<_> = ring.sessions(&filter).collect();
    assert_eq!(seen.len(), 2);
    assert!(Arc::ptr_eq(&seen[0].1.who, &seen[1].1.who));
    assert!(Arc::ptr_eq(seen[0].1.statement.as_ref().expect("a text"), seen[1].1.statement.as_ref().expect("a text")));
    assert_eq!(seen[1].1.cpu_ms, Some(12.5));
    assert_eq!(seen[0].1.query_age_ms, Some(3000));
}

#[test]
fn a_time_range_is_inclusive_and_newest_first() {
    let mut ring = Ring::new(100, usize::MAX);
    for second in 0..10 {
        ring.record(&sample(second, vec![row(1, "select 1")]), &HashMap::new());
    }
    let filter = Filter { from: Timestamp::from_second(3).ok(), to: Timestamp::from_second(5).ok(), pid: None };
    let seconds: Vec<i64> = ring.ticks(&filter).map(|tick| tick.at.as_second()).collect();
    assert_eq!(seconds, [5, 4, 3]);
}

#[test]
fn a_statement_that_is_blocked_while_it_is_parsed_is_known_by_its_text() {
    let mut ring = Ring::new(100, usize::MAX);
    let native = |query: &str| Activity { query_id: Some(77), ..row(1, query) };
    ring.record(&sample(1, vec![native("update t set a = a + 5 where id = 1")]), &HashMap::new());
    ring.record(&sample(2, vec![row(1, "update t set a = a + -463 where id = 22"), row(2, "update u set a = 1")]), &HashMap::new());
    let ids: Vec<_> = ring.newest().unwrap().sessions.iter().map(|session| session.statement.clone().unwrap()).collect();
    assert_eq!((ids[0].id, ids[0].id_is_native), (77, true));
    assert!(ids[1].id != 77 && !ids[1].id_is_native);
}
