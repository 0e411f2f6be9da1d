//! What a repository has of a server, for the plan.

use crate::wal::open_piece;
use pgtend_model::backup::BackupKind;
use pgtend_model::backup::restore_plan::{Archived, Known};
use pgtend_model::error::{Error, Kind, Result};
use pgtend_model::pgdata::wal::{History, SegmentSize, WalFile};
use pgtend_store::repo::Repository;
use pgtend_store::repo::wal::WalOwner;

/// Looks at backups, WAL and histories of the cluster that a server's newest backup is of, or of the one of that identity.
///
/// # Errors
/// `NotFound` when there is no backup of it; what the repository says.
pub fn known(repository: &Repository, server: &str, system_identifier: Option<&str>) -> Result<(WalOwner, Known)> {
    let (mut backups, damaged) = repository.backups(server)?;
    for error in &damaged {
        tracing::error!(error = error.what, place = error.place, "a backup cannot be read");
    }
    backups.retain(|head| head.kind == BackupKind::Physical);
    let newest = backups.last().map(|head| head.system_identifier.clone());
    let Some(identifier) = system_identifier.map(str::to_owned).or(newest) else { return Err(none(repository, server, damaged)) };
    backups.retain(|head| head.system_identifier == identifier);
    let owner = WalOwner { server: server.to_owned(), system_identifier: identifier };
    let bytes = backups.last().and_then(|head| u32::try_from(head.wal_segment_bytes).ok());
    let Some(size) = bytes.and_then(SegmentSize::new) else { return Err(none(repository, server, damaged)) };
    let mut known = Known { backups, ..Known::default() };
    for object in repository.wal(&owner)? {
        match WalFile::of_name(&object.name, size) {
            Some(WalFile::Segment(segment)) => known.wal.push(Archived { segment, at: object.archived }),
            Some(WalFile::History(timeline)) => known.histories.push(history(repository, &owner, timeline, &object.name)?),
            _ => {}
        }
    }
    known.open = repository.wal_pieces(&owner)?.iter().filter_map(|piece| open_piece(piece, size)).collect();
    Ok((owner, known))
}

fn history(repository: &Repository, owner: &WalOwner, timeline: u32, name: &str) -> Result<History> {
    let content = repository.get_wal(owner, name)?;
    History::parse(timeline, &String::from_utf8_lossy(&content)).map_err(|bad| {
        Error::new(Kind::Conflict, format!("the history of timeline {timeline} cannot be read: {bad}"))
            .at(format!("{}: {name}", repository.shown()))
    })
}

fn none(repository: &Repository, server: &str, damaged: Vec<Error>) -> Error {
    if let Some(error) = damaged.into_iter().next() {
        return error;
    }
    let mut others = repository.servers().unwrap_or_default();
    others.retain(|other| other != server);
    let takes_one = "`pgtend backup run` takes one";
    Error::new(Kind::NotFound, format!("the repository has no backup of a server \"{server}\""))
        .at(repository.shown())
        .hint(if others.is_empty() { takes_one.to_owned() } else { format!("{takes_one}; others are here: {}", others.join(", ")) })
}
