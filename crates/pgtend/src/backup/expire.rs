//! Taking backups away that nobody has to keep, with the WAL that nobody needs then and the extents that nobody has.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use pgtend_model::backup::retention::{self, Garbage, Policies, Reason};
use pgtend_model::backup::{BackupHead, BackupKind, Label};
use pgtend_model::error::{Error, Kind, Result, Retry};
use pgtend_model::pgdata::Lsn;
use pgtend_model::pgdata::wal::{Segment, SegmentSize, WalFile};
use pgtend_store::repo::Repository;
use pgtend_store::repo::gc::GRACE;
use pgtend_store::repo::wal::WalOwner;
use std::collections::{BTreeMap, BTreeSet};

/// What was taken away, or would be.
#[derive(Debug, Clone, Default, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
pub struct Expired {
    /// Whether it was only looked at.
    pub dry_run: bool,
    /// Backups that stay, with why.
    #[schema(value_type = BTreeMap<String, Vec<Reason>>)]
    pub kept: BTreeMap<Label, BTreeSet<Reason>>,
    /// Backups that go.
    #[schema(value_type = Vec<String>)]
    pub removed: Vec<Label>,
    /// Segments of WAL that go.
    pub removed_wal: usize,
    /// Bytes of those.
    pub removed_wal_bytes: u64,
    /// Extents that go.
    pub garbage: Garbage,
}

/// Applies a retention.
///
/// # Errors
/// `Conflict` when a backup cannot be read, or somebody else expires; what the repository says.
pub fn expire(repository: &Repository, server: &str, policies: &Policies, dry_run: bool) -> Result<Expired> {
    let now = Timestamp::now();
    let _lock = repository.lock(&format!("expire-{server}"), &format!("expiring of {server}"), now)?;
    let heads = readable(repository, server)?;
    let held: BTreeSet<Label> =
        repository.annotations(server)?.into_iter().filter(|(_, notes)| notes.held).map(|(label, _)| label).collect();
    let decision = retention::decide(&heads, &held, policies, now, &TimeZone::system());
    let mut expired = Expired { dry_run, kept: decision.kept.clone(), removed: decision.expired.clone(), ..Expired::default() };
    if !dry_run {
        for label in &decision.expired {
            repository.remove_backup(server, *label)?;
        }
        repository.remove_leftovers(server)?;
    }
    let left: Vec<BackupHead> = heads.into_iter().filter(|head| decision.kept.contains_key(&head.label)).collect();
    wal(repository, server, &left, dry_run, &mut expired)?;
    if !dry_run {
        expired.garbage = repository.collect_garbage(GRACE)?;
    }
    Ok(expired)
}

/// Takes one backup away.
///
/// # Errors
/// `Conflict` when it is the last one of its kind; `NotFound` when there is none of this label.
pub fn delete(repository: &Repository, server: &str, label: Label) -> Result<()> {
    let _lock = repository.lock(&format!("expire-{server}"), &format!("expiring of {server}"), Timestamp::now())?;
    let head = repository.backup(server, label)?;
    if let Some(notes) = repository.annotations(server)?.get(&label).filter(|notes| notes.held) {
        let by = notes.held_by.clone().unwrap_or_default();
        return Err(Error::new(Kind::Conflict, format!("{label} is held ({by})"))
            .at(repository.shown())
            .hint(format!("`pgtend backup annotate {label} --release` lets it go"))
            .retry(Retry::Never));
    }
    let others = readable(repository, server)?.into_iter().filter(|other| other.kind == head.kind && other.label != label).count();
    if others == 0 {
        let (kind, how) = match head.kind {
            BackupKind::Physical => ("backup", "`pgtend backup run`"),
            BackupKind::Logical => ("logical backup", "`pgtend backup run --logical`"),
            BackupKind::Files => ("backup", "`pgtend backup run --files NAME`"),
        };
        return Err(Error::new(Kind::Conflict, format!("{label} is the only {kind} of \"{server}\""))
            .at(repository.shown())
            .hint(format!("take another one first: {how}"))
            .retry(Retry::Never));
    }
    repository.remove_backup(server, label)
}

fn readable(repository: &Repository, server: &str) -> Result<Vec<BackupHead>> {
    let (heads, damaged) = repository.backups(server)?;
    match damaged.into_iter().next() {
        Some(error) => Err(error.hint("nothing is removed as long as a backup cannot be read")),
        None => Ok(heads),
    }
}

/// WAL from before the oldest backup that stays is needed by nobody; that of clusters without any backup here stays.
fn wal(repository: &Repository, server: &str, left: &[BackupHead], dry_run: bool, expired: &mut Expired) -> Result<()> {
    let mut clusters: BTreeMap<&str, Vec<&BackupHead>> = BTreeMap::new();
    for head in left.iter().filter(|head| head.kind == BackupKind::Physical) {
        clusters.entry(&head.system_identifier).or_default().push(head);
    }
    for (identifier, heads) in clusters {
        let Some(needed_from) = heads.iter().map(|head| head.start_lsn).min() else { continue };
        let bytes = heads.first().and_then(|head| u32::try_from(head.wal_segment_bytes).ok());
        let Some(size) = bytes.and_then(SegmentSize::new) else { continue };
        let owner = WalOwner { server: server.to_owned(), system_identifier: identifier.to_owned() };
        for object in repository.wal(&owner)? {
            if is_before(&object.name, needed_from, size) {
                expired.removed_wal += 1;
                expired.removed_wal_bytes += object.stored_bytes;
                if !dry_run {
                    repository.remove_wal(&owner, &object.name)?;
                }
            }
        }
        pieces(repository, &owner, needed_from, size, expired)?;
    }
    Ok(())
}

/// Pieces of segments go with the WAL that nobody needs, and when the whole segment is there.
fn pieces(repository: &Repository, owner: &WalOwner, needed_from: Lsn, size: SegmentSize, expired: &mut Expired) -> Result<()> {
    for piece in repository.wal_pieces(owner)? {
        if is_before(&piece.segment, needed_from, size) || repository.has_wal(owner, &piece.segment)? {
            expired.removed_wal_bytes += piece.stored_bytes;
            if !expired.dry_run {
                repository.remove_wal_piece(owner, &piece)?;
            }
        }
    }
    Ok(())
}

/// Whether a file of WAL ends before this position, on whichever timeline. Histories stay: they are small, and tell where timelines come from.
fn is_before(name: &str, needed_from: Lsn, size: SegmentSize) -> bool {
    let segment: Option<Segment> = match WalFile::of_name(name, size) {
        Some(WalFile::Segment(segment) | WalFile::Partial(segment) | WalFile::Backup(segment, _)) => Some(segment),
        _ => None,
    };
    segment.is_some_and(|segment| segment.end(size) <= needed_from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wal_before_the_oldest_backup_goes_and_histories_stay() {
        let size = SegmentSize::new(16 << 20).unwrap();
        let from = Lsn(0x0300_0028);
        for (name, goes) in [
            ("000000010000000000000002", true),
            ("000000020000000000000002.partial", true),
            ("000000010000000000000003", false),
            ("000000010000000000000004.00000028.backup", false),
            ("00000002.history", false),
            ("nonsense", false),
        ] {
            assert_eq!(is_before(name, from, size), goes, "{name}");
        }
    }
}
