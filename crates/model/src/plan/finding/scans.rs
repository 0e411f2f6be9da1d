//! How tables are read.

use super::context::{Context, Step};
use super::{Finding, Problem, Severity, count, rows_of, table};
use crate::plan::{Actual, filter};

/// Rows from which on a table is large, and rows that are worth throwing away only once.
const LARGE_ROWS: f64 = 10_000.0;
/// Rows from which on an index may be expected to find them better.
const MANY_ROWS: f64 = 1_000.0;
/// A scan that keeps no more than this part of what it reads throws most away.
const FEW: f64 = 0.1;

pub(super) fn find(context: &Context<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    for step in &context.steps {
        found.extend(sequential(context, step));
    }
    for (step, actual) in context.executed() {
        found.extend(index_filter(context, step, actual));
        found.extend(lossy(context, step, actual));
        found.extend(heap_fetches(context, step, actual));
    }
    found
}

fn sequential(context: &Context<'_>, step: &Step<'_>) -> Vec<Finding> {
    let node = step.node;
    if node.node_type != "Seq Scan" || node.condition("Filter").is_none() {
        return Vec::new();
    }
    let (rows_read, rows_kept) = match &node.actual {
        Some(actual) => ((actual.rows + actual.removed_by_filter) * actual.loops, actual.rows * actual.loops),
        None => (context.facts(node).map_or(0.0, |facts| facts.rows), node.estimated_rows),
    };
    if rows_read < LARGE_ROWS || rows_kept > rows_read * FEW {
        return Vec::new();
    }
    let table = table(node);
    let expected = if node.actual.is_some() { "reads" } else { "is expected to read" };
    let what = format!("{expected} {} of {table} one after the other to keep {}", rows_of(rows_read), count(rows_kept));
    let columns = filter::columns(node.condition("Filter").unwrap_or_default());
    let advice = match columns.is_empty() {
        true => "an index that fits the filter, or on the filter's expression, would find these rows alone".to_owned(),
        false => "an index that fits the filter would find these rows alone; see the candidate".to_owned(),
    };
    let severity = Severity::of_share(context.share(node));
    let problem = Problem::SequentialScan { table: table.clone(), rows_read, rows_kept };
    let mut found = vec![context.at(step, severity, problem, what, advice)];
    if !columns.is_empty() {
        let what = format!("an index on {table} ({}) might serve this filter", columns.join(", "));
        let advice = format!(
            "a candidate only: try CREATE INDEX CONCURRENTLY ON {table} ({}) where it hurts nobody, and compare; every index costs each write",
            columns.join(", ")
        );
        found.push(context.at(step, Severity::Note, Problem::IndexCandidate { table, columns }, what, advice));
    }
    found
}

fn index_filter(context: &Context<'_>, step: &Step<'_>, actual: &Actual) -> Option<Finding> {
    let node = step.node;
    if !matches!(node.node_type.as_str(), "Index Scan" | "Index Only Scan" | "Bitmap Heap Scan") {
        return None;
    }
    let (removed, kept) = (actual.removed_by_filter * actual.loops, actual.rows * actual.loops);
    if removed < MANY_ROWS || kept > (removed + kept) * FEW {
        return None;
    }
    let index = node.index.clone().or_else(|| node.children.first().and_then(|child| child.index.clone()));
    let what = format!("finds {} rows by the index and throws all but {} away", count(removed + kept), count(kept));
    let columns = filter::columns(node.condition("Filter").unwrap_or_default());
    let more = if columns.is_empty() { "what the filter compares".to_owned() } else { columns.join(", ") };
    let advice = format!("an index that has {more} as well (or a partial index with this condition) would find fewer rows");
    Some(context.at(step, Severity::of_share(context.share(node)), Problem::IndexFilter { index, removed, kept }, what, advice))
}

fn lossy(context: &Context<'_>, step: &Step<'_>, actual: &Actual) -> Option<Finding> {
    let Actual { lossy_blocks, exact_blocks, .. } = *actual;
    if lossy_blocks <= 0.0 {
        return None;
    }
    let what = format!(
        "the bitmap did not fit into work_mem: {} of {} blocks had to be looked through row by row, {} rows for nothing",
        count(lossy_blocks),
        count(lossy_blocks + exact_blocks),
        count(actual.removed_by_recheck * actual.loops)
    );
    let advice = "raise work_mem for this statement or role (SET LOCAL work_mem); compare again".to_owned();
    let severity = Severity::of_share(context.share(step.node));
    Some(context.at(step, severity, Problem::LossyBitmap { lossy_blocks, exact_blocks }, what, advice))
}

fn heap_fetches(context: &Context<'_>, step: &Step<'_>, actual: &Actual) -> Option<Finding> {
    let (fetches, rows) = (actual.heap_fetches, actual.rows * actual.loops);
    if fetches < MANY_ROWS || fetches < rows * FEW {
        return None;
    }
    let table = table(step.node);
    let what = format!("reads {} rows from the table although the index has all columns", count(fetches));
    let advice = format!("VACUUM {table} marks its pages as visible to everybody; if it comes back, make autovacuum work there more often");
    Some(context.at(step, Severity::of_share(context.share(step.node)), Problem::HeapFetches { fetches, rows }, what, advice))
}
