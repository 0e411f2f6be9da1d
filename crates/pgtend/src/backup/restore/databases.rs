//! Which databases a backup has, read from the files of its `pg_database`.

use pgtend_model::backup::FileEntry;
use pgtend_model::error::{Error, Kind, Result};
use pgtend_model::pgdata::RelationFile;
use pgtend_model::pgdata::catalog_page::rows;
use pgtend_model::pgdata::filenode_map::{PG_DATABASE, filenode};
use pgtend_store::repo::Repository;
use pgtend_store::repo::read::Reader;
use std::collections::BTreeSet;

/// Bytes of a page. Where a cluster was built with others, no rows are found, and so nothing is left out.
const PAGE: usize = 8192;

/// OIDs and names, former ones too, of all databases that have files.
///
/// # Errors
/// `Conflict` when the backup lacks the files that tell; what the repository says.
pub(super) fn databases(repository: &Repository, files: &[FileEntry]) -> Result<Vec<(u32, String)>> {
    let mut reader = repository.extents()?.reader();
    let map = content(&mut reader, files, "global/pg_filenode.map")?;
    let number = filenode(&map, PG_DATABASE)
        .ok_or_else(|| Error::new(Kind::Conflict, "the backup's map of catalogs cannot be read").at("global/pg_filenode.map"))?;
    let table = content(&mut reader, files, &format!("global/{number}"))?;
    let mut databases: Vec<(u32, String)> = table.chunks(PAGE).flat_map(rows).collect();
    databases.sort();
    databases.dedup();
    let present: BTreeSet<u32> = files.iter().filter_map(|file| Some(RelationFile::of_path(&file.path)?.locator.database)).collect();
    databases.retain(|(oid, _)| present.contains(oid));
    Ok(databases)
}

fn content(reader: &mut Reader, files: &[FileEntry], path: &str) -> Result<Vec<u8>> {
    let file = files.iter().find(|file| file.path == path);
    let file = file.ok_or_else(|| Error::new(Kind::Conflict, format!("the backup has no file {path}, which tells of its databases")))?;
    let mut content = Vec::new();
    for extent in &file.extents {
        content.extend(reader.extent(extent.id)?);
    }
    Ok(content)
}
