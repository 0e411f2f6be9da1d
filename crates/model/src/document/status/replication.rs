//! The part of the status that says how far standbys are behind.

use super::Replication;
use crate::document::{Known, Unknowns};
use crate::health::Level;
use crate::sample::recovery::Recovery;
use crate::sample::replication::Replication as Sender;
use crate::sample::{Reason, Sample, Unknown};

pub(super) fn lag(known: &Known<'_>, unknown: &mut Unknowns) -> Replication {
    let view = known.view;
    let senders = unknown.take("replication", view.readings.replication.current());
    let standbys = senders.map(|sample| sample.rows.iter().filter(|row| is_standby(row)).count());
    let own = view.readings.recovery.current().ok().and_then(|sample| sample.rows.first());
    let lag_seconds = match (own, senders) {
        (Some(own), _) => own_lag(own),
        (None, Some(sample)) => furthest_behind(sample),
        (None, None) => Ok(None),
    };
    let lag_bytes = match (own, senders) {
        (Some(own), _) => own.replay_lag_bytes,
        (None, Some(sample)) => sample.rows.iter().filter(|row| is_standby(row)).filter_map(|row| row.replay_lag_bytes).max(),
        (None, None) => None,
    };
    let lag_seconds = unknown.take("replication.lag_seconds", lag_seconds).flatten();
    let level = match (lag_seconds, standbys) {
        (None, Some(0)) => Level::Up,
        (lag, _) => known.thresholds.replication_lag_seconds.level(lag),
    };
    Replication { lag_seconds, lag_bytes, standbys, level }
}

fn is_standby(row: &Sender) -> bool {
    row.state.as_deref() != Some("backup")
}

fn own_lag(own: &Recovery) -> Result<Option<f64>, Unknown> {
    let ms = own.replay_lag_ms.ok_or_else(|| Unknown::new(Reason::Absent, "no transaction has been replayed since the start"))?;
    Ok(Some(ms / 1000.0))
}

/// A standby that has confirmed everything shows no lag: it is none behind.
fn furthest_behind(sample: &Sample<Sender>) -> Result<Option<f64>, Unknown> {
    let standbys: Vec<&Sender> = sample.rows.iter().filter(|row| is_standby(row)).collect();
    if standbys.is_empty() {
        return Err(Unknown::new(Reason::Absent, "no standby streams from this server"));
    }
    if standbys.iter().any(|row| row.state.is_none()) {
        return Err(Unknown::new(Reason::Privilege, "the role may not see the standbys' positions; run: GRANT pg_monitor TO the role"));
    }
    let lag_ms = |row: &&Sender| row.replay_lag_ms.unwrap_or(0.0);
    Ok(standbys.iter().map(lag_ms).max_by(f64::total_cmp).map(|ms| ms / 1000.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::by_hand::view;
    use crate::health::Thresholds;
    use jiff::Timestamp;
    use std::time::Duration;

    fn sender(state: Option<&str>, replay_lag_ms: Option<f64>) -> Sender {
        Sender {
            pid: 1,
            usename: None,
            application_name: None,
            client_addr: None,
            client_port: None,
            slot_name: None,
            backend_start: None,
            xmin_age: None,
            state: state.map(Into::into),
            current_position: None,
            sent_position: None,
            write_position: None,
            flush_position: None,
            replay_position: None,
            sent_lag_bytes: None,
            write_lag_bytes: None,
            flush_lag_bytes: None,
            replay_lag_bytes: Some(10),
            write_lag_ms: None,
            flush_lag_ms: None,
            replay_lag_ms,
            sync_priority: None,
            sync_state: None,
            reply_time: None,
        }
    }

    fn lag_of(rows: Vec<Sender>) -> (Replication, Unknowns) {
        let mut view = view();
        view.readings.replication.put(Ok(Sample { at: Timestamp::UNIX_EPOCH, took: Duration::ZERO, rows, missing: Vec::new() }));
        let mut unknown = Unknowns::default();
        let ring = crate::ash::Ring::new(1, 1);
        let known = Known { view: &view, ash: &ring, thresholds: Thresholds::default(), now: Timestamp::UNIX_EPOCH };
        (lag(&known, &mut unknown), unknown)
    }

    #[test]
    fn the_standby_furthest_behind_counts_and_a_backup_is_none() {
        let (found, unknown) =
            lag_of(vec![sender(Some("streaming"), Some(1500.0)), sender(Some("streaming"), None), sender(Some("backup"), Some(9000.0))]);
        assert_eq!(found, Replication { lag_seconds: Some(1.5), lag_bytes: Some(10), standbys: Some(2), level: Level::Up });
        assert!(unknown.is_empty());
    }

    #[test]
    fn no_standby_is_no_lag_and_a_hidden_one_is_unknown() {
        let (found, unknown) = lag_of(Vec::new());
        assert_eq!((found.lag_seconds, found.standbys, found.level), (None, Some(0), Level::Up));
        assert_eq!(unknown.get("replication.lag_seconds").map(|why| why.reason), Some(Reason::Absent));
        let (found, unknown) = lag_of(vec![sender(None, None)]);
        assert_eq!((found.lag_seconds, found.level), (None, Level::Unknown));
        assert_eq!(unknown.get("replication.lag_seconds").map(|why| why.reason), Some(Reason::Privilege));
    }
}
