//! Printing: one place that writes to standard output, in four formats.
#![expect(clippy::print_stderr, reason = "this is where commands print")]

use clap::ValueEnum;
use comfy_table::{ContentArrangement, Table as Grid, presets};
use pgtend_model::error::{Error, Kind, Result};
use serde::Serialize;
use std::io::{IsTerminal, Write};

/// How to print.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Table,
    /// For programs.
    Json,
    /// For programs and people.
    Yaml,
    /// For spreadsheets: the main table only.
    Csv,
}

/// A table of a document.
#[derive(Debug, Clone, Default)]
pub struct Table {
    /// Heading; empty for none.
    pub title: String,
    /// Column names.
    pub columns: Vec<String>,
    /// Cells, already as text.
    pub rows: Vec<Vec<String>>,
}

impl Table {
    /// An empty table with these columns.
    pub fn new(title: &str, columns: &[&str]) -> Self {
        Self { title: title.to_owned(), columns: columns.iter().map(|name| (*name).to_owned()).collect(), rows: Vec::new() }
    }
}

/// A document that can be shown as tables; the first is the main one.
pub trait Tabular: Serialize {
    /// Its tables.
    fn tables(&self) -> Vec<Table>;
}

/// Prints a document.
///
/// # Errors
/// `System` when standard output cannot be written.
pub fn print(document: &impl Tabular, format: Format) -> Result<()> {
    let text = match format {
        Format::Json => serde_json::to_string_pretty(document).map_err(|error| unprintable(&error))? + "\n",
        Format::Yaml => serde_yaml_ng::to_string(document).map_err(|error| unprintable(&error))?,
        Format::Csv => document.tables().first().map(csv).transpose()?.unwrap_or_default(),
        Format::Table => document.tables().iter().map(grid).collect::<Vec<_>>().join("\n"),
    };
    write(&text)
}

/// Prints text as it is. A reader that went away (`| head`) is no error.
///
/// # Errors
/// `System` when standard output cannot be written.
pub fn write(text: &str) -> Result<()> {
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        outcome => outcome.map_err(|error| Error::new(Kind::System, format!("standard output cannot be written: {error}"))),
    }
}

/// Prints an error where people look for it.
pub fn error(error: &Error) {
    eprintln!("pgtend: {error}");
}

fn grid(table: &Table) -> String {
    let mut grid = Grid::new();
    grid.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    if !std::io::stdout().is_terminal() {
        grid.set_content_arrangement(ContentArrangement::Disabled);
    }
    if !table.columns.is_empty() {
        grid.set_header(&table.columns);
    }
    grid.add_rows(&table.rows);
    let title = if table.title.is_empty() { String::new() } else { format!("{}\n", table.title) };
    format!("{title}{}\n", grid.trim_fmt())
}

fn csv(table: &Table) -> Result<String> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let mut records = std::iter::once(&table.columns).chain(&table.rows);
    records.try_for_each(|record| writer.write_record(record)).map_err(|error| unprintable(&error))?;
    let bytes = writer.into_inner().map_err(|error| unprintable(&error))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn unprintable(error: &dyn std::fmt::Display) -> Error {
    Error::new(Kind::Internal, format!("the document cannot be printed: {error}"))
}
