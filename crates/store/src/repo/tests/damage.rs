//! Damage: found, named, and healed where the content is there again.

use super::*;

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
