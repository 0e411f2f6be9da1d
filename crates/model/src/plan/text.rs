//! Reads what `EXPLAIN (FORMAT TEXT)` writes, as far as it tells the tree: auto_explain logs it unless it is told otherwise.
//!
//! Steps, tables, indexes, estimates, times, rows and conditions are read; buffers and the finer measures are not.

use super::node::{Actual, Condition, Node};
use super::parse::CONDITIONS;
use super::{Plan, figures};
use crate::query_id::QueryId;
use regex::{Captures, Regex};
use std::sync::LazyLock;

/// Kinds of step that read or write a table; others name what they read in another way.
const OF_TABLES: [&str; 8] =
    ["Seq Scan", "Sample Scan", "Index Scan", "Index Only Scan", "Heap Scan", "Tid Scan", "Range Scan", "Foreign Scan"];
const CHANGES: [&str; 4] = ["Insert", "Update", "Delete", "Merge"];

#[expect(clippy::expect_used, reason = "a pattern that is written here compiles")]
static STEP: LazyLock<Regex> = LazyLock::new(|| {
    let pattern = r"^( *)(->  )?(\S.*?)  \(cost=([\d.]+)\.\.([\d.]+) rows=(\d+) width=(\d+)\)(?: \((?:actual (?:time=([\d.]+)\.\.([\d.]+) )?rows=([\d.]+) loops=(\d+)|never executed)\))?\s*$";
    Regex::new(pattern).expect("the pattern of a step is right")
});

/// Whether a line is a step.
pub fn is_step(line: &str) -> bool {
    STEP.is_match(line.trim_end())
}

/// A step whose children are still to come.
struct Open {
    indent: usize,
    node: Node,
}

/// Reads a plan; none where there is no step.
pub fn parse(text: &str) -> Option<Plan> {
    let (mut open, mut root): (Vec<Open>, Option<Node>) = (Vec::new(), None);
    let (mut plan, mut subplan) = (Plan::default(), None);
    for line in text.lines() {
        if let Some(found) = STEP.captures(line.trim_end()) {
            let indent = found.get(1).map_or(0, |spaces| spaces.len()) + usize::from(found.get(2).is_some());
            close(&mut open, &mut root, indent);
            let mut node = step(&found);
            (node.relationship, node.subplan) = relation(open.last().map(|open| &open.node), subplan.take());
            open.push(Open { indent, node });
            continue;
        }
        let (name, value) = line.trim().split_once(": ").unwrap_or((line.trim(), ""));
        match name {
            "Query Identifier" => plan.query_id = value.parse().ok().map(QueryId),
            "Planning Time" => plan.planning_time_ms = ms(value),
            "Execution Time" => plan.execution_time_ms = ms(value),
            _ if ["InitPlan ", "SubPlan ", "CTE "].iter().any(|start| name.starts_with(start)) && value.is_empty() => {
                subplan = Some(name.split(" (").next().unwrap_or(name).to_owned());
            }
            _ => detail(open.last_mut(), name, value),
        }
    }
    close(&mut open, &mut root, 0);
    plan.root = root?;
    figures::work_out(&mut plan.root);
    Some(plan)
}

fn ms(value: &str) -> Option<f64> {
    value.strip_suffix(" ms")?.parse().ok()
}

/// Puts steps that are no deeper than this into those above them.
fn close(open: &mut Vec<Open>, root: &mut Option<Node>, indent: usize) {
    while open.last().is_some_and(|last| last.indent >= indent) {
        let Some(done) = open.pop() else { return };
        match open.last_mut() {
            Some(above) => above.node.children.push(done.node),
            None => *root = Some(done.node),
        }
    }
}

/// What a step is to the one above, as the other formats tell it.
fn relation(above: Option<&Node>, subplan: Option<String>) -> (Option<String>, Option<String>) {
    let Some(above) = above else { return (None, None) };
    if let Some(name) = subplan {
        let kind = if name.starts_with("SubPlan") { "SubPlan" } else { "InitPlan" };
        return (Some(kind.to_owned()), Some(name));
    }
    let inputs = above.children.iter().filter(|child| !child.is_subplan()).count();
    let relationship = match above.title.as_str() {
        title if title.ends_with("Append") || matches!(title, "BitmapAnd" | "BitmapOr") => "Member",
        "Subquery Scan" => "Subquery",
        _ if inputs == 0 => "Outer",
        _ => "Inner",
    };
    (Some(relationship.to_owned()), None)
}

fn step(found: &Captures<'_>) -> Node {
    let number = |place: usize| found.get(place).and_then(|text| text.as_str().parse::<f64>().ok());
    let mut node = Node::default();
    names(&mut node, found.get(3).map_or("", |text| text.as_str()));
    node.startup_cost = number(4).unwrap_or_default();
    node.estimated_cost = number(5).unwrap_or_default();
    node.estimated_rows = number(6).unwrap_or_default();
    node.estimated_width_bytes = number(7).unwrap_or_default();
    let skipped = found.get(0).is_some_and(|whole| whole.as_str().contains("(never executed)"));
    let loops = number(11).or(skipped.then_some(0.0));
    node.actual = loops.map(|loops| Actual {
        loops,
        rows: number(10).unwrap_or_default(),
        startup_ms: number(8),
        total_ms: number(9),
        ..Actual::default()
    });
    node
}

/// `Index Scan Backward using orders_placed on public.orders o`.
fn names(node: &mut Node, text: &str) {
    let (title, rest) = match (text.find(" using "), text.find(" on ")) {
        (Some(using), on) if on.is_none_or(|on| using < on) => (&text[..using], &text[using + 7..]),
        (_, Some(on)) => (&text[..on], &text[on..]),
        _ => (text, ""),
    };
    title.clone_into(&mut node.title);
    node.node_type = title.strip_prefix("Parallel ").unwrap_or(title).to_owned();
    node.operator = node.node_type.split_whitespace().collect();
    let (index, target) = match rest.strip_prefix(" on ") {
        Some(target) => (None, target),
        None => rest.split_once(" on ").map_or((None, ""), |(index, target)| (Some(index), target)),
    };
    node.index = index.map(|index| identifiers(index).0.pop().unwrap_or_default());
    if target.is_empty() {
        return;
    }
    let (mut path, alias) = identifiers(target);
    let name = path.pop();
    node.schema = path.pop();
    let bare = node.node_type.trim_end_matches(" Backward");
    if bare == "Bitmap Index Scan" {
        node.index = name;
    } else if OF_TABLES.iter().any(|kind| bare.ends_with(kind)) || CHANGES.iter().any(|kind| bare.ends_with(kind)) {
        node.alias = alias.or_else(|| name.clone());
        node.table = name;
    } else {
        node.alias.clone_from(&alias);
        node.reads = if node.title == "Subquery Scan" { alias.or(name) } else { name };
    }
}

/// A path of identifiers, which may be quoted, and the word behind it.
fn identifiers(text: &str) -> (Vec<String>, Option<String>) {
    let (mut path, mut rest) = (Vec::new(), text);
    loop {
        let (name, behind) = identifier(rest);
        path.push(name);
        match behind.strip_prefix('.') {
            Some(next) => rest = next,
            None => return (path, Some(identifier(behind.trim_start()).0).filter(|alias| !alias.is_empty())),
        }
    }
}

fn identifier(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(['.', ' ']).unwrap_or(text.len());
        return (text[..end].to_owned(), &text[end..]);
    };
    let mut end = 0;
    while let Some(quote) = quoted[end..].find('"') {
        end += quote;
        if !quoted[end + 1..].starts_with('"') {
            return (quoted[..end].replace("\"\"", "\""), &quoted[end + 1..]);
        }
        end += 2;
    }
    (quoted.replace("\"\"", "\""), "")
}

/// A line below a step.
fn detail(open: Option<&mut Open>, name: &str, value: &str) {
    let Some(Open { node, .. }) = open else { return };
    let removed = |actual: &mut Option<Actual>, set: fn(&mut Actual, f64)| {
        if let (Some(actual), Ok(rows)) = (actual, value.parse()) {
            set(actual, rows);
        }
    };
    match name {
        "Rows Removed by Filter" => removed(&mut node.actual, |actual, rows| actual.removed_by_filter = rows),
        "Rows Removed by Join Filter" => removed(&mut node.actual, |actual, rows| actual.removed_by_join_filter = rows),
        name if CONDITIONS.contains(&name) => node.conditions.push(Condition { name: name.to_owned(), text: value.to_owned() }),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "Limit  (cost=1.13..2.46 rows=10 width=36) (actual time=0.030..0.040 rows=10 loops=1)
  CTE recent
    ->  Seq Scan on public.orders  (cost=0.00..1.10 rows=10 width=4) (actual time=0.010..0.011 rows=10 loops=1)
          Filter: (placed > '2026-01-01'::date)
          Rows Removed by Filter: 7
  InitPlan 2 (returns $1)
    ->  Result  (cost=0.00..0.01 rows=1 width=4) (never executed)
  ->  Nested Loop Left Join  (cost=0.28..9.00 rows=10 width=36) (actual rows=10 loops=1)
        ->  CTE Scan on recent r  (cost=0.00..0.20 rows=10 width=4) (actual rows=10 loops=1)
        ->  Index Scan Backward using \"Customers Key\" on shop.\"My Customers\" c  (cost=0.28..0.87 rows=1 width=36) (actual rows=1.50 loops=10)
              Index Cond: (id = r.customer)
Query Identifier: -42
";

    #[test]
    fn the_tree_is_that_of_the_other_formats() {
        let plan = parse(TEXT).unwrap();
        assert_eq!(
            plan.one_line(),
            "Limit(Seq Scan on orders, Result, Nested Loop Left Join(CTE Scan on recent, Index Scan Backward using Customers Key on My Customers))"
        );
        let steps = plan.steps();
        assert_eq!((steps[1].cte(), steps[2].was_skipped(), plan.query_id), (Some("recent"), true, Some(QueryId(-42))));
        assert_eq!(steps[1].actual.as_ref().unwrap().removed_by_filter, 7.0);
        assert_eq!((steps[5].condition("Index Cond"), steps[5].loops()), (Some("(id = r.customer)"), Some(10.0)));
        assert_eq!((steps[5].relationship.as_deref(), steps[5].alias.as_deref()), (Some("Inner"), Some("c")));
        assert_eq!(parse("no plan at all"), None);
    }

    #[test]
    fn names_as_explain_writes_them() {
        let label = |text: &str| {
            let mut node = Node::default();
            names(&mut node, text);
            (node.title, node.index, node.table, node.reads)
        };
        let told = |title: &str, index: Option<&str>, table: Option<&str>, reads: Option<&str>| {
            (title.to_owned(), index.map(str::to_owned), table.map(str::to_owned), reads.map(str::to_owned))
        };
        assert_eq!(label("Bitmap Index Scan on orders_placed"), told("Bitmap Index Scan", Some("orders_placed"), None, None));
        assert_eq!(label("Parallel Seq Scan on orders"), told("Parallel Seq Scan", None, Some("orders"), None));
        assert_eq!(label("Update on public.orders"), told("Update", None, Some("orders"), None));
        assert_eq!(label("Function Scan on pg_catalog.generate_series g"), told("Function Scan", None, None, Some("generate_series")));
        assert_eq!(label("Values Scan on \"*VALUES*\""), told("Values Scan", None, None, Some("*VALUES*")));
        assert_eq!(label("Finalize HashAggregate"), told("Finalize HashAggregate", None, None, None));
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_survived(text in "(?s).{0,300}", quoted in "Seq Scan on \"?[a-z\".]{0,8}\"? [a-z\"]{0,4}") {
            let _unused = parse(&text);
            let _unused = parse(&format!("{quoted}  (cost=0.00..1.10 rows=10 width=4)"));
        }
    }
}
