//! What is there of a server's WAL: the archive's own figures, and what each repository has.

use super::origin::Origin;
use super::places::{Place, Places, open_piece};
use pgtend_model::backup::wal_gap::{coverage, first_gap_after, set_apart};
use pgtend_model::backup::wal_open::{OpenPiece, ends};
use pgtend_model::backup::wal_status::{OpenSegment, RepositoryWal};
use pgtend_model::backup::{BackupHead, BackupKind};
use pgtend_model::error::Result;
use pgtend_model::pgdata::wal::{History, SegmentSize, WalFile};
use pgtend_store::repo::Repository;
use pgtend_store::repo::wal::{WalObject, WalOwner};
use std::path::Path;

/// What the repositories have of the WAL of the cluster in this data directory. Blocks.
pub fn look(places: &Places, server: &str, data: &Path) -> Vec<RepositoryWal> {
    let origin = Origin::of_data(server, data);
    let of = |place: &Place| {
        let told = origin.clone().and_then(|origin| tell(place, &origin.owner, origin.control.wal_segment));
        let repository = told.unwrap_or_else(|error| RepositoryWal { error: Some(error), ..RepositoryWal::default() });
        RepositoryWal { repository: place.name().to_owned(), required: place.required(), ..repository }
    };
    places.all().iter().map(of).collect()
}

fn tell(place: &Place, owner: &WalOwner, size: SegmentSize) -> Result<RepositoryWal> {
    let repository = place.repository()?;
    repository.answers()?;
    let objects = repository.wal(owner)?;
    let histories = histories(repository, owner, &objects, size)?;
    let mut timelines = coverage(objects.iter().map(|object| object.name.as_str()), &histories, size);
    let dropped = repository.dropped_wal(owner)?.into_iter().map(|dropped| dropped.name).collect();
    let backups = backups(repository, owner)?;
    set_apart(&mut timelines, &backups);
    let broken_by = backups.last().and_then(|head| first_gap_after(&timelines, head.start_lsn).cloned());
    let ranges = || timelines.iter().flat_map(|timeline| &timeline.ranges);
    let pieces: Vec<OpenPiece> = repository.wal_pieces(owner)?.iter().filter_map(|piece| open_piece(piece, size)).collect();
    let open = ends(&pieces, size).into_iter().max_by_key(|(segment, end)| (segment.timeline, end.lsn));
    Ok(RepositoryWal {
        open: open.map(|(segment, end)| OpenSegment { segment: segment.name(size), end_lsn: end.lsn, at: end.at }),
        system_identifier: Some(owner.system_identifier.clone()),
        segments: timelines.iter().map(|timeline| timeline.segments).sum(),
        stored_bytes: objects.iter().map(|object| object.stored_bytes).sum(),
        oldest: ranges().min_by_key(|range| range.start_lsn).map(|range| range.first.clone()),
        newest: ranges().max_by_key(|range| range.end_lsn).map(|range| range.last.clone()),
        last_archived_at: objects.iter().map(|object| object.archived).max(),
        dropped,
        broken_by,
        timelines,
        ..RepositoryWal::default()
    })
}

/// Where a host writes without being able to read, nothing is known of how timelines follow each other.
fn histories(repository: &Repository, owner: &WalOwner, objects: &[WalObject], size: SegmentSize) -> Result<Vec<History>> {
    if !repository.reads() {
        return Ok(Vec::new());
    }
    let timelines = objects.iter().filter_map(|object| match WalFile::of_name(&object.name, size) {
        Some(WalFile::History(timeline)) => Some((timeline, &object.name)),
        _ => None,
    });
    let mut histories = Vec::new();
    for (timeline, name) in timelines {
        let text = repository.get_wal(owner, name)?;
        match History::parse(timeline, &String::from_utf8_lossy(&text)) {
            Ok(history) => histories.push(history),
            Err(error) => tracing::warn!(name, %error, "the history of a timeline makes no sense"),
        }
    }
    Ok(histories)
}

fn backups(repository: &Repository, owner: &WalOwner) -> Result<Vec<BackupHead>> {
    let (heads, _damaged) = repository.backups(&owner.server)?;
    let its_own = |head: &BackupHead| head.kind == BackupKind::Physical && head.system_identifier == owner.system_identifier;
    Ok(heads.into_iter().filter(its_own).collect())
}
