//! Whether a session that somebody names may get a signal, by what there is now.

use super::{Fate, Signal, Spared, Target, target};
use crate::sample::activity::Activity;

/// Decides about each target: nothing is in its way, or what becomes of it instead. The server is asked again when the signal is sent.
pub fn decide(signal: Signal, targets: &[Target], sessions: &[Activity]) -> Vec<Result<(), Fate>> {
    targets.iter().map(|asked| one(signal, asked, sessions)).collect()
}

fn one(signal: Signal, asked: &Target, sessions: &[Activity]) -> Result<(), Fate> {
    let session = sessions.iter().find(|row| row.pid == asked.pid).ok_or(Fate::Changed)?;
    let found = target(session).map_err(Fate::Spared)?;
    let is_same_statement = asked.query_start.is_none() || asked.query_start == found.query_start;
    if asked.backend_start != found.backend_start || !is_same_statement {
        return Err(Fate::Changed);
    }
    let idles = session.state.as_deref().is_some_and(|state| state.starts_with("idle"));
    if signal == Signal::Cancel && idles { Err(Fate::Spared(Spared::Idle)) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::by_hand::{at, put, view};
    use serde_json::json;

    fn sessions() -> Vec<Activity> {
        let session = |pid: i64, kind: &str, application: &str, state: &str| json!({"pid": pid, "backend_type": kind, "application_name": application, "state": state, "backend_start": 1, "query_start": 2});
        let mut view = view();
        let rows = json!([
            session(1, "client backend", "shop", "active"),
            session(2, "client backend", "shop", "idle in transaction"),
            session(3, "walsender", "standby1", "active"),
            session(4, "autovacuum worker", "", "active"),
            session(5, "client backend", "pgtend", "active"),
            {"pid": 6, "backend_type": "client backend", "state": "active"},
        ]);
        put(&mut view.readings.sessions, 0, rows);
        view.readings.sessions.current().unwrap().rows.clone()
    }

    fn fate(signal: Signal, pid: i64, backend_start: i64, query_start: Option<i64>) -> Option<Fate> {
        let asked = Target { pid, backend_start: at(backend_start), query_start: query_start.map(at) };
        decide(signal, &[asked], &sessions()).remove(0).err()
    }

    #[test]
    fn only_what_was_seen_and_may_be_touched() {
        use Signal::{Cancel, Terminate};
        assert_eq!(fate(Cancel, 1, 1, Some(2)), None);
        assert_eq!(fate(Terminate, 1, 1, None), None);
        assert_eq!(fate(Cancel, 1, 1, Some(3)), Some(Fate::Changed), "another statement");
        assert_eq!(fate(Terminate, 1, 9, None), Some(Fate::Changed), "another session");
        assert_eq!(fate(Terminate, 99, 1, None), Some(Fate::Changed), "no session");
        assert_eq!(fate(Cancel, 2, 1, Some(2)), Some(Fate::Spared(Spared::Idle)));
        assert_eq!(fate(Terminate, 2, 1, Some(2)), None);
        for (pid, spared) in [(3, Spared::Replication), (4, Spared::Background), (5, Spared::Own), (6, Spared::Unidentified)] {
            assert_eq!(fate(Terminate, pid, 1, None), Some(Fate::Spared(spared)));
        }
    }
}
