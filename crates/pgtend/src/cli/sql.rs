//! `pgtend sql`: questions in SQL about everything that is remembered.

use super::output::{self, Cell as Shown, Table, Tabular, Tone, print};
use super::{Global, source};
use crate::api::sql::PATH;
use clap::Args;
use pgtend_model::error::{Error, Kind, Result};
use pgtend_model::sql::{Answer, Cell, Query};
use pgtend_model::units::duration;
use pgtend_store::history::History;
use std::io::Read as _;
use std::path::PathBuf;
use std::time::Duration;

/// Answers questions in SQL about what the servers did: session samples, counters and gauges, snapshots, texts of statements
///
/// It is SQLite's dialect, and only reads. .tables lists the tables, .schema TABLE their columns:
///
///   pgtend sql "select wait_class, count(*) from ash where sample_time > datetime('now', '-1 hour') group by 1 order by 2 desc"
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Sql {
    /// The statement; - reads it from standard input. Or .tables, or .schema [TABLE]
    #[arg(required = true, value_name = "STATEMENT")]
    statement: Vec<String>,
    /// Read this history directory without an agent
    #[arg(long, value_name = "DIR", conflicts_with_all = ["connection", "socket", "url"])]
    history: Option<PathBuf>,
    /// Most rows
    #[arg(long, default_value_t = 10_000, value_name = "ROWS")]
    limit: usize,
    /// How long it may take: 30s, 2min
    #[arg(long, default_value = "30s", value_name = "DURATION", value_parser = |text: &str| duration(text).map_err(|error| error.what))]
    timeout: Duration,
}

impl Sql {
    pub(super) async fn run(&self, global: &Global) -> Result<u8> {
        let timeout_ms = u64::try_from(self.timeout.as_millis()).unwrap_or(u64::MAX);
        let query = Query { query: meant(&self.statement()?), limit: self.limit, timeout_ms };
        let answer = match &self.history {
            Some(directory) => History::open_existing(directory)?.query(&query, global.server.as_deref())?,
            None => ask(global, &query).await?,
        };
        if answer.truncated {
            output::notice(&format!("there are more rows than these {}; --limit allows more", answer.rows.len()));
        }
        print(&answer, global.format)?;
        Ok(0)
    }

    fn statement(&self) -> Result<String> {
        if self.statement != ["-"] {
            return Ok(self.statement.join(" "));
        }
        let mut text = String::new();
        let read = std::io::stdin().read_to_string(&mut text);
        read.map_err(|error| Error::new(Kind::System, format!("standard input cannot be read: {error}")))?;
        Ok(text)
    }
}

async fn ask(global: &Global, query: &Query) -> Result<Answer> {
    if global.connection.is_some() {
        return Err(Error::new(Kind::Usage, "a connection alone tells nothing of the past")
            .hint("ask an agent that watches the server: leave out --connection; or read its files: --history DIR"));
    }
    source::agent(global)?.make(PATH, global.server.as_deref(), query).await
}

/// The statement behind the two commands that are none.
fn meant(statement: &str) -> String {
    let mut words = statement.split_whitespace();
    match (words.next(), words.next(), words.next()) {
        (Some(".tables"), None, None) => "select name, about from history_tables order by name".to_owned(),
        (Some(".schema"), None, None) => format!("{COLUMNS} order by \"table\", position"),
        (Some(".schema"), Some(table), None) => {
            let table = table.trim_matches(|c| "\"';".contains(c)).replace('\'', "''");
            let columns = COLUMNS.replacen("\"table\", ", "", 1);
            format!("{columns} where \"table\" = '{table}' order by position")
        }
        _ => statement.to_owned(),
    }
}

const COLUMNS: &str = "select \"table\", name, lower(type) || iif(hidden, ', not in *', '') as type, unit, about from history_columns";

impl Tabular for Answer {
    fn tables(&self) -> Vec<Table> {
        let is_number = |column: usize| {
            let mut cells = self.rows.iter().filter_map(|row| row.get(column)).filter(|cell| **cell != Cell::Null).peekable();
            cells.peek().is_some() && cells.all(|cell| matches!(cell, Cell::Int(_) | Cell::Real(_)))
        };
        let columns = self.columns.iter().enumerate();
        let columns = columns.map(|(place, name)| if is_number(place) { format!(">{name}") } else { name.clone() }).collect();
        let shown = |cell: &Cell| match cell {
            Cell::Null => Shown::new("", Tone::Dim),
            other => Shown::from(other.to_string()),
        };
        let rows = self.rows.iter().map(|row| row.iter().map(shown).collect()).collect();
        vec![Table { columns, rows, ..Table::default() }.or("no rows")]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stand_to_the_right_and_what_is_not_there_is_empty() {
        let row = |name: &str, count: Cell| vec![Cell::Text(name.to_owned()), count];
        let answer = Answer {
            columns: vec!["wait_class".to_owned(), "count".to_owned()],
            rows: vec![row("CPU", Cell::Int(12)), row("User I/O", Cell::Null)],
            truncated: false,
            took_ms: 1,
        };
        let table = answer.tables().remove(0);
        assert_eq!(table.columns, ["wait_class", ">count"]);
        assert_eq!((table.rows[0][1].text.as_str(), table.rows[1][1].text.as_str()), ("12", ""));
    }

    #[test]
    fn the_two_commands_are_statements_as_well() {
        assert!(meant(" .tables\n").contains("history_tables"));
        assert!(meant(".schema ash;").contains("\"table\" = 'ash'") && meant(".schema").contains("order by \"table\""));
        assert!(meant(".schema a'b").contains("'a''b'"));
        assert_eq!(meant("select 1"), "select 1");
    }
}
