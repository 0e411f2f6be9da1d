//! What the figures of a plan mean: EXPLAIN gives means of the times a step was run, in all processes together; people want the time
//! that passed, and the time of each step alone.

use super::node::Node;
use std::collections::HashMap;

/// Fills in the figures that follow from others.
pub fn work_out(root: &mut Node) {
    totals(root, 1.0);
    fit(root);
    let mut made = HashMap::new();
    collect_ctes(root, &mut made);
    let mut read = HashMap::new();
    collect_scans(root, &mut read);
    alone(root, &made, &read);
}

/// `at_once` is how many processes run the step at the same time.
fn totals(node: &mut Node, at_once: f64) {
    if let Some(actual) = &node.actual {
        node.rows_returned = Some(actual.rows * actual.loops);
        node.execution_time_ms = actual.total_ms.map(|ms| ms * actual.loops / at_once.max(1.0));
    }
    let gathers = node.workers.is_some();
    let runs = node.loops().unwrap_or(1.0).max(1.0);
    for child in &mut node.children {
        // What is under a step that gathers is run by each of its workers, and mostly by the leader as well.
        let processes = if gathers && !child.is_subplan() { child.loops().map_or(1.0, |loops| loops / runs) } else { at_once };
        let at_once = if gathers && child.is_subplan() { 1.0 } else { processes };
        totals(child, at_once.max(1.0));
    }
}

/// Times are rounded to a microsecond a run: what was run a million times may seem to take longer than the step above. It gives way.
fn fit(node: &mut Node) {
    if let Some(whole) = node.execution_time_ms {
        let inputs = |child: &&mut Node| child.cte().is_none() && child.execution_time_ms.is_some();
        let sum: f64 = node.children.iter().filter(|child| child.cte().is_none()).filter_map(|child| child.execution_time_ms).sum();
        let most = node.children.iter_mut().filter(inputs).max_by(|a, b| a.loops().unwrap_or(0.0).total_cmp(&b.loops().unwrap_or(0.0)));
        if let Some(child) = most.filter(|_| sum > whole) {
            child.execution_time_ms = child.execution_time_ms.map(|ms| (ms - (sum - whole)).max(0.0));
        }
    }
    node.children.iter_mut().for_each(fit);
}

fn collect_ctes(node: &Node, made: &mut HashMap<String, f64>) {
    if let (Some(cte), Some(ms)) = (node.cte(), node.execution_time_ms) {
        made.insert(cte.to_owned(), ms);
    }
    node.children.iter().for_each(|child| collect_ctes(child, made));
}

fn collect_scans(node: &Node, read: &mut HashMap<String, f64>) {
    if let (Some(cte), Some(ms)) = (cte_read(node), node.execution_time_ms) {
        *read.entry(cte.to_owned()).or_default() += ms;
    }
    node.children.iter().for_each(|child| collect_scans(child, read));
}

fn cte_read(node: &Node) -> Option<&str> {
    node.reads.as_deref().filter(|_| node.node_type == "CTE Scan")
}

/// A CTE is made by whoever reads it first, so its time is within its scans, and not within the step that it hangs from.
fn alone(node: &mut Node, made: &HashMap<String, f64>, read: &HashMap<String, f64>) {
    let below: f64 = node.children.iter().filter(|child| child.cte().is_none()).filter_map(|child| child.execution_time_ms).sum();
    let within = cte_read(node).map_or(0.0, |cte| {
        let (made, read) = (made.get(cte).copied().unwrap_or(0.0), read.get(cte).copied().unwrap_or(0.0));
        if read > 0.0 { made * node.execution_time_ms.unwrap_or(0.0) / read } else { 0.0 }
    });
    node.self_time_ms = node.execution_time_ms.map(|ms| (ms - below - within).max(0.0));
    node.children.iter_mut().for_each(|child| alone(child, made, read));
}
