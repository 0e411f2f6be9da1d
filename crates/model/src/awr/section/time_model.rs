//! Where time went: of sessions, of statements, of the server's own processes.

use super::load_profile::{cpu_time, sampled};
use crate::ash::WaitClass;
use crate::awr::known::{Known, over, over_f64, over_known_f64};
use crate::awr::measure::{Measure, Unit, reasons};
use crate::awr::page::{Cell, Section, Table};
use crate::sample::{Reason, Unknown};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Where time went, in seconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = AwrTimeModel)]
pub struct TimeModel {
    /// Of clients' sessions, from their samples: DB time, and what it is made of.
    pub db_time: Vec<Measure>,
    /// As the server counts it itself.
    pub counted: Vec<Measure>,
}

impl TimeModel {
    /// Works it out.
    pub fn build(known: &Known<'_>) -> Self {
        Self { db_time: db_time(known), counted: counted(known) }
    }

    /// How it is laid out.
    pub fn section(&self) -> Section {
        let whole = self.db_time.first().and_then(|figure| figure.value);
        let share = |figure: &Measure| {
            let share = figure.value.zip(whole).filter(|(_, whole)| *whole > 0.0).map(|(own, whole)| own / whole);
            share.map_or_else(Cell::default, |share| Cell::percent(100.0 * share).share(share))
        };
        let sampled = Table::new("From the samples of the sessions", &["", ">total", ">average sessions", ">of DB time"]).rows(
            self.db_time.iter().map(|figure| {
                [figure.label.as_str().into(), figure.shown(), figure.per_second.map_or_else(Cell::default, Cell::number), share(figure)]
            }),
        );
        let counted = Table::new("As the server counts it", &["", ">total", ">per second"])
            .rows(self.counted.iter().map(|figure| [figure.label.as_str().into(), figure.shown(), figure.shown_per_second()]));
        let about = "The samples say what sessions were doing at each instant; the server's own counters say how long statements took. Both \
                     should agree on the whole: statements in progress at an end of the period are counted by the samples only.";
        let section = Section::new("time_model", "Time model", about).with(sampled).with(counted);
        reasons(self.db_time.iter().chain(&self.counted)).into_iter().fold(section, Section::note)
    }
}

fn db_time(known: &Known<'_>) -> Vec<Measure> {
    let mut figures =
        vec![Measure::sum("db_time", "DB time", Unit::Seconds, sampled(known, |active| active.sampled.seconds(active.busy())))];
    let active = match &known.active {
        Ok(active) => active,
        Err(_) => return figures,
    };
    let mut classes: Vec<(WaitClass, u64)> = active.foreground().into_iter().collect();
    classes.sort_by_key(|(_, samples)| std::cmp::Reverse(*samples));
    for (class, samples) in classes {
        let label = if class == WaitClass::Cpu { "  on CPU, or ready for it".to_owned() } else { format!("  waiting: {}", class.name()) };
        let name = format!("db_time_{}", class.name().to_lowercase());
        figures.push(Measure::sum(&name, &label, Unit::Seconds, Ok((active.sampled.seconds(samples), active.sampled.whole_seconds()))));
    }
    figures.push(Measure::sum("cpu_time", "Processor time of clients, by the operating system", Unit::Seconds, cpu_time(known)));
    let idle = active.sampled.seconds(active.idle_in_transaction());
    figures.push(Measure::sum("idle_in_transaction", "Idle in transaction", Unit::Seconds, Ok((idle, active.sampled.whole_seconds()))));
    let background = active.sampled.seconds(active.background().values().sum());
    figures.push(Measure::sum("background", "The server's own processes", Unit::Seconds, Ok((background, active.sampled.whole_seconds()))));
    figures
}

fn counted(known: &Known<'_>) -> Vec<Measure> {
    let (databases, statements) = (&known.databases, &known.statements);
    let seconds = |ms: Result<(f64, f64), Unknown>| ms.map(|(ms, seconds)| (ms / 1000.0, seconds));
    let figure = |name: &str, label: &str, ms: Result<(f64, f64), Unknown>| Measure::sum(name, label, Unit::Seconds, seconds(ms));
    let timed = |ms: Result<(f64, f64), Unknown>| ms.and_then(|ms| timing(known, ms));
    vec![
        figure("active_time", "Sessions in statements", over_known_f64(databases, "PostgreSQL 14", |row| row.active_time)),
        figure("session_time", "Sessions connected", over_known_f64(databases, "PostgreSQL 14", |row| row.session_time)),
        figure(
            "idle_in_transaction_time",
            "Sessions idle in transaction",
            over_known_f64(databases, "PostgreSQL 14", |row| row.idle_in_transaction_time),
        ),
        figure(
            "exec_time",
            "Executing statements",
            over_f64(statements, |row| if row.toplevel == Some(false) { 0.0 } else { row.total_exec_time }),
        ),
        figure("plan_time", "Planning statements", planning(known)),
        figure("jit_time", "Compiling statements (JIT)", over_known_f64(statements, "pg_stat_statements 1.10", |row| row.jit_time)),
        figure("blk_read_time", "Reading blocks", timed(over_f64(databases, |row| row.blk_read_time))),
        figure("blk_write_time", "Writing blocks, by sessions", timed(over_f64(databases, |row| row.blk_write_time))),
        figure("checkpoint_write_time", "Checkpoints: writing, pauses included", over_f64(&known.checkpointer, |row| row.write_time)),
        figure("checkpoint_sync_time", "Checkpoints: syncing", over_f64(&known.checkpointer, |row| row.sync_time)),
    ]
}

/// A time of zero means nothing where the server does not take it.
fn timing(known: &Known<'_>, time: (f64, f64)) -> Result<(f64, f64), Unknown> {
    if time.0 == 0.0 && known.is_on("track_io_timing") == Some(false) {
        return Err(Unknown::new(Reason::Disabled, "track_io_timing is off"));
    }
    Ok(time)
}

fn planning(known: &Known<'_>) -> Result<(f64, f64), Unknown> {
    let time = over_f64(&known.statements, |row| row.total_plan_time)?;
    let (plans, _) = over(&known.statements, |row| row.plans)?;
    if plans == 0.0 && known.is_on("pg_stat_statements.track_planning") != Some(true) {
        return Err(Unknown::new(Reason::Disabled, "pg_stat_statements.track_planning is off"));
    }
    Ok(time)
}
