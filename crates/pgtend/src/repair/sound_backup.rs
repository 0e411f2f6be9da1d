//! Which backup has the pages sound: one that was taken after the damage has the damage in it.

use super::page_file::PageFile;
use crate::backup::restore::known::known;
use pgtend_model::backup::{FileEntry, Label};
use pgtend_model::error::Result;
use pgtend_store::repo::Repository;
use pgtend_store::repo::read::{Extents, Reader};

/// The newest backup of the cluster in which none of these pages is damaged; none when there is no such backup. A page that a backup does not have was
/// made later, and comes from WAL.
pub(super) fn newest_sound(
    repository: &Repository,
    server: &str,
    identity: &str,
    file: &PageFile,
    blocks: &[u32],
) -> Result<Option<Label>> {
    let (_, known) = known(repository, server, Some(identity))?;
    let extents: Extents = repository.extents()?;
    for head in known.backups.iter().rev() {
        let files = repository.files(server, head.label)?;
        let mut reader = extents.reader();
        let mut all = true;
        for &block in blocks {
            all &= is_sound(&mut reader, &files, file, block)?;
        }
        if all {
            return Ok(Some(head.label));
        }
    }
    Ok(None)
}

fn is_sound(reader: &mut Reader, files: &[FileEntry], file: &PageFile, block: u32) -> Result<bool> {
    let path = file.path(block);
    let Some(entry) = files.iter().find(|entry| entry.path == path) else { return Ok(true) };
    let (at, length) = file.span(block);
    for (offset, bytes, extent) in entry.pieces() {
        if offset <= at && at + length <= offset + u64::from(bytes) {
            let content = reader.extent(extent.id)?;
            let within = usize::try_from(at - offset).unwrap_or(usize::MAX);
            let page = content.get(within..within + usize::try_from(length).unwrap_or(0));
            return Ok(page.is_some_and(|page| file.seen(page, block).sound));
        }
    }
    Ok(true)
}
