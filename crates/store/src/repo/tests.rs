//! A repository in a directory, from the outside.

use super::keys::{Access, Identity};
use super::storage::{Directory, Storage};
use super::wal::{Pushed, WalOwner};
use super::write::{Options, Stored};
use super::*;
use age::secrecy::SecretString;
use std::collections::HashSet;
use std::path::Path;
use tempfile::TempDir;

fn storage(root: &Path) -> Arc<dyn Storage> {
    Arc::new(Directory::make(root).unwrap())
}

fn plain(root: &Path) -> Repository {
    Repository::create(storage(root), &Access::Plain, Timestamp::UNIX_EPOCH).unwrap()
}

fn write(repository: &Repository, contents: &[(&[u8], Option<[u8; 32]>)]) -> Vec<Stored> {
    let writing = repository.write(Options::default(), &HashSet::new()).unwrap();
    let mut writer = writing.writer().unwrap();
    let stored = contents.iter().map(|(content, before)| writer.add(content, *before).unwrap()).collect();
    writer.finish().unwrap();
    writing.finish().unwrap();
    stored
}

fn noise(bytes: usize, seed: u8) -> Vec<u8> {
    let mut reader = blake3::Hasher::new().update(&[seed]).finalize_xof();
    let mut content = vec![0; bytes];
    reader.fill(&mut content);
    content
}

#[test]
fn what_is_there_is_not_written_again() {
    let dir = TempDir::new().unwrap();
    let repository = plain(dir.path());
    let content = noise(1 << 20, 1);
    let first = write(&repository, &[(&content, None), (&content, None)]);
    assert!(first[0].new_bytes.is_some() && first[1].new_bytes.is_none());
    let again = write(&repository, &[(&content, None)]);
    assert_eq!(again[0], Stored { id: first[0].id, new_bytes: None });
    assert_eq!(repository.extents().unwrap().reader().extent(first[0].id).unwrap(), content);
}

#[test]
fn a_changed_page_costs_a_delta_and_the_next_one_has_the_same_base() {
    let dir = TempDir::new().unwrap();
    let repository = plain(dir.path());
    let mut content = noise(1 << 20, 1);
    let mut before = write(&repository, &[(&content, None)])[0].id;
    for round in 0..5_usize {
        content[round * 8192 + 17] ^= 1;
        let stored = write(&repository, &[(&content, Some(before))])[0];
        assert!(stored.new_bytes.unwrap() < 2000, "{stored:?}");
        assert_eq!(repository.extents().unwrap().reader().extent(stored.id).unwrap(), content);
        before = stored.id;
    }
}

#[test]
fn several_threads_fill_several_packs() {
    let dir = TempDir::new().unwrap();
    let repository = plain(dir.path());
    let writing = repository.write(Options::default(), &HashSet::new()).unwrap();
    let ids: Vec<[u8; 32]> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..3_u8)
            .map(|thread| {
                let mut writer = writing.writer().unwrap();
                scope.spawn(move || {
                    let ids: Vec<_> = (0..20).map(|n| writer.add(&noise(1 << 20, thread * 20 + n), None).unwrap().id).collect();
                    writer.finish().unwrap();
                    ids
                })
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    assert!(writing.finish().unwrap() > 60 << 20);
    let mut reader = repository.extents().unwrap().reader();
    for (n, id) in ids.iter().enumerate() {
        assert_eq!(reader.extent(*id).unwrap(), noise(1 << 20, u8::try_from(n).unwrap()));
    }
}

#[test]
fn a_flipped_bit_in_a_pack_is_told() {
    let dir = TempDir::new().unwrap();
    let repository = plain(dir.path());
    let id = write(&repository, &[(&noise(100_000, 1), None)])[0].id;
    let pack = repository.storage().list("packs").unwrap().remove(0).key;
    let path = dir.path().join(&pack);
    let mut object = std::fs::read(&path).unwrap();
    object[5000] ^= 4;
    std::fs::write(&path, object).unwrap();
    let error = repository.extents().unwrap().reader().extent(id).unwrap_err();
    assert!(error.what.contains("damaged") && error.place == pack, "{error}");
}

#[test]
fn the_key_file_opens_and_another_does_not() {
    let dir = TempDir::new().unwrap();
    let key = Identity::generate();
    let access = Access::Identity(Identity::read(&key.key_file()).unwrap());
    let repository = Repository::create(storage(dir.path()), &access, Timestamp::UNIX_EPOCH).unwrap();
    let id = write(&repository, &[(b"secret rows of somebody", None)])[0].id;
    let again = Repository::open(storage(dir.path()), &access).unwrap();
    assert_eq!(again.extents().unwrap().reader().extent(id).unwrap(), b"secret rows of somebody");
    for wrong in [Access::Identity(Identity::generate()), Access::Plain, Access::Passphrase(SecretString::from("no"))] {
        let error = Repository::open(storage(dir.path()), &wrong).unwrap_err();
        assert_eq!(error.kind, Kind::Authentication, "{error}");
    }
    for object in repository.storage().list("packs").unwrap() {
        let content = std::fs::read(dir.path().join(object.key)).unwrap();
        assert!(!content.windows(6).any(|window| window == b"secret"));
    }
}

#[test]
fn those_who_make_a_repository_at_once_have_the_same_one() {
    for _ in 0..20 {
        let dir = TempDir::new().unwrap();
        let key = Identity::generate();
        let made: Vec<Repository> = std::thread::scope(|scope| {
            let make = || Repository::create(storage(dir.path()), &Access::Identity(key.clone()), Timestamp::UNIX_EPOCH).unwrap();
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(make)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        for repository in &made {
            assert_eq!(repository.keys.extent_id(b"rows"), made[0].keys.extent_id(b"rows"));
        }
    }
}

#[test]
fn a_passphrase_opens() {
    let dir = TempDir::new().unwrap();
    let access = |text: &str| Access::Passphrase(SecretString::from(text));
    let repository = Repository::create(storage(dir.path()), &access("correct horse"), Timestamp::UNIX_EPOCH).unwrap();
    let id = write(&repository, &[(b"rows", None)])[0].id;
    let again = Repository::open(storage(dir.path()), &access("correct horse")).unwrap();
    assert_eq!(again.extents().unwrap().reader().extent(id).unwrap(), b"rows");
    assert_eq!(Repository::open(storage(dir.path()), &access("wrong horse")).unwrap_err().kind, Kind::Authentication);
}

#[test]
fn a_host_that_may_only_write_cannot_read_and_knows_what_is_there() {
    let dir = TempDir::new().unwrap();
    let (host, reader) = (Identity::generate(), Identity::generate());
    let access = Access::WriteOnly { host, readers: vec![reader.recipient()] };
    let repository = Repository::create(storage(dir.path()), &access, Timestamp::UNIX_EPOCH).unwrap();
    let id = write(&repository, &[(b"rows", None)])[0].id;
    let later = Repository::open(storage(dir.path()), &access).unwrap();
    assert_eq!(write(&later, &[(b"rows", None)])[0].new_bytes, None);
    let error = later.extents().unwrap().reader().extent(id).unwrap_err();
    assert_eq!(error.kind, Kind::Authentication, "{error}");
    let elsewhere = Repository::open(storage(dir.path()), &Access::Identity(reader)).unwrap();
    assert_eq!(elsewhere.extents().unwrap().reader().extent(id).unwrap(), b"rows");
}

fn owner() -> WalOwner {
    WalOwner { server: "main".into(), system_identifier: "7300000000000000001".into() }
}

#[test]
fn wal_is_kept_once_and_another_of_its_name_is_refused() {
    let dir = TempDir::new().unwrap();
    let repository = plain(dir.path());
    let file = "0000000100000000000000AB";
    let segment = noise(20 << 20, 9);
    assert!(matches!(repository.push_wal(&owner(), file, &segment, 3).unwrap(), Pushed::New(_)));
    assert_eq!(repository.push_wal(&owner(), file, &segment, 3).unwrap(), Pushed::Same);
    let error = repository.push_wal(&owner(), file, &segment[..16 << 20], 3).unwrap_err();
    assert!(error.what.contains("another 0000000100000000000000AB"), "{error}");
    assert_eq!(repository.get_wal(&owner(), file).unwrap(), segment);
    assert_eq!(repository.wal(&owner()).unwrap().len(), 1);
    assert_eq!(repository.get_wal(&owner(), "00000002.history").unwrap_err().kind, Kind::NotFound);
}

#[test]
fn what_is_no_file_of_wal_is_refused() {
    let dir = TempDir::new().unwrap();
    let repository = plain(dir.path());
    for name in ["../../x", "000000010000000000000001.bak", ""] {
        assert_eq!(repository.push_wal(&owner(), name, b"", 3).unwrap_err().kind, Kind::Usage);
    }
    let partial = "000000010000000000000001.partial";
    repository.push_wal(&owner(), partial, b"x", 3).unwrap();
    repository.push_wal(&owner(), "00000002.history", b"1", 3).unwrap();
    let names: Vec<String> = repository.wal(&owner()).unwrap().into_iter().map(|object| object.name).collect();
    assert_eq!(names, [partial, "00000002.history"]);
}

#[test]
fn a_torn_object_is_never_a_short_answer() {
    let dir = TempDir::new().unwrap();
    let repository = plain(dir.path());
    let file = "0000000100000000000000AB";
    repository.push_wal(&owner(), file, &noise(40 << 20, 9), 3).unwrap();
    let path = dir.path().join(repository.storage().list("wal").unwrap().remove(0).key);
    let whole = std::fs::read(&path).unwrap();
    for keep in [0, 30, 40, 60, 1000, 17 << 20, whole.len() - 1] {
        std::fs::write(&path, &whole[..keep]).unwrap();
        assert!(repository.get_wal(&owner(), file).is_err(), "{keep}");
    }
    std::fs::write(&path, [whole.as_slice(), b"x"].concat()).unwrap();
    assert!(repository.get_wal(&owner(), file).is_err());
}

#[test]
fn one_holds_a_lock_and_its_end_frees_it() {
    let dir = TempDir::new().unwrap();
    let repository = plain(dir.path());
    let lock = repository.lock("backup-main", "backup", Timestamp::UNIX_EPOCH).unwrap();
    let error = repository.lock("backup-main", "backup", Timestamp::UNIX_EPOCH).unwrap_err();
    assert!(error.what.contains("backup is going on"), "{error}");
    lock.check().unwrap();
    drop(lock);
    drop(repository.lock("backup-main", "backup", Timestamp::UNIX_EPOCH).unwrap());
    assert_eq!(repository.storage().list("locks").unwrap().len(), 1);
}

/// Makes a lock look as if it was not renewed for this long.
fn age(dir: &Path, lock: &str, minutes: u64) {
    let path = dir.join("locks").join(lock);
    let then = std::time::SystemTime::now() - std::time::Duration::from_secs(minutes * 60);
    std::fs::File::options().write(true).open(path).unwrap().set_modified(then).unwrap();
}

#[test]
fn a_holder_that_slept_through_its_lease_never_takes_the_lock_back() {
    let dir = TempDir::new().unwrap();
    let repository = plain(dir.path());
    let asleep = repository.lock("backup-main", "backup", Timestamp::UNIX_EPOCH).unwrap();
    age(dir.path(), "backup-main.000000000001", 6);
    let next = repository.lock("backup-main", "backup", Timestamp::UNIX_EPOCH).unwrap();
    // As one does that was stopped between looking whether it holds the lock and writing that it does.
    std::fs::write(dir.path().join("locks/backup-main.000000000001"), b"{}").unwrap();
    next.check().unwrap();
    next.renew().unwrap();
    for outcome in [asleep.check(), asleep.renew()] {
        assert!(outcome.unwrap_err().what.contains("taken over"));
    }
    drop(asleep);
    next.check().unwrap();
    assert!(repository.lock("backup-main", "backup", Timestamp::UNIX_EPOCH).is_err());
    drop(next);
    // Numbers go on, also after everybody let go.
    let third = repository.lock("backup-main", "backup", Timestamp::UNIX_EPOCH).unwrap();
    std::fs::write(dir.path().join("locks/backup-main.000000000002"), b"{}").unwrap();
    third.check().unwrap();
}

#[test]
fn one_of_many_takes_over_the_lock_of_one_that_is_gone() {
    for _ in 0..20 {
        let dir = TempDir::new().unwrap();
        let repository = plain(dir.path());
        let _gone = repository.lock("backup-main", "backup", Timestamp::UNIX_EPOCH).unwrap();
        age(dir.path(), "backup-main.000000000001", 6);
        let barrier = std::sync::Barrier::new(8);
        let held: Vec<lock::Lock> = std::thread::scope(|scope| {
            let take = || {
                barrier.wait();
                repository.lock("backup-main", "backup", Timestamp::UNIX_EPOCH).ok()
            };
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(take)).collect();
            threads.into_iter().filter_map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(held.len(), 1);
        held[0].check().unwrap();
    }
}

#[test]
fn whoever_collects_garbage_shuts_out_a_backup_that_is_gone() {
    let dir = TempDir::new().unwrap();
    let repository = claimed(dir.path());
    let asleep = repository.lock("backup-main", "backup", Timestamp::UNIX_EPOCH).unwrap();
    assert_eq!(repository.backups_going_on().unwrap().len(), 1);
    age(dir.path(), "backup-main.000000000001", 6);
    assert!(repository.backups_going_on().unwrap().is_empty());
    assert!(asleep.check().is_err());
    repository.lock("backup-main", "backup", Timestamp::UNIX_EPOCH).unwrap().check().unwrap();
}

#[test]
fn the_lock_of_a_dead_process_is_taken_over_and_a_lost_one_is_told() {
    let dir = TempDir::new().unwrap();
    let repository = plain(dir.path());
    let lock = repository.lock("backup-main", "backup", Timestamp::UNIX_EPOCH).unwrap();
    let mut child = std::process::Command::new("true").spawn().unwrap();
    let pid = child.id();
    child.wait().unwrap();
    let path = dir.path().join("locks/backup-main.000000000001");
    let held: lock::Holder = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let dead = lock::Holder { pid, id: "somebody".into(), ..held };
    std::fs::write(&path, serde_json::to_vec(&dead).unwrap()).unwrap();
    assert!(lock.check().unwrap_err().what.contains("taken over"));
    repository.lock("backup-main", "backup", Timestamp::UNIX_EPOCH).unwrap().check().unwrap();
}

#[test]
fn another_cluster_does_not_write_under_the_same_name() {
    let dir = TempDir::new().unwrap();
    let repository = plain(dir.path());
    let identity =
        |id: &str| backups::Identity { system_identifier: id.into(), postgresql_version: 150_000, first_seen: Timestamp::UNIX_EPOCH };
    repository.claim_server("main", &identity("1")).unwrap();
    repository.claim_server("main", &identity("1")).unwrap();
    let error = repository.claim_server("main", &identity("2")).unwrap_err();
    assert!(error.what.contains("is the cluster 1"), "{error}");
    // Once it is said that the other one follows, the first may not write any more, until that is said again.
    for (second, now, then) in [(1, "2", "1"), (2, "1", "2")] {
        let at = Timestamp::from_second(second).unwrap();
        repository.set_current("main", &notes::Current { system_identifier: now.into(), at, who: "uid 0".into() }).unwrap();
        repository.claim_server("main", &identity(now)).unwrap();
        assert!(repository.claim_server("main", &identity(then)).unwrap_err().what.contains(&format!("is the cluster {now}")));
    }
    assert_eq!((repository.servers().unwrap(), repository.identities("main").unwrap().len()), (vec!["main".to_owned()], 2));
    assert!(repository.claim_server("../x", &identity("1")).is_err());
}

/// A backup of these extents.
fn publish(repository: &Repository, second: i64, extents: &[[u8; 32]]) -> pgtend_model::backup::Label {
    use pgtend_model::backup::{BackupHead, BackupKind, Extent, FileEntry, FileType};
    let started = Timestamp::from_second(second).unwrap();
    let label = repository.free_label("main", started).unwrap();
    let head = BackupHead { files: 1, ..BackupHead::begun(BackupKind::Physical, "main", label, started) };
    let file = FileEntry {
        path: "base/1".into(),
        file_type: FileType::File,
        mode: 0o600,
        bytes: extents.len() as u64 * 1000,
        extents: extents.iter().map(|id| Extent { id: *id, crc32c: 0 }).collect(),
        sizes: vec![1000; extents.len()],
        ..FileEntry::default()
    };
    repository.publish(&head, &[file]).unwrap();
    head.label
}

fn claimed(dir: &Path) -> Repository {
    let repository = plain(dir);
    let identity = backups::Identity { system_identifier: "1".into(), postgresql_version: 150_000, first_seen: Timestamp::UNIX_EPOCH };
    repository.claim_server("main", &identity).unwrap();
    repository
}

#[test]
fn garbage_is_named_first_and_goes_after_the_grace_period() {
    let dir = TempDir::new().unwrap();
    let repository = claimed(dir.path());
    let first = write(&repository, &[(&noise(1000, 1), None)])[0].id;
    let second = write(&repository, &[(&noise(1000, 2), None)])[0].id;
    let old = publish(&repository, 100, &[first]);
    publish(&repository, 200, &[second]);
    assert_eq!(repository.collect_garbage(gc::GRACE).unwrap(), pgtend_model::backup::retention::Garbage::default());
    repository.remove_backup("main", old).unwrap();
    assert_eq!(repository.collect_garbage(gc::GRACE).unwrap().condemned, 1);
    // What is named is still there, and is written anew by whoever needs it.
    assert_eq!(repository.condemned().unwrap().len(), 1);
    assert!(repository.extents().unwrap().reader().extent(first).is_ok());
    let writing = repository.write(Options::default(), &repository.condemned().unwrap()).unwrap();
    assert!(!writing.knows(first) && writing.knows(second));
    writing.finish().unwrap();
    let done = repository.collect_garbage(jiff::SignedDuration::from_secs(-1)).unwrap();
    assert_eq!((done.condemned, done.removed), (0, 1));
    let mut reader = repository.extents().unwrap().reader();
    assert!(reader.extent(first).is_err() && reader.extent(second).is_ok());
    assert!(repository.condemned().unwrap().is_empty());
}

#[test]
fn what_a_backup_came_to_need_again_stays_and_so_does_the_base_of_a_delta() {
    let dir = TempDir::new().unwrap();
    let repository = claimed(dir.path());
    let mut content = noise(1 << 20, 1);
    let base = write(&repository, &[(&content, None)])[0].id;
    content[5] ^= 1;
    let delta = write(&repository, &[(&content, Some(base))])[0].id;
    assert_eq!(repository.collect_garbage(gc::GRACE).unwrap().condemned, 2);
    publish(&repository, 300, &[delta]);
    assert_eq!(repository.collect_garbage(jiff::SignedDuration::from_secs(-1)).unwrap().removed, 0);
    assert_eq!(repository.extents().unwrap().reader().extent(delta).unwrap(), content);
}

#[test]
fn nothing_goes_while_a_backup_may_still_count_on_it_or_cannot_be_read() {
    let dir = TempDir::new().unwrap();
    let repository = claimed(dir.path());
    write(&repository, &[(&noise(1000, 1), None)]);
    let lock = repository.lock("backup-main", "backup", Timestamp::now()).unwrap();
    repository.collect_garbage(gc::GRACE).unwrap();
    assert_eq!(repository.collect_garbage(jiff::SignedDuration::from_secs(-1)).unwrap().removed, 0);
    drop(lock);
    let label = publish(&repository, 100, &[]);
    let head = dir.path().join(format!("backups/main/{label}/head"));
    std::fs::write(&head, b"PGTRnonsense").unwrap();
    assert!(repository.collect_garbage(jiff::SignedDuration::from_secs(-1)).is_err());
}

/// Flips a bit in the middle of a pack.
fn damage(dir: &Path, pack: &str) {
    let path = dir.join(pack);
    let mut object = std::fs::read(&path).unwrap();
    let middle = object.len() / 2;
    object[middle] ^= 1;
    std::fs::write(&path, object).unwrap();
}

/// The packs there are, as keys with their ids.
fn packs(repository: &Repository) -> Vec<(String, id::RandomId)> {
    let keys = repository.storage().list("packs").unwrap().into_iter().map(|object| object.key);
    keys.map(|key| (key.clone(), id::RandomId::parse(key.rsplit('/').next().unwrap()).unwrap())).collect()
}

#[test]
fn what_lies_in_a_damaged_pack_is_written_again_and_read_from_there() {
    let dir = TempDir::new().unwrap();
    let repository = claimed(dir.path());
    let content = noise(1 << 20, 1);
    let mut changed = content.clone();
    changed[5] ^= 1;
    let base = write(&repository, &[(&content, None)])[0].id;
    let (key, damaged) = packs(&repository)[0].clone();
    let delta = write(&repository, &[(&changed, Some(base))])[0].id;
    publish(&repository, 100, &[base, delta]);
    damage(dir.path(), &key);
    assert!(repository.extents().unwrap().reader().extent(delta).is_err());

    assert!(repository.note_damage(damaged, Timestamp::UNIX_EPOCH, "a frame").unwrap());
    assert!(!repository.note_damage(damaged, Timestamp::UNIX_EPOCH, "a frame").unwrap());
    // The delta lies in a sound pack, and is worth nothing without its base.
    let written = write(&repository, &[(&changed, Some(base))]);
    assert!(written[0].new_bytes.is_some());
    let mut reader = repository.extents().unwrap().reader();
    assert_eq!(reader.extent(delta).unwrap(), changed);
    assert!(reader.extent(base).is_err());
    let _ = write(&repository, &[(&content, None)]);
    assert_eq!(repository.extents().unwrap().reader().extent(base).unwrap(), content);

    // Nobody needs the damaged one any more.
    assert_eq!(repository.collect_garbage(gc::GRACE).unwrap().condemned, 2);
    assert!(repository.collect_garbage(jiff::SignedDuration::from_secs(-1)).unwrap().removed >= 1);
    assert!(repository.damaged_packs().unwrap().is_empty());
    assert_eq!(repository.extents().unwrap().reader().extent(base).unwrap(), content);
}

#[test]
fn a_delta_whose_base_is_to_go_counts_as_absent() {
    let dir = TempDir::new().unwrap();
    let repository = claimed(dir.path());
    let mut content = noise(1 << 20, 1);
    let base = write(&repository, &[(&content, None)])[0].id;
    let (_, pack) = packs(&repository)[0];
    content[5] ^= 1;
    let delta = write(&repository, &[(&content, Some(base))])[0].id;
    let writing = repository.write(Options::default(), &HashSet::from([pack])).unwrap();
    assert!(!writing.knows(base) && !writing.knows(delta));
    writing.finish().unwrap();
}

#[test]
fn a_backup_goes_on_without_a_damaged_index() {
    let dir = TempDir::new().unwrap();
    let repository = claimed(dir.path());
    let content = noise(1 << 20, 1);
    let _ = write(&repository, &[(&content, None)]);
    let index = repository.storage().list("index").unwrap().remove(0).key;
    damage(dir.path(), &index);
    let error = repository.extents().unwrap_err();
    assert!(error.place == index && error.hint.contains("--rebuild-index"), "{error}");
    assert!(write(&repository, &[(&content, None)])[0].new_bytes.is_some());
}

#[test]
fn every_frame_is_proved_and_what_is_lost_is_named() {
    let dir = TempDir::new().unwrap();
    let repository = claimed(dir.path());
    let content = noise(1 << 20, 1);
    let mut changed = content.clone();
    changed[5] ^= 1;
    let base = write(&repository, &[(&content, None)])[0].id;
    let (key, id) = packs(&repository)[0].clone();
    let other = write(&repository, &[(&changed, Some(base)), (&noise(1000, 2), None)]);
    let (delta, small) = (other[0].id, other[1].id);
    let look = || {
        let inspection = repository.inspect().unwrap();
        let mut checker = inspection.checker();
        let (mut wrong, mut missing) = (HashSet::new(), HashSet::new());
        let mut frames = 0;
        for (id, _) in inspection.packs() {
            let check = checker.pack(id).unwrap();
            assert!(!check.sealed && check.unindexed.is_empty());
            frames += check.frames;
            wrong.extend(check.wrong.iter().map(|(offset, _)| (id, *offset)));
            missing.extend(check.missing.then_some(id));
        }
        let lost = inspection.lost(&wrong, &missing);
        (frames, [base, delta, small].map(|id| lost.contains(&id)))
    };
    assert_eq!(look(), (3, [false; 3]));
    damage(dir.path(), &key);
    assert_eq!(look(), (2, [true, true, false]));
    // Another copy of the base is as good.
    repository.note_damage(id, Timestamp::UNIX_EPOCH, "a frame").unwrap();
    let _ = write(&repository, &[(&content, None)]);
    assert_eq!(look(), (3, [false; 3]));
    std::fs::remove_file(dir.path().join(key)).unwrap();
    assert_eq!(look(), (3, [false; 3]));
}

#[test]
fn a_pack_that_is_cut_off_or_has_a_damaged_header_loses_what_was_there() {
    let dir = TempDir::new().unwrap();
    let repository = claimed(dir.path());
    let contents: Vec<Vec<u8>> = (0..4).map(|seed| noise(50_000, seed)).collect();
    let _ = write(&repository, &contents.iter().map(|content| (content.as_slice(), None)).collect::<Vec<_>>());
    let (key, id) = packs(&repository)[0].clone();
    let path = dir.path().join(&key);
    let whole = std::fs::read(&path).unwrap();
    let wrong_with = |object: &[u8]| {
        std::fs::write(&path, object).unwrap();
        let check = repository.inspect().unwrap().checker().pack(id).unwrap();
        (check.frames, check.wrong.len())
    };
    assert_eq!(wrong_with(&whole), (4, 0));
    assert_eq!(wrong_with(&whole[..whole.len() - 1]), (3, 1));
    assert_eq!(wrong_with(&whole[..120_000]), (2, 2));
    assert_eq!(wrong_with(&[]), (0, 5));
    // The header of the second frame: the third is found by the index.
    let mut damaged = whole.clone();
    damaged[40 + 48 + 50_000 + 16 + 2] ^= 1;
    assert_eq!(wrong_with(&damaged), (3, 1));
    let mut damaged = whole.clone();
    damaged[10] ^= 1;
    assert_eq!(wrong_with(&damaged).0, 0);
}

#[test]
fn indexes_are_made_anew_from_the_packs() {
    let dir = TempDir::new().unwrap();
    let repository = claimed(dir.path());
    let content = noise(1 << 20, 1);
    let mut changed = content.clone();
    changed[5] ^= 1;
    let base = write(&repository, &[(&content, None)])[0].id;
    let lost = repository.storage().list("index").unwrap().remove(0).key;
    let delta = write(&repository, &[(&changed, Some(base))])[0].id;
    std::fs::remove_file(dir.path().join(&lost)).unwrap();
    let damaged = repository.storage().list("index").unwrap().remove(0).key;
    damage(dir.path(), &damaged);
    let rebuilt = repository.rebuild_index(Timestamp::UNIX_EPOCH, |_| Ok(())).unwrap();
    assert_eq!((rebuilt.packs, rebuilt.extents, rebuilt.removed_indexes), (2, 2, vec![damaged]));
    let mut reader = repository.extents().unwrap().reader();
    assert_eq!((reader.extent(base).unwrap(), reader.extent(delta).unwrap()), (content, changed));
    // Again, there is nothing to do.
    assert_eq!(repository.rebuild_index(Timestamp::UNIX_EPOCH, |_| Ok(())).unwrap(), Default::default());
    let (key, _) = packs(&repository).remove(0);
    std::fs::remove_file(dir.path().join(&key)).unwrap();
    assert_eq!(repository.rebuild_index(Timestamp::UNIX_EPOCH, |_| Ok(())).unwrap().missing_packs, [key]);
    assert_eq!(repository.inspect().unwrap().packs().count(), 1);
}

#[test]
fn what_a_cut_short_backup_left_goes_unless_one_goes_on() {
    let dir = TempDir::new().unwrap();
    let repository = claimed(dir.path());
    let whole = publish(&repository, 100, &[]);
    repository.put_text("backups/main/20200101T000000Z/files", b"").unwrap();
    let lock = repository.lock("backup-main", "backup", Timestamp::now()).unwrap();
    assert_eq!(repository.remove_leftovers("main").unwrap(), 0);
    drop(lock);
    assert_eq!(repository.remove_leftovers("main").unwrap(), 1);
    assert!(repository.files("main", whole).is_ok());
    assert_eq!(repository.storage().list("backups").unwrap().len(), 2);
}

#[test]
fn notes_are_added_and_a_damaged_one_holds() {
    use pgtend_model::backup::annotation::Note;
    let dir = TempDir::new().unwrap();
    let repository = claimed(dir.path());
    let label = publish(&repository, 100, &[]);
    let note = |hold| Note { at: Timestamp::from_second(1_700_000_000).unwrap(), who: "uid 0".into(), set: Default::default(), hold };
    repository.annotate("main", label, &note(Some(true))).unwrap();
    assert!(repository.annotations("main").unwrap()[&label].held);
    repository.annotate("main", label, &note(Some(false))).unwrap();
    assert!(!repository.annotations("main").unwrap()[&label].held);
    let other = pgtend_model::backup::Label::at(Timestamp::UNIX_EPOCH);
    assert_eq!(repository.annotate("main", other, &note(None)).unwrap_err().kind, Kind::NotFound);
    let path = dir.path().join(format!("backups/main/{label}/note-1700000000000000001"));
    std::fs::write(path, b"PGTRnonsense").unwrap();
    assert!(repository.annotations("main").unwrap()[&label].held);
}
