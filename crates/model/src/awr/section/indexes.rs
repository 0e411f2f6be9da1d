//! Indexes by reads and scans, and those that were kept up for nothing.

use super::top;
use crate::awr::change::Change;
use crate::awr::known::Known;
use crate::awr::page::{Cell, Section, Table};
use crate::sample::Unknown;
use crate::sample::indexes::Index as Row;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use utoipa::ToSchema;

/// Indexes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = AwrIndexes)]
pub struct Indexes {
    /// Those from which most blocks were read.
    pub by_reads: Vec<IndexDid>,
    /// Those that were scanned most.
    pub by_scans: Vec<IndexDid>,
    /// Those that nobody scanned while their tables were changed, that enforce nothing: the largest first.
    pub unused: Vec<IndexDid>,
    /// Those that queries may not use: CREATE INDEX CONCURRENTLY failed.
    pub invalid: Vec<String>,
    /// Why there are none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub unknown: Option<Unknown>,
}

/// What an index went through.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = AwrIndex)]
pub struct IndexDid {
    /// Database.
    pub database: String,
    /// Its table, with schema.
    pub table: String,
    /// Its name.
    pub index: String,
    /// Scans.
    pub scans: i64,
    /// Index entries returned.
    pub entries_read: i64,
    /// Blocks read.
    pub blocks_read: i64,
    /// Blocks found in shared buffers.
    pub blocks_hit: i64,
    /// Rows of its table that were inserted, updated otherwise than in place, or deleted; null where the table is not known.
    pub table_changes: Option<i64>,
    /// Size at the end, in bytes.
    pub size_bytes: i64,
    /// By how much it grew, in bytes.
    pub grown_bytes: Option<i64>,
}

const MOST: usize = 10;

impl Indexes {
    /// Works it out.
    #[expect(clippy::cast_precision_loss, reason = "an order needs no more than a double's precision")]
    pub fn build(known: &Known<'_>) -> Self {
        let changes = match &known.indexes {
            Ok(changes) => changes,
            Err(unknown) => return Self { unknown: Some(unknown.clone()), ..Self::default() },
        };
        let tables = known.tables.iter().flat_map(|tables| &tables.rows);
        let changed: HashMap<(&str, i64), i64> = tables
            .map(|row| &row.grown)
            .map(|row| ((&*row.datname, row.relid), row.n_tup_ins + row.n_tup_upd - row.n_tup_hot_upd + row.n_tup_del))
            .collect();
        let did = |change: &Change<Row>| did(change, changed.get(&(&*change.grown.datname, change.grown.relid)).copied());
        let rows = || changes.rows.iter().filter(|row| !row.grown.is_partitioned);
        let all: Vec<IndexDid> = rows().map(did).collect();
        let enforces = |row: &Row| row.is_unique || row.is_primary || row.is_constraint || row.is_replica_identity;
        let idle = rows().filter(|row| row.grown.idx_scan == 0 && !enforces(&row.grown) && row.grown.is_valid).map(did);
        let unused = idle.filter(|did| did.table_changes.is_some_and(|changes| changes > 0)).collect();
        let invalid = rows().filter(|row| !row.grown.is_valid && row.after.is_some());
        Self {
            by_reads: top(all.clone(), MOST, |did| did.blocks_read as f64),
            by_scans: top(all, MOST, |did| did.scans as f64),
            unused: top(unused, MOST, |did| did.size_bytes as f64),
            invalid: invalid
                .map(|row| format!("{}.{}.{}", row.grown.datname, row.grown.schemaname, row.grown.indexrelname))
                .take(50)
                .collect(),
            unknown: None,
        }
    }

    /// How it is laid out.
    pub fn section(&self) -> Section {
        let mut section = Section::new("indexes", "Indexes", "").missing(self.unknown.iter().map(|unknown| ("indexes", unknown)));
        if !self.invalid.is_empty() {
            section = section.note(format!(
                "Queries may not use {}: CREATE INDEX CONCURRENTLY failed. Drop and make them again.",
                self.invalid.join(", ")
            ));
        }
        if self.unknown.is_some() {
            return section;
        }
        section
            .with(table("By blocks read", &self.by_reads, "nothing was read"))
            .with(table("By scans", &self.by_scans, "none was scanned"))
            .with(table("Kept up and not scanned in the period (look at a month before dropping one)", &self.unused, "none"))
    }
}

fn did(change: &Change<Row>, table_changes: Option<i64>) -> IndexDid {
    let row = &change.grown;
    IndexDid {
        database: row.datname.to_string(),
        table: format!("{}.{}", row.schemaname, row.relname),
        index: row.indexrelname.to_string(),
        scans: row.idx_scan,
        entries_read: row.idx_tup_read,
        blocks_read: row.idx_blks_read,
        blocks_hit: row.idx_blks_hit,
        table_changes,
        size_bytes: row.index_bytes,
        grown_bytes: change.before.as_ref().map(|before| row.index_bytes - before.index_bytes),
    }
}

#[expect(clippy::cast_precision_loss, reason = "what is shown is rounded")]
fn table(title: &str, rows: &[IndexDid], empty: &str) -> Table {
    let row = |did: &IndexDid| {
        [
            did.database.as_str().into(),
            did.table.as_str().into(),
            did.index.as_str().into(),
            Cell::count(did.scans),
            Cell::count(did.entries_read),
            Cell::count(did.blocks_read),
            did.table_changes.map_or_else(Cell::default, Cell::count),
            Cell::bytes(did.size_bytes as f64),
        ]
    };
    let columns = ["database", "table", "index", ">scans", ">entries read", ">blocks read", ">table changes", ">size"];
    Table::new(title, &columns).rows(rows.iter().map(row)).or(empty)
}
