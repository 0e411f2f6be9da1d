//! One step of a plan.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// One step of a plan, with the steps below it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = PlanNode)]
pub struct Node {
    /// What it does, in one word: `HashJoin`, `SeqScan`.
    pub operator: String,
    /// The same in PostgreSQL's words, with the kind of join or grouping: `Parallel Hash Left Join`.
    pub title: String,
    /// PostgreSQL's name of the kind of step: `Hash Join`.
    pub node_type: String,
    /// What it is to the step above: `Outer`, `Inner`, `InitPlan`, `SubPlan`, `Member`, `Subquery`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub relationship: Option<String>,
    /// The name of a CTE or subplan that starts here: `CTE recent`, `SubPlan 1`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub subplan: Option<String>,
    /// Schema of the table.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub schema: Option<String>,
    /// Table that it reads or writes.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub table: Option<String>,
    /// The table's name in the statement.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub alias: Option<String>,
    /// Index that it reads.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub index: Option<String>,
    /// CTE, function or other named thing that it reads.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reads: Option<String>,
    /// Kind of join: `Inner`, `Left`, `Semi`, …
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub join: Option<String>,
    /// Cost to the last row, in the planner's unit; with everything below.
    pub estimated_cost: f64,
    /// Cost to the first row.
    pub startup_cost: f64,
    /// Rows that the planner expected each time it is run.
    pub estimated_rows: f64,
    /// Bytes of a row that the planner expected.
    pub estimated_width_bytes: f64,
    /// Rows that it gave altogether; null unless it was executed.
    pub rows_returned: Option<f64>,
    /// Time of it and everything below, in ms; null unless it was executed with timing. What several processes did at the same time
    /// counts once.
    pub execution_time_ms: Option<f64>,
    /// Time of it alone, in ms.
    pub self_time_ms: Option<f64>,
    /// What was measured; null unless it was executed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub actual: Option<Actual>,
    /// Its conditions and keys, in PostgreSQL's words.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub conditions: Vec<Condition>,
    /// Workers, of a step that gathers from them.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub workers: Option<Workers>,
    /// How it sorted.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub sort: Option<Sort>,
    /// How it hashed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub hash: Option<Hash>,
    /// Blocks used, with everything below.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub buffers: Option<Buffers>,
    /// WAL written, with everything below.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub wal: Option<Wal>,
    /// Everything else that EXPLAIN says of it, by PostgreSQL's names.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub more: BTreeMap<String, Value>,
    /// The steps below.
    #[schema(no_recursion)]
    pub children: Vec<Node>,
}

/// What was measured of a step. Of rows, figures are means of the times it was run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = PlanActual)]
pub struct Actual {
    /// Times it was run, in all processes together.
    pub loops: f64,
    /// Rows that it gave each time.
    pub rows: f64,
    /// Time to the first row each time, in ms; null without timing.
    pub startup_ms: Option<f64>,
    /// Time to the last row each time, in ms; null without timing.
    pub total_ms: Option<f64>,
    /// Rows that a filter threw away each time.
    pub removed_by_filter: f64,
    /// Row pairs that the filter of a join threw away each time.
    pub removed_by_join_filter: f64,
    /// Rows that did not meet the index condition when they were looked at again, each time.
    pub removed_by_recheck: f64,
    /// Rows that an index-only scan had to fetch from the table after all.
    pub heap_fetches: f64,
    /// Blocks of a bitmap that it knew row by row.
    pub exact_blocks: f64,
    /// Blocks of a bitmap of which it knew only that something is in them.
    pub lossy_blocks: f64,
}

/// A condition or a list of keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = PlanCondition)]
pub struct Condition {
    /// What it is: `Filter`, `Index Cond`, `Hash Cond`, `Sort Key`.
    pub name: String,
    /// How PostgreSQL writes it.
    pub text: String,
}

/// Workers of a step that gathers.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = PlanWorkers)]
pub struct Workers {
    /// Planned.
    pub planned: f64,
    /// Launched; null unless it was executed.
    pub launched: Option<f64>,
}

/// How a step sorted; the largest of its processes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = PlanSort)]
pub struct Sort {
    /// PostgreSQL's word: `quicksort`, `top-N heapsort`, `external merge`.
    pub method: String,
    /// Memory or disk used, in kB.
    pub space_kb: f64,
    /// Whether that is disk.
    pub on_disk: bool,
}

/// How a step hashed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = PlanHash)]
pub struct Hash {
    /// Parts in which it was done; one where it fitted into memory.
    pub batches: f64,
    /// Parts that were planned.
    pub planned_batches: Option<f64>,
    /// Memory used at most, in kB.
    pub peak_memory_kb: f64,
    /// Disk used, in kB; null where EXPLAIN does not say it.
    pub disk_kb: Option<f64>,
}

/// Blocks of 8 kB unless the server was built otherwise.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = PlanBuffers)]
pub struct Buffers {
    /// Found in shared buffers.
    pub shared_hit: f64,
    /// Read.
    pub shared_read: f64,
    /// Made dirty.
    pub shared_dirtied: f64,
    /// Written by the session itself.
    pub shared_written: f64,
    /// Of temporary tables, used in any way.
    pub local: f64,
    /// Of temporary files, read.
    pub temp_read: f64,
    /// Of temporary files, written.
    pub temp_written: f64,
    /// Time spent reading and writing, in ms; null unless `track_io_timing` is on.
    pub io_time_ms: Option<f64>,
}

/// WAL written.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = PlanWal)]
pub struct Wal {
    /// Records.
    pub records: f64,
    /// Images of whole pages.
    pub full_page_images: f64,
    /// Bytes.
    pub bytes: f64,
}

impl Node {
    /// Visits it, then everything below.
    pub fn visit<'a>(&'a self, each: &mut dyn FnMut(&'a Self)) {
        each(self);
        self.children.iter().for_each(|child| child.visit(each));
    }

    /// The text of a condition, by its name.
    pub fn condition(&self, name: &str) -> Option<&str> {
        self.conditions.iter().find(|condition| condition.name == name).map(|condition| &*condition.text)
    }

    /// Times it was run; none unless it was executed.
    pub fn loops(&self) -> Option<f64> {
        self.actual.as_ref().map(|actual| actual.loops)
    }

    /// Whether it was planned and never run.
    pub fn was_skipped(&self) -> bool {
        self.loops() == Some(0.0)
    }

    /// The table with its schema, as one would write it.
    pub fn full_table(&self) -> Option<String> {
        let table = self.table.as_ref()?;
        Some(self.schema.as_ref().map_or_else(|| table.clone(), |schema| format!("{schema}.{table}")))
    }

    /// What it does to what: `Index Scan using orders_placed on public.orders o`.
    pub fn label(&self) -> String {
        let mut label = self.title.clone();
        if let Some(index) = &self.index {
            label += &format!(" {} {index}", if self.table.is_some() { "using" } else { "on" });
        }
        if let Some(table) = self.full_table() {
            label += &format!(" on {table}");
            if let Some(alias) = self.alias.as_ref().filter(|alias| Some(*alias) != self.table.as_ref()) {
                label += &format!(" {alias}");
            }
        } else if let Some(reads) = &self.reads {
            label += &format!(" on {reads}");
        }
        label
    }

    /// Whether it is run on its own, not as an input of the step above.
    pub fn is_subplan(&self) -> bool {
        matches!(self.relationship.as_deref(), Some("InitPlan" | "SubPlan"))
    }

    /// The name of the CTE that starts here, if one does.
    pub fn cte(&self) -> Option<&str> {
        self.subplan.as_deref()?.strip_prefix("CTE ")
    }

    /// The input of this name: `Outer` or `Inner`.
    pub fn input(&self, relationship: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.relationship.as_deref() == Some(relationship))
    }
}
