//! A comparison of two periods as it is laid out.

use super::compare::{Comparison, Delta, StatementDelta, Verdict, WaitDelta};
use super::page::{Cell, Listing, Page, Part, Section, Table, Tone, when};
use super::section::notes;
use super::section::settings::SettingChange;
use super::section::statements::{anchor, excerpt};
use super::section::summary::Summary;
use std::collections::BTreeSet;

/// Rows of the table of what changed most.
const FIRST: usize = 20;
/// Statements that are shown.
const STATEMENTS: usize = 20;

/// The layout.
pub(super) fn page(comparison: &Comparison) -> Page {
    let (before, after) = (&comparison.before, &comparison.after);
    let period = |summary: &Summary| format!("{} to {} UTC", when(summary.begin.at), when(summary.end.at));
    let baseline = comparison.baseline.as_ref().map(|name| format!(" (baseline {name})")).unwrap_or_default();
    let changed = comparison.figures.iter().filter(|delta| delta.significance > 0.1);
    let most = Section::new(
        "changed",
        "What changed most",
        "By the ratio of what was and what is; small amounts count for less. Amounts are those of a second.",
    )
    .with(figures(changed.take(FIRST)));
    let all = Section::new("figures", "All figures", "").with(figures(&comparison.figures));
    let sections = vec![
        periods(before, after),
        notes::section(&comparison.notes),
        most,
        waits(&comparison.waits),
        statements(&comparison.statements),
        settings(&comparison.settings),
        all,
        texts(&comparison.statements),
    ];
    Page {
        title: format!("Periods compared: {}", after.server),
        subtitle: format!("{}{baseline}, and {}", period(before), period(after)),
        highlights: highlights(before, after),
        sections,
    }
}

fn highlights(before: &Summary, after: &Summary) -> Vec<(String, Cell)> {
    let both = |before: Option<f64>, after: Option<f64>| match before.zip(after) {
        Some((before, after)) => Cell::from(format!("{} → {}", Cell::number(before).text, Cell::number(after).text)),
        None => Cell::unknown("not known"),
    };
    vec![("Average active sessions".to_owned(), both(before.average_active_sessions, after.average_active_sessions))]
}

fn periods(before: &Summary, after: &Summary) -> Section {
    let fact = |name: &str, of: &dyn Fn(&Summary) -> Cell| [name.into(), of(before), of(after)];
    let version = |summary: &Summary| summary.version.as_deref().unwrap_or("not known").into();
    let table = Table::new("", &["", "first", "second"]).rows([
        fact("Begin", &|summary| Cell::time(summary.begin.at)),
        fact("End", &|summary| Cell::time(summary.end.at)),
        fact("Elapsed", &|summary| Cell::seconds(summary.elapsed_seconds)),
        fact("DB time", &|summary| Cell::maybe(summary.db_time_seconds, Cell::seconds)),
        fact("Average active sessions", &|summary| Cell::maybe(summary.average_active_sessions, Cell::number)),
        fact("PostgreSQL", &version),
        fact("Role", &|summary| summary.role.as_deref().unwrap_or("not known").into()),
        fact("Processors", &|summary| Cell::maybe(summary.cores, Cell::number)),
    ]);
    Section::new("periods", "The two periods", "").with(table)
}

fn tone(verdict: Verdict) -> Tone {
    match verdict {
        Verdict::Better => Tone::Good,
        Verdict::Worse => Tone::Bad,
        Verdict::Neutral => Tone::Plain,
    }
}

fn signed(cell: Cell, difference: f64) -> Cell {
    if difference > 0.0 { Cell { text: format!("+{}", cell.text), ..cell } } else { cell }
}

fn percent(percent: Option<f64>) -> Cell {
    percent.map_or_else(Cell::default, |percent| signed(Cell::percent(percent), percent))
}

fn figures<'a>(deltas: impl IntoIterator<Item = &'a Delta>) -> Table {
    let row = |delta: &Delta| {
        let shown = |value: Option<f64>| Cell::maybe(value, |value| delta.unit.rate(value));
        let difference = delta.difference.map_or_else(Cell::default, |difference| signed(delta.unit.rate(difference), difference));
        let what = if delta.per_second { format!("{}, a second", delta.label) } else { delta.label.clone() };
        [
            what.into(),
            delta.section.replace('_', " ").into(),
            shown(delta.before),
            shown(delta.after),
            difference.tone(tone(delta.verdict)),
            percent(delta.percent).tone(tone(delta.verdict)),
        ]
    };
    Table::new("", &["", "section", ">first", ">second", ">difference", ">in per cent"])
        .rows(deltas.into_iter().map(row))
        .or("nothing changed")
}

fn waits(waits: &[WaitDelta]) -> Section {
    let row = |delta: &WaitDelta| {
        [
            delta.wait_event.as_deref().unwrap_or("(on CPU)").into(),
            delta.wait_class.name().into(),
            Cell::number(delta.before),
            Cell::number(delta.after),
            signed(Cell::number(delta.difference), delta.difference),
        ]
    };
    let table =
        Table::new("", &["event", "class", ">first", ">second", ">difference"]).rows(waits.iter().take(FIRST).map(row)).or("not sampled");
    Section::new("waits", "Wait events", "Clients' sessions on average.").with(table)
}

fn statements(statements: &[StatementDelta]) -> Section {
    let row = |delta: &StatementDelta| {
        let maybe = |value: Option<f64>, show: fn(f64) -> Cell| value.map_or_else(|| "–".into(), show);
        let slower = delta.mean_ms_before.zip(delta.mean_ms_after).map(|(before, after)| (after / before.max(1e-6)).ln());
        let tone = match slower {
            Some(change) if change > 0.4 => Tone::Bad,
            Some(change) if change < -0.4 => Tone::Good,
            _ => Tone::Plain,
        };
        [
            maybe(delta.before, Cell::number),
            maybe(delta.after, Cell::number),
            signed(Cell::number(delta.difference), delta.difference),
            maybe(delta.calls_per_second_before, Cell::number),
            maybe(delta.calls_per_second_after, Cell::number),
            maybe(delta.mean_ms_before, Cell::ms),
            maybe(delta.mean_ms_after, Cell::ms).tone(tone),
            delta.user.as_deref().unwrap_or_default().into(),
            Cell::from(delta.query_id.to_string()).to(anchor(delta.query_id)),
            excerpt(delta.text.as_deref()).into(),
        ]
    };
    let columns = [">first", ">second", ">change", ">calls/s", ">then", ">a call", ">then", "user", "SQL id", "*text"];
    let table = Table::new("", &columns).rows(statements.iter().take(STATEMENTS).map(row)).or("no statement is known");
    let about = "Seconds of all executions in a second: how much of the server's time a statement took. – stands for a statement that was not \
                 executed, or was not among the first of its period.";
    Section::new("top_sql", "SQL", about).with(table)
}

fn settings(changes: &[SettingChange]) -> Section {
    let value = |value: &Option<String>| Cell::from(value.as_deref().unwrap_or("(not known)"));
    let row = |change: &SettingChange| [change.name.as_str().into(), value(&change.before), value(&change.after)];
    let table = Table::new("", &["setting", "*first", "*second"]).rows(changes.iter().map(row)).or("all settings are the same").wrapping();
    Section::new("settings", "Settings", "").with(table)
}

fn texts(statements: &[StatementDelta]) -> Section {
    let mut seen = BTreeSet::new();
    let shown = statements.iter().take(STATEMENTS).filter(|delta| seen.insert(delta.query_id));
    let listing = |delta: &StatementDelta| Listing {
        anchor: anchor(delta.query_id),
        name: delta.query_id.to_string(),
        text: delta.text.clone().unwrap_or_else(|| "(its text is not known)".to_owned()),
    };
    let texts: Vec<Listing> = shown.map(listing).collect();
    let section = Section::new("sql_texts", "SQL texts", "");
    if texts.is_empty() { section } else { section.with(Part::Texts(texts)) }
}
