//! Files that look like a relation's, and belong to none: what a crash during CREATE TABLE, VACUUM FULL or a long load leaves behind.

use super::{GOODBYE, open, said};
use crate::connect::Target;
use pgtend_model::error::Result;
use rustc_hash::FxHashSet;
use std::time::Duration;

/// What the relations of this database are stored in. The catalogs in the list are mapped, so the function is asked for all.
const STORED: &str = "select pg_catalog.pg_relation_filenode(oid) from pg_catalog.pg_class \
    where pg_catalog.pg_relation_filenode(oid) is not null";
/// What has not ended may have made files that nobody else sees yet.
const OLDEST: &str = "select least(pg_catalog.min(a.xact_start), (select pg_catalog.min(p.prepared) from pg_catalog.pg_prepared_xacts as p), \
    pg_catalog.now()) from pg_catalog.pg_stat_activity as a";

/// A file that may belong to nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Relative to the data directory.
    pub path: String,
    /// The number in its name.
    pub relfilenode: u32,
    /// When it was last written, in nanoseconds since 1970.
    pub modified_ns: i128,
}

/// Which of these files of the target's database belong to no relation. Those that a transaction that has not ended may have made
/// are passed over: nobody else can see what they belong to.
///
/// # Errors
/// As for connecting, and what the server says.
pub async fn orphans(target: &Target, candidates: Vec<Candidate>, application_name: &str) -> Result<Vec<Candidate>> {
    let session = open(target, Duration::from_secs(60), application_name).await?;
    let asked = async {
        let oldest: jiff::Timestamp = session.client().query_one(OLDEST, &[]).await?.get(0);
        let rows = session.client().query(STORED, &[]).await?;
        Ok((oldest, rows.iter().map(|row| row.get(0)).collect::<FxHashSet<u32>>()))
    };
    let asked = asked.await.map_err(|error: tokio_postgres::Error| said(&error, &session));
    session.close(GOODBYE).await;
    let (oldest, stored) = asked?;
    let oldest_ns = oldest.as_nanosecond();
    Ok(candidates.into_iter().filter(|file| !stored.contains(&file.relfilenode) && file.modified_ns < oldest_ns).collect())
}
