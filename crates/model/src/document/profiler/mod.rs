//! The profile of a statement: its plan, what it cost over a period and since its counters began, what it waited for, who runs it.

mod counted;
mod find;
mod sampled;

pub use counted::{Overall, Point, Statistics, Who, database};
pub use find::find;
pub use sampled::{Activity, Runner, Wait};

use super::Unknowns;
use crate::awr::plan_changes;
use crate::awr::section::plans::not_seen;
use crate::error::{Error, Kind, Result};
use crate::past::{Past, PlanChange, PlanSeen, Span};
use crate::plan::ask::Request as ExplainRequest;
use crate::plan::{Explained, Finding, Node, Plan, Source};
use crate::query_id::QueryId;
use crate::sample::{Probe, Reason, Text, Unknown};
use crate::view::View;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// What a profile is made from, beside what is remembered.
pub const PROBES: &[Probe] = &[Probe::Statements, Probe::StatementsInfo, Probe::Database, Probe::Roles, Probe::Settings];
/// The period unless one is named.
const USUAL: SignedDuration = SignedDuration::from_hours(1);
/// Plans told at most.
const MOST_PLANS: usize = 100;

/// The profile of a statement.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = QueryProfile)]
pub struct Profile {
    /// The statement's identifier.
    pub query_id: QueryId,
    /// Its text with constants as `$n`, or as a session sent it.
    pub sql: Option<String>,
    /// Database in which it takes the most time.
    pub database: Option<String>,
    /// The period that `execution_stats`, `series`, `wait_events`, `activity` and `run_by` are about.
    pub period: Span,
    /// Its plan as it would be made now, or as it was executed where that was asked for.
    pub execution_plan: Option<ExecutionPlan>,
    /// What is wrong with the plan, the worst first.
    pub findings: Vec<Finding>,
    /// What it did in the period.
    pub execution_stats: Option<Statistics>,
    /// What it did since its counters began.
    pub overall: Option<Overall>,
    /// What it did in the period, from reading to reading.
    pub series: Vec<Point>,
    /// What its sessions waited for in the period; processor time is told as `CPU`.
    pub wait_events: Vec<Wait>,
    /// Sessions that ran it, over the period.
    pub activity: Vec<Activity>,
    /// By whom it is run, as the server counts it in the period.
    pub users: Vec<Who>,
    /// By whom it is run, as sessions were seen.
    pub run_by: Vec<Runner>,
    /// Other plans that it had in the period, and what they did to its time.
    pub plan_changes: Vec<PlanChange>,
    /// Plans that it was seen with, of all that is remembered, the newest first.
    pub plans: Vec<PlanSeen>,
    /// The newest plan with which it was executed, as auto_explain logged it.
    pub captured_plan: Option<CapturedPlan>,
    /// What to know about the answer.
    pub notes: Vec<String>,
    /// Why figures are null.
    pub unknown: Unknowns,
}

/// A plan in a profile.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = ProfileExecutionPlan)]
pub struct ExecutionPlan {
    /// Where it comes from.
    pub source: Source,
    /// What the plan is, without costs, constants and figures.
    pub plan_hash: String,
    /// Always null: PostgreSQL measures time, and no cost.
    pub actual_cost: Option<f64>,
    /// Time spent planning, in ms.
    pub planning_time_ms: Option<f64>,
    /// The plan's topmost step.
    #[serde(flatten)]
    pub root: Node,
}

/// A plan that auto_explain logged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = ProfileCapturedPlan)]
pub struct CapturedPlan {
    /// When that execution ended.
    pub at: Timestamp,
    /// What the plan is, without costs, constants and figures.
    pub plan_hash: String,
    /// How long it took, in ms; null where it was not measured.
    pub execution_time_ms: Option<f64>,
    /// The plan's topmost step.
    pub root: Node,
}

/// Which period, and whether with a plan.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
pub struct Params {
    /// Begin of the period: an hour before its end unless said otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Timestamp>,
    /// End of the period: now unless said otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<Timestamp>,
    /// Whether to have the statement planned, which it is unless this is false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<bool>,
}

/// A statement, by its text, whose profile is wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = ProfileRequest)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// The statement, and how its plan is made.
    pub explain: ExplainRequest,
    /// Begin of the period: an hour before its end unless said otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Timestamp>,
    /// End of the period: now unless said otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Timestamp>,
}

/// What a profile is made of.
pub struct Materials<'a> {
    /// The newest readings.
    pub view: &'a View,
    /// What is remembered.
    pub past: &'a dyn Past,
    /// The text of the statement, as far as it is known.
    pub text: Option<Text>,
    /// Its plan, or why there is none.
    pub plan: Result<Explained, Unknown>,
    /// Now.
    pub now: Timestamp,
}

impl Params {
    /// The period.
    ///
    /// # Errors
    /// `Usage` when it does not end after its begin.
    pub fn period(&self, now: Timestamp) -> Result<Span> {
        let end = self.to.unwrap_or(now).min(now);
        let start = self.from.unwrap_or_else(|| end.checked_sub(USUAL).unwrap_or(end));
        Span::asked(start, end)
    }
}

impl Profile {
    /// Puts it together.
    ///
    /// # Errors
    /// `Usage` when the period makes no sense; `NotFound` when nothing is known of the statement; and when the history cannot be read.
    pub fn build(materials: Materials<'_>, query_id: QueryId, params: &Params) -> Result<Self> {
        let period = params.period(materials.now)?;
        let mut unknown = Unknowns::default();
        let counted = counted::of(&materials, query_id, period, params.to.is_none(), &mut unknown);
        let sampled = sampled::of(&materials, query_id, period, &mut unknown)?;
        let explained = unknown.take("execution_plan", materials.plan);
        let sql = materials.text.map(|text| text.to_string()).or_else(|| explained.as_ref().map(|explained| explained.sql.clone()));
        if counted.overall.is_none() && counted.statistics.is_none() && sampled.waits.is_empty() && sql.is_none() {
            let hint = "pgtend profile --query takes its text; /api/v1/stats/queries lists the statements there are";
            return Err(Error::new(Kind::NotFound, format!("nothing is known of a statement {query_id}")).hint(hint));
        }
        if sql.is_none() {
            unknown.note("sql", Unknown::new(Reason::Absent, "the text was not fetched yet, or the server gave it up"));
        }
        let plans = plans(materials.past, query_id, &mut unknown)?;
        let newest = materials.view.readings.statements.latest.as_deref().filter(|_| params.to.is_none());
        let plan_changes = plan_changes::of(materials.past, period, Some(query_id), newest)?;
        unknown.note("execution_plan.actual_cost", Unknown::new(Reason::Absent, "PostgreSQL measures time, and no cost"));
        let mut statistics = counted.statistics;
        if let Some(statistics) = &mut statistics {
            statistics.cpu_time_ms = sampled.cpu_ms;
        }
        Ok(Self {
            query_id,
            sql,
            database: counted.database.or_else(|| explained.as_ref().map(|explained| explained.database.clone())),
            period,
            findings: explained.as_ref().map(|explained| explained.findings.clone()).unwrap_or_default(),
            notes: explained.as_ref().map(|explained| explained.notes.clone()).unwrap_or_default(),
            execution_plan: explained.map(ExecutionPlan::of),
            execution_stats: statistics,
            overall: counted.overall,
            series: counted.series,
            wait_events: sampled.waits,
            activity: sampled.activity,
            users: counted.users,
            run_by: sampled.run_by,
            plan_changes,
            captured_plan: materials.past.captured_plan(query_id)?.map(|(at, plan)| CapturedPlan::of(at, plan)),
            plans,
            unknown,
        })
    }
}

/// The plans that it was seen with, the newest first.
fn plans(past: &dyn Past, query_id: QueryId, unknown: &mut Unknowns) -> Result<Vec<PlanSeen>> {
    let ever = Span::new(Timestamp::MIN, Timestamp::MAX);
    let mut plans = past.plans(Some(query_id), ever)?;
    plans.sort_by(|a, b| b.last_seen.cmp(&a.last_seen).then(b.first_seen.cmp(&a.first_seen)));
    plans.truncate(MOST_PLANS);
    if let Some(why) = not_seen(&plans) {
        unknown.note("plan_changes", why);
    }
    Ok(plans)
}

impl CapturedPlan {
    fn of(at: Timestamp, plan: Plan) -> Self {
        Self { at, plan_hash: plan.shape(), execution_time_ms: plan.time_ms(), root: plan.root }
    }
}

impl ExecutionPlan {
    fn of(explained: Explained) -> Self {
        Self {
            source: explained.source,
            plan_hash: explained.plan_hash,
            actual_cost: None,
            planning_time_ms: explained.plan.planning_time_ms,
            root: explained.plan.root,
        }
    }
}

#[cfg(test)]
mod tests;
