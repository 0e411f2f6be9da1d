//! What the user's own queries give: labels and figures by the columns that the configuration names.

use super::{Text, Unknown};
use crate::config::metrics::{Custom, Usage};
use jiff::Timestamp;
use std::time::Duration;

/// The newest answer of one of the user's own queries.
#[derive(Debug, Clone, PartialEq)]
pub struct CustomReading {
    /// First part of the metrics' names.
    pub name: String,
    /// When it was asked for.
    pub at: Timestamp,
    /// How long the answer took, all databases together.
    pub took: Duration,
    /// The rows; those of the attempt before when the newest failed.
    pub rows: Vec<CustomRow>,
    /// Rows that were cut because there were more than `max_rows`.
    pub cut: usize,
    /// Why the newest attempt gave nothing.
    pub unknown: Option<Unknown>,
}

/// One row.
#[derive(Debug, Clone, PartialEq)]
pub struct CustomRow {
    /// Label names with their values, the database among them where the query runs in several.
    pub labels: Vec<(String, Text)>,
    /// Columns with their figures; a null is left out.
    pub figures: Vec<(String, f64)>,
}

/// The cells of a result row as text and number, by column name: what a row is made from.
pub trait Cells {
    /// The cell as text; none for null or where there is no such column.
    fn text(&self, column: &str) -> Option<String>;
    /// The cell as a number; none for null, where it is no number, or where there is no such column.
    fn number(&self, column: &str) -> Option<f64>;
}

/// A result row as the configuration reads it.
pub fn row(custom: &Custom, database: Option<&str>, cells: &impl Cells) -> CustomRow {
    let of = |wanted: fn(Usage) -> bool| custom.columns.iter().filter(move |(_, column)| wanted(column.usage)).map(|(name, _)| name);
    let here = database.map(|name| ("datname".to_owned(), Text::from(name)));
    let labels = of(|usage| usage == Usage::Label).map(|name| (name.clone(), Text::from(cells.text(name).unwrap_or_default())));
    let figures = of(|usage| usage != Usage::Label).filter_map(|name| Some((name.clone(), cells.number(name)?)));
    CustomRow { labels: here.into_iter().chain(labels).collect(), figures: figures.collect() }
}
