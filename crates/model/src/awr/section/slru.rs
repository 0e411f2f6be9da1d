//! The small caches for transaction states and the like.

use crate::awr::change::Changes;
use crate::awr::known::Known;
use crate::awr::page::{Cell, Section, Table};
use crate::sample::Unknown;
use crate::sample::slru::Slru as Row;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The small caches.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = AwrSlru)]
pub struct Slru {
    /// Those that were used, the one that read most first.
    pub caches: Vec<SlruDid>,
    /// Why there are none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub unknown: Option<Unknown>,
}

/// What a cache did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = AwrSlruCache)]
pub struct SlruDid {
    /// Its name.
    pub name: String,
    /// Blocks found.
    pub blocks_hit: i64,
    /// Blocks read.
    pub blocks_read: i64,
    /// Blocks written.
    pub blocks_written: i64,
    /// New blocks.
    pub blocks_zeroed: i64,
}

impl Slru {
    /// Works it out.
    pub fn build(known: &Known<'_>) -> Self {
        let changes = match Changes::<Row>::of(known.period) {
            Ok(changes) => changes,
            Err(unknown) => return Self { caches: Vec::new(), unknown: Some(unknown) },
        };
        let did = |row: &Row| SlruDid {
            name: row.name.to_string(),
            blocks_hit: row.blks_hit,
            blocks_read: row.blks_read,
            blocks_written: row.blks_written,
            blocks_zeroed: row.blks_zeroed,
        };
        let mut caches: Vec<SlruDid> = changes.rows.iter().map(|row| did(&row.grown)).collect();
        caches.retain(|cache| cache.blocks_hit + cache.blocks_read + cache.blocks_written + cache.blocks_zeroed > 0);
        caches.sort_by(|a, b| (b.blocks_read, b.blocks_hit).cmp(&(a.blocks_read, a.blocks_hit)).then_with(|| a.name.cmp(&b.name)));
        Self { caches, unknown: None }
    }

    /// How it is laid out.
    pub fn section(&self) -> Section {
        let row = |cache: &SlruDid| {
            [
                cache.name.as_str().into(),
                Cell::count(cache.blocks_hit),
                Cell::count(cache.blocks_read),
                Cell::count(cache.blocks_written),
                Cell::count(cache.blocks_zeroed),
            ]
        };
        let about =
            "Many reads of subtransactions or multixacts stand behind sudden slowness with long transactions, savepoints or foreign keys.";
        let table = Table::new("", &["cache", ">found", ">read", ">written", ">new"]).rows(self.caches.iter().map(row)).or("none was used");
        Section::new("slru", "Transaction state caches (SLRU)", about)
            .missing(self.unknown.iter().map(|unknown| ("caches", unknown)))
            .with(table)
    }
}
