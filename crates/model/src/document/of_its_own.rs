//! What documents say to a role that sees only its own sessions: what they show is of those, and counts of all are not known.

use super::ash::samples::Samples;
use super::by_hand::{built, put, view};
use super::connections::Connections;
use super::load::Load;
use super::locks::Locks;
use super::metrics::Metrics;
use super::sessions::Sessions;
use super::stats::transactions::Transactions;
use super::status::Status;
use crate::sample::Probe;
use crate::view::View;
use serde_json::{Value, json};

/// A server with one session that works, seen by a role that sees all sessions, or only its own.
fn seen(all: bool) -> View {
    let mut view = view();
    put(&mut view.readings.server, 59, json!([{"version": "18.4", "max_connections": 100, "sees_all_sessions": all}]));
    let session =
        json!({"pid": 7, "backend_type": "client backend", "state": "active", "backend_start": 1, "query_start": 2, "xact_start": 2});
    put(&mut view.readings.activity, 59, json!([session]));
    put(&mut view.readings.sessions, 59, json!([session, {"pid": 8, "usename": "other"}]));
    put(&mut view.readings.connections, 59, json!([{"backend_type": "client backend", "state": "active", "count": 1}, {"count": 1}]));
    put(&mut view.readings.lock_waits, 59, json!([]));
    view
}

fn documents(view: &View) -> Vec<(&'static str, Value)> {
    vec![
        ("sessions.others", built::<Sessions>(view, &Default::default())),
        ("sessions.others", built::<Connections>(view, &Default::default())),
        ("sessions.others", built::<Locks>(view, &Default::default())),
        ("average_active_sessions", built::<Load>(view, &Default::default())),
        ("samples.others", built::<Samples>(view, &Default::default())),
        ("connections.active", built::<Status>(view, &Default::default())),
        ("sessions", built::<Status>(view, &Default::default())),
        ("database.active_connections", built::<Metrics>(view, &Default::default())),
        ("transactions.active_transactions", built::<Metrics>(view, &Default::default())),
        ("active_transactions", built::<Transactions>(view, &Default::default())),
    ]
}

#[test]
fn what_it_does_not_see_is_unknown_with_what_would_mend_it() {
    for (place, document) in documents(&seen(false)) {
        let why = &document["unknown"][place];
        assert_eq!(why["reason"], "privilege", "{place}: {document}");
        assert!(why["detail"].as_str().unwrap().contains("GRANT pg_monitor"), "{why}");
        let figure = document.pointer(&format!("/{}", place.replace('.', "/"))).unwrap_or(&Value::Null);
        assert!(figure.is_null() || figure.is_array() || figure.is_object(), "{place} is {figure}");
    }
    for (place, document) in documents(&seen(true)) {
        assert_eq!(document["unknown"][place], Value::Null, "{place}: {document}");
    }
}

#[test]
fn its_own_sessions_are_shown() {
    let view = seen(false);
    assert_eq!(built::<Sessions>(&view, &Default::default())["sessions"][0]["session_id"], 7);
    let load = built::<Load>(&view, &Default::default());
    assert_eq!((&load["samples"], &load["classes"][0]["wait_class"]), (&json!(1), &json!("CPU")));
    let mut unseen = view;
    unseen.readings.fail(Probe::Server, crate::sample::Unknown::new(crate::sample::Reason::Timeout, "slow"));
    let sessions = built::<Sessions>(&unseen, &Default::default());
    assert_eq!(sessions["unknown"]["sessions.others"]["reason"], "privilege", "what was known of the role stays known");
}
