//! What each database does: transactions, reads, temporary files, conflicts, age.

use super::{Document, Known, Unknowns};
use crate::delta::{self, Grown};
use crate::error::Result;
use crate::sample::Probe;
use crate::sample::database::Database as Row;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// What each database does, busiest first.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Databases {
    /// The databases.
    pub databases: Vec<Database>,
    /// Why something is missing.
    pub unknown: Unknowns,
}

/// One database. Rates are between the last two readings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = DatabaseActivity)]
pub struct Database {
    /// Name.
    pub name: String,
    /// Backends connected now.
    pub connections: i64,
    /// Transactions committed a second.
    pub commits_per_second: Option<f64>,
    /// Transactions rolled back a second.
    pub rollbacks_per_second: Option<f64>,
    /// Blocks read from outside shared buffers a second.
    pub blocks_read_per_second: Option<f64>,
    /// Share of block reads found in shared buffers, 0–1; null when nothing was read.
    pub cache_hit_ratio: Option<f64>,
    /// Rows returned or fetched a second.
    pub rows_read_per_second: Option<f64>,
    /// Rows inserted, updated or deleted a second.
    pub rows_written_per_second: Option<f64>,
    /// Bytes written to temporary files a second.
    pub temp_bytes_per_second: Option<f64>,
    /// Deadlocks since the counters were last reset.
    pub deadlocks: i64,
    /// Queries cancelled because of conflicts with replay, on a standby, since the counters were last reset.
    pub conflicts: i64,
    /// What it takes on disk, in bytes.
    pub size_bytes: Option<i64>,
    /// Age of its oldest unfrozen transaction id; at 2 billion the server stops taking writes.
    pub frozen_xid_age: Option<i64>,
}

/// Parameters of [`Databases`].
#[derive(Debug, Clone, Default, Serialize, Deserialize, IntoParams)]
pub struct Params {}

impl Document for Databases {
    type Params = Params;
    const PATH: &'static str = "/api/v1/databases";
    const ABOUT: &'static str = "What each database does: transactions, reads, temporary files, conflicts, age";
    const PROBES: &'static [Probe] = &[Probe::Database, Probe::DatabaseSize];
    const NEEDS_RATES: bool = true;

    fn build(known: &Known<'_>, _params: &Params) -> Result<Self> {
        let readings = &known.view.readings;
        let mut unknown = Unknowns::default();
        let rows = unknown.take("databases", delta::rows(&readings.database, |row| row.datid)).unwrap_or_default();
        let sizes = unknown.take("databases.size_bytes", readings.database_size.current());
        let size = |row: &Row| sizes?.rows.iter().find(|size| size.datid == row.datid).map(|size| size.size_bytes);
        let mut databases: Vec<Database> =
            rows.iter().filter(|grown| grown.row.datid != 0).map(|grown| database(grown, size(grown.row))).collect();
        let busy = |database: &Database| database.commits_per_second.unwrap_or(0.0) + database.rollbacks_per_second.unwrap_or(0.0);
        databases.sort_by(|a, b| busy(b).total_cmp(&busy(a)).then_with(|| a.name.cmp(&b.name)));
        Ok(Self { databases, unknown })
    }
}

fn database(grown: &Grown<'_, Row>, size_bytes: Option<i64>) -> Database {
    let row = grown.row;
    let (read, hit) = (grown.per_second(|row| row.blks_read), grown.per_second(|row| row.blks_hit));
    Database {
        name: row.datname.to_string(),
        connections: row.numbackends,
        commits_per_second: grown.per_second(|row| row.xact_commit),
        rollbacks_per_second: grown.per_second(|row| row.xact_rollback),
        blocks_read_per_second: read,
        cache_hit_ratio: read.zip(hit).filter(|(read, hit)| read + hit > 0.0).map(|(read, hit)| hit / (read + hit)),
        rows_read_per_second: grown.per_second(|row| row.tup_returned + row.tup_fetched),
        rows_written_per_second: grown.per_second(|row| row.tup_inserted + row.tup_updated + row.tup_deleted),
        temp_bytes_per_second: grown.per_second(|row| row.temp_bytes),
        deadlocks: row.deadlocks,
        conflicts: row.conflicts,
        size_bytes,
        frozen_xid_age: row.frozen_xid_age,
    }
}

#[cfg(test)]
mod tests {
    use super::super::by_hand::{built, put, view};
    use super::*;
    use serde_json::json;

    #[test]
    fn rates_are_each_database_s_own_and_the_busiest_comes_first() {
        let mut view = view();
        let rows = |app: i64, shop: i64| {
            json!([{ "datid": 0, "xact_commit": 7 }, { "datid": 5, "datname": "app", "xact_commit": app, "blks_hit": app * 3, "blks_read": app },
                   { "datid": 6, "datname": "shop", "xact_commit": shop }])
        };
        put(&mut view.readings.database, 50, rows(100, 500));
        put(&mut view.readings.database, 55, rows(150, 1000));
        let databases = built::<Databases>(&view, &Params::default());
        let of = |number: usize, name: &str| databases["databases"][number][name].clone();
        assert_eq!((of(0, "name"), of(0, "commits_per_second"), of(0, "cache_hit_ratio")), (json!("shop"), json!(100.0), json!(null)));
        assert_eq!((of(1, "name"), of(1, "commits_per_second"), of(1, "cache_hit_ratio")), (json!("app"), json!(10.0), json!(0.75)));
        assert_eq!(databases["databases"].as_array().map(Vec::len), Some(2));
        assert_eq!(databases["unknown"]["databases.size_bytes"]["reason"], "pending");
    }

    #[test]
    fn a_reset_gives_no_rate() {
        let mut view = view();
        put(&mut view.readings.database, 50, json!([{ "datid": 5, "xact_commit": 100 }]));
        put(&mut view.readings.database, 55, json!([{ "datid": 5, "xact_commit": 3 }]));
        assert_eq!(built::<Databases>(&view, &Params::default())["databases"][0]["commits_per_second"], json!(null));
    }
}
