//! A verification of a repository that is stopped and resumed: nothing is read again, and all damage is named.

use pgtend::backup::Progress;
use pgtend::backup::repo_verify::{Job, Request, run};
use pgtend_model::error::Result;
use pgtend_model::pgdata::wal::{Segment, SegmentSize};
use pgtend_store::repo::Repository;
use pgtend_store::repo::keys::Access;
use pgtend_store::repo::storage::{Directory, Object, Put, Storage};
use pgtend_store::repo::wal::WalOwner;
use std::collections::{BTreeSet, HashSet};
use std::path::Path;
use std::sync::{Arc, Mutex};

const SEGMENTS: u64 = 80;
const SEGMENT_BYTES: u32 = 1 << 20;
const IDENTIFIER: u64 = 42;

/// A directory that notes which WAL is read, and stops a verification at one of them.
#[derive(Debug)]
struct Watched {
    inner: Directory,
    read: Mutex<BTreeSet<String>>,
    stops: Mutex<Option<(String, Progress)>>,
}

impl Watched {
    fn note(&self, key: &str) {
        if !key.starts_with("wal/") {
            return;
        }
        self.read.lock().unwrap().insert(key.to_owned());
        if let Some((_, progress)) = self.stops.lock().unwrap().as_ref().filter(|(at, _)| key.ends_with(at)) {
            progress.cancel();
        }
    }

    /// What was read since this was asked last.
    fn read(&self) -> BTreeSet<String> {
        std::mem::take(&mut self.read.lock().unwrap())
    }
}

impl Storage for Watched {
    fn shown(&self) -> String {
        self.inner.shown()
    }
    fn get(&self, key: &str) -> Result<Vec<u8>> {
        self.note(key);
        self.inner.get(key)
    }
    fn get_range(&self, key: &str, offset: u64, bytes: usize) -> Result<Vec<u8>> {
        self.note(key);
        self.inner.get_range(key, offset, bytes)
    }
    fn put_new(&self, key: &str, content: &[u8]) -> Result<Put> {
        self.inner.put_new(key, content)
    }
    fn replace(&self, key: &str, content: &[u8]) -> Result<()> {
        self.inner.replace(key, content)
    }
    fn delete(&self, key: &str) -> Result<()> {
        self.inner.delete(key)
    }
    fn list(&self, below: &str) -> Result<Vec<Object>> {
        self.inner.list(below)
    }
}

fn name(number: u64) -> String {
    Segment { timeline: 1, number }.name(SegmentSize::new(SEGMENT_BYTES).unwrap())
}

/// A segment as PostgreSQL 15 begins it, and nothing in it.
fn segment(number: u64) -> Vec<u8> {
    let mut content = vec![0; SEGMENT_BYTES as usize];
    content[0..4].copy_from_slice(&[0x10, 0xD1, 0x02, 0x00]);
    content[4..8].copy_from_slice(&1_u32.to_le_bytes());
    content[8..16].copy_from_slice(&(number * u64::from(SEGMENT_BYTES)).to_le_bytes());
    content[24..32].copy_from_slice(&IDENTIFIER.to_le_bytes());
    content[32..36].copy_from_slice(&SEGMENT_BYTES.to_le_bytes());
    content[36..40].copy_from_slice(&8192_u32.to_le_bytes());
    content
}

fn flip(place: &Path, name: &str) {
    let path = place.join("wal/main/42/00000001/00000000").join(name);
    let mut content = std::fs::read(&path).unwrap();
    let last = content.len() - 1;
    content[last] ^= 1;
    std::fs::write(path, content).unwrap();
}

#[test]
fn what_was_read_is_not_read_again_and_all_damage_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("repository");
    let inner = Directory::make(&place).unwrap();
    let storage = Arc::new(Watched { inner, read: Mutex::default(), stops: Mutex::default() });
    let repository = Repository::create(storage.clone(), &Access::Plain, jiff::Timestamp::now()).unwrap();
    let owner = WalOwner { server: "main".into(), system_identifier: IDENTIFIER.to_string() };
    for number in 1..=SEGMENTS {
        repository.push_wal(&owner, &name(number), &segment(number), 1).unwrap();
    }
    let (early, late) = (name(3), name(SEGMENTS - 1));
    flip(&place, &early);
    flip(&place, &late);
    storage.read();

    let job = |resume: bool| Job {
        repository: repository.clone(),
        name: "main".into(),
        request: Request { resume, parallel: Some(2), ..Request::default() },
        state: Some(dir.path().join("progress.json")),
        again: HashSet::new(),
    };
    let progress = Progress::new(0);
    *storage.stops.lock().unwrap() = Some((name(50), progress.clone()));
    let error = run(&job(false), &progress).unwrap_err();
    assert!(error.what.contains("was stopped") && error.hint.contains("--resume"), "{error}");
    let first = storage.read();
    // The other thread may still have been at the one before.
    assert!(first.len() >= 50 - 1 && first.len() < SEGMENTS as usize, "{}", first.len());

    *storage.stops.lock().unwrap() = None;
    let progress = Progress::new(0);
    let report = run(&job(true), &progress).unwrap();
    let second = storage.read();
    // What was being looked at when it was stopped is looked at again, and nothing from before.
    let again = first.intersection(&second).count();
    assert!(again < 32 && second.len() < 60, "{again} of {} were read again", first.len());
    assert!(!second.iter().any(|key| key.ends_with(&early)), "the damage from before was not kept");
    let named: Vec<&str> = report.errors.iter().map(|error| error.object.rsplit('/').next().unwrap()).collect();
    assert_eq!(named, [early.as_str(), late.as_str()]);
    assert_eq!(report.checked.wal_files, SEGMENTS, "{report:?}");
    assert_eq!(progress.see().done_bytes, progress.see().total_bytes);

    // It is over: the next one begins anew, and only another one cannot be resumed.
    run(&job(true), &Progress::new(0)).unwrap();
    assert_eq!(storage.read().len(), SEGMENTS as usize);
    let progress = Progress::new(0);
    *storage.stops.lock().unwrap() = Some((name(50), progress.clone()));
    run(&job(false), &progress).unwrap_err();
    let other = Job { request: Request { resume: true, sample_percent: Some(5.0), ..Request::default() }, ..job(true) };
    assert!(run(&other, &Progress::new(0)).unwrap_err().what.contains("another verification"));
}

#[test]
fn a_sample_reads_again_what_was_damaged() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("repository");
    let repository = Repository::create(Arc::new(Directory::make(&place).unwrap()), &Access::Plain, jiff::Timestamp::now()).unwrap();
    let owner = WalOwner { server: "main".into(), system_identifier: IDENTIFIER.to_string() };
    for number in 1..=9 {
        repository.push_wal(&owner, &name(number), &segment(number), 1).unwrap();
    }
    flip(&place, &name(5));
    let sample = |again: HashSet<String>| {
        let request = Request { sample_percent: Some(0.000_001), seed: Some(1), ..Request::default() };
        run(&Job { repository: repository.clone(), name: "main".into(), request, state: None, again }, &Progress::new(0)).unwrap()
    };
    assert_eq!(sample(HashSet::new()).errors.len(), 0);
    let whole =
        Job { repository: repository.clone(), name: "main".into(), request: Request::default(), state: None, again: HashSet::new() };
    let errors = run(&whole, &Progress::new(0)).unwrap().errors;
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert_eq!(sample(errors.iter().map(|error| error.object.clone()).collect()).errors, errors);
}
