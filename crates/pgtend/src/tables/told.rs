//! What was done with tables, or would be.

use super::{Live, Wanted};
use crate::backup::restore::recover::Recovered;
use crate::scratch::{Planned, Took};
use pgtend_model::backup::Label;
use pgtend_model::pgdata::Lsn;
use pgtend_model::restore_table::Destination;
use pgtend_model::restore_table::statements::NextSteps;
use std::path::PathBuf;

/// What was done, or would be.
#[derive(Debug, serde::Serialize)]
pub struct Told {
    /// Whether nothing was done.
    pub dry_run: bool,
    /// What was asked for.
    pub wanted: Vec<String>,
    /// The database that they were in.
    pub database: String,
    /// The backup.
    pub backup: Label,
    /// To what state.
    pub target: String,
    /// Why this backup, this timeline, these files.
    pub reasons: Vec<String>,
    /// Segments of WAL that are replayed at most.
    pub wal_segments: usize,
    /// Up to where WAL is there without a gap.
    pub covered_to: Lsn,
    /// Bytes that are brought from the repository.
    pub bytes: u64,
    /// Where the scratch server is meanwhile.
    pub scratch: PathBuf,
    /// The live server.
    pub server: String,
    /// As whom it is written to.
    pub role: String,
    /// Where they go, for people.
    pub destination: String,
    /// The schema that they are in now.
    pub schema: Option<String>,
    /// Where the originals are now.
    pub aside: Option<String>,
    /// Whether the database was made.
    pub database_made: bool,
    /// The tables.
    pub tables: Vec<Brought>,
    /// What did not come along.
    pub left: Vec<Left>,
    /// What was replayed.
    pub recovered: Option<Recovered>,
    /// How long the scratch server took.
    pub took: Option<Took>,
    /// How long all took.
    pub seconds: Option<f64>,
    #[serde(skip)]
    pub(super) schema_is_ours: bool,
}

/// A table that was brought.
#[derive(Debug, serde::Serialize)]
pub struct Brought {
    /// What it was called.
    pub table: String,
    /// What it is called now.
    pub into: String,
    /// Its rows: counted in the scratch server, and again on the live server before the transaction ended.
    pub rows: u64,
    /// What one can do with it.
    pub next: Option<NextSteps>,
}

/// Something that did not come along.
#[derive(Debug, serde::Serialize)]
pub struct Left {
    /// Of which table.
    pub table: String,
    /// What it is.
    pub what: String,
    /// How it was defined.
    pub definition: String,
}

impl Told {
    pub(super) fn new(wanted: &Wanted, destination: &Destination, planned: &Planned, live: &Live, dry_run: bool) -> Self {
        let plan = planned.plan();
        let mut reasons = plan.reasons.clone();
        reasons.extend(Some(planned.prepared().selection.reason.clone()).filter(|reason| !reason.is_empty()));
        Self {
            dry_run,
            wanted: wanted.tables.clone(),
            database: wanted.database.clone(),
            backup: plan.backup.label,
            target: planned.target(),
            reasons,
            wal_segments: plan.wal.len(),
            covered_to: plan.covered_to,
            bytes: planned.bytes(),
            scratch: planned.path().to_owned(),
            server: live.address.clone(),
            role: live.role.clone(),
            destination: describe(destination),
            schema: None,
            aside: None,
            database_made: false,
            tables: Vec::new(),
            left: Vec::new(),
            recovered: None,
            took: None,
            seconds: None,
            schema_is_ours: wanted.asked.schema.is_none(),
        }
    }
}

fn describe(destination: &Destination) -> String {
    match destination {
        Destination::Schema(name) => format!("schema {name}, beside the originals, which are not touched"),
        Destination::Database(name) => format!("database {name}"),
        Destination::Place { aside } => format!("their own place; the originals move into schema {aside}"),
        Destination::Rows { replace: true } => "the tables that are there, INSTEAD OF the rows that are there".to_owned(),
        Destination::Rows { replace: false } => "the tables that are there, beside the rows that are there".to_owned(),
    }
}
