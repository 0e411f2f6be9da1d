//! One row in full: all figures of a session or a statement, and its whole text.

use super::super::state::State;
use super::{boxed, sessions, theme};
use pgtend_model::document::load::QueryLoad;
use pgtend_model::document::sessions::Session;
use pgtend_model::units::{harmless, short_bytes, show_seconds, steers};
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Paragraph, Wrap};

/// The chosen row on top of everything.
pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, state: &State, scroll: u16) {
    let (title, lines) = if let Some(session) = state.chosen_session() {
        (format!(" session {} ", session.session_id), of_session(session))
    } else if let Some(query) = state.chosen_query() {
        (format!(" statement {} ", query.query_id), of_query(query))
    } else {
        (" gone ".to_owned(), vec![Line::from("It is no longer there.")])
    };
    let inside = boxed(frame, area, area.width.saturating_sub(6), area.height.saturating_sub(4));
    let block = Block::bordered().title(title).title_bottom(Line::from(" Esc close ").right_aligned());
    frame.render_widget(Paragraph::new(lines).block(block).wrap(Wrap { trim: false }).scroll((scroll, 0)), inside);
}

/// The chosen row's statement below the list.
pub(super) fn preview(frame: &mut Frame<'_>, area: Rect, state: &State) {
    if area.height < 2 {
        return;
    }
    let text = state
        .chosen_session()
        .and_then(|session| session.query.as_deref())
        .or_else(|| state.chosen_query().map(|query| query.query.as_str()));
    let block = Block::new().borders(ratatui::widgets::Borders::TOP).border_style(theme::dim());
    frame.render_widget(Paragraph::new(statement(text.unwrap_or_default())).block(block).wrap(Wrap { trim: false }), area);
}

/// The text with its lines, and nothing in it that would steer the terminal.
fn statement(text: &str) -> Vec<Line<'static>> {
    let tabs = text.replace('\t', "    ");
    tabs.lines().map(|line| Line::from(line.chars().map(|c| if steers(c) { '·' } else { c }).collect::<String>())).collect()
}

fn field(name: &str, text: impl AsRef<str>) -> Line<'static> {
    Line::from(vec![Span::styled(format!("{name:<13} "), theme::dim()), Span::raw(harmless(text.as_ref()))])
}

fn of_session(session: &Session) -> Vec<Line<'static>> {
    let text = |text: &Option<String>| text.clone().unwrap_or_else(|| "–".to_owned());
    let age = |seconds: Option<f64>| seconds.map_or_else(|| "–".to_owned(), show_seconds);
    let mut lines = vec![
        field("user", text(&session.user)),
        field("database", text(&session.database)),
        field("application", text(&session.application_name)),
        field("client", session.client.clone().unwrap_or_else(|| "local".to_owned())),
        field("process", text(&session.backend_type)),
        field("connected", session.backend_start.map_or_else(|| "–".to_owned(), |at| format!("{at:.0}"))),
    ];
    let mut doing = vec![Span::styled("state         ", theme::dim())];
    doing.extend(sessions::state(session).spans);
    doing.push(Span::raw(format!(" for {}", age(session.seconds))));
    lines.push(Line::from(doing));
    lines.push(field("transaction", age(session.transaction_seconds)));
    if let (Some(wait_type), Some(event)) = (&session.wait_event_type, &session.wait_event) {
        lines.push(field("waits for", format!("{wait_type}:{event} ({})", session.wait_class.name())));
    }
    if !session.blocked_by.is_empty() {
        let pids: Vec<String> = session.blocked_by.iter().map(i32::to_string).collect();
        lines.push(field("blocked by", pids.join(", ")));
    }
    if let Some(usage) = session.usage {
        let cpu = usage.cpu_percent.map_or_else(|| "–".to_owned(), |percent| format!("{percent:.0} % of a core"));
        #[expect(clippy::cast_precision_loss, reason = "shown with two digits")]
        let bytes = |count: Option<i64>| count.map_or_else(|| "–".to_owned(), |count| short_bytes(count as f64));
        lines.push(field(
            "uses",
            format!("{cpu}, memory {}, read {}, written {}", bytes(usage.memory_bytes), bytes(usage.read_bytes), bytes(usage.write_bytes)),
        ));
    }
    if let Some(id) = session.query_id {
        lines.push(field("query id", id.to_string()));
    }
    lines.push(Line::default());
    lines.extend(statement(session.query.as_deref().unwrap_or_default()));
    lines
}

fn of_query(query: &QueryLoad) -> Vec<Line<'static>> {
    let mut lines = vec![
        field("sessions", format!("{:.2} on average over the last minute, {} different ones", query.average, query.sessions)),
        field("share", format!("{:.1} % of all active sessions", query.percent)),
        field("cpu", query.cpu_percent.map_or_else(|| "unknown".to_owned(), |percent| format!("{percent:.0} % of a core"))),
        field("longest", query.longest_seconds.map_or_else(|| "–".to_owned(), show_seconds)),
        field("user", query.user.as_deref().unwrap_or("–")),
        field("database", query.database.as_deref().unwrap_or("–")),
    ];
    for (class, average) in &query.classes {
        lines.push(field(class.name(), format!("{average:.2}")));
    }
    lines.push(Line::default());
    lines.extend(statement(&query.query));
    lines
}
