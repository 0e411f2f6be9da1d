//! The sections of a report, a file a section: what it tells, how it is worked out, and how it is laid out.

pub mod background;
pub mod blocking;
pub mod buffer_pool;
pub mod databases;
pub mod efficiency;
pub mod host;
pub mod indexes;
pub mod io;
pub mod load_profile;
pub mod notes;
pub mod plans;
pub mod replication;
pub mod sessions;
pub mod settings;
pub mod slru;
pub mod statements;
pub mod summary;
pub mod tables;
pub mod time_model;
pub mod vacuum;
pub mod waits;
pub mod wal;

use super::measure::{Measure, reasons};
use super::page::{Section, Table};

/// Figures with their totals and rates, and the reasons where there are none.
fn with_rates(section: Section, measures: &[Measure]) -> Section {
    let row =
        |measure: &Measure| [measure.label.as_str().into(), measure.shown(), measure.shown_per_second(), measure.shown_per_transaction()];
    let table = Table::new("", &["", ">total", ">per second", ">per transaction"]).rows(measures.iter().map(row));
    reasons(measures).into_iter().fold(section.with(table), Section::note)
}

/// Figures with their totals and rates a second.
fn with_seconds(section: Section, title: &str, measures: &[Measure]) -> Section {
    let row = |measure: &Measure| [measure.label.as_str().into(), measure.shown(), measure.shown_per_second()];
    let table = Table::new(title, &["", ">total", ">per second"]).rows(measures.iter().map(row));
    reasons(measures).into_iter().fold(section.with(table), Section::note)
}

/// The first so many of these by a figure, largest first; those without it are left out.
fn top<T>(mut rows: Vec<T>, limit: usize, figure: impl Fn(&T) -> f64) -> Vec<T> {
    rows.retain(|row| figure(row) > 0.0);
    rows.sort_by(|a, b| figure(b).total_cmp(&figure(a)));
    rows.truncate(limit);
    rows
}
