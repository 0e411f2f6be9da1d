//! The databases' tab.

use super::super::state::{Part, State};
use super::grid::{self, Column, Row, cell, figure};
use super::theme;
use pgtend_model::document::databases::Database;
use pgtend_model::units::{short_bytes, show_count};
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;

const COLUMNS: [Column; 12] = [
    grid::left("DATABASE", 16, 0),
    grid::right("CONN", 5, 0),
    grid::right("COMMIT/s", 8, 0),
    grid::right("ABORT/s", 7, 0),
    grid::right("HIT%", 5, 0),
    grid::right("READ/s", 7, 0),
    grid::right("ROWS R/s", 8, 100),
    grid::right("ROWS W/s", 8, 100),
    grid::right("TEMP/s", 6, 0),
    grid::right("DEADLOCKS", 9, 110),
    grid::right("XID AGE", 13, 100),
    grid::right("SIZE", 6, 0),
];

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, state: &State) {
    let Some(Part::Databases(document)) = state.data.as_ref().map(|data| &data.part) else { return };
    if let Some(why) = document.unknown.get("databases") {
        return grid::nothing(frame, area, &why.detail);
    }
    let databases = state.databases();
    let mut columns = COLUMNS;
    // The last column takes what is left; here that is a number.
    columns[11].right = false;
    let rows = databases.iter().map(|database| row(database)).collect();
    grid::draw(frame, area, &columns, rows, (!databases.is_empty()).then(|| state.chosen_row()));
}

fn row(database: &Database) -> Row {
    let rate =
        |rate: Option<f64>| figure(rate.map(|rate| if rate < 9.95 { format!("{rate:.1}") } else { format!("{rate:.0}") }), Style::new());
    let bytes = |bytes: Option<f64>| figure(bytes.map(short_bytes), Style::new());
    let age = database.frozen_xid_age;
    #[expect(clippy::cast_precision_loss, reason = "compared with a threshold, shown with two digits")]
    let (age_style, size) =
        (age.map_or_else(Style::new, |age| theme::grade(age as f64, 5e8, 1.5e9)), database.size_bytes.map(|bytes| bytes as f64));
    vec![
        cell(&database.name, Style::new()),
        cell(database.connections.to_string(), Style::new()),
        rate(database.commits_per_second),
        rate(database.rollbacks_per_second),
        figure(database.cache_hit_ratio.map(|ratio| format!("{:.1}", ratio * 100.0)), Style::new()),
        rate(database.blocks_read_per_second),
        rate(database.rows_read_per_second),
        rate(database.rows_written_per_second),
        bytes(database.temp_bytes_per_second),
        cell(database.deadlocks.to_string(), if database.deadlocks > 0 { theme::warn() } else { Style::new() }),
        figure(age.map(show_count), age_style),
        bytes(size),
    ]
}
