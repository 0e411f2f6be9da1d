//! Plans of PostgreSQL 13 to 18: the tree that EXPLAIN shows, what its figures mean, what is wrong with it, and which of two plans is
//! the same.

pub mod ask;
pub mod explained;
mod figures;
mod filter;
pub mod finding;
mod node;
mod parse;
mod shape;
pub mod text;

pub use explained::{Explained, Source, TableFacts};
pub use finding::{Finding, Problem, Severity};
pub use node::{Actual, Buffers, Condition, Hash, Node, Sort, Wal, Workers};
pub use parse::parse;

use crate::query_id::QueryId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// A plan as EXPLAIN shows it, with what was measured where it was executed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Plan {
    /// Its topmost step.
    pub root: Node,
    /// Time spent planning, in ms.
    pub planning_time_ms: Option<f64>,
    /// Time spent executing, triggers included, in ms; null unless it was executed.
    pub execution_time_ms: Option<f64>,
    /// Blocks used in planning.
    pub planning_buffers: Option<Buffers>,
    /// Triggers that were fired.
    pub triggers: Vec<Trigger>,
    /// Just-in-time compilation, where there was any.
    pub jit: Option<Jit>,
    /// Planner settings that are not at their defaults.
    pub settings: BTreeMap<String, String>,
    /// The statement's identifier, from 14 on where `compute_query_id` is on.
    pub query_id: Option<QueryId>,
}

/// A trigger that was fired.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = PlanTrigger)]
pub struct Trigger {
    /// Its name.
    pub name: String,
    /// The constraint that it checks, where it checks one.
    pub constraint: Option<String>,
    /// Its table.
    pub table: Option<String>,
    /// Times it was fired.
    pub calls: f64,
    /// Time spent in it, in ms.
    pub time_ms: Option<f64>,
}

/// Just-in-time compilation.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = PlanJit)]
pub struct Jit {
    /// Functions compiled.
    pub functions: i64,
    /// Time spent compiling, in ms; null unless the plan was executed.
    pub time_ms: Option<f64>,
}

impl Plan {
    /// Its steps, each before those below it: the place of a step in this order is its number.
    pub fn steps(&self) -> Vec<&Node> {
        let mut steps = Vec::new();
        self.root.visit(&mut |node| steps.push(node));
        steps
    }

    /// Whether it was executed.
    pub fn is_executed(&self) -> bool {
        self.root.actual.is_some()
    }

    /// The time of the whole execution in ms; what the topmost step took where EXPLAIN gives no sum.
    pub fn time_ms(&self) -> Option<f64> {
        self.execution_time_ms.or(self.root.execution_time_ms)
    }

    /// What the plan is, without costs, constants and figures: two plans of a statement with the same shape are the same plan.
    pub fn shape(&self) -> String {
        shape::hash(&self.root)
    }

    /// The plan in a line: `Hash Join(Seq Scan on orders, Hash(Index Scan on customers using customers_pkey))`.
    pub fn one_line(&self) -> String {
        shape::one_line(&self.root)
    }
}

#[cfg(test)]
mod tests;
