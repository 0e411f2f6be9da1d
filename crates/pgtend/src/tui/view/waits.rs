//! The waits' tab: the last minute by wait event.

use super::super::select::event_name;
use super::super::state::State;
use super::grid::{self, Column, Row, cell};
use super::theme;
use pgtend_model::document::load::EventLoad;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

const COLUMNS: [Column; 5] = [
    grid::left("CLASS", 12, 0),
    grid::left("EVENT", 30, 0),
    grid::right("SESSIONS", 8, 0),
    grid::right("SHARE", 6, 0),
    grid::left("", 0, 0),
];

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, state: &State) {
    let Some(data) = &state.data else { return };
    if let Some(why) = data.load.unknown.get("average_active_sessions").filter(|_| data.load.samples == 0) {
        return grid::nothing(frame, area, &why.detail);
    }
    let events = state.events();
    let room = usize::from(area.width.saturating_sub(62)).min(60);
    let rows = events.iter().map(|event| row(event, room, state.colour)).collect();
    grid::draw(frame, area, &COLUMNS, rows, (!events.is_empty()).then(|| state.chosen_row()));
    if events.is_empty() {
        grid::nothing(frame, Rect { y: area.y + 1, height: area.height - 1, ..area }, "nothing was active in the last minute");
    }
}

fn row(event: &EventLoad, room: usize, colour: bool) -> Row {
    let style = Style::new().fg(theme::colour(event.wait_class));
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "a part of at most 60 cells")]
    let cells = (event.percent / 100.0 * room as f64).round() as usize;
    let symbol = if colour { '█' } else { theme::symbol(event.wait_class) };
    let bar: String = std::iter::repeat_n(symbol, cells).collect();
    vec![
        cell(event.wait_class.name(), style),
        cell(event_name(event), Style::new()),
        cell(format!("{:.2}", event.average), Style::new()),
        cell(format!("{:.1}%", event.percent), Style::new()),
        Line::from(Span::styled(bar, style)),
    ]
}
