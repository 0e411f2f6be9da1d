//! A statement with its plan, as it is told.

use super::ask::{Request, Way};
use super::finding::{Finding, findings};
use super::{Plan, parse};
use crate::error::Result;
use crate::query_id::QueryId;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// Where a plan comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = PlanSource)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// auto_explain wrote it to the server's log when the statement was executed.
    AutoExplain,
    /// EXPLAIN ANALYZE executed the statement.
    Executed,
    /// EXPLAIN planned it with the values that stand in it.
    Planned,
    /// EXPLAIN planned it without regard to the values of its parameters (GENERIC_PLAN).
    Generic,
    /// EXPLAIN planned it as a prepared statement without regard to values (`plan_cache_mode = force_generic_plan`).
    ForcedGeneric,
}

/// What a server knows of a table in a plan.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = PlanTable)]
pub struct TableFacts {
    /// Schema.
    pub schema: String,
    /// Name.
    pub name: String,
    /// Rows as the planner knows them, from the last VACUUM or ANALYZE; zero when there was none.
    pub rows: f64,
    /// Live rows as the statistics count them.
    pub live_rows: f64,
    /// Rows changed since the last ANALYZE.
    pub rows_changed: f64,
    /// When it was last analyzed; null when never, or before statistics were reset.
    pub analyzed_at: Option<Timestamp>,
    /// Its size without indexes, in bytes.
    pub size_bytes: f64,
}

/// A statement with its plan, and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Explained {
    /// The statement.
    pub sql: String,
    /// Its identifier, from 14 on where `compute_query_id` is on.
    pub query_id: Option<QueryId>,
    /// Database in which it was planned.
    pub database: String,
    /// Role as which it was planned.
    pub user: String,
    /// The server's version as `server_version_num` has it.
    pub version_num: u32,
    /// Where the plan comes from.
    pub source: Source,
    /// The plan.
    pub plan: Plan,
    /// What the plan is, without costs, constants and figures: sixteen hexadecimal digits, the same for the same plan.
    pub plan_hash: String,
    /// What is wrong with it, the worst first.
    pub findings: Vec<Finding>,
    /// The tables in it.
    pub tables: Vec<TableFacts>,
    /// What to know about the answer.
    pub notes: Vec<String>,
    /// What the server answered, as other tools that show plans take it.
    pub server_json: Value,
}

/// What a server answered.
#[derive(Debug, Clone, Default)]
pub struct Answered {
    /// The plan as JSON.
    pub json: Value,
    /// What it knows of the tables in the plan.
    pub tables: Vec<TableFacts>,
    /// Database.
    pub database: String,
    /// Role.
    pub user: String,
    /// The version as `server_version_num` has it.
    pub version_num: u32,
}

impl Explained {
    /// Makes it of what a server answered.
    ///
    /// # Errors
    /// When that is no plan.
    pub fn of(request: &Request, way: Way, answered: Answered) -> Result<Self> {
        let plan = parse(&answered.json)?;
        let source = match way {
            Way::Plain if request.analyze => Source::Executed,
            Way::Plain => Source::Planned,
            Way::GenericOption => Source::Generic,
            Way::ForcedGeneric(_) => Source::ForcedGeneric,
        };
        Ok(Self {
            sql: request.sql.clone(),
            query_id: plan.query_id,
            database: answered.database,
            user: answered.user,
            version_num: answered.version_num,
            source,
            plan_hash: plan.shape(),
            findings: findings(&plan, &answered.tables),
            notes: notes(request, source),
            tables: answered.tables,
            server_json: answered.json,
            plan,
        })
    }
}

fn notes(request: &Request, source: Source) -> Vec<String> {
    let mut notes = Vec::new();
    match source {
        Source::Planned => notes.push("planned, not executed: rows and costs are estimates".to_owned()),
        Source::Generic | Source::ForcedGeneric => notes.push(
            "planned without regard to the values of parameters, not executed: with values that are frequent or rare the server may take \
             another plan"
                .to_owned(),
        ),
        Source::Executed | Source::AutoExplain => {}
    }
    if request.allow_writes {
        notes.push(
            "executed and rolled back: sequences that it advanced stay advanced, what triggers and functions did outside of the database \
             stays done, and dead rows wait for VACUUM"
                .to_owned(),
        );
    }
    notes
}
