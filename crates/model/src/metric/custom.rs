//! Metrics of the user's own, by SQL: what the queries gave, as the configuration names it.

use super::family::Kind;
use super::scrape::{Scrape, Subject};
use super::single::singles;
use super::text::{Labels, Number, Text};
use crate::config::metrics::{Column, Custom, Usage};
use crate::metric::about::{is_failure, seconds};
use crate::sample::custom::CustomReading;
use std::collections::HashSet;

singles! {
    /// How the queries themselves go.
    QUERIES;
    gauge pgtend_custom_up { name }, "Whether the newest run of the custom metric's query gave rows, 0 or 1.",
    |subject, series| for reading in &subject.view.custom {
        series.add(&[&reading.name], !reading.unknown.as_ref().is_some_and(is_failure));
    };
    gauge pgtend_custom_age_seconds { name }, "Time since the query was run last.",
    |subject, series| for reading in &subject.view.custom {
        series.add(&[&reading.name], seconds(reading.at, subject.now));
    };
    gauge pgtend_custom_duration_seconds { name }, "Time that its newest run took.",
    |subject, series| for reading in &subject.view.custom {
        series.add(&[&reading.name], reading.took.as_secs_f64());
    };
    gauge pgtend_custom_rows_cut { name }, "Rows without series because there are more than max_rows.",
    |subject, series| for reading in &subject.view.custom {
        series.add(&[&reading.name], i64::try_from(reading.cut).unwrap_or(i64::MAX));
    };
}

/// The name of the family that a column of a custom metric makes.
pub fn family_name(custom: &Custom, column: &str) -> String {
    format!("{}_{column}", custom.name)
}

/// Writes the families that the configuration declares. One whose query failed has no series, rather than old ones.
pub fn write(scrape: &Scrape<'_>, text: &mut Text<'_>) {
    let mut written = HashSet::new();
    for custom in &scrape.config.custom {
        for (name, column) in custom.columns.iter().filter(|(_, column)| column.usage != Usage::Label) {
            let family = family_name(custom, name);
            // The configuration refuses both; a text that Prometheus refuses as a whole would be worse than a missing family.
            if !super::is_taken(&family) && written.insert(family.clone()) {
                write_family(scrape, text, &family, custom, name, column);
            }
        }
    }
}

fn write_family(scrape: &Scrape<'_>, text: &mut Text<'_>, family: &str, custom: &Custom, name: &str, column: &Column) {
    let mut labels = Labels::default();
    let mut values = Vec::new();
    for subject in &scrape.subjects {
        let Some(reading) = reading(subject, custom) else { continue };
        let own: Vec<&str> = reading.rows.iter().take(1).flat_map(|row| &row.labels).map(|(label, _)| label.as_str()).collect();
        let common = scrape.labels(subject, false, &own);
        for row in &reading.rows {
            let Some((_, value)) = row.figures.iter().find(|(figure, _)| figure == name) else { continue };
            let own = row.labels.iter().map(|(label, value)| (label.as_str(), &**value));
            if labels.add_new(common.iter().copied().chain(own)) {
                values.push(*value);
            }
        }
    }
    if values.is_empty() {
        return;
    }
    let kind = if column.usage == Usage::Counter { Kind::Counter } else { Kind::Gauge };
    let made_up = format!("Column {name} of the custom metric {}.", custom.name);
    text.header(family, kind, if column.help.is_empty() { &made_up } else { &column.help });
    for (index, value) in values.into_iter().enumerate() {
        text.series(family, labels.get(index), Number::Float(value));
    }
}

fn reading<'a>(subject: &Subject<'a>, custom: &Custom) -> Option<&'a CustomReading> {
    let reading = subject.view.custom.iter().find(|reading| reading.name == custom.name)?;
    // One whose turn did not come keeps its last values, as the configuration says.
    let failed = reading.unknown.as_ref().is_some_and(|unknown| unknown.reason != crate::sample::Reason::Budget);
    (!failed).then_some(&**reading)
}
