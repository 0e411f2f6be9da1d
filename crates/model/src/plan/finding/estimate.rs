//! Where the planner expected other numbers of rows, and tables whose statistics are old.

use super::context::{Context, Step};
use super::{Finding, Problem, Severity, count, rows_of, table};
use crate::plan::Node;

/// From how many times too few or too many on it is said.
const FACTOR: f64 = 10.0;
/// Rows by which it must be off, all runs together: what concerns a handful of rows harms no plan.
const ROWS: f64 = 100.0;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Off {
    TooFew,
    TooMany,
}

pub(super) fn find(context: &Context<'_>) -> Vec<Finding> {
    let mut found: Vec<Finding> = context.steps.iter().filter_map(|step| wrong(context, step)).collect();
    let wrong_at: Vec<usize> = found.iter().filter_map(|finding| finding.step).collect();
    let mut told: Vec<String> = Vec::new();
    for step in &context.steps {
        if let Some(finding) = stale(context, step, wrong_at.contains(&step.number)) {
            let table = table(step.node);
            if !told.contains(&table) {
                told.push(table);
                found.push(finding);
            }
        }
    }
    found
}

fn wrong(context: &Context<'_>, step: &Step<'_>) -> Option<Finding> {
    let node = step.node;
    let off = off(node, step.may_stop)?;
    // A step that only hands on what is wrong below is a consequence.
    if node.children.iter().filter(|child| !child.is_subplan()).any(|child| starts_below(child, off)) {
        return None;
    }
    let (estimated, actual) = (node.estimated_rows, node.actual.as_ref()?.rows);
    let factor = factor(estimated, actual);
    let direction = if off == Off::TooFew { "fewer" } else { "more" };
    let what = format!("{} expected, {} found: {} times {direction} than there are", rows_of(estimated), count(actual), count(factor));
    // Too few rows lead to plans that never end; too many only to careful ones.
    let severity = if factor >= 100.0 && off == Off::TooFew { Severity::Serious } else { Severity::Warning };
    let problem = Problem::RowEstimate { estimated, actual, factor };
    Some(context.at(step, severity, problem, what, advice(node)))
}

fn advice(node: &Node) -> String {
    let table = table(node);
    let filters = node.conditions.iter().filter(|condition| condition.name.ends_with("Cond") || condition.name == "Filter");
    let is_compound = filters.clone().count() > 1 || filters.clone().any(|condition| condition.text.contains(" AND "));
    if table.is_empty() {
        return "the inputs are estimated well, what is done with them is not: columns that depend on each other, or a value that is far more \
                frequent than others; extended statistics (CREATE STATISTICS) or a statement written otherwise may help"
            .to_owned();
    }
    if is_compound {
        return format!(
            "ANALYZE {table}; if it stays, the columns depend on each other: CREATE STATISTICS (dependencies, mcv) ON them FROM {table}, then ANALYZE"
        );
    }
    format!(
        "ANALYZE {table}; if it stays, raise the column's statistics target (ALTER TABLE … ALTER COLUMN … SET STATISTICS 1000) and analyze again"
    )
}

/// Whether a step is off in this direction, or one below it from which its rows come.
fn starts_below(node: &Node, direction: Off) -> bool {
    off(node, false) == Some(direction)
        || node.children.iter().filter(|child| !child.is_subplan()).any(|child| starts_below(child, direction))
}

fn off(node: &Node, may_stop: bool) -> Option<Off> {
    // What these say of rows is not counted, or not a number of rows.
    if matches!(node.node_type.as_str(), "BitmapAnd" | "BitmapOr" | "ModifyTable" | "Result" | "Memoize" | "Materialize" | "Hash") {
        return None;
    }
    let actual = node.actual.as_ref().filter(|actual| actual.loops > 0.0)?;
    let (estimated, rows) = (node.estimated_rows, actual.rows);
    if factor(estimated, rows) < FACTOR || (estimated - rows).abs() * actual.loops < ROWS {
        return None;
    }
    match rows > estimated {
        true => Some(Off::TooFew),
        false if may_stop || is_inner_of_many(node) => None,
        false => Some(Off::TooMany),
    }
}

/// An inner side is estimated for an average row: that most runs give nothing is no mistake.
fn is_inner_of_many(node: &Node) -> bool {
    node.loops().is_some_and(|loops| loops > 100.0) && node.estimated_rows < 100.0
}

fn factor(a: f64, b: f64) -> f64 {
    let (small, large) = if a < b { (a, b) } else { (b, a) };
    large.max(1.0) / small.max(1.0)
}

/// `matters` where estimates at this very table are wrong.
fn stale(context: &Context<'_>, step: &Step<'_>, matters: bool) -> Option<Finding> {
    let facts = context.facts(step.node)?;
    let rows = facts.rows.max(facts.live_rows);
    let changed = facts.rows_changed;
    let never = facts.analyzed_at.is_none() && facts.rows <= 0.0 && facts.live_rows >= 1_000.0;
    if !never && changed < 1_000.0 + 0.2 * rows {
        return None;
    }
    let table = table(step.node);
    let what = match facts.analyzed_at {
        _ if never => format!("{table} has never been analyzed: the planner knows nothing of its {} rows", count(facts.live_rows)),
        Some(at) => format!("{} of about {} rows of {table} changed since it was last analyzed, at {at:.0}", count(changed), count(rows)),
        None => format!("{} of about {} rows of {table} changed since it was last analyzed", count(changed), count(rows)),
    };
    let advice = format!("ANALYZE {table}; if autovacuum does not get to it, lower autovacuum_analyze_scale_factor for this table");
    let problem = Problem::StaleStatistics { table, rows_changed: changed, rows, analyzed_at: facts.analyzed_at };
    Some(context.at(step, if matters { Severity::Serious } else { Severity::Warning }, problem, what, advice))
}
