//! A connection that can do nothing but read the history.

use super::super::History;
use super::instant;
use super::relation::{self, Relation};
use super::scan::Scanned;
use super::table;
use super::views::VIEWS;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::limits::Limit;
use rusqlite::{Connection, OpenFlags, Result, params};
use std::sync::Arc;
use std::time::Instant;

/// Steps of SQLite between two looks at the clock: some tenths of a ms.
const STEPS: i32 = 10_000;
/// Longest text that may come about, in bytes.
const MOST_TEXT: i32 = 16 << 20;
/// What SQLite may keep of what it sorts before it goes to disk, in KiB.
const CACHE_KIB: i64 = 16 << 10;

/// Opens one, for everything that is remembered or for one server.
pub(super) fn open(history: &History, server: Option<&str>, deadline: Instant) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_in_memory_with_flags(flags)?;
    connection.execute("attach ?1 as catalog", [history.catalog().uri()])?;
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    connection.create_collation(instant::COLLATION, instant::compare)?;
    let scanned = Arc::new(Scanned::new(history.clone(), server.map(str::to_owned), deadline));
    let relations = relation::all();
    describe(&connection, &relations)?;
    let only = server.map_or(String::new(), |name| format!(" where s.server = '{}'", name.replace('\'', "''")));
    for view in VIEWS {
        connection.execute_batch(&format!("create temp view {} as {}{only}", view.name, view.sql))?;
    }
    for relation in relations {
        table::register(&connection, &scanned, relation)?;
    }
    bound(&mut connection, deadline)?;
    Ok(connection)
}

/// The tables `history_tables` and `history_columns`: what there is.
fn describe(connection: &Connection, relations: &[Relation]) -> Result<()> {
    connection.execute_batch(
        "create table history_tables (name text primary key, about text);
         create table history_columns (\"table\" text, position integer, name text, type text, unit text, hidden integer, about text);
         begin;",
    )?;
    {
        let mut tables = connection.prepare("insert into history_tables values (?1, ?2)")?;
        let mut columns = connection.prepare("insert into history_columns values (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?;
        for relation in relations {
            tables.execute(params![relation.name, relation.about])?;
            for (position, field) in (1_i64..).zip(&relation.fields) {
                columns.execute(params![relation.name, position, field.name, field.ty, field.unit, field.hidden, field.about])?;
            }
        }
        for view in VIEWS {
            tables.execute(params![view.name, view.about])?;
            for (position, (column, ty, about)) in (1_i64..).zip(view.columns) {
                columns.execute(params![view.name, position, column, ty, "", false, about])?;
            }
        }
    }
    connection.execute_batch("commit")
}

/// From now on it only reads, and not for ever.
fn bound(connection: &mut Connection, deadline: Instant) -> Result<()> {
    connection.pragma_update(None, "query_only", true)?;
    connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, MOST_TEXT)?;
    connection.set_limit(Limit::SQLITE_LIMIT_ATTACHED, 0)?;
    connection.progress_handler(STEPS, Some(move || Instant::now() >= deadline))?;
    connection.authorizer(Some(|context: AuthContext<'_>| allow(&context.action)))
}

fn allow(action: &AuthAction<'_>) -> Authorization {
    match action {
        AuthAction::Select | AuthAction::Read { .. } | AuthAction::Recursive => Authorization::Allow,
        AuthAction::Function { function_name } if !function_name.eq_ignore_ascii_case("load_extension") => Authorization::Allow,
        _ => Authorization::Deny,
    }
}
