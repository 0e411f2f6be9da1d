//! The tab that shows who blocks whom.

use super::super::select::Place;
use super::super::state::{Part, State};
use super::grid::{self, Column, Row, cell, plain};
use super::{sessions, theme};
use crate::cli::locks::{awaited, branch};
use pgtend_model::document::locks::{Cause, Locks, Remedy};
use pgtend_model::units::{harmless, short_seconds};
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::Line;
use ratatui::widgets::{Paragraph, Wrap};

const COLUMNS: [Column; 8] = [
    grid::left("PID", 14, 0),
    grid::left("USER", 9, 0),
    grid::left("DATABASE", 9, 100),
    grid::left("STATE", 10, 0),
    grid::right("FOR", 6, 0),
    grid::right("WAITING", 7, 0),
    grid::left("WAITS FOR", 26, 100),
    grid::left("QUERY", 0, 0),
];

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, state: &State) {
    let Some(Part::Locks(locks)) = state.data.as_ref().map(|data| &data.part) else { return };
    if let Some(why) = locks.unknown.get("sessions").or_else(|| locks.unknown.get("waits")) {
        return grid::nothing(frame, area, &why.detail);
    }
    let places = state.places();
    if places.is_empty() {
        return grid::nothing(frame, area, "no session waits for a lock");
    }
    let remedy = Rect { y: area.bottom().saturating_sub(2), height: 2, ..area };
    let list = Rect { height: area.height.saturating_sub(2), ..area };
    let chosen = state.chosen_row();
    grid::draw(frame, list, &COLUMNS, places.iter().map(row).collect(), Some(chosen));
    frame.render_widget(Paragraph::new(advice(locks, &places, chosen)).wrap(Wrap { trim: true }), remedy);
}

fn row(place: &Place<'_>) -> Row {
    let blocker = place.blocker;
    let style = if place.path.is_empty() { theme::bad() } else { Style::new() };
    let pid = cell(format!("{}{}", branch(&place.path), blocker.pid), style);
    let waiting = blocker.waits_for.as_ref().and_then(|lock| lock.seconds);
    let waiting = waiting.map(|seconds| cell(short_seconds(seconds), theme::grade(seconds, 10.0, 60.0))).unwrap_or_default();
    let Some(session) = &blocker.session else {
        let what = if blocker.pid == 0 { "(prepared transaction)" } else { "(ended meanwhile)" };
        let nothing = Line::default;
        return vec![pid, nothing(), nothing(), nothing(), nothing(), waiting, nothing(), cell(what, theme::dim())];
    };
    vec![
        pid,
        plain(session.user.as_deref()),
        plain(session.database.as_deref()),
        sessions::state(session),
        plain(session.seconds.map(short_seconds)),
        waiting,
        cell(awaited(blocker), Style::new()),
        sessions::what(session),
    ]
}

/// The key that does what the remedy says.
fn key_for(remedy: &Remedy) -> &'static str {
    match remedy.cause {
        Cause::OpenTransaction | Cause::SessionLock => " (k)",
        Cause::Statement => " (c)",
        _ => "",
    }
}

/// What to do about the root of the tree in which the chosen session is.
fn advice(locks: &Locks, places: &[Place<'_>], chosen: usize) -> Line<'static> {
    let mut roots = places.iter().take(chosen + 1).filter(|place| place.path.is_empty());
    let root = roots.next_back().map(|place| place.blocker).or_else(|| locks.roots.first());
    let remedy = root.and_then(|root| root.remedy.as_ref().map(|remedy| format!(" {}: {}{}", root.pid, remedy.text, key_for(remedy))));
    Line::styled(harmless(&remedy.unwrap_or_default()), theme::warn())
}
