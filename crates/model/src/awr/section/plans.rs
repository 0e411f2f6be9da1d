//! Statements whose plan changed in the period.

use crate::awr::page::{Section, Table};
use crate::query_id::QueryId;
use crate::sample::{Reason, Unknown};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Plan changes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = AwrPlans)]
pub struct Plans {
    /// The changes, oldest first.
    pub changes: Vec<PlanChange>,
    /// Why they are not known.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub unknown: Option<Unknown>,
}

/// A statement that ran with another plan than before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = AwrPlanChange)]
pub struct PlanChange {
    /// The statement.
    pub query_id: QueryId,
    /// When the other plan was first seen.
    pub at: jiff::Timestamp,
    /// The plan before, in a line.
    pub before: String,
    /// The plan since, in a line.
    pub after: String,
}

impl Plans {
    /// Plans are not remembered yet.
    pub fn build() -> Self {
        let why = "plans are not remembered: auto_explain writes them to the server's log, which pgtend does not read yet";
        Self { changes: Vec::new(), unknown: Some(Unknown::new(Reason::Absent, why)) }
    }

    /// How it is laid out.
    pub fn section(&self) -> Section {
        let row = |change: &PlanChange| {
            [
                crate::awr::page::Cell::time(change.at),
                change.query_id.to_string().into(),
                change.before.as_str().into(),
                change.after.as_str().into(),
            ]
        };
        let table = Table::new("", &["at", "SQL id", "*before", "*since"]).rows(self.changes.iter().map(row)).or("not known");
        Section::new("plans", "Plan changes", "").missing(self.unknown.iter().map(|unknown| ("plan changes", unknown))).with(table)
    }
}
