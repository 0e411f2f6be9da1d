//! Reads what `EXPLAIN (FORMAT JSON)` writes. Keys that are not known are kept, so that a newer PostgreSQL loses nothing.

use super::node::{Actual, Buffers, Condition, Hash, Node, Sort, Wal, Workers};
use super::{Jit, Plan, Trigger, figures};
use crate::error::{Error, Kind, Result};
use crate::query_id::QueryId;
use serde_json::{Map, Value};

/// Conditions and keys, in the order in which they are shown.
pub(super) const CONDITIONS: &[&str] = &[
    "Index Cond",
    "Recheck Cond",
    "TID Cond",
    "Hash Cond",
    "Merge Cond",
    "Join Filter",
    "Order By",
    "Filter",
    "One-Time Filter",
    "Conflict Filter",
    "Group Key",
    "Grouping Sets",
    "Sort Key",
    "Presorted Key",
    "Cache Key",
    "Function Call",
    "Table Function Call",
    "Remote SQL",
    "Run Condition",
    "Window",
];

/// Reads a plan.
///
/// # Errors
/// `Unsupported` when it is not what EXPLAIN writes; `Usage` when it is what EXPLAIN writes of a statement that has no plan.
pub fn parse(json: &Value) -> Result<Plan> {
    let whole = json.as_array().and_then(|all| all.first()).unwrap_or(json);
    if whole.is_string() {
        return Err(Error::new(Kind::Usage, "PostgreSQL makes no plan for this statement").hint("it is carried out as it stands"));
    }
    let whole = whole.as_object().ok_or_else(unreadable)?;
    let root = whole.get("Plan").and_then(Value::as_object).ok_or_else(unreadable)?;
    let mut plan = Plan {
        root: node(root),
        planning_time_ms: number(whole, "Planning Time"),
        execution_time_ms: number(whole, "Execution Time"),
        planning_buffers: whole.get("Planning").and_then(Value::as_object).and_then(buffers),
        triggers: objects(whole, "Triggers").map(trigger).collect(),
        jit: whole.get("JIT").and_then(Value::as_object).map(jit),
        settings: whole.get("Settings").and_then(Value::as_object).map(settings).unwrap_or_default(),
        query_id: whole.get("Query Identifier").and_then(Value::as_i64).map(QueryId),
    };
    figures::work_out(&mut plan.root);
    Ok(plan)
}

fn unreadable() -> Error {
    Error::new(Kind::Unsupported, "this is no plan: EXPLAIN (FORMAT JSON) writes a list with one object that has a Plan")
}

fn number(object: &Map<String, Value>, key: &str) -> Option<f64> {
    object.get(key).and_then(Value::as_f64)
}

fn text(object: &Map<String, Value>, key: &str) -> Option<String> {
    object.get(key).and_then(Value::as_str).map(str::to_owned)
}

fn objects<'a>(object: &'a Map<String, Value>, key: &str) -> impl Iterator<Item = &'a Map<String, Value>> {
    object.get(key).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_object)
}

fn settings(object: &Map<String, Value>) -> std::collections::BTreeMap<String, String> {
    object.iter().map(|(name, value)| (name.clone(), value.as_str().map_or_else(|| value.to_string(), str::to_owned))).collect()
}

fn trigger(object: &Map<String, Value>) -> Trigger {
    Trigger {
        name: text(object, "Trigger Name").unwrap_or_default(),
        constraint: text(object, "Constraint Name"),
        table: text(object, "Relation"),
        calls: number(object, "Calls").unwrap_or_default(),
        time_ms: number(object, "Time"),
    }
}

fn jit(object: &Map<String, Value>) -> Jit {
    let timing = object.get("Timing").and_then(Value::as_object);
    Jit {
        functions: object.get("Functions").and_then(Value::as_i64).unwrap_or_default(),
        time_ms: timing.and_then(|timing| number(timing, "Total")),
    }
}

/// A step's object, from which what is read is taken out.
struct Fields(Map<String, Value>);

impl Fields {
    fn text(&mut self, key: &str) -> Option<String> {
        match self.0.remove(key)? {
            Value::String(text) => Some(text),
            other => Some(other.to_string()),
        }
    }

    fn number(&mut self, key: &str) -> Option<f64> {
        self.0.remove(key)?.as_f64()
    }

    fn count(&mut self, key: &str) -> f64 {
        self.number(key).unwrap_or_default()
    }
}

fn node(object: &Map<String, Value>) -> Node {
    let mut fields = Fields(object.clone());
    let children = objects(object, "Plans").map(node).collect();
    fields.0.remove("Plans");
    let mut node = Node { children, buffers: buffers(object), wal: wal(object), ..Node::default() };
    fields.0.retain(|key, _| !is_block_count(key) && !key.starts_with("WAL "));
    node.node_type = fields.text("Node Type").unwrap_or_default();
    names(&mut node, &mut fields);
    estimates(&mut node, &mut fields);
    node.actual = actual(&mut fields);
    node.conditions = conditions(&mut fields);
    node.workers = fields.number("Workers Planned").map(|planned| Workers { planned, launched: fields.number("Workers Launched") });
    node.sort = sort(object, &mut fields);
    node.hash = hash(object, &mut fields);
    // What every step says, and only seldom matters.
    for dull in ["Output", "Async Capable", "Workers"] {
        fields.0.remove(dull);
    }
    fields.0.retain(|_, value| *value != Value::Bool(false));
    node.more = fields.0.into_iter().collect();
    node
}

fn names(node: &mut Node, fields: &mut Fields) {
    node.relationship = fields.text("Parent Relationship");
    node.subplan = fields.text("Subplan Name");
    node.schema = fields.text("Schema");
    node.table = fields.text("Relation Name");
    node.alias = fields.text("Alias");
    node.index = fields.text("Index Name");
    node.join = fields.text("Join Type");
    let read = ["CTE Name", "Function Name", "Table Function Name", "Tuplestore Name"];
    node.reads = read.iter().find_map(|key| fields.text(key)).or_else(|| node.alias.clone().filter(|_| node.table.is_none()));
    node.operator = node.node_type.split_whitespace().collect();
    node.title = title(node, fields);
}

/// As EXPLAIN's text form names a step: with the kind of join, of grouping, or of change.
fn title(node: &Node, fields: &mut Fields) -> String {
    let strategy = fields.text("Strategy");
    let partial = fields.text("Partial Mode").filter(|mode| mode != "Simple");
    let operation = fields.text("Operation");
    let command = fields.text("Command");
    let mut name = match (node.node_type.as_str(), strategy.as_deref()) {
        ("Aggregate", Some("Hashed")) => "HashAggregate".to_owned(),
        ("Aggregate", Some("Sorted")) => "GroupAggregate".to_owned(),
        ("Aggregate", Some("Mixed")) => "MixedAggregate".to_owned(),
        ("SetOp", Some("Hashed")) => "HashSetOp".to_owned(),
        (node_type, _) => node_type.to_owned(),
    };
    if let Some(join) = node.join.as_deref().filter(|join| *join != "Inner") {
        name = match name.strip_suffix(" Join") {
            Some(kind) => format!("{kind} {join} Join"),
            None => format!("{name} {join} Join"),
        };
    }
    if name == "ModifyTable" {
        name = operation.clone().unwrap_or(name);
    }
    if let Some(command) = command {
        name = format!("{name} {command}");
    }
    if fields.text("Scan Direction").as_deref() == Some("Backward") {
        name += " Backward";
    }
    if let Some(partial) = partial {
        name = format!("{partial} {name}");
    }
    match fields.text("Parallel Aware").as_deref() {
        Some("true") => format!("Parallel {name}"),
        _ => name,
    }
}

fn estimates(node: &mut Node, fields: &mut Fields) {
    node.startup_cost = fields.count("Startup Cost");
    node.estimated_cost = fields.count("Total Cost");
    node.estimated_rows = fields.count("Plan Rows");
    node.estimated_width_bytes = fields.count("Plan Width");
}

fn actual(fields: &mut Fields) -> Option<Actual> {
    let loops = fields.number("Actual Loops")?;
    Some(Actual {
        loops,
        rows: fields.count("Actual Rows"),
        startup_ms: fields.number("Actual Startup Time"),
        total_ms: fields.number("Actual Total Time"),
        removed_by_filter: fields.count("Rows Removed by Filter"),
        removed_by_join_filter: fields.count("Rows Removed by Join Filter"),
        removed_by_recheck: fields.count("Rows Removed by Index Recheck"),
        heap_fetches: fields.count("Heap Fetches"),
        exact_blocks: fields.count("Exact Heap Blocks"),
        lossy_blocks: fields.count("Lossy Heap Blocks"),
    })
}

fn conditions(fields: &mut Fields) -> Vec<Condition> {
    let shown = |value: Value| match value {
        Value::String(text) => text,
        Value::Array(keys) => {
            keys.iter().map(|key| key.as_str().map_or_else(|| key.to_string(), str::to_owned)).collect::<Vec<_>>().join(", ")
        }
        other => other.to_string(),
    };
    let of = |name: &&str| fields.0.remove(*name).map(|value| Condition { name: (*name).to_owned(), text: shown(value) });
    CONDITIONS.iter().filter_map(of).collect()
}

/// The largest sort of all processes: each worker tells its own.
fn sort(object: &Map<String, Value>, fields: &mut Fields) -> Option<Sort> {
    let one = |of: &Map<String, Value>| {
        let method = text(of, "Sort Method")?;
        let on_disk = text(of, "Sort Space Type").as_deref() == Some("Disk");
        Some(Sort { method, space_kb: number(of, "Sort Space Used").unwrap_or_default(), on_disk })
    };
    let incremental =
        ["Full-sort Groups", "Pre-sorted Groups"].into_iter().filter_map(|key| object.get(key)?.as_object()).filter_map(|groups| {
            let disk = groups.get("Sort Space Disk").and_then(Value::as_object);
            let memory = groups.get("Sort Space Memory").and_then(Value::as_object);
            let method = groups.get("Sort Methods Used")?.as_array()?.last()?.as_str()?.to_owned();
            let space_kb = disk.or(memory).and_then(|space| number(space, "Peak Sort Space Used")).unwrap_or_default();
            Some(Sort { method, space_kb, on_disk: disk.is_some() })
        });
    let all = std::iter::once(object).chain(objects(object, "Workers")).filter_map(one).chain(incremental);
    let largest = all.max_by(|a, b| a.on_disk.cmp(&b.on_disk).then(a.space_kb.total_cmp(&b.space_kb)));
    for key in ["Sort Method", "Sort Space Used", "Sort Space Type", "Full-sort Groups", "Pre-sorted Groups"] {
        fields.0.remove(key);
    }
    largest
}

/// A hash table's batches, or those of an aggregate that hashes.
fn hash(object: &Map<String, Value>, fields: &mut Fields) -> Option<Hash> {
    let one = |of: &Map<String, Value>| {
        Some(Hash {
            batches: number(of, "Hash Batches").or_else(|| number(of, "HashAgg Batches"))?,
            planned_batches: number(of, "Original Hash Batches"),
            peak_memory_kb: number(of, "Peak Memory Usage").unwrap_or_default(),
            disk_kb: number(of, "Disk Usage"),
        })
    };
    let all = std::iter::once(object).chain(objects(object, "Workers")).filter_map(one);
    let largest = all.max_by(|a, b| a.batches.total_cmp(&b.batches).then(a.peak_memory_kb.total_cmp(&b.peak_memory_kb)))?;
    for key in ["Hash Batches", "HashAgg Batches", "Original Hash Batches", "Peak Memory Usage", "Disk Usage"] {
        fields.0.remove(key);
    }
    Some(largest)
}

fn is_block_count(key: &str) -> bool {
    (key.ends_with(" Blocks") && !key.contains("Heap")) || key.contains("I/O ")
}

fn buffers(object: &Map<String, Value>) -> Option<Buffers> {
    let blocks = |key: &str| number(object, key);
    let sum = |keys: &[&str]| keys.iter().filter_map(|key| blocks(key)).sum::<f64>();
    // 17 tells shared, local and temporary blocks apart.
    let times = object.iter().filter(|(key, _)| key.contains("I/O ") && key.ends_with("Time"));
    let io_time_ms = times.filter_map(|(_, value)| value.as_f64()).reduce(|a, b| a + b);
    Some(Buffers {
        shared_hit: blocks("Shared Hit Blocks")?,
        shared_read: sum(&["Shared Read Blocks"]),
        shared_dirtied: sum(&["Shared Dirtied Blocks"]),
        shared_written: sum(&["Shared Written Blocks"]),
        local: sum(&["Local Hit Blocks", "Local Read Blocks", "Local Written Blocks"]),
        temp_read: sum(&["Temp Read Blocks"]),
        temp_written: sum(&["Temp Written Blocks"]),
        io_time_ms,
    })
}

fn wal(object: &Map<String, Value>) -> Option<Wal> {
    Some(Wal {
        records: number(object, "WAL Records")?,
        full_page_images: number(object, "WAL FPI").unwrap_or_default(),
        bytes: number(object, "WAL Bytes").unwrap_or_default(),
    })
}
