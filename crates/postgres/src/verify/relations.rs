//! Which relation a file belongs to, and which files a relation has.

use super::{GOODBYE, no_relation, open, said};
use crate::connect::Target;
use pgtend_model::error::Result;
use pgtend_model::pgdata::relation::Locator;
use pgtend_model::verify::{RelationKind, RelationName};
use std::collections::HashMap;
use std::time::Duration;

/// Of several arrays, `unnest` is grammar and takes no schema; a watching session looks names up in `pg_catalog` alone.
const NAMES: &str = "select wanted.tablespace, wanted.relfilenode, c.oid, c.relkind::text, \
        pg_catalog.format('%I.%I', n.nspname, c.relname), c.oid < 16384 \
    from unnest($1::oid[], $2::oid[]) as wanted (tablespace, relfilenode) \
    join pg_catalog.pg_class as c on c.oid = pg_catalog.pg_filenode_relation(wanted.tablespace, wanted.relfilenode)::oid \
    join pg_catalog.pg_namespace as n on n.oid = c.relnamespace";

/// The table, its indexes, its TOAST table and that one's index. Partitions have to be named themselves.
const FILES: &str = "with wanted as (select pg_catalog.to_regclass($1)::oid as oid), \
    tables as (select oid from wanted where oid is not null union all \
        select c.reltoastrelid from wanted as w join pg_catalog.pg_class as c on c.oid = w.oid where c.reltoastrelid <> 0), \
    all_of_it as (select oid from tables union select i.indexrelid from tables as t join pg_catalog.pg_index as i on i.indrelid = t.oid) \
    select pg_catalog.pg_relation_filepath(oid) from all_of_it where pg_catalog.pg_relation_filepath(oid) is not null";

/// What the server calls the relations of these files, in the database of the target. Relations that it does not know are left out.
///
/// # Errors
/// As for connecting, and what the server says.
pub async fn names(target: &Target, files: &[Locator], application_name: &str) -> Result<HashMap<(u32, u32), RelationName>> {
    let (tablespaces, relfilenodes): (Vec<u32>, Vec<u32>) = files.iter().map(|file| (file.tablespace, file.relfilenode)).unzip();
    let session = open(target, Duration::from_secs(30), application_name).await?;
    let rows = session.client().query(NAMES, &[&tablespaces, &relfilenodes]).await.map_err(|error| said(&error, &session));
    session.close(GOODBYE).await;
    let named = rows?.into_iter().map(|row| {
        let relkind: String = row.get(3);
        let kind = RelationKind::of_relkind(relkind.chars().next().unwrap_or('?'));
        ((row.get(0), row.get(1)), RelationName { name: row.get(4), oid: row.get(2), kind, is_catalog: row.get(5) })
    });
    Ok(named.collect())
}

/// The paths of the first files of a relation's main forks: of itself, its indexes and its TOAST table.
///
/// # Errors
/// `NotFound` when there is no such relation; as for connecting, and what the server says.
pub async fn files_of(target: &Target, relation: &str, application_name: &str) -> Result<Vec<String>> {
    let session = open(target, Duration::from_secs(30), application_name).await?;
    let rows = session.client().query(FILES, &[&relation]).await.map_err(|error| said(&error, &session));
    session.close(GOODBYE).await;
    let paths: Vec<String> = rows?.into_iter().map(|row| row.get(0)).collect();
    if paths.is_empty() { Err(no_relation(relation, target.database())) } else { Ok(paths) }
}
