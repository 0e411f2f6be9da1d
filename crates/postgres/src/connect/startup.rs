//! What a session tells the server at its start, so that watching never hurts.

use super::error::classify;
use super::session::Limits;
use pgtend_model::error::{Error, Kind};

/// Settings of every session that watches.
const SETTINGS: &[(&str, &str)] = &[
    ("search_path", "pg_catalog"),
    ("default_transaction_isolation", "read committed"),
    ("client_min_messages", "warning"),
    ("DateStyle", "ISO"),
    ("IntervalStyle", "postgres"),
];

/// When a session's bounds are set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bounds {
    /// By the first statements, so that `reset_val` in `pg_settings` stays what the server gives to any session.
    First,
    /// In the startup packet, before any statement could run into a `statement_timeout` of one millisecond.
    AtStartup,
}

fn bounds(limits: &Limits) -> Vec<(&'static str, String)> {
    let mut bounds = vec![
        ("statement_timeout", limits.statement_timeout.as_millis().to_string()),
        ("lock_timeout", limits.lock_timeout.as_millis().to_string()),
        ("idle_in_transaction_session_timeout", limits.idle_in_transaction_timeout.as_millis().to_string()),
    ];
    if !limits.as_the_role {
        bounds.extend([("jit", "off".to_owned()), ("extra_float_digits", "1".to_owned())]);
    }
    bounds
}

/// The startup packet's `options`: the target's own, then ours, which win because they come later, and over those of the role and the
/// database.
pub fn options(own: &str, limits: &Limits, when: Bounds) -> String {
    let always = SETTINGS.iter().filter(|_| !limits.as_the_role).map(|(name, value)| (*name, (*value).to_owned()));
    let bounds = (when == Bounds::AtStartup).then(|| bounds(limits));
    let ours = always.chain(bounds.into_iter().flatten()).map(|(name, value)| format!("-c {name}={}", escaped(&value)));
    let all: Vec<String> = Some(own.to_owned()).filter(|own| !own.is_empty()).into_iter().chain(ours).collect();
    all.join(" ")
}

/// In `options`, a space ends a word unless a backslash is before it.
fn escaped(value: &str) -> String {
    value.replace('\\', r"\\").replace(' ', r"\ ")
}

/// The one round trip after the login: the session's bounds, what it has to know of the server, and the settings that could not be
/// given earlier, because older majors do not know them or because the answer depends on them.
pub fn settle(version: u32, limits: &Limits) -> String {
    let mut sql: String = bounds(limits).iter().map(|(name, value)| format!("set {name} = {value}; ")).collect();
    sql.push_str(
        "select pg_catalog.pg_backend_pid(), pg_catalog.pg_is_in_recovery(), \
                   pg_catalog.current_setting('transaction_read_only'); \
                   set default_transaction_read_only = on",
    );
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
        let later = options("-c statement_timeout=0 -c geqo=off", &Limits::default(), Bounds::First);
        assert!(later.starts_with("-c statement_timeout=0 -c geqo=off -c search_path=pg_catalog "), "{later}");
        assert!(later.contains(r"-c default_transaction_isolation=read\ committed") && !later.contains("lock_timeout"), "{later}");
        let at_startup = options("-c statement_timeout=0", &Limits::default(), Bounds::AtStartup);
        assert!(at_startup.contains(" -c statement_timeout=2000 -c lock_timeout=200 "), "{at_startup}");
    }

    #[test]
    fn a_session_as_the_role_is_bounded_and_otherwise_as_any() {
        let limits = Limits { as_the_role: true, ..Limits::default() };
        assert_eq!(options("-c geqo=off", &limits, Bounds::First), "-c geqo=off");
        let settled = settle(180_004, &limits);
        assert!(settled.contains("set statement_timeout = 2000; ") && settled.contains("default_transaction_read_only = on"), "{settled}");
        assert!(!settled.contains("jit"), "{settled}");
    }

    #[test]
    fn newer_timeouts_are_set_where_they_exist() {
        let settle = |version| settle(version, &Limits::default());
        assert!(settle(130_023).starts_with("set statement_timeout = 2000; "), "nothing runs before it");
        assert!(!settle(130_023).contains("idle_session_timeout"));
        assert!(settle(140_000).contains("idle_session_timeout") && !settle(160_014).contains("set transaction_timeout ="));
        assert!(settle(180_004).contains("set transaction_timeout"));
    }
}
