//! Tables by reads, scans, changes and growth.

use super::top;
use crate::awr::change::{Change, Fate};
use crate::awr::known::Known;
use crate::awr::page::{Cell, Section, Table};
use crate::sample::Unknown;
use crate::sample::tables::Table as Row;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Tables.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = AwrTables)]
pub struct Tables {
    /// Those from which most blocks were read, indexes and TOAST included.
    pub by_reads: Vec<TableDid>,
    /// Those of which sequential scans read most rows.
    pub by_sequential_rows: Vec<TableDid>,
    /// Those in which most rows were changed.
    pub by_changes: Vec<TableDid>,
    /// Those that grew most.
    pub by_growth: Vec<TableDid>,
    /// Tables that came into being.
    pub created: Vec<String>,
    /// Tables that went.
    pub dropped: Vec<String>,
    /// Why there are none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub unknown: Option<Unknown>,
}

/// What a table went through.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = AwrTable)]
pub struct TableDid {
    /// Database.
    pub database: String,
    /// Its name, with schema.
    pub table: String,
    /// Blocks read, of the table, its indexes and its TOAST.
    pub blocks_read: i64,
    /// Share of the blocks asked for that were in shared buffers, in per cent.
    pub hit_percent: Option<f64>,
    /// Sequential scans.
    pub sequential_scans: i64,
    /// Rows read by sequential scans.
    pub sequential_rows: i64,
    /// Scans of its indexes.
    pub index_scans: Option<i64>,
    /// Rows inserted.
    pub inserted: i64,
    /// Rows updated.
    pub updated: i64,
    /// Of these, in place (HOT).
    pub updated_in_place: i64,
    /// Rows deleted.
    pub deleted: i64,
    /// Live rows at the end, estimated.
    pub live_rows: i64,
    /// Dead rows at the end, estimated.
    pub dead_rows: i64,
    /// Size of table, TOAST and indexes at the end, in bytes, as the last VACUUM or ANALYZE saw it.
    pub size_bytes: i64,
    /// By how much it grew, in bytes; null for a table that is new.
    pub grown_bytes: Option<i64>,
}

/// Tables in each list.
const MOST: usize = 10;

impl Tables {
    /// Works it out.
    #[expect(clippy::cast_precision_loss, reason = "an order needs no more than a double's precision")]
    pub fn build(known: &Known<'_>) -> Self {
        let changes = match &known.tables {
            Ok(changes) => changes,
            Err(unknown) => return Self { unknown: Some(unknown.clone()), ..Self::default() },
        };
        // A partitioned table has no storage of its own: its partitions tell.
        let all: Vec<TableDid> = changes.rows.iter().filter(|row| &*row.grown.relkind != "p").map(did).collect();
        let names = |fate: Fate| changes.rows.iter().filter(|row| row.fate == fate).take(50).map(|row| name(&row.grown)).collect();
        Self {
            by_reads: top(all.clone(), MOST, |did| did.blocks_read as f64),
            by_sequential_rows: top(all.clone(), MOST, |did| did.sequential_rows as f64),
            by_changes: top(all.clone(), MOST, |did| (did.inserted + did.updated + did.deleted) as f64),
            by_growth: top(all, MOST, |did| did.grown_bytes.unwrap_or(did.size_bytes) as f64),
            created: names(Fate::Appeared),
            dropped: names(Fate::Vanished),
            unknown: None,
        }
    }

    /// How it is laid out.
    pub fn section(&self) -> Section {
        let about = "Sizes are those that the last VACUUM, ANALYZE or CREATE INDEX saw: asking the file system would lock the tables.";
        let mut section = Section::new("tables", "Tables", about).missing(self.unknown.iter().map(|unknown| ("tables", unknown)));
        for (names, what) in [(&self.created, "New"), (&self.dropped, "Gone")] {
            if !names.is_empty() {
                section = section.note(format!("{what} in the period: {}.", names.join(", ")));
            }
        }
        if self.unknown.is_some() {
            return section;
        }
        section
            .with(reads(&self.by_reads))
            .with(scans(&self.by_sequential_rows))
            .with(changes(&self.by_changes))
            .with(growth(&self.by_growth))
    }
}

fn name(row: &Row) -> String {
    format!("{}.{}.{}", row.datname, row.schemaname, row.relname)
}

fn size_bytes(row: &Row) -> i64 {
    row.table_bytes + row.toast_bytes + row.index_bytes
}

fn did(change: &Change<Row>) -> TableDid {
    let row = &change.grown;
    let sum = |counts: [Option<i64>; 3]| counts.into_iter().flatten().sum::<i64>();
    let read = row.heap_blks_read + sum([row.idx_blks_read, row.toast_blks_read, row.tidx_blks_read]);
    let hit = row.heap_blks_hit + sum([row.idx_blks_hit, row.toast_blks_hit, row.tidx_blks_hit]);
    #[expect(clippy::cast_precision_loss, reason = "a share needs no more than a double's precision")]
    let hit_percent = (read + hit > 0).then(|| 100.0 * hit as f64 / (read + hit) as f64);
    TableDid {
        database: row.datname.to_string(),
        table: format!("{}.{}", row.schemaname, row.relname),
        blocks_read: read,
        hit_percent,
        sequential_scans: row.seq_scan,
        sequential_rows: row.seq_tup_read,
        index_scans: row.idx_scan,
        inserted: row.n_tup_ins,
        updated: row.n_tup_upd,
        updated_in_place: row.n_tup_hot_upd,
        deleted: row.n_tup_del,
        live_rows: row.n_live_tup,
        dead_rows: row.n_dead_tup,
        size_bytes: size_bytes(row),
        grown_bytes: change.before.as_ref().map(|before| size_bytes(row) - size_bytes(before)),
    }
}

#[expect(clippy::cast_precision_loss, reason = "what is shown is rounded")]
fn bytes(bytes: i64) -> Cell {
    Cell::bytes(bytes as f64)
}

fn who(did: &TableDid) -> [Cell; 2] {
    [did.database.as_str().into(), did.table.as_str().into()]
}

fn reads(rows: &[TableDid]) -> Table {
    let row = |did: &TableDid| {
        let [database, table] = who(did);
        [database, table, Cell::count(did.blocks_read), did.hit_percent.map_or_else(Cell::default, Cell::percent), bytes(did.size_bytes)]
    };
    Table::new("By blocks read, indexes and TOAST included", &["database", "table", ">blocks read", ">found in buffers", ">size"])
        .rows(rows.iter().map(row))
        .or("nothing was read")
}

fn scans(rows: &[TableDid]) -> Table {
    let row = |did: &TableDid| {
        let [database, table] = who(did);
        let scans = did.index_scans.map_or_else(|| Cell::from("no index"), Cell::count);
        [
            database,
            table,
            Cell::count(did.sequential_rows),
            Cell::count(did.sequential_scans),
            scans,
            Cell::count(did.live_rows),
            bytes(did.size_bytes),
        ]
    };
    let columns = ["database", "table", ">rows by sequential scans", ">sequential scans", ">index scans", ">live rows", ">size"];
    Table::new("By rows that sequential scans read", &columns).rows(rows.iter().map(row)).or("there were no sequential scans")
}

fn changes(rows: &[TableDid]) -> Table {
    let row = |did: &TableDid| {
        let [database, table] = who(did);
        let [inserted, updated, in_place, deleted, dead] =
            [did.inserted, did.updated, did.updated_in_place, did.deleted, did.dead_rows].map(Cell::count);
        [database, table, inserted, updated, in_place, deleted, dead]
    };
    let columns = ["database", "table", ">inserted", ">updated", ">in place", ">deleted", ">dead at the end"];
    Table::new("By rows changed", &columns).rows(rows.iter().map(row)).or("nothing was changed")
}

fn growth(rows: &[TableDid]) -> Table {
    let row = |did: &TableDid| {
        let [database, table] = who(did);
        [database, table, did.grown_bytes.map_or_else(|| "new".into(), bytes), bytes(did.size_bytes)]
    };
    Table::new("By growth, indexes and TOAST included", &["database", "table", ">grown", ">size"])
        .rows(rows.iter().map(row))
        .or("none grew")
}
