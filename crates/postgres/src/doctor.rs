//! What the doctor of backups asks a server.

use crate::connect::{Limits, Session, Target, error::classify};
use jiff::{SignedDuration, Timestamp};
use pgtend_model::backup::doctor::ServerFacts;
use pgtend_model::error::Result;
use std::time::Duration;
use tokio_postgres::Row;

const GOODBYE: Duration = Duration::from_millis(500);

/// Asks it.
///
/// # Errors
/// When it cannot be reached.
pub async fn look(target: &Target, connect_timeout: Duration, application_name: &str) -> Result<ServerFacts> {
    let limits = Limits { connect_timeout, statement_timeout: Duration::from_secs(10), ..Limits::default() };
    let session = Session::open(target, &limits, application_name).await?;
    let facts = ask(&session).await.map_err(|error| error.at(session.address()));
    session.close(GOODBYE).await;
    facts
}

async fn ask(session: &Session) -> Result<ServerFacts> {
    let row = session.client().query_one(&sql(session.version() / 10_000), &[]).await.map_err(|error| classify(&error))?;
    // What the answer was on its way counts for half.
    let now = Timestamp::now();
    facts(session.version(), &row, now).map_err(|error| classify(&error))
}

fn sql(major: u32) -> String {
    let functions = if major >= 15 {
        ["pg_catalog.pg_backup_start(text, boolean)", "pg_catalog.pg_backup_stop(boolean)"]
    } else {
        ["pg_catalog.pg_start_backup(text, boolean, boolean)", "pg_catalog.pg_stop_backup(boolean, boolean)"]
    };
    let may = functions.map(|function| format!("pg_catalog.has_function_privilege('{function}', 'EXECUTE')")).join(" and ");
    let reads = if major >= 14 { "pg_catalog.pg_has_role('pg_read_all_data', 'USAGE')" } else { "null::pg_catalog.bool" };
    format!(
        "select pg_catalog.pg_is_in_recovery(), r.rolsuper, r.rolreplication, \
         case when r.rolvaliduntil = 'infinity'::pg_catalog.timestamptz then null else extract(epoch from r.rolvaliduntil)::pg_catalog.float8 end, \
         {may}, pg_catalog.pg_has_role('pg_monitor', 'USAGE'), {reads}, pg_catalog.current_setting('archive_mode'), \
         coalesce(nullif(pg_catalog.current_setting('archive_library', true), ''), pg_catalog.current_setting('archive_command')), \
         (select a.last_failed_wal from pg_catalog.pg_stat_archiver as a where a.last_failed_time > coalesce(a.last_archived_time, '-infinity'::pg_catalog.timestamptz)), \
         pg_catalog.current_setting('max_connections')::pg_catalog.int8 - pg_catalog.current_setting('superuser_reserved_connections')::pg_catalog.int8 \
         - coalesce(pg_catalog.current_setting('reserved_connections', true), '0')::pg_catalog.int8, \
         (select count(*) from pg_catalog.pg_stat_activity as s where s.backend_type = 'client backend'), \
         extract(epoch from pg_catalog.clock_timestamp())::pg_catalog.float8 \
         from pg_catalog.pg_roles as r where r.rolname = current_user"
    )
}

fn facts(version: u32, row: &Row, now: Timestamp) -> Result<ServerFacts, tokio_postgres::Error> {
    let instant =
        |seconds: f64| SignedDuration::try_from_secs_f64(seconds).ok().and_then(|since| Timestamp::UNIX_EPOCH.checked_add(since).ok());
    let count = |index: usize| row.try_get::<_, i64>(index).map(|count| u64::try_from(count).unwrap_or(0));
    let clock = instant(row.try_get(12)?);
    Ok(ServerFacts {
        version,
        in_recovery: row.try_get(0)?,
        superuser: row.try_get(1)?,
        replication: row.try_get::<_, bool>(2)? || row.try_get::<_, bool>(1)?,
        valid_until: row.try_get::<_, Option<f64>>(3)?.and_then(instant),
        may_back_up: row.try_get(4)?,
        monitor: row.try_get(5)?,
        reads_all_data: row.try_get(6)?,
        archive_mode: row.try_get(7)?,
        archiver: row.try_get::<_, Option<String>>(8)?.unwrap_or_default(),
        failing: row.try_get(9)?,
        connections: count(10)?,
        used_connections: count(11)?,
        clock_ahead: clock.map_or(SignedDuration::ZERO, |clock| clock.duration_since(now)),
    })
}
