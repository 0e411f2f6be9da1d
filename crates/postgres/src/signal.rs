//! Sends a cancel or terminate to sessions, each only if it is still the session (and the statement) that was seen.

use crate::connect::{Session, error::classify};
use pgtend_model::error::Result;
use pgtend_model::signal::{Fate, Signal, Target};

/// The row exists only for the session that was seen, so the function in front runs for no other. Identity is checked by the server
/// in the same statement that signals: between a look and a signal sent later, a process id can change hands.
const GUARD: &str = "from pg_catalog.pg_stat_activity as a \
     where a.pid = $1::int4 and a.backend_start = $2::timestamptz and ($3::timestamptz is null or a.query_start = $3::timestamptz) \
       and a.backend_type = 'client backend' and a.pid <> pg_catalog.pg_backend_pid()";

/// Signals each target and says what became of it, in the order of the targets.
///
/// # Errors
/// Only when the connection is lost; what the server refuses is the fate of that target.
pub async fn send(session: &Session, signal: Signal, targets: &[Target]) -> Result<Vec<Fate>> {
    let function = match signal {
        Signal::Cancel => "pg_cancel_backend",
        Signal::Terminate => "pg_terminate_backend",
    };
    let sql = format!("select pg_catalog.{function}(a.pid) {GUARD}");
    let mut fates = Vec::with_capacity(targets.len());
    for target in targets {
        let Ok(pid) = i32::try_from(target.pid) else {
            fates.push(Fate::Changed);
            continue;
        };
        match session.client().query_opt(&sql, &[&pid, &target.backend_start, &target.query_start]).await {
            Ok(Some(row)) if row.get(0) => fates.push(Fate::Signalled),
            Ok(_) => fates.push(Fate::Changed),
            Err(error) if error.as_db_error().is_some() => fates.push(Fate::Refused(classify(&error).what)),
            Err(error) => return Err(classify(&error)),
        }
    }
    Ok(fates)
}
