//! The replication's tab: who streams from here, from whom this server streams, slots, subscriptions.

use super::super::state::{Part, State};
use super::theme;
use pgtend_model::document::replication::{Replication, Sender, Slot, Standby, Subscription};
use pgtend_model::units::{harmless, short_bytes, short_seconds};
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, state: &State) {
    let Some(Part::Replication(document)) = state.data.as_ref().map(|data| &data.part) else { return };
    frame.render_widget(Paragraph::new(lines(document, area.width >= WIDE)), area);
}

/// Screens this wide have room for every lag.
const WIDE: u16 = 110;

fn lines(document: &Replication, wide: bool) -> Vec<Line<'static>> {
    let mut lines = Vec::new();
    if let Some(standby) = &document.standby {
        lines.extend(following(standby));
    }
    heading(&mut lines, "Streams from this server", document.senders.is_empty());
    lines.extend(document.senders.iter().map(|one| sender(one, wide)));
    heading(&mut lines, "Slots", document.slots.is_empty());
    lines.extend(document.slots.iter().map(slot));
    if !document.subscriptions.is_empty() {
        heading(&mut lines, "Subscriptions", false);
        lines.extend(document.subscriptions.iter().map(subscription));
    }
    lines.extend(
        document.unknown.iter().map(|(place, why)| Line::styled(format!(" {place} unknown: {}", harmless(&why.detail)), theme::warn())),
    );
    lines
}

fn heading(lines: &mut Vec<Line<'static>>, text: &str, none: bool) {
    let none = if none { ": none" } else { "" };
    lines.push(Line::styled(format!(" {text}{none}"), theme::strong()));
}

#[expect(clippy::cast_precision_loss, reason = "shown with two digits")]
fn bytes(count: Option<i64>) -> String {
    count.map_or_else(|| "?".to_owned(), |count| short_bytes(count as f64))
}

fn following(standby: &Standby) -> Vec<Line<'static>> {
    let from = standby.sender.as_deref().unwrap_or("the archive");
    let status = standby.status.as_deref().unwrap_or("not streaming");
    let lag = standby.replay_lag_seconds.map_or_else(|| "?".to_owned(), short_seconds);
    let style = standby.replay_lag_seconds.map_or_else(theme::dim, |lag| theme::grade(lag, 10.0, 60.0));
    let mut lines = vec![Line::from(vec![
        Span::styled(" Follows ", theme::strong()),
        Span::raw(harmless(&format!("{from}  {status}  replay "))),
        Span::styled(format!("{lag} behind"), style),
        Span::raw(format!(" ({})", bytes(standby.replay_lag_bytes))),
    ])];
    if standby.pause_state.as_deref().is_some_and(|state| state != "not paused") {
        lines.push(Line::styled(" replay is paused: select pg_wal_replay_resume()", theme::bad()));
    }
    lines
}

fn sender(sender: &Sender, wide: bool) -> Line<'static> {
    let name = sender.name.as_deref().unwrap_or("?");
    let client = sender.client.as_deref().unwrap_or("local");
    let state = sender.state.as_deref().unwrap_or("hidden");
    let sync = sender.sync_state.as_deref().unwrap_or("");
    let lag = sender.replay_lag_seconds.map_or_else(|| "–".to_owned(), short_seconds);
    let style = theme::grade(sender.replay_lag_seconds.unwrap_or(0.0), 10.0, 60.0);
    let parts = format!("  unsent {:<6} unflushed {:<6}", bytes(sender.sent_lag_bytes), bytes(sender.flush_lag_bytes));
    Line::from(vec![
        Span::raw(harmless(&format!("  {name:<16} {client:<14} {state:<10} {sync:<6} "))),
        Span::styled(format!("{lag:>7}"), style),
        Span::raw(if wide { parts } else { String::new() }),
        Span::raw(format!("  unreplayed {}", bytes(sender.replay_lag_bytes))),
    ])
}

fn slot(slot: &Slot) -> Line<'static> {
    let database = slot.database.as_deref().map(|database| format!(" of {database}")).unwrap_or_default();
    let active = if slot.active { Span::styled("active  ", theme::good()) } else { Span::styled("inactive", theme::warn()) };
    let status = slot.wal_status.as_deref().unwrap_or("");
    let style = if matches!(status, "unreserved" | "lost") { theme::bad() } else { ratatui::style::Style::new() };
    Line::from(vec![
        Span::raw(harmless(&format!("  {:<20} {:<18} ", slot.name, format!("{}{database}", slot.kind)))),
        active,
        Span::styled(format!("  {status:<10}"), style),
        Span::raw(format!(" keeps {}", bytes(slot.retained_bytes))),
    ])
}

fn subscription(subscription: &Subscription) -> Line<'static> {
    let heard = subscription
        .last_message_seconds
        .map_or_else(|| "nothing heard".to_owned(), |seconds| format!("heard {} ago", short_seconds(seconds)));
    let state = if subscription.enabled { "enabled" } else { "disabled" };
    let errors = subscription.errors.unwrap_or(0);
    let style = if errors > 0 { theme::bad() } else { ratatui::style::Style::new() };
    Line::from(vec![
        Span::raw(harmless(&format!(
            "  {:<24} {:<16} {state:<8} {} workers  {heard}  ",
            subscription.name, subscription.database, subscription.workers
        ))),
        Span::styled(format!("{errors} errors"), style),
    ])
}
