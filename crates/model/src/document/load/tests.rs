//! Averages over samples made by hand.

use super::*;
use crate::ash::Ring;
use crate::health::Thresholds;
use crate::sample::Sample;
use crate::sample::activity::Activity;
use crate::sample::testing::active;
use crate::view::View;
use std::time::Duration;

fn row(pid: i64, query_id: i64, wait: Option<(&str, &str)>) -> Activity {
    Activity {
        wait_event_type: wait.map(|(wait_type, _)| wait_type.into()),
        wait_event: wait.map(|(_, event)| event.into()),
        query_id: Some(query_id),
        query: Some(format!("select {query_id}").into()),
        ..active(pid)
    }
}

/// Two samples a second apart; in the first one session waits for a lock, in the second it is on CPU; another reads all the time.
fn ring() -> Ring {
    let mut ring = Ring::new(100, usize::MAX);
    let read = || row(2, 20, Some(("IO", "DataFileRead")));
    let idle = || Activity { state: Some("idle in transaction".into()), ..row(3, 30, Some(("Client", "ClientRead"))) };
    let checkpointer = || Activity { backend_type: Some("checkpointer".into()), query: None, ..row(9, 0, Some(("IO", "DataFileSync"))) };
    let samples = [vec![row(1, 10, Some(("Lock", "relation"))), read(), idle()], vec![row(1, 10, None), read(), checkpointer()]];
    for (second, rows) in (100..).zip(samples) {
        let at = Timestamp::from_second(second).unwrap();
        ring.record(&Sample { at, took: Duration::ZERO, rows, missing: Vec::new() }, &HashMap::from([(1, 500.0)]));
    }
    ring
}

fn load(ring: &Ring, params: &Params) -> Load {
    let view = View::unseen("main", "somewhere");
    Load::build(&Known { view: &view, ash: ring, thresholds: Thresholds::default(), now: Timestamp::from_second(102).unwrap() }, params)
        .unwrap()
}

#[test]
fn averages_are_over_samples_and_idle_sessions_do_not_count() {
    let load = load(&ring(), &Params::default());
    assert_eq!((load.samples, load.average_active_sessions, load.average_active_clients), (2, Some(2.5), Some(2.0)));
    let classes: Vec<_> = load.classes.iter().map(|load| (load.wait_class, load.average, load.percent)).collect();
    assert_eq!(classes[0], (WaitClass::UserIO, 1.0, 40.0));
    assert!(classes[1..].contains(&(WaitClass::SystemIO, 0.5, 20.0)) && classes.len() == 4, "{classes:?}");
    assert!((classes.iter().map(|(.., percent)| percent).sum::<f64>() - 100.0).abs() < 1e-9);
    assert_eq!(load.events[0].wait_event.as_deref(), Some("DataFileRead"));
}

#[test]
fn statements_carry_their_waits_and_their_processor_time() {
    let queries = load(&ring(), &Params::default()).queries;
    assert_eq!(queries.iter().map(|query| query.query_id.0).collect::<Vec<_>>(), [10, 20], "{queries:?}");
    assert_eq!(queries[0].classes, BTreeMap::from([(WaitClass::Cpu, 0.5), (WaitClass::Application, 0.5)]));
    assert_eq!((queries[0].cpu_percent, queries[1].cpu_percent), (Some(50.0), None));
    assert_eq!((queries[0].sessions, queries[0].percent), (1, 40.0));
}

#[test]
fn statements_are_sorted_by_what_is_asked_for() {
    let first = |sort: Sort| load(&ring(), &Params { sort, limit: 1, ..Params::default() }).queries[0].query_id.0;
    assert_eq!([Sort::Cpu, Sort::Io, Sort::Lock, Sort::Wait].map(first), [10, 20, 10, 20]);
}

#[test]
fn time_is_cut_into_pieces_and_a_piece_without_samples_says_so() {
    let load = load(&ring(), &Params { seconds: 4.0, buckets: 4, ..Params::default() });
    let pieces: Vec<_> = load.series.iter().map(|bucket| (bucket.at.as_second(), bucket.samples, bucket.classes.len())).collect();
    assert_eq!(pieces, [(97, 0, 0), (98, 0, 0), (99, 1, 2), (100, 1, 3)]);
}

#[test]
fn without_samples_the_reason_is_told() {
    let load = load(&Ring::new(1, 1), &Params::default());
    assert_eq!(load.average_active_sessions, None);
    assert!(load.unknown.get("average_active_sessions").is_some());
}

#[test]
fn a_time_that_makes_no_sense_is_refused() {
    let view = View::unseen("main", "somewhere");
    let ring = ring();
    let known = Known { view: &view, ash: &ring, thresholds: Thresholds::default(), now: Timestamp::UNIX_EPOCH };
    for seconds in [0.0, -1.0, f64::NAN, 1e9] {
        assert_eq!(Load::build(&known, &Params { seconds, ..Params::default() }).unwrap_err().kind, Kind::Usage);
    }
}
