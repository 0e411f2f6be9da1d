//! What a session tells the server at its start, so that watching never hurts.

use super::error::classify;
use super::session::Limits;
use pgtend_model::error::{Error, Kind};

/// The startup packet's `options`: the target's own, then ours, which win because they come later.
///
/// Settings in the startup packet win over those of the role and the database, and take effect before any statement could run
/// into a `statement_timeout` of one millisecond.
pub fn options(own: &str, limits: &Limits) -> String {
    let settings = [
        ("statement_timeout", limits.statement_timeout.as_millis().to_string()),
        ("lock_timeout", limits.lock_timeout.as_millis().to_string()),
        ("idle_in_transaction_session_timeout", limits.idle_in_transaction_timeout.as_millis().to_string()),
        ("search_path", "pg_catalog".to_owned()),
        ("default_transaction_isolation", "read committed".to_owned()),
        ("client_min_messages", "warning".to_owned()),
        ("jit", "off".to_owned()),
        ("DateStyle", "ISO".to_owned()),
        ("IntervalStyle", "postgres".to_owned()),
        ("extra_float_digits", "1".to_owned()),
    ];
    let ours = settings.iter().map(|(name, value)| format!("-c {name}={}", escaped(value)));
    let all: Vec<String> = Some(own.to_owned()).filter(|own| !own.is_empty()).into_iter().chain(ours).collect();
    all.join(" ")
}

/// In `options`, a space ends a word unless a backslash is before it.
fn escaped(value: &str) -> String {
    value.replace('\\', r"\\").replace(' ', r"\ ")
}

/// The one round trip after the login: what the session has to know of the server, and the settings that could not be given
/// earlier, because older majors do not know them or because the answer depends on them.
pub fn settle(version: u32) -> String {
    let mut sql = "select pg_catalog.pg_backend_pid(), pg_catalog.pg_is_in_recovery(), \
                   pg_catalog.current_setting('transaction_read_only'); \
                   set default_transaction_read_only = on"
        .to_owned();
    if version >= 140_000 {
        sql.push_str("; set idle_session_timeout = 0");
    }
    if version >= 170_000 {
        sql.push_str("; set transaction_timeout = 0");
    }
    sql
}

/// What an error during the startup means: settings that PostgreSQL 13 knows are unknown only to something else.
pub fn explain(error: &tokio_postgres::Error) -> Error {
    let mut explained = classify(error);
    match error.as_db_error() {
        Some(answer) if answer.code().code() == "42704" => {
            explained = Error::new(Kind::Unsupported, format!("this server does not take the session's settings: {}", answer.message()))
                .hint("pgtend looks after PostgreSQL 13 to 18");
        }
        Some(answer) if answer.message().contains("unsupported startup parameter") => {
            explained = Error::new(Kind::Unsupported, format!("a connection pooler answers here: {}", answer.message()))
                .hint("connect to PostgreSQL itself: behind a pooler, sessions share their settings");
        }
        _ => {}
    }
    explained
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_settings_come_after_the_targets_own() {
        let options = options("-c statement_timeout=0 -c geqo=off", &Limits::default());
        assert!(options.starts_with("-c statement_timeout=0 -c geqo=off -c statement_timeout=2000 -c lock_timeout=200 "), "{options}");
        assert!(options.contains(r"-c default_transaction_isolation=read\ committed"), "{options}");
    }

    #[test]
    fn newer_timeouts_are_set_where_they_exist() {
        assert!(!settle(130_023).contains("idle_session_timeout"));
        assert!(settle(140_000).contains("idle_session_timeout") && !settle(160_014).contains("transaction_timeout ="));
        assert!(settle(180_004).contains("transaction_timeout"));
    }
}
