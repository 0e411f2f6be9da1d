//! What is special about backing up a standby: it switches no WAL and archives none, so that all depends on what its primary hands over.

use pgtend_model::backup::BackupLabel;
use pgtend_model::error::{Error, Kind, Result};
use pgtend_model::pgdata::wal::{Segment, SegmentSize};
use pgtend_postgres::backup::{BackupSession, Facts};
use pgtend_postgres::connect::Target;
use pgtend_postgres::files::control::ControlFile;
use pgtend_store::repo::Repository;
use pgtend_store::repo::wal::WalOwner;
use std::time::Duration;

/// What to do when the WAL of a standby's backup does not come.
pub const LATE: &str = "it comes from the primary: does its archive_command call `pgtend wal push` into this repository? A quiet primary hands a segment over \
                        after archive_timeout (set it), or when somebody calls pg_switch_wal() there; an agent that watches both does so by itself. Or let the \
                        standby archive: archive_mode = always";

/// How many segments may come out of turn: as many as an agent brings at once.
const OUT_OF_TURN: u64 = 64;
const CONNECT: Duration = Duration::from_secs(5);

/// Whether the primary's WAL goes to the same place under the same name. Asked before anything is written.
///
/// # Errors
/// `Conflict` when it goes to another name, or nobody brings any.
pub fn is_filed_with_its_primary(repository: &Repository, server: &str, facts: &Facts) -> Result<()> {
    let identifier = facts.system_identifier.to_string();
    let is_of = |name: &str| Ok::<_, Error>(repository.identities(name)?.contains(&identifier));
    if is_of(server)? || facts.archives() {
        return Ok(());
    }
    for other in repository.servers()? {
        if is_of(&other)? {
            let what = format!("this is a standby of \"{other}\" of this repository, whose WAL its backups need");
            let hint = format!("file both under one name: cluster = \"{other}\" in the [[server]] section of \"{server}\"");
            return Err(Error::new(Kind::Conflict, what).at(repository.shown()).hint(hint));
        }
    }
    Err(Error::new(
        Kind::Conflict,
        "a standby's backup needs WAL that its primary archives, and nobody has brought any of this cluster yet",
    )
    .at(repository.shown())
    .hint("have the primary archive into this repository, under the same name; or the standby itself: archive_mode = always"))
}

/// Whether the WAL from the backup's beginning on is there or may still come. A standby's backup begins where it last could have begun to replay, which
/// may be before archiving began.
///
/// # Errors
/// `Conflict` when later WAL is there and this is not.
pub fn wal_is_there(repository: &Repository, owner: &WalOwner, begins: Segment, size: SegmentSize) -> Result<()> {
    let there = repository.wal(owner)?;
    let numbers =
        || there.iter().filter_map(|object| Segment::of_name(&object.name, size)).filter(|found| found.timeline == begins.timeline);
    if numbers().any(|found| found == begins) || !numbers().any(|found| found.number > begins.number + OUT_OF_TURN) {
        return Ok(());
    }
    let what = format!("the standby's backup begins in {}, which is not in the repository, though later WAL is", begins.name(size));
    Err(Error::new(Kind::Conflict, what)
        .at(repository.shown())
        .hint("CHECKPOINT on the primary, wait until the standby has replayed it, then take the backup again: it begins later then"))
}

/// Whether all of it happened on one timeline.
///
/// # Errors
/// `Conflict` when the primary was replaced meanwhile.
pub fn kept_its_timeline(control: &ControlFile, label: &BackupLabel) -> Result<()> {
    let now = control.minimum_recovery_timeline;
    if now == label.timeline {
        return Ok(());
    }
    let what = format!("the standby followed its primary from timeline {} to {now} while it was backed up", label.timeline);
    Err(Error::new(Kind::Conflict, what).hint("take the backup again: what was copied is kept"))
}

/// Has the primary finish its segment of WAL, where one of these servers is the primary: otherwise a quiet one lets the backup wait. What stands in the
/// way is only noted, since the segment may come by itself.
pub async fn finish_segment(peers: &[Target], standby: &Facts, application_name: &str) {
    for peer in peers {
        if let Err(error) = finish_segment_at(peer, standby, application_name).await {
            let (what, place, hint) = (error.what, error.place, error.hint);
            tracing::warn!(
                error = what,
                place,
                hint,
                "the primary could not be asked to finish its segment of WAL: the backup waits for it"
            );
        }
    }
}

async fn finish_segment_at(peer: &Target, standby: &Facts, application_name: &str) -> Result<()> {
    let session = BackupSession::open(peer, CONNECT, application_name).await?;
    let facts = session.facts();
    let is_primary = !facts.in_recovery && facts.system_identifier == standby.system_identifier;
    let asked = if is_primary { session.switch_wal().await } else { Ok(()) };
    session.close().await;
    asked
}

#[cfg(test)]
mod tests {
    use super::*;
    use pgtend_store::repo::keys::Access;
    use pgtend_store::repo::storage::Directory;
    use std::sync::Arc;

    #[test]
    fn a_backup_that_begins_before_archiving_did_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let storage = Arc::new(Directory::make(&dir.path().join("repository")).unwrap());
        let repository = Repository::create(storage, &Access::Plain, jiff::Timestamp::now()).unwrap();
        let owner = WalOwner { server: "main".into(), system_identifier: "1".into() };
        let size = SegmentSize::new(16 << 20).unwrap();
        let segment = |number| Segment { timeline: 1, number };
        let is_there = |number| wal_is_there(&repository, &owner, segment(number), size);
        // Nothing has come yet: it may come.
        assert!(is_there(5).is_ok());
        repository.push_wal(&owner, &segment(100).name(size), b"x", 1).unwrap();
        assert!(is_there(100).is_ok() && is_there(101).is_ok());
        // What is brought at once comes in any order.
        assert!(is_there(99).is_ok());
        let error = is_there(5).unwrap_err();
        assert!(error.what.contains("begins in 000000010000000000000005") && error.hint.contains("CHECKPOINT on the primary"), "{error}");
        // Another timeline says nothing.
        assert!(wal_is_there(&repository, &owner, Segment { timeline: 2, number: 5 }, size).is_ok());
    }
}
