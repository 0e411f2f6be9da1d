//! The statements' tab: the last minute by statement.

use super::super::state::State;
use super::grid::{self, Column, Row, cell, figure, plain, statement};
use super::theme;
use pgtend_model::ash::WaitClass;
use pgtend_model::document::load::{QueryLoad, Sort};
use pgtend_model::units::short_seconds;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

const COLUMNS: [Column; 9] = [
    grid::right("SESSIONS", 8, 0),
    grid::right("SHARE", 6, 0),
    grid::left("WAITS", 10, 0),
    grid::right("CPU%", 5, 0),
    grid::right("IN", 3, 100),
    grid::right("LONGEST", 7, 0),
    grid::left("USER", 10, 110),
    grid::left("DATABASE", 10, 120),
    grid::left("QUERY", 0, 0),
];
/// Cells of the bar that shows in what a statement's time went.
const BAR: usize = 10;

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, state: &State) {
    let Some(data) = &state.data else { return };
    if let Some(why) = data.load.unknown.get("average_active_sessions").filter(|_| data.load.samples == 0) {
        return grid::nothing(frame, area, &why.detail);
    }
    let queries = state.queries();
    let rows = queries.iter().map(|query| row(query, state.colour)).collect();
    grid::draw(frame, area, &titled(state.sort), rows, (!queries.is_empty()).then(|| state.chosen_row()));
    if queries.is_empty() {
        grid::nothing(frame, Rect { y: area.y + 1, height: area.height - 1, ..area }, "no statement ran in the last minute");
    }
}

fn titled(sort: Sort) -> [Column; 9] {
    let mut columns = COLUMNS;
    let (number, title) = match sort {
        Sort::Time => (0, "SESSIONS▾"),
        Sort::Cpu => (3, "CPU%▾"),
        Sort::Io => (2, "WAITS io▾"),
        Sort::Wait => (2, "WAITS▾"),
        Sort::Lock => (2, "WAITS lck▾"),
    };
    columns[number].title = title;
    columns[0].width = if sort == Sort::Time { 9 } else { 8 };
    columns
}

fn row(query: &QueryLoad, colour: bool) -> Row {
    vec![
        cell(format!("{:.2}", query.average), Style::new()),
        cell(format!("{:.1}%", query.percent), Style::new()),
        bar(query, colour),
        figure(query.cpu_percent.map(|percent| format!("{percent:.0}")), Style::new()),
        cell(query.sessions.to_string(), Style::new()),
        plain(query.longest_seconds.map(short_seconds)),
        plain(query.user.as_deref()),
        plain(query.database.as_deref()),
        statement(Some(&query.query)),
    ]
}

/// The classes in which its time went, each with its share of ten cells.
fn bar(query: &QueryLoad, colour: bool) -> Line<'static> {
    let (mut spans, mut level, mut drawn) = (Vec::new(), 0.0, 0);
    for class in WaitClass::ALL {
        level += query.classes.get(&class).copied().unwrap_or(0.0) / query.average.max(1e-9);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most ten cells")]
        let end = ((level * BAR as f64).round() as usize).min(BAR);
        if end > drawn {
            let symbol = if colour { '█' } else { theme::symbol(class) };
            spans.push(Span::styled(symbol.to_string().repeat(end - drawn), Style::new().fg(theme::colour(class))));
            drawn = end;
        }
    }
    Line::from(spans)
}
