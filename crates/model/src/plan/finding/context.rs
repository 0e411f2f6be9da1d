//! A plan gone through once: what rules want to know of each step.

use super::{Finding, Problem, Severity};
use crate::plan::explained::TableFacts;
use crate::plan::{Actual, Node, Plan};

/// A plan with its surroundings.
pub(super) struct Context<'a> {
    /// The plan.
    pub(super) plan: &'a Plan,
    /// Its steps in the order of reading.
    pub(super) steps: Vec<Step<'a>>,
    tables: &'a [TableFacts],
}

/// One step.
pub(super) struct Step<'a> {
    /// The step itself.
    pub(super) node: &'a Node,
    /// Its number, from 1.
    pub(super) number: usize,
    /// Whether a step above may have stopped it before it gave all its rows.
    pub(super) may_stop: bool,
}

impl<'a> Context<'a> {
    pub(super) fn of(plan: &'a Plan, tables: &'a [TableFacts]) -> Self {
        let mut context = Self { plan, steps: Vec::new(), tables };
        context.add(&plan.root, false);
        context
    }

    fn add(&mut self, node: &'a Node, may_stop: bool) {
        self.steps.push(Step { node, number: self.steps.len() + 1, may_stop });
        for child in &node.children {
            self.add(child, stops(node, child, may_stop));
        }
    }

    /// What is known of a step's table.
    pub(super) fn facts(&self, node: &Node) -> Option<&'a TableFacts> {
        let table = node.table.as_deref()?;
        self.tables.iter().find(|facts| facts.name == table && node.schema.as_ref().is_none_or(|schema| *schema == facts.schema))
    }

    /// The share of the time that a step takes alone, in per cent.
    pub(super) fn share(&self, node: &Node) -> Option<f64> {
        self.percent(node.self_time_ms?)
    }

    /// The share of the time that a step and everything below it takes, in per cent.
    pub(super) fn share_with_below(&self, node: &Node) -> Option<f64> {
        self.percent(node.execution_time_ms?)
    }

    /// A time's share of the whole, in per cent.
    pub(super) fn percent(&self, ms: f64) -> Option<f64> {
        let whole = self.plan.time_ms().filter(|whole| *whole > 0.0)?;
        Some((100.0 * ms / whole).min(100.0))
    }

    /// A finding at a step.
    pub(super) fn at(&self, step: &Step<'_>, severity: Severity, problem: Problem, what: String, advice: String) -> Finding {
        Finding {
            severity,
            problem,
            step: Some(step.number),
            place: Some(step.node.label()),
            time_percent: self.share(step.node),
            what,
            advice,
        }
    }

    /// Steps that were run, with what was measured.
    pub(super) fn executed(&self) -> impl Iterator<Item = (&Step<'a>, &'a Actual)> {
        self.steps.iter().filter_map(|step| Some((step, step.node.actual.as_ref().filter(|actual| actual.loops > 0.0)?)))
    }
}

/// Whether a step may be left before it has given all its rows.
fn stops(parent: &Node, child: &Node, already: bool) -> bool {
    let is_inner = child.relationship.as_deref() == Some("Inner");
    match parent.node_type.as_str() {
        "Limit" | "Merge Join" => true,
        // A semi or anti join, and one to a unique key, needs no second match.
        "Nested Loop" if is_inner => {
            already || matches!(parent.join.as_deref(), Some("Semi" | "Anti")) || parent.more.contains_key("Inner Unique")
        }
        // These read everything before they give anything.
        "Sort" | "Hash" => false,
        "Aggregate"
            if parent.title.ends_with("HashAggregate")
                || parent.title.ends_with("Aggregate") && parent.condition("Group Key").is_none() =>
        {
            false
        }
        _ if child.relationship.as_deref() == Some("SubPlan") => true,
        _ => already,
    }
}
