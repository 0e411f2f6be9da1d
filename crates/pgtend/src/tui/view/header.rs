//! Three lines on top: who, how busy, and how the host is.

use super::super::state::State;
use super::theme;
use jiff::Timestamp;
use pgtend_model::document::status::Status;
use pgtend_model::health::{Level, Threshold};
use pgtend_model::units::{harmless, short_bytes, short_seconds};
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};

/// Cells of a bar.
const BAR: usize = 6;

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, state: &State) {
    let top = Rect { height: 1, ..area };
    frame.render_widget(Line::from_iter(identity(state)), top);
    frame.render_widget(Line::from(clock(state)).right_aligned(), top);
    let Some(data) = &state.data else { return };
    frame.render_widget(fitting(activity(&data.status), area.width), Rect { y: area.y + 1, height: 1, ..area });
    frame.render_widget(fitting(machine(&data.status), area.width), Rect { y: area.y + 2, height: 1, ..area });
}

fn identity(state: &State) -> Vec<Span<'static>> {
    let mut spans = vec![Span::styled(" pgtend ", theme::reversed().patch(theme::strong())), Span::raw(" ")];
    let Some(data) = &state.data else {
        spans.push(Span::styled("looking …", theme::dim()));
        return spans;
    };
    let status = &data.status;
    spans.push(Span::styled(harmless(&status.server), theme::strong()));
    if state.servers.len() > 1 {
        spans.push(Span::styled(format!(" (n: next of {})", state.servers.len()), theme::dim()));
    }
    let version = status.version.as_deref().and_then(|version| version.split(' ').next());
    let parts = [
        version.map(|version| format!("PostgreSQL {version}")),
        status.role.clone(),
        status.uptime.map(|seconds| format!("up {}", short_seconds(seconds))),
    ];
    spans.extend(parts.into_iter().flatten().map(|part| Span::raw(format!("  {part}"))));
    if status.state != "up" {
        spans.push(Span::styled(format!("  {}", status.state.to_uppercase()), theme::bad()));
    }
    spans
}

fn clock(state: &State) -> Vec<Span<'static>> {
    let pause = if state.paused { Span::styled("paused ", theme::warn()) } else { Span::raw("") };
    let interval = short_interval(state.interval);
    let at = state.came_at.unwrap_or(state.now);
    vec![pause, Span::styled(format!("{interval}  "), theme::dim()), Span::raw(time(state, at)), Span::raw(" ")]
}

fn short_interval(interval: std::time::Duration) -> String {
    let ms = interval.as_millis();
    if ms < 1000 { format!("{ms}ms") } else { format!("{}s", ms / 1000) }
}

/// The time of day.
pub(super) fn time(state: &State, at: Timestamp) -> String {
    at.to_zoned(state.zone.clone()).strftime("%H:%M:%S").to_string()
}

/// As many figures as there is room for, each with its name or not at all.
fn fitting(spans: Vec<Span<'static>>, width: u16) -> Line<'static> {
    let mut line = Line::default();
    // A figure is two spans, its name and itself; the bar at the beginning is four.
    let (bar, figures) = spans.split_at(spans.len().min(4));
    line.spans.extend_from_slice(bar);
    for figure in figures.chunks(2) {
        let more: usize = figure.iter().map(Span::width).sum();
        if line.width() + more > usize::from(width) {
            break;
        }
        line.spans.extend_from_slice(figure);
    }
    line
}

fn activity(status: &Status) -> Vec<Span<'static>> {
    let (connections, sessions) = (&status.connections, &status.sessions);
    let mut spans = vec![Span::styled(" conn ", theme::dim())];
    spans.extend(bar(connections.used_percent, connections.level));
    let of = connections.total.zip(connections.max).map_or_else(|| "?".to_owned(), |(total, max)| format!("{total}/{max}"));
    spans.push(Span::raw(format!(" {of}")));
    let count = |count: Option<usize>| count.map_or_else(|| "?".to_owned(), |count| count.to_string());
    let active = connections.active.map_or_else(|| "?".to_owned(), |count| count.to_string());
    named(&mut spans, "active", active, Style::new());
    named(&mut spans, "blocked", count(sessions.blocked), if sessions.blocked > Some(0) { theme::bad() } else { Style::new() });
    named(&mut spans, "tx/s", rate(status.transactions.per_second), Style::new());
    named(&mut spans, "idle tx", count(sessions.idle_in_transaction), Style::new());
    let oldest = sessions.oldest_transaction_seconds;
    let tone = oldest.map_or_else(Style::new, |seconds| theme::grade(seconds, 300.0, 3600.0));
    named(&mut spans, "oldest", oldest.map_or_else(|| "–".to_owned(), short_seconds), tone);
    let hits = status.cache_hit_ratio.map_or_else(|| "–".to_owned(), |ratio| format!("{:.1}%", ratio * 100.0));
    named(&mut spans, "hit", hits, Style::new());
    spans
}

fn rate(rate: Option<f64>) -> String {
    match rate {
        None => "–".to_owned(),
        Some(rate) if rate < 9.95 => format!("{rate:.1}"),
        Some(rate) => format!("{rate:.0}"),
    }
}

fn machine(status: &Status) -> Vec<Span<'static>> {
    let mut spans = vec![Span::styled(" cpu  ", theme::dim())];
    spans.extend(bar(status.cpu.used_percent, Threshold::PROCESSORS.level(status.cpu.used_percent)));
    let cores = status.cpu.cores.map(|cores| format!(" of {cores}")).unwrap_or_default();
    spans.push(Span::raw(format!(" {}{cores}", percent(status.cpu.used_percent))));
    if let Some(load) = status.cpu.load1 {
        named(&mut spans, "load", format!("{load:.1}"), Style::new());
    }
    if let Some(iowait) = status.cpu.iowait_percent {
        named(&mut spans, "iowait", format!("{iowait:.0}%"), theme::grade(iowait, 20.0, 50.0));
    }
    let memory = status.memory.used_percent;
    #[expect(clippy::cast_precision_loss, reason = "shown with two digits")]
    let total = status.memory.total_bytes.map(|bytes| format!(" of {}", short_bytes(bytes as f64))).unwrap_or_default();
    named(&mut spans, "mem", format!("{}{total}", percent(memory)), theme::of_level(status.memory.level));
    named(&mut spans, "disk", percent(status.disk.used_percent), theme::of_level(status.disk.level));
    if let Some(lag) = status.replication.lag_seconds {
        named(&mut spans, "lag", short_seconds(lag), theme::of_level(status.replication.level));
    }
    spans
}

fn percent(figure: Option<f64>) -> String {
    figure.map_or_else(|| "?".to_owned(), |percent| format!("{percent:.0}%"))
}

fn named(spans: &mut Vec<Span<'static>>, name: &str, figure: String, style: Style) {
    spans.push(Span::styled(format!("  {name} "), theme::dim()));
    spans.push(Span::styled(figure, style));
}

/// A bar of a few cells.
fn bar(percent: Option<f64>, level: Level) -> Vec<Span<'static>> {
    let Some(percent) = percent else { return vec![Span::raw(""), Span::styled("░".repeat(BAR), theme::dim())] };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between none and all of the cells")]
    let full = (percent.clamp(0.0, 100.0) / 100.0 * BAR as f64).round() as usize;
    let style = match theme::of_level(level) {
        style if style == Style::new() => theme::good(),
        style => style,
    };
    vec![Span::styled("█".repeat(full), style), Span::styled("░".repeat(BAR - full), theme::dim())]
}

/// The banner where nothing comes any more; what is below it is what came last.
pub(super) fn trouble(frame: &mut Frame<'_>, area: Rect, state: &State) {
    let server_down = state.data.as_ref().and_then(|data| data.status.error.as_deref().map(|error| (error, data.status.since)));
    let (what, since) = match (&state.trouble, server_down) {
        (Some(trouble), _) => (trouble.error.what.as_str(), Some(trouble.since)),
        (None, Some((error, since))) => (error.lines().next().unwrap_or_default(), since),
        (None, None) => return,
    };
    let at = Rect { y: area.y + 2, height: 1, ..area };
    let since = since.map(|since| format!("since {}: ", time(state, since))).unwrap_or_default();
    let who = if state.trouble.is_some() { "NO ANSWER" } else { "SERVER DOWN" };
    let text = format!(" {who} {since}{} ", harmless(what));
    let style = Style::new().fg(Color::White).bg(Color::Red).add_modifier(Modifier::BOLD | Modifier::REVERSED);
    frame.buffer_mut().set_style(at, Style::reset());
    frame.render_widget(ratatui::widgets::Clear, at);
    frame.render_widget(Line::styled(text, style), at);
}
