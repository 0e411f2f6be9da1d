//! A report as it is laid out, whether as text or as HTML: sections of facts, tables and charts. What a cell shows is rounded for people;
//! the exact figure, or the reason why there is none, comes along.

use crate::sample::Unknown;
use crate::units::{show_bytes, show_count, show_seconds};
use jiff::Timestamp;

/// A whole report.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// What it is.
    pub title: String,
    /// Of what, and of when.
    pub subtitle: String,
    /// What one wants to know first.
    pub highlights: Vec<(String, Cell)>,
    /// Its sections, in the order of reading.
    pub sections: Vec<Section>,
}

/// A section.
#[derive(Debug, Clone, Default)]
pub struct Section {
    /// Its name in links.
    pub id: &'static str,
    /// Its heading.
    pub title: String,
    /// What it tells, or how to read it; empty where the heading says it.
    pub about: String,
    /// What to know about its figures.
    pub notes: Vec<String>,
    /// What is in it.
    pub parts: Vec<Part>,
}

impl Section {
    /// An empty section.
    pub fn new(id: &'static str, title: &str, about: &str) -> Self {
        Self { id, title: title.to_owned(), about: about.to_owned(), ..Self::default() }
    }

    /// With a note.
    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Self {
        let note = note.into();
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
        self
    }

    /// With the reasons why figures are missing, each once.
    #[must_use]
    pub fn missing<'a>(mut self, unknown: impl IntoIterator<Item = (&'a str, &'a Unknown)>) -> Self {
        for (place, unknown) in unknown {
            let what = place.replace(['_', '.'], " ");
            self = self.note(format!("Not known: {what} ({}).", unknown.detail.trim_end_matches('.')));
        }
        self
    }

    /// With a part.
    #[must_use]
    pub fn with(mut self, part: impl Into<Part>) -> Self {
        self.parts.push(part.into());
        self
    }

    /// With a part, where there is one.
    #[must_use]
    pub fn with_some(self, part: Option<impl Into<Part>>) -> Self {
        match part {
            Some(part) => self.with(part),
            None => self,
        }
    }
}

/// One part of a section.
#[derive(Debug, Clone)]
pub enum Part {
    /// Names with what they are.
    Facts(Vec<(String, Cell)>),
    /// A table.
    Table(Table),
    /// Sessions over time.
    Chart(Chart),
    /// Amounts side by side.
    Bars(Bars),
    /// Statements with their whole texts.
    Texts(Vec<Listing>),
}

impl From<Table> for Part {
    fn from(table: Table) -> Self {
        Self::Table(table)
    }
}

impl From<Chart> for Part {
    fn from(chart: Chart) -> Self {
        Self::Chart(chart)
    }
}

impl From<Bars> for Part {
    fn from(bars: Bars) -> Self {
        Self::Bars(bars)
    }
}

/// A text under its name.
#[derive(Debug, Clone)]
pub struct Listing {
    /// Its place in links.
    pub anchor: String,
    /// Its name.
    pub name: String,
    /// The text.
    pub text: String,
}

/// How a column stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    /// Words.
    Left,
    /// Figures.
    Right,
    /// Long text: it gets what room is left.
    Wide,
}

/// A column.
#[derive(Debug, Clone)]
pub struct Column {
    /// Its heading.
    pub name: String,
    /// How it stands.
    pub align: Align,
}

/// A table.
#[derive(Debug, Clone)]
pub struct Table {
    /// Its heading; empty where the section has one table.
    pub title: String,
    /// Its columns.
    pub columns: Vec<Column>,
    /// Its rows.
    pub rows: Vec<Vec<Cell>>,
    /// What to say when there are no rows.
    pub empty: String,
    /// Whether long text goes over several lines, and is not cut, where there is no more room.
    pub wraps: bool,
}

impl Table {
    /// A table with these columns: `>name` holds figures, `*name` long text.
    pub fn new(title: &str, columns: &[&str]) -> Self {
        let column = |name: &&str| match name.as_bytes().first() {
            Some(b'>') => Column { name: name[1..].to_owned(), align: Align::Right },
            Some(b'*') => Column { name: name[1..].to_owned(), align: Align::Wide },
            _ => Column { name: (*name).to_owned(), align: Align::Left },
        };
        let columns = columns.iter().map(column).collect();
        Self { title: title.to_owned(), columns, rows: Vec::new(), empty: "none".to_owned(), wraps: false }
    }

    /// What to say when there are no rows.
    #[must_use]
    pub fn or(mut self, empty: impl Into<String>) -> Self {
        self.empty = empty.into();
        self
    }

    /// With long text over several lines.
    #[must_use]
    pub fn wrapping(mut self) -> Self {
        self.wraps = true;
        self
    }

    /// One more row.
    pub fn push(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// With these rows.
    #[must_use]
    pub fn rows<I: IntoIterator<Item = Cell>>(mut self, rows: impl IntoIterator<Item = I>) -> Self {
        rows.into_iter().for_each(|row| self.push(row));
        self
    }
}

/// What is in one place of a table.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Cell {
    /// What is shown.
    pub text: String,
    /// The exact figure, or why there is none.
    pub exact: Option<String>,
    /// Where it leads: the anchor of a listing.
    pub link: Option<String>,
    /// Its share of the largest in its column, 0 to 1, drawn as a bar behind it.
    pub share: Option<f64>,
    /// How it went over time, drawn small; unknown stretches are none.
    pub course: Vec<Option<f64>>,
    /// What it means for whoever reads.
    pub tone: Tone,
}

/// What a cell means for whoever reads.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Tone {
    /// Nothing.
    #[default]
    Plain,
    /// Better than before.
    Good,
    /// To be looked at.
    Warn,
    /// Worse than before, or wrong.
    Bad,
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self { text: text.to_owned(), ..Self::default() }
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self { text, ..Self::default() }
    }
}

impl Cell {
    /// Nothing known.
    pub fn unknown(why: &str) -> Self {
        Self { text: "–".to_owned(), exact: Some(why.to_owned()), ..Self::default() }
    }

    fn rounded(text: String, exact: String) -> Self {
        let exact = (exact != text).then_some(exact);
        Self { text, exact, ..Self::default() }
    }

    /// How often something happened.
    pub fn count(count: i64) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "what is shown is rounded")]
        let short = short_count(count as f64);
        Self::rounded(short, show_count(count))
    }

    /// A figure without a unit, such as a rate.
    pub fn number(value: f64) -> Self {
        let exact = format!("{value}");
        Self::rounded(short_number(value), exact)
    }

    /// Time.
    pub fn seconds(seconds: f64) -> Self {
        Self::rounded(short_time(seconds), format!("{seconds:.6} s"))
    }

    /// Time in ms.
    pub fn ms(ms: f64) -> Self {
        Self::rounded(short_time(ms / 1000.0), format!("{ms:.3} ms"))
    }

    /// Size.
    pub fn bytes(bytes: f64) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "sizes are far below 2^63")]
        let exact = format!("{} bytes", show_count(bytes as i64));
        Self::rounded(show_bytes(bytes), exact)
    }

    /// A share of 100.
    pub fn percent(percent: f64) -> Self {
        let text = if percent > 0.0 && percent < 0.05 { "<0.1 %".to_owned() } else { format!("{percent:.1} %") };
        Self::rounded(text, format!("{percent} %"))
    }

    /// An instant, to the second.
    pub fn time(at: Timestamp) -> Self {
        Self::rounded(when(at), at.to_string())
    }

    /// A figure that may be unknown.
    pub fn maybe<T>(value: Option<T>, show: impl FnOnce(T) -> Self) -> Self {
        value.map_or_else(|| Self::unknown("not known"), show)
    }

    /// With a link to a listing.
    #[must_use]
    pub fn to(mut self, anchor: impl Into<String>) -> Self {
        self.link = Some(anchor.into());
        self
    }

    /// With a bar behind it.
    #[must_use]
    pub fn share(mut self, share: f64) -> Self {
        self.share = share.is_finite().then_some(share.clamp(0.0, 1.0));
        self
    }

    /// With a meaning.
    #[must_use]
    pub fn tone(mut self, tone: Tone) -> Self {
        self.tone = tone;
        self
    }

    /// How something went over time.
    pub fn course(course: Vec<Option<f64>>) -> Self {
        Self { course, ..Self::default() }
    }
}

/// Sessions over time, stacked.
#[derive(Debug, Clone, Default)]
pub struct Chart {
    /// What it shows.
    pub title: String,
    /// The begin of each step.
    pub at: Vec<Timestamp>,
    /// How long a step is, in seconds.
    pub step_seconds: f64,
    /// What is stacked, from below: name and height at each step; none where nothing was sampled.
    pub series: Vec<(String, Vec<Option<f64>>)>,
    /// A line across it, such as the number of processors.
    pub line: Option<(String, f64)>,
}

impl Chart {
    /// The height of the highest stack.
    pub fn peak(&self) -> f64 {
        let stack = |step: usize| self.series.iter().filter_map(|(_, heights)| heights.get(step).copied().flatten()).sum::<f64>();
        (0..self.at.len()).map(stack).fold(0.0, f64::max)
    }
}

/// Amounts side by side, each made of parts.
#[derive(Debug, Clone, Default)]
pub struct Bars {
    /// What it shows.
    pub title: String,
    /// Each amount.
    pub bars: Vec<Bar>,
}

/// One amount.
#[derive(Debug, Clone, Default)]
pub struct Bar {
    /// What it is of.
    pub label: Cell,
    /// The amount as it is shown.
    pub shown: Cell,
    /// What it is made of: names and amounts.
    pub parts: Vec<(String, f64)>,
}

impl Bar {
    /// The whole amount.
    pub fn amount(&self) -> f64 {
        self.parts.iter().map(|(_, amount)| amount).sum()
    }
}

/// An instant for people: UTC, to the second.
pub fn when(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S").to_string()
}

fn short_count(count: f64) -> String {
    let magnitude = count.abs();
    match magnitude {
        m if m < 1e6 => {
            #[expect(clippy::cast_possible_truncation, reason = "below a million")]
            let whole = count.round() as i64;
            show_count(whole)
        }
        m if m < 1e9 => format!("{:.2} M", count / 1e6),
        m if m < 1e12 => format!("{:.2} G", count / 1e9),
        _ => format!("{:.2} T", count / 1e12),
    }
}

/// A figure in a few digits.
pub fn short_number(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        v if v < 0.005 => if value < 0.0 { "−0.00" } else { "<0.01" }.to_owned(),
        v if v < 10.0 => format!("{value:.2}"),
        v if v < 1000.0 => format!("{value:.1}"),
        _ => short_count(value),
    }
}

fn short_time(seconds: f64) -> String {
    match seconds.abs() {
        0.0 => "0".to_owned(),
        s if s < 0.000_005 => "<0.01 ms".to_owned(),
        s if s < 0.01 => format!("{:.2} ms", seconds * 1000.0),
        _ if seconds < 0.0 => format!("−{}", show_seconds(-seconds)),
        _ => show_seconds(seconds),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_rounded_and_the_exact_one_comes_along() {
        let shown = |cell: Cell| (cell.text, cell.exact);
        let exact = |text: &str| Some(text.to_owned());
        assert_eq!(shown(Cell::count(1234)), ("1,234".to_owned(), None));
        assert_eq!(shown(Cell::count(12_345_678)), ("12.35 M".to_owned(), exact("12,345,678")));
        assert_eq!(shown(Cell::bytes(1536.0)), ("1.5 KiB".to_owned(), exact("1,536 bytes")));
        assert_eq!(shown(Cell::ms(0.1234)), ("0.12 ms".to_owned(), exact("0.123 ms")));
        assert_eq!(shown(Cell::percent(0.01)), ("<0.1 %".to_owned(), exact("0.01 %")));
        assert_eq!([0.0, 0.001, 3.456, 45.67, 4567.0, 2e6].map(short_number), ["0", "<0.01", "3.46", "45.7", "4,567", "2.00 M"]);
    }
}
