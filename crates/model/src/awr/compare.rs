//! Two periods side by side: what changed, the most significant first.

use super::compare_page;
use super::measure::{Measure, Unit};
use super::page::Page;
use super::period::{Period, Point};
use super::report::Report;
use super::request::{Form, Paged, one_of};
use super::section::notes::{Note, Severity};
use super::section::settings::{SettingChange, SettingIs};
use super::section::statements::Statement;
use super::section::summary::Summary;
use crate::ash::WaitClass;
use crate::error::{Error, Kind, Result};
use crate::past::Past;
use crate::query_id::QueryId;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// Statements in each order of the reports that are compared: what is in none of them changed little.
const TOP: usize = 100;

/// Which two periods: a baseline, or two points, and the current one. Each end is a snapshot or a time.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AwrCompareRequest)]
pub struct CompareRequest {
    /// The baseline to compare with.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub baseline_name: Option<String>,
    /// The first snapshot of the period to compare with, instead of a baseline.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub baseline_start_snapshot_id: Option<i64>,
    /// Its last snapshot.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub baseline_end_snapshot_id: Option<i64>,
    /// Its begin, instead of a snapshot.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub baseline_start_time: Option<Timestamp>,
    /// Its end, instead of a snapshot.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub baseline_end_time: Option<Timestamp>,
    /// The first snapshot of the current period.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub current_start_snapshot_id: Option<i64>,
    /// Its last snapshot.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub current_end_snapshot_id: Option<i64>,
    /// Its begin, instead of a snapshot.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub current_start_time: Option<Timestamp>,
    /// Its end, instead of a snapshot; now unless said otherwise.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub current_end_time: Option<Timestamp>,
    /// In which form: `json` unless said otherwise.
    #[serde(default)]
    pub format: Form,
}

impl CompareRequest {
    /// The comparison.
    ///
    /// # Errors
    /// `NotFound` when there is no such baseline or snapshot; `Usage` when the periods make no sense; and when the history cannot be read.
    pub fn compare(&self, past: &dyn Past, server: &str, now: Timestamp) -> Result<Comparison> {
        let (from, to) = self.baseline(past)?;
        let before = Period::between(past, server, from, to)?;
        let from = one_of(self.current_start_snapshot_id, self.current_start_time, None, "current_start")?;
        let to = one_of(self.current_end_snapshot_id, self.current_end_time, Some(now), "current_end")?;
        let after = Period::between(past, server, from, to)?;
        let mut comparison = Comparison::of(&Report::of(&before, TOP, now)?, &Report::of(&after, TOP, now)?);
        comparison.baseline.clone_from(&self.baseline_name);
        Ok(comparison)
    }

    fn baseline(&self, past: &dyn Past) -> Result<(Point, Point)> {
        let Some(name) = &self.baseline_name else {
            let from = one_of(self.baseline_start_snapshot_id, self.baseline_start_time, None, "baseline_start")?;
            return Ok((from, one_of(self.baseline_end_snapshot_id, self.baseline_end_time, None, "baseline_end")?));
        };
        let baselines = past.baselines()?;
        let found = baselines.iter().find(|baseline| baseline.name == *name);
        let found = found.ok_or_else(|| {
            let names: Vec<&str> = baselines.iter().map(|baseline| &*baseline.name).collect();
            let hint = if names.is_empty() { "there are none: pgtend awr baseline create makes one".to_owned() } else { names.join(", ") };
            Error::new(Kind::NotFound, format!("there is no baseline \"{}\"", name.escape_debug())).hint(hint)
        })?;
        Ok((Point::Snapshot(found.start_snapshot_id), Point::Snapshot(found.end_snapshot_id)))
    }
}

/// Two periods side by side. Amounts are those of a second, so that periods of different length can be compared.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = AwrComparison)]
pub struct Comparison {
    /// The baseline's name, where it is one.
    pub baseline: Option<String>,
    /// The period that is compared with.
    pub before: Summary,
    /// The current period.
    pub after: Summary,
    /// What to know about the one or the other.
    pub notes: Vec<Note>,
    /// Figures, those that changed most first.
    pub figures: Vec<Delta>,
    /// Wait events by how much the average number of sessions in them changed.
    pub waits: Vec<WaitDelta>,
    /// Statements by how much of the server's time they took more or less.
    pub statements: Vec<StatementDelta>,
    /// Settings whose value at the end of the one period is another one than at the end of the other.
    pub settings: Vec<SettingChange>,
}

/// Whether a change is for the better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = AwrVerdict)]
pub enum Verdict {
    /// It is.
    Better,
    /// It is not.
    Worse,
    /// It depends, or there is none to speak of.
    Neutral,
}

/// A figure in both periods.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = AwrDelta)]
pub struct Delta {
    /// The section that it is from.
    pub section: String,
    /// Its name there.
    pub name: String,
    /// What it says.
    pub label: String,
    /// Its unit.
    pub unit: Unit,
    /// Whether it is an amount a second.
    pub per_second: bool,
    /// In the first period.
    pub before: Option<f64>,
    /// In the second.
    pub after: Option<f64>,
    /// By how much it changed.
    pub difference: Option<f64>,
    /// The same in per cent of what it was; null when it was zero.
    pub percent: Option<f64>,
    /// How much that matters: the logarithm of the ratio, small amounts left out of account.
    pub significance: f64,
    /// Whether it is for the better.
    pub verdict: Verdict,
}

/// A wait event in both periods.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = AwrWaitDelta)]
pub struct WaitDelta {
    /// Its class.
    pub wait_class: WaitClass,
    /// The event; null on CPU.
    pub wait_event: Option<String>,
    /// Clients' sessions in it on average, in the first period.
    pub before: f64,
    /// In the second.
    pub after: f64,
    /// By how many they changed.
    pub difference: f64,
}

/// A statement in both periods.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = AwrStatementDelta)]
pub struct StatementDelta {
    /// Its identifier.
    pub query_id: QueryId,
    /// Database.
    pub database: Option<String>,
    /// Role.
    pub user: Option<String>,
    /// Its text.
    pub text: Option<String>,
    /// Seconds of all executions in a second, in the first period; null when it is not among its first.
    pub before: Option<f64>,
    /// In the second.
    pub after: Option<f64>,
    /// By how much they changed.
    pub difference: f64,
    /// Executions a second, in the first period.
    pub calls_per_second_before: Option<f64>,
    /// In the second.
    pub calls_per_second_after: Option<f64>,
    /// Mean time of an execution in ms, in the first period.
    pub mean_ms_before: Option<f64>,
    /// In the second.
    pub mean_ms_after: Option<f64>,
}

impl Comparison {
    /// Compares two reports.
    pub fn of(before: &Report, after: &Report) -> Self {
        let mut figures: Vec<Delta> = sections(before).into_iter().zip(sections(after)).flat_map(deltas).collect();
        figures.sort_by(|a, b| b.significance.total_cmp(&a.significance).then_with(|| a.name.cmp(&b.name)));
        let marked = |report: &Report, which: &str| -> Vec<Note> {
            let grave = report.notes.iter().filter(|note| note.severity == Severity::Warning);
            grave.map(|note| Note { text: format!("{which} period: {}", note.text), ..note.clone() }).collect()
        };
        Self {
            baseline: None,
            before: before.summary.clone(),
            after: after.summary.clone(),
            notes: [marked(before, "First"), marked(after, "Second")].concat(),
            figures,
            waits: waits(before, after),
            statements: statements(before, after),
            settings: settings(&before.settings.not_default, &after.settings.not_default),
        }
    }
}

impl Paged for Comparison {
    fn page(&self) -> Page {
        compare_page::page(self)
    }
}

/// The figures of a report that can be compared, section by section.
fn sections(report: &Report) -> Vec<(&'static str, Vec<&Measure>)> {
    vec![
        ("load_profile", report.load_profile.figures.iter().collect()),
        ("efficiency", report.efficiency.ratios.iter().map(|ratio| &ratio.figure).collect()),
        // DB time itself is in the load profile.
        ("time_model", report.time_model.db_time.iter().skip(1).chain(&report.time_model.counted).collect()),
        ("io", report.io.files.iter().filter(|figure| figure.name != "temp_bytes").collect()),
        (
            "buffer_pool",
            report.buffer_pool.figures.iter().filter(|figure| figure.name == "allocations" || figure.name == "evictions").collect(),
        ),
        ("checkpoints", report.checkpoints.checkpoints.iter().chain(&report.checkpoints.writer).collect()),
        ("wal", report.wal.figures.iter().skip(1).chain(&report.wal.archiver).collect()),
        ("host", report.host.figures.iter().collect()),
    ]
}

type Figures<'a> = (&'static str, Vec<&'a Measure>);

fn deltas(((section, before), (_, after)): (Figures<'_>, Figures<'_>)) -> Vec<Delta> {
    let mut after: BTreeMap<&str, &Measure> = after.into_iter().map(|figure| (&*figure.name, figure)).collect();
    let both: Vec<(Option<&Measure>, Option<&Measure>)> =
        before.into_iter().map(|figure| (Some(figure), after.remove(&*figure.name))).collect();
    let new = after.into_values().map(|figure| (None, Some(figure)));
    both.into_iter().chain(new).filter_map(|(before, after)| delta(section, before, after)).collect()
}

fn delta(section: &str, before: Option<&Measure>, after: Option<&Measure>) -> Option<Delta> {
    let figure = before.or(after)?;
    let per_second = figure.per_second.is_some() || after.is_some_and(|after| after.per_second.is_some());
    // A class that nobody was in has no line: that is none, not unknown.
    let absent = figure.name.starts_with("db_time_").then_some(0.0);
    let value = |measure: Option<&Measure>| measure.map_or(absent, |measure| if per_second { measure.per_second } else { measure.value });
    let (before, after) = (value(before), value(after));
    if before.is_none() && after.is_none() {
        return None;
    }
    let both = before.zip(after);
    let noise = match figure.unit {
        Unit::Count => 0.1,
        Unit::Bytes => 4096.0,
        Unit::Seconds => 0.005,
        Unit::Percent => 1.0,
        Unit::Number => 0.1,
    };
    let significance = both.map_or(0.0, |(before, after)| ((after + noise) / (before + noise)).ln().abs());
    let difference = both.map(|(before, after)| after - before);
    let percent = both.filter(|(before, _)| *before > 0.0).map(|(before, after)| 100.0 * (after - before) / before);
    let verdict = verdict(&figure.name, significance, difference);
    let (name, label) = (figure.name.clone(), figure.label.trim().to_owned());
    Some(Delta {
        section: section.to_owned(),
        name,
        label,
        unit: figure.unit,
        per_second,
        before,
        after,
        difference,
        percent,
        significance,
        verdict,
    })
}

/// More of these is better.
const BETTER: [&str; 4] = ["buffer_hit", "hot_update", "timed_checkpoint", "parallel_launched"];
/// More of these is worse, whatever the load.
const WORSE: [&str; 21] = [
    "rollbacks",
    "rollback",
    "temp_bytes",
    "temp_files",
    "backend_write",
    "full_page_wal",
    "idle_in_transaction",
    "idle_in_transaction_time",
    "data_read_ms",
    "requested",
    "maxwritten_clean",
    "wal_buffers_full",
    "failed",
    "waiting",
    "cpu_steal",
    "cpu_iowait",
    "swap_in",
    "swap_out",
    "oom_kills",
    "db_time_application",
    "db_time_concurrency",
];
/// A change of less than a tenth is none to speak of.
const SLIGHT: f64 = 0.1;

fn verdict(name: &str, significance: f64, difference: Option<f64>) -> Verdict {
    let Some(difference) = difference.filter(|_| significance > SLIGHT) else { return Verdict::Neutral };
    match (BETTER.contains(&name), WORSE.contains(&name), difference > 0.0) {
        (true, _, true) | (_, true, false) => Verdict::Better,
        (true, _, false) | (_, true, true) => Verdict::Worse,
        (false, false, _) => Verdict::Neutral,
    }
}

fn waits(before: &Report, after: &Report) -> Vec<WaitDelta> {
    let mut events: BTreeMap<(WaitClass, Option<String>), (f64, f64)> = BTreeMap::new();
    for event in before.waits.events.iter().filter(|event| event.foreground) {
        events.entry((event.wait_class, event.wait_event.clone())).or_default().0 += event.average_sessions;
    }
    for event in after.waits.events.iter().filter(|event| event.foreground) {
        events.entry((event.wait_class, event.wait_event.clone())).or_default().1 += event.average_sessions;
    }
    let delta =
        |((wait_class, wait_event), (before, after))| WaitDelta { wait_class, wait_event, before, after, difference: after - before };
    let mut waits: Vec<WaitDelta> = events.into_iter().map(delta).collect();
    waits.sort_by(|a, b| b.difference.abs().total_cmp(&a.difference.abs()));
    waits
}

fn statements(before: &Report, after: &Report) -> Vec<StatementDelta> {
    type Which<'a> = (QueryId, Option<&'a str>, Option<&'a str>);
    fn which(row: &Statement) -> Which<'_> {
        (row.query_id, row.database.as_deref(), row.user.as_deref())
    }
    let mut all: BTreeMap<Which<'_>, (Option<&Statement>, Option<&Statement>)> = BTreeMap::new();
    before.top_sql.statements.iter().for_each(|row| all.entry(which(row)).or_default().0 = Some(row));
    after.top_sql.statements.iter().for_each(|row| all.entry(which(row)).or_default().1 = Some(row));
    let (first, second) = (before.summary.elapsed_seconds, after.summary.elapsed_seconds);
    let time =
        |row: Option<&Statement>, seconds: f64| row.and_then(|row| row.elapsed_seconds.or(row.active_seconds)).map(|time| time / seconds);
    #[expect(clippy::cast_precision_loss, reason = "a rate needs no more than a double's precision")]
    let calls = |row: Option<&Statement>| row.and_then(|row| row.executions).map(|calls| calls as f64);
    let mean = |row: Option<&Statement>| {
        let calls = calls(row).filter(|calls| *calls > 0.0)?;
        row.and_then(|row| row.elapsed_seconds).map(|seconds| 1000.0 * seconds / calls)
    };
    let delta = |((query_id, ..), (old, new)): (Which<'_>, (Option<&Statement>, Option<&Statement>))| {
        let row = new.or(old)?;
        let (before, after) = (time(old, first), time(new, second));
        Some(StatementDelta {
            query_id,
            database: row.database.clone(),
            user: row.user.clone(),
            text: row.text.clone(),
            before,
            after,
            difference: after.unwrap_or(0.0) - before.unwrap_or(0.0),
            calls_per_second_before: calls(old).map(|calls| calls / first),
            calls_per_second_after: calls(new).map(|calls| calls / second),
            mean_ms_before: mean(old),
            mean_ms_after: mean(new),
        })
    };
    let mut statements: Vec<StatementDelta> = all.into_iter().filter_map(delta).collect();
    statements.sort_by(|a, b| b.difference.abs().total_cmp(&a.difference.abs()).then(a.query_id.cmp(&b.query_id)));
    statements.truncate(TOP);
    statements
}

/// A setting that only one of the periods has away from its built-in value had the built-in one in the other.
fn settings(before: &[SettingIs], after: &[SettingIs]) -> Vec<SettingChange> {
    let mut all: BTreeMap<&str, (Option<String>, Option<String>)> = BTreeMap::new();
    for row in before {
        all.insert(&row.name, (Some(row.value.clone()), row.default.clone()));
    }
    for row in after {
        all.entry(&row.name).or_insert_with(|| (row.default.clone(), None)).1 = Some(row.value.clone());
    }
    let changed = all.into_iter().filter(|(_, (before, after))| before != after);
    changed.map(|(name, (before, after))| SettingChange { name: name.to_owned(), before, after }).collect()
}
