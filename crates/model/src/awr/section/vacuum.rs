//! Vacuum and analyze: what was done, what waits to be done, and how far wraparound is.

use super::top;
use crate::awr::change::Change;
use crate::awr::known::Known;
use crate::awr::page::{Cell, Section, Table};
use crate::sample::Unknown;
use crate::sample::tables::Table as Row;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Vacuum and analyze.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = AwrVacuum)]
pub struct Vacuum {
    /// VACUUMs by hand.
    pub vacuums: i64,
    /// VACUUMs by autovacuum.
    pub autovacuums: i64,
    /// ANALYZEs by hand.
    pub analyzes: i64,
    /// ANALYZEs by autovacuum.
    pub autoanalyzes: i64,
    /// Tables that were vacuumed or analyzed, the most often first.
    pub worked_on: Vec<Vacuumed>,
    /// Tables with the most dead rows at the end.
    pub dead: Vec<Vacuumed>,
    /// Tables whose oldest transaction id is the oldest.
    pub oldest: Vec<Vacuumed>,
    /// Why there are none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub unknown: Option<Unknown>,
}

/// A table as vacuum sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = AwrVacuumed)]
pub struct Vacuumed {
    /// Database.
    pub database: String,
    /// Its name, with schema.
    pub table: String,
    /// VACUUMs in the period, by hand and by autovacuum.
    pub vacuums: i64,
    /// ANALYZEs in the period, by hand and by autovacuum.
    pub analyzes: i64,
    /// Time spent in both, in seconds; from 18 on.
    pub seconds: Option<f64>,
    /// Last VACUUM of either kind.
    pub last_vacuum: Option<Timestamp>,
    /// Dead rows at the begin, estimated.
    pub dead_rows_before: Option<i64>,
    /// Dead rows at the end, estimated.
    pub dead_rows: i64,
    /// Dead rows as a share of all, in per cent.
    pub dead_percent: Option<f64>,
    /// Age of its oldest unfrozen transaction id at the end, its TOAST table's included.
    pub frozen_xid_age: Option<i64>,
    /// Whether autovacuum may work on it.
    pub autovacuum_enabled: bool,
}

const MOST: usize = 10;

impl Vacuum {
    /// Works it out.
    #[expect(clippy::cast_precision_loss, reason = "an order needs no more than a double's precision")]
    pub fn build(known: &Known<'_>) -> Self {
        let changes = match &known.tables {
            Ok(changes) => changes,
            Err(unknown) => return Self { unknown: Some(unknown.clone()), ..Self::default() },
        };
        let all: Vec<Vacuumed> = changes.rows.iter().filter(|row| &*row.grown.relkind != "p").map(of).collect();
        Self {
            vacuums: changes.sum(|row| row.vacuum_count),
            autovacuums: changes.sum(|row| row.autovacuum_count),
            analyzes: changes.sum(|row| row.analyze_count),
            autoanalyzes: changes.sum(|row| row.autoanalyze_count),
            worked_on: top(all.clone(), MOST, |row| (row.vacuums + row.analyzes) as f64),
            dead: top(all.clone(), MOST, |row| row.dead_rows as f64),
            oldest: top(all, MOST / 2, |row| row.frozen_xid_age.unwrap_or(0) as f64),
            unknown: None,
        }
    }

    /// How it is laid out.
    pub fn section(&self) -> Section {
        let mut section = Section::new("vacuum", "Vacuum", "").missing(self.unknown.iter().map(|unknown| ("vacuum", unknown)));
        if self.unknown.is_some() {
            return section;
        }
        section.about = format!(
            "VACUUM ran {} times by autovacuum and {} times by hand, ANALYZE {} and {} times.",
            self.autovacuums, self.vacuums, self.autoanalyzes, self.analyzes
        );
        if self.dead.iter().chain(&self.oldest).any(|row| !row.autovacuum_enabled) {
            section = section.note("Autovacuum is switched off for tables marked *: somebody has to vacuum them by hand.");
        }
        section
            .with(table("Tables worked on", &self.worked_on, "none was vacuumed or analyzed"))
            .with(table("Most dead rows", &self.dead, "no table has dead rows"))
            .with(table("Oldest transaction ids (at 2 billion the server stops taking writes)", &self.oldest, "not known"))
    }
}

fn of(change: &Change<Row>) -> Vacuumed {
    let row = &change.grown;
    let times = [row.total_vacuum_time, row.total_autovacuum_time, row.total_analyze_time, row.total_autoanalyze_time];
    let rows = row.n_live_tup + row.n_dead_tup;
    #[expect(clippy::cast_precision_loss, reason = "a share needs no more than a double's precision")]
    let dead_percent = (rows > 0).then(|| 100.0 * row.n_dead_tup as f64 / rows as f64);
    Vacuumed {
        database: row.datname.to_string(),
        table: format!("{}.{}", row.schemaname, row.relname),
        vacuums: row.vacuum_count + row.autovacuum_count,
        analyzes: row.analyze_count + row.autoanalyze_count,
        seconds: times.into_iter().flatten().reduce(|a, b| a + b).map(|ms| ms / 1000.0),
        last_vacuum: row.last_vacuum.max(row.last_autovacuum),
        dead_rows_before: change.before.as_ref().map(|before| before.n_dead_tup),
        dead_rows: row.n_dead_tup,
        dead_percent,
        frozen_xid_age: row.frozen_xid_age.max(row.toast_frozen_xid_age),
        autovacuum_enabled: row.autovacuum_enabled,
    }
}

fn table(title: &str, rows: &[Vacuumed], empty: &str) -> Table {
    let row = |row: &Vacuumed| {
        [
            row.database.as_str().into(),
            format!("{}{}", row.table, if row.autovacuum_enabled { "" } else { " *" }).into(),
            Cell::count(row.vacuums),
            Cell::count(row.analyzes),
            row.seconds.map_or_else(Cell::default, Cell::seconds),
            row.last_vacuum.map_or_else(|| "never".into(), Cell::time),
            row.dead_rows_before.map_or_else(Cell::default, Cell::count),
            Cell::count(row.dead_rows),
            row.dead_percent.map_or_else(Cell::default, Cell::percent),
            row.frozen_xid_age.map_or_else(Cell::default, Cell::count),
        ]
    };
    let columns =
        ["database", "table", ">vacuums", ">analyzes", ">time", ">last vacuum", ">dead before", ">dead after", ">dead share", ">xid age"];
    Table::new(title, &columns).rows(rows.iter().map(row)).or(empty)
}
