//! What is done again and again: inner sides of nested loops, subplans, CTEs.

use super::context::{Context, Step};
use super::{Finding, Problem, Severity, count};

/// Runs of an inner side from which on it is said.
const MANY_RUNS: f64 = 10_000.0;
/// Row pairs compared for nothing from which on it is said.
const MANY_PAIRS: f64 = 100_000.0;
/// Runs of a subplan from which on it is said.
const REPEATED: f64 = 1_000.0;

pub(super) fn find(context: &Context<'_>) -> Vec<Finding> {
    context.steps.iter().filter_map(|step| nested_loop(context, step).or_else(|| repeated(context, step))).collect()
}

fn nested_loop(context: &Context<'_>, step: &Step<'_>) -> Option<Finding> {
    let node = step.node;
    if node.node_type != "Nested Loop" {
        return None;
    }
    let inner = node.input("Inner")?;
    let (inner_runs, pairs_removed) = match &node.actual {
        // What is memoized or kept is not run for each row, but it is read for each.
        Some(actual) => (inner.loops().unwrap_or(0.0), actual.removed_by_join_filter * actual.loops),
        None => {
            let outer = node.input("Outer").map_or(0.0, |outer| outer.estimated_rows);
            let is_indexed = inner.index.is_some();
            (outer, if is_indexed { 0.0 } else { outer * inner.estimated_rows - node.estimated_rows })
        }
    };
    let share = context.share_with_below(node);
    let costs_little = share.is_some_and(|share| share < 20.0);
    if (inner_runs < MANY_RUNS && pairs_removed < MANY_PAIRS) || costs_little {
        return None;
    }
    let verb = if node.actual.is_some() { "was" } else { "would be" };
    let what = match pairs_removed >= MANY_PAIRS {
        true => format!(
            "the inner side {verb} gone through {} times, and {} pairs of rows thrown away",
            count(inner_runs),
            count(pairs_removed)
        ),
        false => format!("the inner side {verb} looked into {} times, once for each row of the outer side", count(inner_runs)),
    };
    let advice = match pairs_removed >= MANY_PAIRS {
        true => "a condition of equality lets it hash or merge; an index on the inner side's column spares the pairs".to_owned(),
        false => "so many rows are joined faster by a hash join: the outer side may have been estimated too small (see there), or enable_hashjoin \
                  is off, or work_mem is too small for the hash table"
            .to_owned(),
    };
    let mut finding = context.at(step, Severity::of_share(share), Problem::NestedLoop { inner_runs, pairs_removed }, what, advice);
    finding.time_percent = share;
    Some(finding)
}

fn repeated(context: &Context<'_>, step: &Step<'_>) -> Option<Finding> {
    let node = step.node;
    let runs = node.loops().filter(|runs| *runs >= REPEATED)?;
    let share = context.share_with_below(node);
    let is_subplan = node.relationship.as_deref() == Some("SubPlan");
    let is_cte = node.node_type == "CTE Scan";
    if !(is_subplan || is_cte) || share.is_some_and(|share| share < 10.0) {
        return None;
    }
    let name = match is_cte {
        true => format!("CTE {}", node.reads.as_deref().unwrap_or_default()),
        false => node.subplan.clone().unwrap_or_default(),
    };
    let what = match is_cte {
        true => format!("{name} was read from its beginning {} times: a CTE has no index", count(runs)),
        false => format!("{name} was run {} times, once for each row", count(runs)),
    };
    let advice = match is_cte {
        true => "WITH … AS NOT MATERIALIZED lets the planner use the tables' indexes; a temporary table can have one of its own",
        false => "write the subquery as a join, perhaps LATERAL or with GROUP BY, so that it is done once for all rows",
    };
    let problem = Problem::RepeatedSubplan { subplan: name, runs };
    let mut finding = context.at(step, Severity::of_share(share), problem, what, advice.to_owned());
    finding.time_percent = share;
    Some(finding)
}
