//! Locks: who holds them, and who takes over.

use super::*;

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
