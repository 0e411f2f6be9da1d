//! What went wrong with a query, for whoever wrote it.

use super::{Limits, filter};
use pgtend_model::config::did_you_mean;
use pgtend_model::error::{Error, Kind};
use rusqlite::{Connection, ErrorCode};
use std::time::Instant;

/// An error of SQLite, in words and with a hint.
pub(super) fn of(error: &rusqlite::Error, limits: Limits, connection: Option<&Connection>) -> Error {
    let text = text(error);
    let code = error.sqlite_error_code();
    if code == Some(ErrorCode::OperationInterrupted) || Instant::now() >= limits.deadline {
        return Error::new(Kind::Timeout, format!("the query took longer than {} ms", limits.timeout_ms))
            .hint("narrow sample_time or server, group by columns instead of expressions, or allow more time");
    }
    let denied = code == Some(ErrorCode::AuthorizationForStatementDenied) || text.ends_with("may not be modified");
    if denied || matches!(error, rusqlite::Error::InvalidQuery) {
        return Error::new(Kind::Privilege, format!("history can only be read: {text}")).hint("write select …, or with … select …");
    }
    if matches!(error, rusqlite::Error::MultipleStatement) {
        return Error::new(Kind::Usage, "these are several statements").hint("ask one after the other");
    }
    if text.contains(filter::NO_TIME) {
        return Error::new(Kind::Usage, text)
            .hint("write it as '2026-11-20T10:00:00Z', '2026-11-20 10:00', '2026-11-20', or datetime('now', '-1 hour')");
    }
    match code {
        Some(
            ErrorCode::SystemIoFailure | ErrorCode::DiskFull | ErrorCode::CannotOpen | ErrorCode::DatabaseCorrupt | ErrorCode::OutOfMemory,
        ) => Error::new(Kind::System, format!("the history cannot be read: {text}")),
        _ => Error::new(Kind::Usage, text.clone()).hint(hint(&text, connection)),
    }
}

fn text(error: &rusqlite::Error) -> String {
    match error {
        rusqlite::Error::SqliteFailure(_, Some(text)) | rusqlite::Error::SqlInputError { msg: text, .. } => text.clone(),
        other => other.to_string(),
    }
}

fn hint(text: &str, connection: Option<&Connection>) -> String {
    let named = |sql: &str| connection.and_then(|connection| names(connection, sql).ok()).unwrap_or_default();
    if let Some(name) = text.strip_prefix("no such table: ") {
        let known = named("select name from history_tables");
        return format!("{}.tables lists what there is", like(name, &known));
    }
    if let Some(name) = text.strip_prefix("no such column: ") {
        let name = name.split(" - ").next().unwrap_or(name);
        let column = name.rsplit('.').next().unwrap_or(name);
        let known = named("select distinct name from history_columns");
        return format!("{}.schema TABLE lists the columns of a table; texts stand in single quotes", like(column, &known));
    }
    "it is SQLite's dialect: https://sqlite.org/lang_select.html".to_owned()
}

fn like(name: &str, known: &[String]) -> String {
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    did_you_mean(name, &known)
}

fn names(connection: &Connection, sql: &str) -> rusqlite::Result<Vec<String>> {
    connection.prepare(sql)?.query_map([], |row| row.get(0))?.collect()
}
