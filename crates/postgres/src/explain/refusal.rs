//! What it means that a server refuses to plan or to execute a statement.

use crate::connect::error::classify;
use pgtend_model::error::{Error, Kind, Retry};
use pgtend_model::plan::ask::{Request, writes};
use pgtend_model::units::exact_duration;
use tokio_postgres::error::ErrorPosition;

/// The error as somebody who asked for a plan reads it.
pub(super) fn of(error: &tokio_postgres::Error, request: &Request) -> Error {
    let explained = classify(error);
    let Some(answer) = error.as_db_error() else { return explained };
    let message = answer.message();
    match answer.code().code() {
        "42601" if message.contains("multiple commands") => Error::new(Kind::Usage, "this is more than one statement")
            .hint("a plan is made for one statement at a time: give them one by one"),
        "25006" => writes(message),
        "57014" => too_slow(request),
        "55P03" => Error::new(Kind::Timeout, format!("a table in it is locked by another session: {message}"))
            .hint("pgtend locks shows who holds it; try again later"),
        "42501" => explained_privilege(message),
        "42P18" => Error::new(Kind::Usage, message).hint("say its type: $1::int"),
        "42601" | "42P01" | "42703" | "42883" | "42P02" => located(explained, error, request),
        _ => explained,
    }
}

/// The error of a statement that took too long.
pub(super) fn too_slow(request: &Request) -> Error {
    let timeout = exact_duration(request.timeout());
    let doing = if request.analyze { "executed" } else { "planned" };
    Error::new(Kind::Timeout, format!("the statement was not {doing} within {timeout}, and was cancelled"))
        .hint("--timeout gives it longer; without --analyze it is planned only")
        .retry(Retry::Never)
}

fn explained_privilege(message: &str) -> Error {
    Error::new(Kind::Privilege, format!("the role may not use what the statement uses: {message}"))
        .hint("EXPLAIN needs the rights of the statement itself, and pg_monitor has none on tables: GRANT SELECT on them, or pg_read_all_data (14 on)")
}

/// With the line and column of the statement at which the server stumbled.
fn located(mut explained: Error, error: &tokio_postgres::Error, request: &Request) -> Error {
    explained.kind = Kind::Usage;
    explained.retry = Retry::Never;
    let position = error.as_db_error().and_then(|answer| answer.position());
    if let Some(ErrorPosition::Original(position)) = position {
        let before: String = request.sql.chars().take((*position as usize).saturating_sub(1)).collect();
        let line = before.matches('\n').count() + 1;
        let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
        // A position in what was put before the statement says nothing to whoever wrote it.
        if before.len() < request.sql.len() {
            explained = explained.at(format!("line {line}, column {column} of the statement"));
        }
    }
    explained
}
