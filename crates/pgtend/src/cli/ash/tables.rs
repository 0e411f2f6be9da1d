//! Tables that several commands about the session history show.

use super::super::output::{Cell, Table, Tone};
use pgtend_model::document::ash::figures::{Figures, Wait};
use pgtend_model::document::ash::report::{By, Group};
use pgtend_model::document::ash::session_stats::SessionActivity;
use pgtend_model::document::ash::sql_stats::SqlActivity;
use pgtend_model::past::Span;
use pgtend_model::units::{one_line, short_seconds, show_count};

pub(super) const NOTHING: &str = "no session was active";

/// Milliseconds for people.
pub(super) fn ms(ms: f64) -> String {
    short_seconds(ms / 1000.0)
}

pub(super) fn percent(percent: f64) -> String {
    format!("{percent:.1} %")
}

pub(super) fn average(sessions: f64) -> String {
    format!("{sessions:.2}")
}

/// The class in which most of the time went.
fn mostly(figures: &Figures) -> String {
    let wait = figures.top_waits.first();
    wait.map(|wait| wait.event.clone().unwrap_or_else(|| wait.wait_class.name().to_owned())).unwrap_or_default()
}

pub(super) fn waits(waits: &[Wait]) -> Table {
    let mut table = Table::new("Top waits", &["wait class", "event", ">sessions", ">share", ">time"]).or(NOTHING);
    for wait in waits {
        let event = wait.event.clone().unwrap_or_default();
        table.push([
            wait.wait_class.name().to_owned(),
            event,
            average(wait.average_active_sessions),
            percent(wait.percent),
            ms(wait.time_ms),
        ]);
    }
    table
}

pub(super) fn statements(title: &str, statements: &[SqlActivity], executions_of: Option<Span>) -> Table {
    let counted = executions_of.filter(|_| statements.iter().any(|row| row.executions.is_some()));
    let title = format!("{title}{}", counted.map(|span| format!("; executions {}", super::period(span))).unwrap_or_default());
    let columns = [">sessions", ">share", ">cpu", ">cpu share", ">executions", "mostly", "user", "database", ">id", "query"];
    let mut table = Table::new(&title, &columns).or(NOTHING);
    for row in statements {
        let figures = &row.figures;
        let text = match &row.sql_text {
            Some(text) => one_line(text).into(),
            None => Cell::new(if row.sql_id.is_some() { "(its text is not known)" } else { "(no statement)" }, Tone::Dim),
        };
        let cells: [Cell; 10] = [
            average(figures.average_active_sessions).into(),
            percent(figures.percent_of_total).into(),
            ms(figures.total_cpu_time_ms).into(),
            percent(figures.percent_of_total_cpu).into(),
            row.executions.map(show_count).unwrap_or_default().into(),
            mostly(figures).into(),
            some(&row.users).into(),
            some(&row.databases).into(),
            row.sql_id.map(|id| id.to_string()).unwrap_or_default().into(),
            text,
        ];
        table.rows.push(cells.into());
    }
    table
}

/// The first of several, and how many more there are.
fn some(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [only] => only.clone(),
        [first, more @ ..] => format!("{first} +{}", more.len()),
    }
}

pub(super) fn sessions(sessions: &[SessionActivity]) -> Table {
    let columns = [">sessions", ">share", ">active", ">cpu", ">idle in tx", "mostly", ">pid", "user", "database", "app", "client", "query"];
    let mut table = Table::new("Top sessions", &columns).or(NOTHING);
    for row in sessions {
        let figures = &row.figures;
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let query = row.top_sql.first().and_then(|sql| sql.sql_text.as_deref()).map(one_line).unwrap_or_default();
        table.push([
            average(figures.average_active_sessions),
            percent(figures.percent_of_total),
            ms(figures.active_time_ms),
            ms(figures.total_cpu_time_ms),
            ms(figures.idle_in_transaction_ms),
            mostly(figures),
            row.session_id.to_string(),
            text(&row.user),
            text(&row.database),
            text(&row.program),
            row.client.clone().unwrap_or_else(|| "local".to_owned()),
            query,
        ]);
    }
    table
}

pub(super) fn groups(by: Option<By>, groups: &[Group]) -> Table {
    let name = by.and_then(|by| serde_json::to_value(by).ok()).and_then(|name| name.as_str().map(str::to_owned)).unwrap_or_default();
    let name = name.replace('_', " ");
    let mut columns = vec![name.as_str(), ">sessions", ">share", ">active", ">cpu", ">idle in tx", "mostly"];
    let is_query = by == Some(By::Query);
    if is_query {
        columns.push("query");
    }
    let mut table = Table::new(&format!("Activity by {name}"), &columns).or(NOTHING);
    for group in groups {
        let figures = &group.figures;
        let mut cells: Vec<Cell> = vec![
            group.name.clone().map_or_else(|| Cell::new(if by == Some(By::Client) { "local" } else { "(none)" }, Tone::Dim), Cell::from),
            average(figures.average_active_sessions).into(),
            percent(figures.percent_of_total).into(),
            ms(figures.active_time_ms).into(),
            ms(figures.total_cpu_time_ms).into(),
            ms(figures.idle_in_transaction_ms).into(),
            mostly(figures).into(),
        ];
        if is_query {
            cells.push(one_line(group.sql_text.as_deref().unwrap_or_default()).into());
        }
        table.rows.push(cells);
    }
    table
}
