//! The sessions' tab.

use super::super::state::{Order, State};
use super::grid::{self, Column, Row, cell, figure, plain, statement};
use super::theme;
use pgtend_model::document::sessions::{Doing, OTHERS, Session};
use pgtend_model::units::{short_bytes, short_seconds};
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::Line;

const COLUMNS: [Column; 12] = [
    grid::right("PID", 7, 0),
    grid::left("USER", 9, 0),
    grid::left("DATABASE", 9, 0),
    grid::left("APP", 12, 110),
    grid::left("CLIENT", 14, 130),
    grid::left("STATE", 10, 0),
    grid::right("TIME", 6, 0),
    grid::right("TX", 6, 100),
    grid::left("WAIT", 16, 0),
    grid::right("CPU%", 5, 90),
    grid::right("MEM", 5, 100),
    grid::left("QUERY", 0, 0),
];

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, state: &State) {
    let Some(data) = &state.data else { return };
    if let Some(why) = data.sessions.unknown.get("sessions") {
        return grid::nothing(frame, area, &why.detail);
    }
    let sessions = state.sessions();
    let rows = sessions.iter().map(|session| row(session)).collect();
    let columns = titled(state);
    grid::draw(frame, area, &columns, rows, (!sessions.is_empty()).then(|| state.chosen_row()));
    if sessions.is_empty() {
        let text =
            if state.filter.is_empty() { "no session does anything; i shows idle ones too" } else { "nothing contains the filter's text" };
        grid::nothing(frame, Rect { y: area.y + 1, height: area.height - 1, ..area }, text);
    }
    if data.sessions.hidden > 0 || data.sessions.unknown.get(OTHERS).is_some() {
        let text = match data.sessions.hidden {
            0 => "only this role's own sessions: grant pg_monitor ".to_owned(),
            hidden => format!("{hidden} sessions hidden: grant pg_monitor "),
        };
        frame.render_widget(Line::styled(text, theme::warn()).right_aligned(), Rect { height: 1, ..area });
    }
}

/// The heading of the column by which the list is sorted says so.
fn titled(state: &State) -> [Column; 12] {
    let mut columns = COLUMNS;
    let (number, title) = match (state.order, state.reverse) {
        (Order::Time, false) => (6, "TIME▾"),
        (Order::Time, true) => (6, "TIME▴"),
        (Order::Transaction, false) => (7, "TX▾"),
        (Order::Transaction, true) => (7, "TX▴"),
        (Order::Cpu, false) => (9, "CPU%▾"),
        (Order::Cpu, true) => (9, "CPU%▴"),
        (Order::Memory, false) => (10, "MEM▾"),
        (Order::Memory, true) => (10, "MEM▴"),
        (Order::State, false) => (5, "STATE▾"),
        (Order::State, true) => (5, "STATE▴"),
        (Order::User, false) => (1, "USER▾"),
        (Order::User, true) => (1, "USER▴"),
        (Order::Database, false) => (2, "DATABASE▾"),
        (Order::Database, true) => (2, "DATABASE▴"),
    };
    columns[number].title = title;
    // What one sorts by is to be seen, however narrow the screen.
    columns[number].from = 0;
    columns
}

fn row(session: &Session) -> Row {
    let usage = session.usage.unwrap_or_default();
    #[expect(clippy::cast_precision_loss, reason = "shown with two digits")]
    let memory = usage.memory_bytes.map(|bytes| short_bytes(bytes as f64));
    let is_client = session.backend_type.as_deref() == Some("client backend");
    vec![
        cell(session.session_id.to_string(), Style::new()),
        plain(session.user.as_deref()),
        plain(session.database.as_deref()),
        plain(session.application_name.as_deref()),
        plain(session.client.as_deref().or(is_client.then_some("local"))),
        state(session),
        plain(session.seconds.map(short_seconds)),
        age(session.transaction_seconds),
        wait(session),
        figure(
            usage.cpu_percent.map(|percent| format!("{percent:.0}")),
            usage.cpu_percent.map_or_else(Style::new, |cpu| theme::grade(cpu, 50.0, 90.0)),
        ),
        figure(memory, Style::new()),
        what(session),
    ]
}

fn age(seconds: Option<f64>) -> Line<'static> {
    seconds.map(|seconds| cell(short_seconds(seconds), theme::grade(seconds, 300.0, 3600.0))).unwrap_or_default()
}

/// The state in a word of at most ten letters.
pub(super) fn state(session: &Session) -> Line<'static> {
    match session.doing {
        None => cell("hidden", theme::dim()),
        Some(Doing::Active) => cell("active", theme::good()),
        Some(Doing::Waiting) => cell("waiting", Style::new()),
        Some(Doing::Blocked) => cell("blocked", theme::bad()),
        Some(Doing::IdleInTransaction) => cell("idle in tx", theme::warn()),
        Some(Doing::Idle) => cell("idle", theme::dim()),
    }
}

/// What it waits for, in the colour of the class.
pub(super) fn wait(session: &Session) -> Line<'static> {
    let idles = matches!(session.doing, Some(Doing::Idle | Doing::IdleInTransaction) | None);
    match (&session.wait_event_type, &session.wait_event) {
        (Some(wait_type), Some(event)) if !idles => {
            cell(format!("{wait_type}:{event}"), Style::new().fg(theme::colour(session.wait_class)))
        }
        _ => Line::default(),
    }
}

/// The statement; for a process of the server without one, what it is.
pub(super) fn what(session: &Session) -> Line<'static> {
    match (session.query.as_deref(), session.backend_type.as_deref()) {
        (Some(query), _) if !query.is_empty() => statement(Some(query)),
        (_, Some(kind)) if kind != "client backend" => cell(format!("({kind})"), theme::dim()),
        _ => Line::default(),
    }
}
