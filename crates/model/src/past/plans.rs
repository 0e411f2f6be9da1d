//! Plans that statements were seen with: what is remembered of each, and where a statement went over to another one.

use crate::plan::Plan;
use crate::query_id::QueryId;
use crate::sample::Text;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How a plan came to be known. Plans of different origins are not held against one another: what was executed had values that what
/// was planned without them has not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[schema(as = PlanOrigin)]
#[serde(rename_all = "snake_case")]
pub enum PlanOrigin {
    /// auto_explain wrote it to the server's log when the statement was executed.
    AutoExplain,
    /// It was planned without regard to the values of its parameters.
    GenericPlan,
    /// Somebody asked for it, with the values that stood in the statement.
    Explain,
}

impl PlanOrigin {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::AutoExplain, Self::GenericPlan, Self::Explain];

    /// The word that stands for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::AutoExplain => "auto_explain",
            Self::GenericPlan => "generic_plan",
            Self::Explain => "explain",
        }
    }
}

/// A plan that was just seen.
#[derive(Debug, Clone, PartialEq)]
pub struct NewPlan {
    /// The statement.
    pub query_id: QueryId,
    /// Database; none where it is not known.
    pub database: Option<Text>,
    /// How it came to be known.
    pub origin: PlanOrigin,
    /// When it was first seen of those times that are told here.
    pub first: Timestamp,
    /// When it was last seen.
    pub last: Timestamp,
    /// How often it was seen.
    pub times: i64,
    /// How long its executions took together, in ms; none where it was not executed.
    pub duration_ms: Option<f64>,
    /// The plan, as it was seen last.
    pub plan: Plan,
}

impl NewPlan {
    /// One that was seen once.
    pub fn once(query_id: QueryId, database: Option<Text>, origin: PlanOrigin, at: Timestamp, plan: Plan) -> Self {
        let duration_ms = plan.is_executed().then(|| plan.time_ms()).flatten();
        Self { query_id, database, origin, first: at, last: at, times: 1, duration_ms, plan }
    }
}

/// A plan that a statement had over a stretch of time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PlanSeen {
    /// The statement.
    pub query_id: QueryId,
    /// Database; null where it is not known.
    pub database: Option<String>,
    /// What the plan is, without costs, constants and figures.
    pub plan_hash: String,
    /// The plan in a line.
    pub plan: String,
    /// How it came to be known.
    pub origin: PlanOrigin,
    /// When it was first seen.
    pub first_seen: Timestamp,
    /// When it was last seen; a plan that is not seen for an hour begins anew.
    pub last_seen: Timestamp,
    /// How often it was seen: of executions, only those that auto_explain logged.
    pub times_seen: i64,
    /// Mean time of the executions that were seen, in ms; null where it was only planned.
    pub mean_duration_ms: Option<f64>,
}

/// A statement that ran with another plan than before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = AwrPlanChange)]
pub struct PlanChange {
    /// The statement.
    pub query_id: QueryId,
    /// Database; null where it is not known.
    pub database: Option<String>,
    /// How both plans came to be known.
    pub origin: PlanOrigin,
    /// When the other plan was first seen.
    pub at: Timestamp,
    /// The plan before, in a line.
    pub before: String,
    /// The plan since, in a line.
    pub after: String,
    /// What the plan before is.
    pub before_hash: String,
    /// What the plan since is.
    pub after_hash: String,
    /// When the plan before was last seen before the change.
    pub before_last_seen: Timestamp,
    /// Whether the plan before was seen after the change, too: then both are in use.
    pub both_in_use: bool,
    /// Mean time of an execution before the change, in ms, as the server counted it in the period; null where it counted none.
    pub mean_before_ms: Option<f64>,
    /// The same since the change.
    pub mean_after_ms: Option<f64>,
}

/// Where statements went over to another plan, oldest first. `seen` may be in any order.
pub fn changes(seen: &[PlanSeen], within: super::Span) -> Vec<PlanChange> {
    let mut changes: Vec<PlanChange> =
        seen.iter().filter(|new| within.contains(new.first_seen)).filter_map(|new| change(new, seen)).collect();
    changes.sort_by(|a, b| a.at.cmp(&b.at).then(a.query_id.cmp(&b.query_id)));
    changes
}

/// The change that a plan's coming was; none where it is the statement's first, or the one that it had already.
fn change(new: &PlanSeen, seen: &[PlanSeen]) -> Option<PlanChange> {
    let same = |old: &&PlanSeen| (old.query_id, &old.database, old.origin) == (new.query_id, &new.database, new.origin);
    let earlier = || seen.iter().filter(same).filter(|old| old.first_seen < new.first_seen);
    // One that was in use at the same time is not news when it goes on.
    if earlier().any(|old| old.plan_hash == new.plan_hash && old.last_seen >= new.first_seen) {
        return None;
    }
    let before = earlier().max_by_key(|old| (old.last_seen.min(new.first_seen), old.first_seen))?;
    if before.plan_hash == new.plan_hash {
        return None;
    }
    let again = |old: &PlanSeen| old.plan_hash == before.plan_hash && old.last_seen > new.first_seen;
    Some(PlanChange {
        query_id: new.query_id,
        database: new.database.clone(),
        origin: new.origin,
        at: new.first_seen,
        before: before.plan.clone(),
        after: new.plan.clone(),
        before_hash: before.plan_hash.clone(),
        after_hash: new.plan_hash.clone(),
        before_last_seen: before.last_seen.min(new.first_seen),
        both_in_use: seen.iter().filter(same).any(again),
        mean_before_ms: None,
        mean_after_ms: None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::Span;
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn seen(query: i64, hash: &str, origin: PlanOrigin, from: i64, to: i64) -> PlanSeen {
        PlanSeen {
            query_id: QueryId(query),
            database: Some("shop".to_owned()),
            plan_hash: hash.to_owned(),
            plan: format!("plan {hash}"),
            origin,
            first_seen: at(from),
            last_seen: at(to),
            times_seen: 1,
            mean_duration_ms: None,
        }
    }

    fn told(seen: &[PlanSeen]) -> Vec<(i64, i64, String, String, bool)> {
        let changes = changes(seen, Span::new(at(10), at(100)));
        let one = |c: PlanChange| (c.query_id.0, c.at.as_second(), c.before_hash, c.after_hash, c.both_in_use);
        changes.into_iter().map(one).collect()
    }

    fn change(query: i64, at: i64, before: &str, after: &str, both: bool) -> (i64, i64, String, String, bool) {
        (query, at, before.to_owned(), after.to_owned(), both)
    }

    #[test]
    fn another_plan_than_before_is_a_change() {
        use PlanOrigin::{AutoExplain, Explain};
        let plans = [
            seen(1, "b", AutoExplain, 50, 90),
            seen(1, "a", AutoExplain, 0, 40),
            // Another origin is another story.
            seen(1, "c", Explain, 60, 60),
            // The first plan of a statement is no change.
            seen(2, "a", AutoExplain, 20, 30),
            // Back again after a while.
            seen(1, "a", AutoExplain, 95, 96),
            // Outside of the period.
            seen(3, "a", AutoExplain, 1, 2),
            seen(3, "b", AutoExplain, 3, 200),
        ];
        assert_eq!(told(&plans), [change(1, 50, "a", "b", true), change(1, 95, "b", "a", false)]);
    }

    #[test]
    fn plans_in_use_at_the_same_time_change_once() {
        use PlanOrigin::AutoExplain;
        let plans = [seen(1, "a", AutoExplain, 0, 80), seen(1, "b", AutoExplain, 20, 90)];
        assert_eq!(told(&plans), [change(1, 20, "a", "b", true)]);
        let same = [seen(1, "a", AutoExplain, 0, 10), seen(1, "a", AutoExplain, 50, 60)];
        assert_eq!(told(&same), []);
    }
}
