//! SQL over history: tables for SQLite that read journals and sealed files in place.
//!
//! A query runs on a connection of its own that can do nothing but read, for as long and as far as its limits say. `relation` says which
//! tables there are, `table` is what SQLite calls, `scan` reads. What SQLite tells beforehand saves work: a server and a stretch of time
//! leave out whole files, only columns that are used are read, and rows that are grouped come group by group.

mod column;
mod cursor;
mod filter;
mod groups;
mod instant;
mod long_form;
mod plan;
mod problem;
mod relation;
mod scan;
mod session;
mod table;
#[cfg(test)]
mod tests;
mod views;

use super::History;
use pgtend_model::error::{Error, Kind, Result};
use pgtend_model::sql::{Answer, Cell, Query};
use rusqlite::Connection;
use rusqlite::types::ValueRef;
use std::time::{Duration, Instant};

/// Most rows that may be asked for.
const MOST_ROWS: usize = 1_000_000;
/// Longest time that may be asked for, in ms.
const MOST_MS: u64 = 240_000;
/// What an answer may take, in bytes.
const MOST_BYTES: usize = 64 << 20;

impl History {
    /// Answers a question in SQL about everything that is remembered, or about one server only.
    ///
    /// # Errors
    /// `Usage` when the statement cannot be understood, or would do anything but read; `Timeout` when it took too long; `System` when the
    /// history cannot be read.
    pub fn query(&self, query: &Query, server: Option<&str>) -> Result<Answer> {
        if query.query.trim().is_empty() {
            return Err(Error::new(Kind::Usage, "there is no statement").hint("pgtend sql \"select …\"; .tables lists what there is"));
        }
        if query.limit > MOST_ROWS || query.timeout_ms > MOST_MS {
            return Err(Error::new(Kind::Usage, format!("at most {MOST_ROWS} rows and {MOST_MS} ms may be asked for")));
        }
        if let Some(server) = server {
            self.check_server(server)?;
        }
        let began = Instant::now();
        let limits = Limits { deadline: began + Duration::from_millis(query.timeout_ms), timeout_ms: query.timeout_ms };
        let connection = session::open(self, server, limits.deadline).map_err(|error| problem::of(&error, limits, None))?;
        let answer = run(&connection, query).map_err(|error| problem::of(&error, limits, Some(&connection)))?;
        Ok(Answer { took_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX), ..answer })
    }

    fn check_server(&self, server: &str) -> Result<()> {
        let known = self.servers()?;
        if known.iter().any(|name| name == server) {
            return Ok(());
        }
        Err(Error::new(Kind::NotFound, format!("nothing is remembered of a server \"{server}\""))
            .hint(format!("there is {}", known.join(", "))))
    }
}

/// How long a query may take.
#[derive(Debug, Clone, Copy)]
struct Limits {
    deadline: Instant,
    timeout_ms: u64,
}

fn run(connection: &Connection, query: &Query) -> rusqlite::Result<Answer> {
    let mut statement = connection.prepare(&query.query)?;
    let columns: Vec<String> = statement.column_names().map(str::to_owned).collect();
    let mut answer = Answer { columns, rows: Vec::new(), truncated: false, took_ms: 0 };
    let mut bytes = 0;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        if answer.rows.len() >= query.limit || bytes > MOST_BYTES {
            answer.truncated = true;
            break;
        }
        let mut cells = Vec::with_capacity(answer.columns.len());
        for column in 0..answer.columns.len() {
            let cell = cell(row.get_ref(column)?);
            bytes += std::mem::size_of::<Cell>() + if let Cell::Text(text) = &cell { text.len() } else { 0 };
            cells.push(cell);
        }
        answer.rows.push(cells);
    }
    Ok(answer)
}

fn cell(value: ValueRef<'_>) -> Cell {
    match value {
        ValueRef::Null => Cell::Null,
        ValueRef::Integer(v) => Cell::Int(v),
        ValueRef::Real(v) => Cell::Real(v),
        ValueRef::Text(v) => Cell::Text(String::from_utf8_lossy(v).into_owned()),
        ValueRef::Blob(v) => Cell::Text(v.iter().map(|byte| format!("{byte:02x}")).collect()),
    }
}
