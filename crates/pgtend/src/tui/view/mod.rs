//! Draws the state. Nothing here changes it.

mod blocking;
mod chart;
mod databases;
mod detail;
mod dialog;
mod grid;
mod header;
mod host;
mod queries;
mod replication;
mod sessions;
mod theme;
mod waits;

use super::state::{Mode, State, Tab};
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Clear, Paragraph};

/// The least that can be drawn on.
const SMALLEST: (u16, u16) = (60, 16);
/// Screens this high show the chosen row's statement below the list.
const HIGH: u16 = 36;
/// Columns of the chart's scale, and of its legend.
const SCALE: u16 = 6;
const LEGEND: u16 = 22;

/// Columns of the chart on a screen of this size: so many pieces of time are asked for.
pub fn chart_columns((width, _): (u16, u16)) -> usize {
    usize::from(width.saturating_sub(SCALE + LEGEND).max(10))
}

/// Where everything is.
struct Areas {
    header: Rect,
    chart: Rect,
    tabs: Rect,
    body: Rect,
    preview: Rect,
    footer: Rect,
}

impl Areas {
    fn of(area: Rect, tab: Tab) -> Self {
        let chart = match area.height {
            0..20 => 0,
            20..30 => 7,
            30..44 => 10,
            _ => 14,
        };
        let preview = if area.height >= HIGH && matches!(tab, Tab::Sessions | Tab::Queries | Tab::Blocking) { 5 } else { 0 };
        let rows = [Constraint::Length(3), Constraint::Length(chart), Constraint::Length(1)];
        let rest = [Constraint::Min(3), Constraint::Length(preview), Constraint::Length(1)];
        let [header, chart, tabs, body, preview, footer] = Layout::vertical(rows.into_iter().chain(rest)).areas(area);
        Self { header, chart, tabs, body, preview, footer }
    }
}

/// Draws everything.
pub fn draw(frame: &mut Frame<'_>, state: &State) {
    let area = frame.area();
    if area.width < SMALLEST.0 || area.height < SMALLEST.1 {
        let text = format!("pgtend top needs {} columns and {} rows", SMALLEST.0, SMALLEST.1);
        return frame.render_widget(Paragraph::new(text), area);
    }
    let areas = Areas::of(area, state.tab);
    header::draw(frame, areas.header, state);
    chart::draw(frame, areas.chart, state);
    tabs(frame, areas.tabs, state);
    body(frame, areas.body, state);
    detail::preview(frame, areas.preview, state);
    if state.trouble.is_some() && state.data.is_some() {
        // What is shown is no longer so.
        let old = Rect { height: areas.footer.y, ..area };
        frame.buffer_mut().set_style(old, Style::new().fg(Color::DarkGray).bg(Color::Reset));
    }
    header::trouble(frame, areas.header, state);
    footer(frame, areas.footer, state);
    overlay(frame, area, state);
    if !state.colour {
        for cell in &mut frame.buffer_mut().content {
            (cell.fg, cell.bg) = (Color::Reset, Color::Reset);
        }
    }
}

fn tabs(frame: &mut Frame<'_>, area: Rect, state: &State) {
    let mut spans = Vec::new();
    for (number, tab) in Tab::ALL.iter().enumerate() {
        let style = if *tab == state.tab { theme::reversed().patch(theme::strong()) } else { Style::new() };
        spans.push(Span::styled(format!(" {} {} ", number + 1, tab.name()), style));
    }
    if !state.filter.is_empty() || matches!(state.mode, Mode::Filter(_)) {
        let cursor = if matches!(state.mode, Mode::Filter(_)) { "▏" } else { "" };
        spans.push(Span::styled(format!(" /{}{cursor}", state.filter), theme::warn()));
    }
    frame.render_widget(Line::from(spans), area);
}

fn body(frame: &mut Frame<'_>, area: Rect, state: &State) {
    match state.tab {
        Tab::Sessions => sessions::draw(frame, area, state),
        Tab::Waits => waits::draw(frame, area, state),
        Tab::Queries => queries::draw(frame, area, state),
        Tab::Blocking => blocking::draw(frame, area, state),
        Tab::Host => host::draw(frame, area, state),
        Tab::Databases => databases::draw(frame, area, state),
        Tab::Replication => replication::draw(frame, area, state),
    }
}

fn footer(frame: &mut Frame<'_>, area: Rect, state: &State) {
    if let Some(message) = &state.message {
        let style = if message.is_bad { theme::bad() } else { theme::good() };
        return frame.render_widget(Line::styled(format!(" {}", message.text), style), area);
    }
    let keys: &[(&str, &str)] = match (&state.mode, state.tab) {
        (Mode::Filter(_), _) => &[("Enter", "keep"), ("Esc", "back")],
        (Mode::Detail(_), _) => &[("Esc", "close"), ("↑↓", "scroll"), ("c", "cancel"), ("k", "terminate")],
        (_, Tab::Sessions) => &[
            ("?", "help"),
            ("s", "sort"),
            ("i", "idle"),
            ("/", "filter"),
            ("⏎", "detail"),
            ("c", "cancel"),
            ("k", "kill"),
            ("p", "pause"),
            ("q", "quit"),
        ],
        (_, Tab::Blocking) => &[("?", "help"), ("Enter", "detail"), ("c", "cancel"), ("k", "kill"), ("p", "pause"), ("q", "quit")],
        (_, Tab::Queries) => {
            &[("?", "help"), ("s", "sort"), ("/", "filter"), ("Enter", "detail"), ("w", "window"), ("p", "pause"), ("q", "quit")]
        }
        _ => &[("?", "help"), ("/", "filter"), ("w", "window"), ("+-", "interval"), ("p", "pause"), ("q", "quit")],
    };
    let spans = keys
        .iter()
        .flat_map(|(key, what)| [Span::styled(format!(" {key}"), theme::key()), Span::styled(format!(" {what} "), theme::dim())]);
    frame.render_widget(Line::from_iter(spans), area);
}

fn overlay(frame: &mut Frame<'_>, area: Rect, state: &State) {
    match &state.mode {
        Mode::Help => dialog::help(frame, area),
        Mode::Detail(scroll) => detail::draw(frame, area, state, *scroll),
        Mode::Confirm(confirm) => dialog::confirm(frame, area, confirm),
        Mode::Normal | Mode::Filter(_) => {}
    }
}

/// Clears a box in the middle of the screen for something that lies on top.
fn boxed(frame: &mut Frame<'_>, area: Rect, width: u16, height: u16) -> Rect {
    let (width, height) = (width.min(area.width), height.min(area.height));
    let inside = Rect { x: area.x + (area.width - width) / 2, y: area.y + (area.height - height) / 2, width, height };
    frame.render_widget(Clear, inside);
    inside
}

#[cfg(test)]
pub(super) mod fixtures;
#[cfg(test)]
mod tests;
