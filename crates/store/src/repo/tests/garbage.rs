//! Garbage: named first, gone later, and never what a backup needs.

use super::*;

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
