//! What the server was busy with, over time, with what took most of it beside.

use super::super::dated::Dated;
use super::super::{Document, Known, Unknowns};
use super::asked::{self, Coverage, asked};
use super::figures::{CpuTimeFrom, Figures, Gathered, Wait};
use super::report::{By, Group, groups};
use super::session_stats::{SessionActivity, top_sessions};
use super::sql_stats::{SqlActivity, TopSql};
use crate::ash::WaitClass;
use crate::ash::block::Dimension;
use crate::ash::cube::Cube;
use crate::ash::sampled::Steps;
use crate::ash::scope::Scope;
use crate::error::Result;
use crate::past::{Past, Span};
use crate::sample::Probe;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use utoipa::ToSchema;

/// What the server was busy with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = AshTop)]
pub struct Top {
    /// The period.
    pub time_range: Span,
    /// How much of it was sampled.
    #[serde(flatten)]
    pub coverage: Coverage,
    /// Everything together; null when nothing was sampled.
    pub all: Option<Figures>,
    /// Whence processor times are.
    pub cpu_time_from: Option<CpuTimeFrom>,
    /// How long a step of `load` is, in seconds.
    pub step_seconds: Option<f64>,
    /// Active sessions over time.
    pub load: Vec<Step>,
    /// What was waited for most, CPU among it.
    pub top_waits: Vec<Wait>,
    /// The statements with the most activity.
    pub top_sql: Vec<SqlActivity>,
    /// From when to when their executions were counted: the readings of pg_stat_statements that are nearest to the period.
    pub executions_of: Option<Span>,
    /// The sessions with the most activity; none where `by` is given.
    pub top_sessions: Vec<SessionActivity>,
    /// By what `groups` are.
    pub by: Option<By>,
    /// Activity by a dimension, where `by` is given.
    pub groups: Vec<Group>,
    /// Why figures are null.
    pub unknown: Unknowns,
}

/// A step in time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = AshStep)]
pub struct Step {
    /// Its begin.
    pub start: Timestamp,
    /// Instants in it at which was sampled; with none nothing is known of it.
    pub samples_taken: usize,
    /// Active sessions on average; null when nothing was sampled.
    pub average_active_sessions: Option<f64>,
    /// The same by wait class.
    pub wait_classes: BTreeMap<WaitClass, f64>,
}

asked! {
    /// Which samples.
    Params {
        /// Steps of `load` at most: 60 unless said otherwise.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub steps: Option<usize>,
        /// Activity by this dimension in the place of sessions.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[param(inline)]
        pub by: Option<By>,
    }
}

impl Document for Top {
    type Params = Params;
    const PATH: &'static str = "/api/v1/ash/top";
    const ABOUT: &'static str = "Active sessions over time by wait class, with the top waits, statements and sessions";
    const PROBES: &'static [Probe] = asked::PROBES;

    fn build(known: &Known<'_>, params: &Params) -> Result<Self> {
        Self::of_past(&asked::just_seen(known), known.now, params)
    }
}

const CLASS: [Dimension; 1] = [Dimension::WaitClass];

impl Dated for Top {
    fn is_of_past(_params: &Params) -> bool {
        true
    }

    fn of_past(past: &dyn Past, now: Timestamp, params: &Params) -> Result<Self> {
        let scope = params.scope(now)?;
        let limit = params.rows();
        let mut unknown = Unknowns::default();
        let sql = TopSql::of(past, &scope, limit, |_, tally| tally.active(), &mut unknown)?;
        asked::note_others(past, scope.span.end, "others", &mut unknown)?;
        let (top_sessions, groups) = match params.by {
            Some(by) => (Vec::new(), groups(past, &scope, by, limit, &mut unknown, |_| {})?.1),
            None => (top_sessions(past, &scope, limit, &mut unknown)?.2, Vec::new()),
        };
        let mut top = Self {
            time_range: scope.span,
            coverage: sql.coverage,
            all: None,
            cpu_time_from: None,
            step_seconds: None,
            load: Vec::new(),
            top_waits: Vec::new(),
            top_sql: sql.statements,
            executions_of: sql.executions_of,
            top_sessions,
            by: params.by,
            groups,
            unknown,
        };
        if let Some(gathered) = sql.gathered {
            let steps = gathered.sampled.steps(params.steps.unwrap_or(60).max(1));
            top.take(&gathered, limit);
            top.step_seconds = Some(steps.length.as_secs_f64());
            top.load = load(past, &scope, &steps)?;
        }
        Ok(top)
    }
}

impl Top {
    fn take(&mut self, gathered: &Gathered, limit: usize) {
        self.all = Some(gathered.figures(&gathered.all));
        self.cpu_time_from = Some(gathered.cpu_time_from());
        self.top_waits = gathered.waits(&gathered.all, limit);
    }
}

fn load(past: &dyn Past, scope: &Scope, steps: &Steps) -> Result<Vec<Step>> {
    let length_ms = i64::try_from(steps.length.as_millis()).unwrap_or(i64::MAX);
    let mut cube = Cube::new(&CLASS).by_time(length_ms);
    scope.each(past, crate::ash::block::Columns::of(&CLASS), &mut |block| cube.add(block))?;
    let mut sums: HashMap<i64, BTreeMap<WaitClass, u64>> = HashMap::new();
    for (cell, count) in cube.cells() {
        let class = cube.key(cell, Dimension::WaitClass).wait_class();
        if class != WaitClass::Idle {
            *sums.entry(cell.bucket_ms).or_default().entry(class).or_default() += count.samples;
        }
    }
    Ok(steps.begins.iter().map(|(start, taken)| step(*start, *taken, sums.remove(&start.as_millisecond()).unwrap_or_default())).collect())
}

#[expect(clippy::cast_precision_loss, reason = "counts of samples are far below 2^52")]
fn step(start: Timestamp, samples_taken: usize, classes: BTreeMap<WaitClass, u64>) -> Step {
    let mean = |samples: u64| samples as f64 / samples_taken.max(1) as f64;
    Step {
        start,
        samples_taken,
        average_active_sessions: (samples_taken > 0).then(|| mean(classes.values().sum())),
        wait_classes: classes.into_iter().map(|(class, samples)| (class, mean(samples))).collect(),
    }
}
