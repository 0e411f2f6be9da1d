//! Statements whose plan changed in the period.

use crate::awr::known::Known;
use crate::awr::page::{Cell, Section, Table, Tone};
use crate::awr::plan_changes;
pub use crate::past::PlanChange;
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

impl Plans {
    /// Those of a period.
    pub fn build(known: &Known<'_>) -> Self {
        let period = known.period;
        let newest = period.end.readings.statements.latest.as_deref();
        match plan_changes::of(period.past, period.span(), None, newest) {
            Err(error) => Self { changes: Vec::new(), unknown: Some(Unknown::new(Reason::Failed, error.what)) },
            Ok(changes) if changes.is_empty() => {
                Self { changes, unknown: period.past.plans(None, period.span()).ok().and_then(|seen| not_seen(&seen)) }
            }
            Ok(changes) => Self { changes, unknown: None },
        }
    }

    /// How it is laid out.
    pub fn section(&self) -> Section {
        let columns = ["at", "SQL id", "seen by", ">mean before", ">mean since", "*before", "*since"];
        let empty = if self.unknown.is_some() { "not known" } else { "none: no statement was seen with another plan than before" };
        let table = Table::new("", &columns).wrapping().rows(self.changes.iter().map(row)).or(empty);
        let about = "Plans that auto_explain logged, or that were asked for. Mean times are those of pg_stat_statements.";
        Section::new("plans", "Plan changes", about).missing(self.unknown.iter().map(|unknown| ("plan changes", unknown))).with(table)
    }
}

/// Why nothing is known, where no plan was seen at all.
pub fn not_seen(seen: &[crate::past::PlanSeen]) -> Option<Unknown> {
    let why = "no plan was seen: auto_explain logs those of statements as they run (auto_explain.log_min_duration), where the agent may read the log";
    seen.is_empty().then(|| Unknown::new(Reason::Absent, why))
}

fn row(change: &PlanChange) -> [Cell; 7] {
    let ms = |ms: Option<f64>| ms.map_or_else(|| Cell::unknown("the server counted no execution in the period"), Cell::ms);
    let slower = change.mean_before_ms.zip(change.mean_after_ms).is_some_and(|(before, after)| after > before * 1.5);
    let after = if change.both_in_use { format!("{} (the one before is in use, too)", change.after) } else { change.after.clone() };
    [
        Cell::time(change.at),
        change.query_id.to_string().into(),
        change.origin.word().into(),
        ms(change.mean_before_ms),
        ms(change.mean_after_ms).tone(if slower { Tone::Bad } else { Tone::Plain }),
        change.before.as_str().into(),
        after.into(),
    ]
}
