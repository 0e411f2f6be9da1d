//! Rows for tests: everything zero, to be filled in where it matters.

use super::activity::Activity;
use super::{DecodeError, Row, RowSource, Sample, Text};
use jiff::Timestamp;
use std::time::Duration;

struct Zeros;

impl RowSource for Zeros {
    fn int(&mut self, _: usize) -> Result<Option<i64>, DecodeError> {
        Ok(Some(0))
    }

    fn float(&mut self, _: usize) -> Result<Option<f64>, DecodeError> {
        Ok(Some(0.0))
    }

    fn bool(&mut self, _: usize) -> Result<Option<bool>, DecodeError> {
        Ok(Some(false))
    }

    fn text(&mut self, _: usize) -> Result<Option<Text>, DecodeError> {
        Ok(Some(Text::from("")))
    }

    fn time(&mut self, _: usize) -> Result<Option<Timestamp>, DecodeError> {
        Ok(Some(Timestamp::UNIX_EPOCH))
    }

    fn ints(&mut self, _: usize) -> Result<Option<Vec<i32>>, DecodeError> {
        Ok(Some(Vec::new()))
    }
}

/// A row of zeros and empty texts, with some fields set.
pub fn row<R: Row>(fill: impl FnOnce(&mut R)) -> R {
    let mut row = R::read(&mut Zeros).expect("zeros fit every row");
    fill(&mut row);
    row
}

/// A sample of these rows, taken so many seconds after 1970.
pub fn sample<R>(second: i64, rows: Vec<R>) -> Sample<R> {
    Sample { at: Timestamp::from_second(second).expect("a small number"), took: Duration::from_millis(2), rows, missing: Vec::new() }
}

/// An active session of joe in the database app.
pub fn active(pid: i64) -> Activity {
    Activity {
        pid,
        leader_pid: None,
        backend_start: Some(Timestamp::UNIX_EPOCH),
        datid: None,
        datname: Some("app".into()),
        usesysid: None,
        usename: Some("joe".into()),
        application_name: None,
        client_addr: None,
        client_port: None,
        backend_type: Some("client backend".into()),
        state: Some("active".into()),
        wait_event_type: None,
        wait_event: None,
        xact_start: None,
        query_start: Some(Timestamp::UNIX_EPOCH),
        state_change: None,
        xid_age: None,
        xmin_age: None,
        query_id: None,
        query: None,
        blocked_by: None,
    }
}
