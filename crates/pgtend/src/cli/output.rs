//! Printing: one place that writes to standard output, in four formats.
#![expect(clippy::print_stderr, reason = "this is where commands print")]

use clap::ValueEnum;
use comfy_table::{Attribute, CellAlignment, Color, ColumnConstraint, ContentArrangement, Row, Table as Grid, presets};
use pgtend_model::error::{Error, Kind, Result};
use pgtend_model::units::harmless;
use serde::Serialize;
use std::io::{IsTerminal, Write};

/// How to print.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    #[value(alias = "text")]
    Table,
    /// For programs.
    Json,
    /// For programs and people.
    Yaml,
    /// For spreadsheets: the main table only.
    Csv,
    /// For people: counts of what would be listed (connections list), or one line (ping).
    Summary,
    /// For browsers and mail: one file with everything in it (awr report, awr compare, perf snapshot).
    Html,
}

/// What a cell means, from which its colour comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Tone {
    /// Nothing special.
    #[default]
    Plain,
    /// As it should be.
    Good,
    /// Worth a look.
    Warn,
    /// Wrong.
    Bad,
    /// Less important, or unknown.
    Dim,
    /// A heading.
    Strong,
}

/// One cell, already as text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cell {
    /// What it says.
    pub text: String,
    /// What it means.
    pub tone: Tone,
}

impl Cell {
    /// With a meaning.
    pub fn new(text: impl Into<String>, tone: Tone) -> Self {
        Self { text: text.into(), tone }
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::new(text, Tone::Plain)
    }
}

/// A table of a document.
#[derive(Debug, Clone, Default)]
pub struct Table {
    /// Heading; empty for none.
    pub title: String,
    /// Column names. A name that starts with `>` heads a column of numbers, set to the right.
    pub columns: Vec<String>,
    /// Rows of cells.
    pub rows: Vec<Vec<Cell>>,
    /// What to say where there is no row; empty to leave such a table out.
    pub empty: String,
}

impl Table {
    /// An empty table with these columns.
    pub fn new(title: &str, columns: &[&str]) -> Self {
        Self { title: title.to_owned(), columns: columns.iter().map(|name| (*name).to_owned()).collect(), ..Self::default() }
    }

    /// Adds a row.
    pub fn push<C: Into<Cell>>(&mut self, row: impl IntoIterator<Item = C>) {
        self.rows.push(row.into_iter().map(Into::into).collect());
    }

    /// With a heading.
    #[must_use]
    pub fn titled(mut self, title: &str) -> Self {
        title.clone_into(&mut self.title);
        self
    }

    /// With something to say where there is no row.
    #[must_use]
    pub fn or(mut self, empty: &str) -> Self {
        empty.clone_into(&mut self.empty);
        self
    }
}

/// A document that can be shown as tables; the first is the main one.
pub trait Tabular: Serialize {
    /// Its tables.
    fn tables(&self) -> Vec<Table>;

    /// The table for spreadsheets.
    fn records(&self) -> Table {
        self.tables().into_iter().next().unwrap_or_default()
    }

    /// Counts of what the document lists, for those that know how to count.
    fn summary(&self) -> Option<Table> {
        None
    }
}

/// Where a table is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Medium {
    /// Columns of the terminal; none where nothing is to be cut.
    pub width: Option<u16>,
    /// Whether colours are wanted.
    pub colour: bool,
}

impl Medium {
    /// Standard output: a terminal is filled to its width and may be coloured unless `NO_COLOR` is set; a pipe gets everything.
    pub fn stdout() -> Self {
        if !std::io::stdout().is_terminal() {
            return Self { width: None, colour: false };
        }
        let width = crossterm::terminal::size().ok().map(|(width, _)| width).filter(|width| *width > 0);
        Self { width, colour: wants_colour() }
    }
}

/// As <https://no-color.org> has it.
pub fn wants_colour() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()) && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// Prints a document.
///
/// # Errors
/// `System` when standard output cannot be written.
pub fn print(document: &impl Tabular, format: Format) -> Result<()> {
    write(&render(document, format, Medium::stdout())?)
}

/// The text of a document.
///
/// # Errors
/// `Internal` when the document cannot be put into the format.
pub fn render(document: &impl Tabular, format: Format, medium: Medium) -> Result<String> {
    Ok(match format {
        Format::Json => serde_json::to_string_pretty(document).map_err(|error| unprintable(&error))? + "\n",
        Format::Yaml => serde_yaml_ng::to_string(document).map_err(|error| unprintable(&error))?,
        Format::Csv => csv(&document.records())?,
        Format::Html => return Err(no_html()),
        Format::Summary => grid(&document.summary().ok_or_else(no_summary)?, medium),
        Format::Table => {
            let shown = document.tables().into_iter().filter(|table| !table.rows.is_empty() || !table.empty.is_empty());
            shown.map(|table| grid(&table, medium)).collect::<Vec<_>>().join("\n")
        }
    })
}

/// What asking for HTML is answered with, where there is none.
pub fn no_html() -> Error {
    Error::new(Kind::Usage, "only reports can be had as html").hint("choose --format table, json, yaml or csv")
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

/// Prints what is being done.
pub fn progress(what: &(impl std::fmt::Display + ?Sized)) {
    eprintln!("pgtend: {what}");
}

/// Prints something worth knowing that is no error.
pub fn notice(notice: &impl std::fmt::Display) {
    eprintln!("pgtend: note: {notice}");
}

/// Asks the person at the terminal; the answer is typed on the same line.
pub fn ask(question: &str) {
    eprint!("{question}");
}

/// Tells the person at the terminal something that is not the answer.
pub fn tell(text: &str) {
    eprintln!("{text}");
}

fn grid(table: &Table, medium: Medium) -> String {
    let title = if table.title.is_empty() { String::new() } else { format!("{}\n", paint(&table.title, Tone::Strong, medium)) };
    if table.rows.is_empty() {
        return format!("{title}{}\n", paint(&table.empty, Tone::Dim, medium));
    }
    let mut grid = Grid::new();
    grid.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled).set_truncation_indicator("…");
    if medium.colour {
        grid.enforce_styling();
    } else {
        grid.force_no_tty();
    }
    if let Some(width) = medium.width {
        grid.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    }
    if !table.columns.is_empty() {
        let names = table.columns.iter().map(|name| cell(name.trim_start_matches('>'), Tone::Dim));
        grid.set_header(Row::from(names.collect::<Vec<_>>()));
    }
    for row in &table.rows {
        let mut row = Row::from(row.iter().map(|shown| cell(&shown.text, shown.tone)).collect::<Vec<_>>());
        grid.add_row(std::mem::take(row.max_height(1)));
    }
    for (number, column) in grid.column_iter_mut().enumerate() {
        column.set_padding((0, 2));
        if table.columns.get(number).is_some_and(|name| name.starts_with('>')) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    if let Some(width) = medium.width {
        give_way(&mut grid, width);
    }
    format!("{title}{}\n", grid.trim_fmt())
}

/// Where the last column, a statement mostly, can give way alone, the others stay whole.
fn give_way(grid: &mut Grid, width: u16) {
    const LEAST: u16 = 20;
    let widths = grid.column_max_content_widths();
    let Some((_, others)) = widths.split_last() else { return };
    let taken: u16 = others.iter().map(|content| content.saturating_add(2)).fold(0, u16::saturating_add);
    if taken.saturating_add(LEAST) <= width {
        let last = others.len();
        grid.column_iter_mut().take(last).for_each(|column| {
            column.set_constraint(ColumnConstraint::ContentWidth);
        });
    }
}

/// Names and statements come from clients: nothing in them may move the cursor.
fn cell(text: &str, tone: Tone) -> comfy_table::Cell {
    let cell = comfy_table::Cell::new(harmless(text));
    match tone {
        Tone::Plain => cell,
        Tone::Good => cell.fg(Color::Green),
        Tone::Warn => cell.fg(Color::Yellow),
        Tone::Bad => cell.fg(Color::Red).add_attribute(Attribute::Bold),
        Tone::Dim => cell.add_attribute(Attribute::Dim),
        Tone::Strong => cell.add_attribute(Attribute::Bold),
    }
}

/// Text in the colour of its meaning, where colours are wanted.
pub(super) fn paint(text: &str, tone: Tone, medium: Medium) -> String {
    use crossterm::style::Stylize;
    match (medium.colour, tone) {
        (false, _) | (true, Tone::Plain) => text.to_owned(),
        (true, Tone::Good) => text.green().to_string(),
        (true, Tone::Warn) => text.yellow().to_string(),
        (true, Tone::Bad) => text.red().bold().to_string(),
        (true, Tone::Dim) => text.dim().to_string(),
        (true, Tone::Strong) => text.bold().to_string(),
    }
}

fn csv(table: &Table) -> Result<String> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let columns = table.columns.iter().map(|name| name.trim_start_matches('>').to_owned()).collect::<Vec<_>>();
    writer.write_record(&columns).map_err(|error| unprintable(&error))?;
    for row in &table.rows {
        writer.write_record(row.iter().map(|cell| cell.text.as_bytes())).map_err(|error| unprintable(&error))?;
    }
    let bytes = writer.into_inner().map_err(|error| unprintable(&error))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn no_summary() -> Error {
    Error::new(Kind::Usage, "there is no summary of this").hint("take table, json, yaml or csv")
}

fn unprintable(error: &dyn std::fmt::Display) -> Error {
    Error::new(Kind::Internal, format!("the document cannot be printed: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    struct Sample {
        text: &'static str,
    }

    impl Tabular for Sample {
        fn tables(&self) -> Vec<Table> {
            let mut main = Table::new("Sessions", &[">pid", "state", "query"]);
            main.rows.push(vec!["7".into(), Cell::new("blocked", Tone::Bad), self.text.into()]);
            main.rows.push(vec!["12345".into(), Cell::new("idle", Tone::Dim), "commit".into()]);
            vec![main, Table::new("Left out", &["a"]), Table::new("Waits", &["a"]).or("nothing waits")]
        }
    }

    const SAMPLE: Sample = Sample { text: "select 1,\n\x1b[2J 'a long statement that a terminal of eighty columns cannot show whole'" };

    #[test]
    fn a_pipe_gets_everything_and_no_colour() {
        let text = render(&SAMPLE, Format::Table, Medium { width: None, colour: false }).unwrap();
        insta::assert_snapshot!(text);
    }

    #[test]
    fn a_terminal_is_filled_to_its_width() {
        let text = render(&SAMPLE, Format::Table, Medium { width: Some(60), colour: false }).unwrap();
        assert!(text.lines().all(|line| line.chars().count() <= 60), "{text}");
        insta::assert_snapshot!(text);
    }

    #[test]
    fn nothing_from_a_client_reaches_the_terminal_but_text() {
        let text = render(&SAMPLE, Format::Table, Medium { width: Some(80), colour: true }).unwrap();
        assert!(text.contains("\u{1b}[") && !text.contains("\u{1b}[2J"), "{text:?}");
    }

    #[test]
    fn spreadsheets_get_the_main_table_as_it_is() {
        let text = render(&SAMPLE, Format::Csv, Medium { width: Some(20), colour: true }).unwrap();
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        assert_eq!(reader.headers().unwrap(), vec!["pid", "state", "query"]);
        assert_eq!(reader.records().count(), 2);
    }

    #[test]
    fn programs_get_the_document() {
        let medium = Medium { width: None, colour: false };
        let json: serde_json::Value = serde_json::from_str(&render(&SAMPLE, Format::Json, medium).unwrap()).unwrap();
        let yaml: serde_json::Value = serde_yaml_ng::from_str(&render(&SAMPLE, Format::Yaml, medium).unwrap()).unwrap();
        assert!(json == yaml && json["text"] == SAMPLE.text);
    }
}
