//! jsonlog: one object a line.

use super::{Event, Severity, instant, some};
use jiff::tz::TimeZone;
use serde_json::{Map, Value};

/// The event of a line; none where it is no message.
pub(super) fn read(line: &[u8], zone: &TimeZone) -> Option<Event> {
    let Value::Object(object) = serde_json::from_slice(line).ok()? else { return None };
    let text = |key: &str| object.get(key).and_then(Value::as_str).and_then(some);
    let sqlstate = text("state_code");
    let severity = Severity::of(object.get("error_severity")?.as_str()?, sqlstate.as_deref());
    Some(Event {
        at: text("timestamp").and_then(|at| instant::read(&at, zone)),
        severity,
        sqlstate,
        pid: object.get("pid").and_then(Value::as_i64),
        user: text("user"),
        database: text("dbname"),
        application: text("application_name"),
        client: text("remote_host"),
        backend_type: text("backend_type"),
        message: text("message").unwrap_or_default(),
        detail: text("detail"),
        hint: text("hint"),
        context: text("context"),
        query: text("statement"),
        query_id: number(&object, "query_id"),
    })
}

fn number(object: &Map<String, Value>, key: &str) -> Option<i64> {
    object.get(key).and_then(Value::as_i64).filter(|id| *id != 0)
}
