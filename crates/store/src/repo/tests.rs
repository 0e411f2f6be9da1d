//! A repository in a directory, from the outside.

mod damage;
mod garbage;
mod locks;

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
