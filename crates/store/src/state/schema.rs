//! The schema of the state file, as the steps that lead to it. Steps are only ever added: the file says how many it has taken.

use super::failed;
use pgtend_model::error::{Error, Kind, Result};
use rusqlite::{Connection, TransactionBehavior};
use std::path::Path;

const STEPS: &[&str] = &[
    // Times are ms since 1970. A name is free again once its token is revoked; the row stays, so that the log can be read.
    "create table token (
         id integer primary key,
         name text not null,
         role text not null,
         hash blob not null unique check (length(hash) = 32),
         created_by text not null,
         created_ms integer not null,
         expires_ms integer,
         last_used_ms integer,
         revoked_ms integer
     ) strict;
     create unique index token_name on token (name) where revoked_ms is null;",
    // Labels are a JSON object.
    "create table metric (
         name text primary key,
         kind text not null,
         help text not null,
         labels text not null,
         value real not null,
         changed_ms integer
     ) strict, without rowid;",
];

/// Takes the steps that the file has not taken yet, all or none.
pub(super) fn migrate(connection: &mut Connection, path: &Path) -> Result<()> {
    let steps = |error: rusqlite::Error| failed(path, &error);
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(steps)?;
    let taken: u32 = transaction.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(steps)?;
    let Some(due) = STEPS.get(taken as usize..) else {
        return Err(Error::new(Kind::Unsupported, "the state was written by a newer pgtend")
            .at(path.display().to_string())
            .hint("run that version, or name another directory in agent.state_directory"));
    };
    for step in due {
        transaction.execute_batch(step).map_err(steps)?;
    }
    if !due.is_empty() {
        transaction.pragma_update(None, "user_version", taken + u32::try_from(due.len()).unwrap_or(0)).map_err(steps)?;
    }
    transaction.commit().map_err(steps)
}
