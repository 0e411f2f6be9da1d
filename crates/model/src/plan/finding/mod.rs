//! What is wrong with a plan, with the figures that show it and what to do about it.

mod context;
mod estimate;
mod joins;
mod memory;
mod overhead;
mod scans;

use super::explained::TableFacts;
use super::{Node, Plan};
use context::Context;
use serde::{Deserialize, Serialize};
use std::fmt;
use utoipa::ToSchema;

/// How much it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[schema(as = PlanSeverity)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// It is the main thing, or goes wrong by far.
    Serious,
    /// It costs noticeably.
    Warning,
    /// Worth knowing.
    Note,
}

/// Something that is wrong with a plan, or with one of its steps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = PlanFinding)]
pub struct Finding {
    /// How much it matters.
    pub severity: Severity,
    /// What it is, with its figures.
    #[serde(flatten)]
    pub problem: Problem,
    /// Number of the step, counted from the top in the order of reading, from 1; null for the plan as a whole.
    pub step: Option<usize>,
    /// What the step is.
    pub place: Option<String>,
    /// Share of the execution's time that the step takes alone, in per cent; null unless it was executed with timing.
    pub time_percent: Option<f64>,
    /// What is wrong, in a sentence.
    pub what: String,
    /// What to do about it.
    pub advice: String,
}

/// What can be wrong. Rows are those of all runs of a step together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = PlanProblem)]
#[serde(tag = "problem", rename_all = "snake_case")]
pub enum Problem {
    /// A large table is read from one end to the other, and most of it thrown away.
    SequentialScan {
        /// The table.
        table: String,
        /// Rows read.
        rows_read: f64,
        /// Rows kept.
        rows_kept: f64,
    },
    /// An index might find the rows of such a scan: a candidate, not advice.
    IndexCandidate {
        /// The table.
        table: String,
        /// Its columns, those compared for equality first.
        columns: Vec<String>,
    },
    /// The planner expected ten times as many rows, or a tenth; here, not as a consequence of steps below.
    RowEstimate {
        /// Rows expected.
        estimated: f64,
        /// Rows there were.
        actual: f64,
        /// How many times too few or too many.
        factor: f64,
    },
    /// The statistics of a table are old, or there are none.
    StaleStatistics {
        /// The table.
        table: String,
        /// Rows changed since the last ANALYZE.
        rows_changed: f64,
        /// Rows that it has, estimated.
        rows: f64,
        /// When it was last analyzed; null when never.
        analyzed_at: Option<jiff::Timestamp>,
    },
    /// A sort went to disk.
    SortOnDisk {
        /// PostgreSQL's word for how.
        method: String,
        /// Disk used, in kB.
        disk_kb: f64,
    },
    /// A hash table did not fit into memory.
    HashOnDisk {
        /// Parts in which it was done.
        batches: f64,
        /// Parts that were planned.
        planned_batches: Option<f64>,
        /// Memory used at most, in kB.
        memory_kb: f64,
    },
    /// A step put its rows into a temporary file.
    TemporaryFile {
        /// Blocks written.
        blocks: f64,
    },
    /// A join looks into its inner side row by row, very often.
    NestedLoop {
        /// Times that the inner side was run, or is expected to be.
        inner_runs: f64,
        /// Row pairs that were compared and thrown away.
        pairs_removed: f64,
    },
    /// An index finds many rows, most of which a filter throws away.
    IndexFilter {
        /// The index.
        index: Option<String>,
        /// Rows thrown away.
        removed: f64,
        /// Rows kept.
        kept: f64,
    },
    /// A bitmap did not fit into memory: whole blocks had to be looked through.
    LossyBitmap {
        /// Blocks known only as a whole.
        lossy_blocks: f64,
        /// Blocks known row by row.
        exact_blocks: f64,
    },
    /// An index-only scan had to look into the table after all.
    HeapFetches {
        /// Rows fetched from the table.
        fetches: f64,
        /// Rows found.
        rows: f64,
    },
    /// Just-in-time compilation took a large part of the time.
    JitDominates {
        /// Time of it in ms.
        jit_ms: f64,
        /// Share of the time in per cent.
        percent: f64,
    },
    /// Fewer workers were launched than planned.
    WorkersMissing {
        /// Planned.
        planned: f64,
        /// Launched.
        launched: f64,
    },
    /// Triggers took a large part of the time.
    TriggerDominates {
        /// The trigger.
        trigger: String,
        /// Times it was fired.
        calls: f64,
        /// Time of it in ms.
        time_ms: f64,
    },
    /// A subplan, or the reading of a CTE, is repeated very often.
    RepeatedSubplan {
        /// Which one.
        subplan: String,
        /// Times it was run.
        runs: f64,
    },
    /// Planning took longer than executing.
    PlanningDominates {
        /// Time spent planning, in ms.
        planning_ms: f64,
        /// Time spent executing, in ms.
        execution_ms: f64,
    },
}

/// Everything that is wrong with a plan, the worst first. `tables` is what is known of the tables in it.
pub fn findings(plan: &Plan, tables: &[TableFacts]) -> Vec<Finding> {
    let context = Context::of(plan, tables);
    let mut found = Vec::new();
    for rules in [scans::find, estimate::find, memory::find, joins::find, overhead::find] {
        found.extend(rules(&context));
    }
    found.sort_by(|a: &Finding, b| {
        let share = |finding: &Finding| finding.time_percent.unwrap_or(0.0);
        a.severity.cmp(&b.severity).then(share(b).total_cmp(&share(a))).then(a.step.cmp(&b.step))
    });
    found
}

impl Finding {
    /// Of the plan as a whole.
    fn of_plan(severity: Severity, problem: Problem, what: String, advice: &str) -> Self {
        Self { severity, problem, step: None, place: None, time_percent: None, what, advice: advice.to_owned() }
    }
}

impl Severity {
    /// By the share of the time that something takes: most of it, a noticeable part, or little.
    fn of_share(percent: Option<f64>) -> Self {
        match percent {
            Some(percent) if percent >= 50.0 => Self::Serious,
            Some(percent) if percent < 5.0 => Self::Note,
            _ => Self::Warning,
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Serious => "serious",
            Self::Warning => "warning",
            Self::Note => "note",
        })
    }
}

/// A number of rows for people.
fn count(rows: f64) -> String {
    #[expect(clippy::cast_possible_truncation, reason = "rows are far below 2^63")]
    crate::units::show_count(rows.round() as i64)
}

/// A number of rows with its noun.
fn rows_of(rows: f64) -> String {
    let noun = if rows.round() == 1.0 { "row" } else { "rows" };
    format!("{} {noun}", count(rows))
}

/// The table of a step.
fn table(node: &Node) -> String {
    node.full_table().unwrap_or_default()
}
