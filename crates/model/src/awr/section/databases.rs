//! What each database did: transactions, deadlocks, temporary files, growth.

use crate::awr::known::Known;
use crate::awr::page::{Cell, Section, Table};
use crate::document::Unknowns;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use utoipa::ToSchema;

/// What each database did.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = AwrDatabases)]
pub struct Databases {
    /// The databases, busiest first.
    pub databases: Vec<DatabaseDid>,
    /// Why figures are null.
    pub unknown: Unknowns,
}

/// What a database did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = AwrDatabase)]
pub struct DatabaseDid {
    /// Its name.
    pub database: String,
    /// Transactions committed.
    pub commits: i64,
    /// Transactions rolled back.
    pub rollbacks: i64,
    /// Transactions a second.
    pub transactions_per_second: f64,
    /// Blocks read.
    pub blocks_read: i64,
    /// Share of the blocks asked for that were in shared buffers, in per cent.
    pub hit_percent: Option<f64>,
    /// Rows inserted, updated or deleted.
    pub rows_changed: i64,
    /// Temporary files made.
    pub temp_files: i64,
    /// Bytes written to temporary files.
    pub temp_bytes: i64,
    /// Deadlocks.
    pub deadlocks: i64,
    /// Queries cancelled because of conflicts with replay, on a standby.
    pub conflicts: i64,
    /// Sessions established; from 14 on.
    pub sessions: Option<i64>,
    /// Sessions that ended otherwise than by their client: lost, by a fatal error, or killed; from 14 on.
    pub sessions_broken: Option<i64>,
    /// Checksum failures; null where checksums are off.
    pub checksum_failures: Option<i64>,
    /// Size at the end, in bytes.
    pub size_bytes: Option<i64>,
    /// By how much it grew, in bytes.
    pub grown_bytes: Option<i64>,
    /// Age of its oldest unfrozen transaction id at the end; at 2 billion the server stops taking writes.
    pub frozen_xid_age: Option<i64>,
}

impl Databases {
    /// Works it out.
    pub fn build(known: &Known<'_>) -> Self {
        let mut unknown = Unknowns::default();
        let Some(changes) = unknown.take("databases", known.databases.as_ref()) else { return Self { databases: Vec::new(), unknown } };
        let sizes = |rows: Option<&[crate::sample::database_size::DatabaseSize]>| -> HashMap<i64, i64> {
            rows.unwrap_or_default().iter().map(|row| (row.datid, row.size_bytes)).collect()
        };
        let (before, after) = known.period.ends(|readings| &readings.database_size);
        if after.is_none() {
            unknown.take::<(), _>("size_bytes", known.period.last(|readings| &readings.database_size).map(|_| ()));
        }
        let (before, after) = (sizes(before), sizes(after));
        let seconds = changes.seconds();
        let did = |row: &crate::awr::change::Change<crate::sample::database::Database>| {
            let grown = &row.grown;
            let asked = grown.blks_hit + grown.blks_read;
            let broken = [grown.sessions_abandoned, grown.sessions_fatal, grown.sessions_killed].into_iter().flatten().reduce(|a, b| a + b);
            let size_bytes = after.get(&grown.datid).copied();
            #[expect(clippy::cast_precision_loss, reason = "counters are far below 2^53")]
            let (transactions, hits, asked) = ((grown.xact_commit + grown.xact_rollback) as f64, grown.blks_hit as f64, asked as f64);
            DatabaseDid {
                database: if grown.datid == 0 { "(shared objects)".to_owned() } else { grown.datname.to_string() },
                commits: grown.xact_commit,
                rollbacks: grown.xact_rollback,
                transactions_per_second: transactions / seconds,
                blocks_read: grown.blks_read,
                hit_percent: (asked > 0.0).then(|| 100.0 * hits / asked),
                rows_changed: grown.tup_inserted + grown.tup_updated + grown.tup_deleted,
                temp_files: grown.temp_files,
                temp_bytes: grown.temp_bytes,
                deadlocks: grown.deadlocks,
                conflicts: grown.conflicts,
                sessions: grown.sessions,
                sessions_broken: broken,
                checksum_failures: grown.checksum_failures,
                size_bytes,
                grown_bytes: size_bytes.zip(before.get(&grown.datid)).map(|(after, before)| after - before),
                frozen_xid_age: grown.frozen_xid_age,
            }
        };
        let mut databases: Vec<DatabaseDid> = changes.rows.iter().map(did).collect();
        databases.sort_by(|a, b| (b.commits + b.rollbacks).cmp(&(a.commits + a.rollbacks)).then_with(|| a.database.cmp(&b.database)));
        Self { databases, unknown }
    }

    /// How it is laid out.
    #[expect(clippy::cast_precision_loss, reason = "what is shown is rounded")]
    pub fn section(&self) -> Section {
        let work = |did: &DatabaseDid| {
            [
                did.database.as_str().into(),
                Cell::count(did.commits),
                Cell::count(did.rollbacks),
                Cell::number(did.transactions_per_second),
                Cell::count(did.blocks_read),
                did.hit_percent.map_or_else(Cell::default, Cell::percent),
                Cell::count(did.rows_changed),
                Cell::bytes(did.temp_bytes as f64),
                Cell::count(did.deadlocks),
                Cell::count(did.conflicts),
            ]
        };
        let columns = [
            "database",
            ">commits",
            ">rollbacks",
            ">a second",
            ">blocks read",
            ">found",
            ">rows changed",
            ">temporary files",
            ">deadlocks",
            ">conflicts",
        ];
        let table = Table::new("Transactions", &columns).rows(self.databases.iter().map(work));
        let state = |did: &DatabaseDid| {
            [
                did.database.as_str().into(),
                did.sessions.map_or_else(Cell::default, Cell::count),
                did.sessions_broken.map_or_else(Cell::default, Cell::count),
                did.size_bytes.map_or_else(Cell::default, |bytes| Cell::bytes(bytes as f64)),
                did.grown_bytes.map_or_else(Cell::default, |bytes| Cell::bytes(bytes as f64)),
                did.frozen_xid_age.map_or_else(Cell::default, Cell::count),
            ]
        };
        let columns = ["database", ">sessions established", ">of these broken off", ">size", ">grown", ">age of the oldest transaction id"];
        let states = Table::new("Sessions and size", &columns).rows(self.databases.iter().map(state));
        let mut section = Section::new("databases", "Databases", "").missing(self.unknown.iter()).with(table).with(states);
        for did in &self.databases {
            if did.checksum_failures.is_some_and(|failures| failures > 0) {
                section = section
                    .note(format!("Checksums failed in database {}: pages are damaged. Look at the server's log now.", did.database));
            }
        }
        section
    }
}
