//! Tests of reading pages, over files made for it. Those of real servers are in the integration tests.

use super::*;
use crate::files::control::decode;
use crate::files::page::checksum;
use pgtend_model::verify::DamageKind;
use std::os::unix::fs::FileExt;
use std::time::Duration;

const PAGE: usize = 8192;

/// A page that is sound at this place; `salt` makes it differ from others.
fn page(block: u32, salt: u8) -> Vec<u8> {
    let mut page = vec![salt; PAGE];
    page[..24].fill(0);
    for (at, value) in [(12, 28_u16), (14, 8000), (16, 8192), (18, 0x2004)] {
        page[at..at + 2].copy_from_slice(&value.to_le_bytes());
    }
    let sum = checksum(&page, block);
    page[8..10].copy_from_slice(&sum.to_le_bytes());
    page
}

/// A control file of a cluster with checksums whose relations are cut after 16 pages.
fn control() -> ControlFile {
    let mut bytes = vec![0; 8192];
    for (at, value) in [(8, 1300_u32), (16, 6), (172, 1), (216, 8192), (220, 16), (224, 8192), (228, 1 << 24), (252, 1)] {
        bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
    }
    let sum = crc32c::crc32c(&bytes[..288]);
    bytes[288..292].copy_from_slice(&sum.to_le_bytes());
    decode(&bytes).unwrap()
}

struct Files(tempfile::TempDir);

impl Files {
    fn new(files: &[(&str, Vec<u8>)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        for (path, bytes) in files {
            let path = directory.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        Self(directory)
    }

    fn scan(&self, server_runs: bool) -> Outcome {
        let (data, control) = (self.0.path(), control());
        let listing = crate::files::walk::list(data, "PG_15_202209061").unwrap();
        let manner = Manner { data, control: &control, threads: 2, quick: false, server_runs: &|| server_runs };
        scan(&manner, subjects(data, &listing, true), &Progress::default())
    }
}

fn pages(from: u32, count: u32) -> Vec<u8> {
    (from..from + count).flat_map(|block| page(block, 1)).collect()
}

#[test]
fn sound_and_new_pages_are_counted_through_all_files() {
    let mut second = pages(16, 3);
    second.extend([0; PAGE]);
    let files = Files::new(&[
        ("base/5/16384", pages(0, 16)),
        ("base/5/16384.1", second),
        ("base/5/16384_vm", pages(0, 1)),
        ("base/5/PG_VERSION", vec![9]),
    ]);
    let outcome = files.scan(false);
    assert_eq!((outcome.damage.as_slice(), outcome.unchecked.as_slice()), (&[][..], &[][..]));
    assert_eq!(outcome.checked, Checked { files: 3, pages: 21, pages_of_all: 21, new_pages: 1, ..Checked::default() });
}

#[test]
fn damage_is_told_with_its_place() {
    let mut second = pages(16, 4);
    second[2 * PAGE + 5000] ^= 1;
    let files = Files::new(&[("base/5/16384", pages(0, 16)), ("base/5/16384.1", second)]);
    for server_runs in [false, true] {
        let outcome = files.scan(server_runs);
        let [damage] = &outcome.damage[..] else { panic!("{:?}", outcome.damage) };
        assert_eq!((damage.kind, damage.block, damage.offset_bytes), (DamageKind::ChecksumMismatch, Some(18), Some(16_384)));
        assert_eq!((damage.file.as_str(), damage.relfilenode, damage.database_oid), ("base/5/16384.1", 16384, 5));
        assert!(damage.expected.is_some() && damage.expected != damage.found);
    }
}

#[test]
fn a_page_that_is_half_written_is_not_damaged() {
    let files = Files::new(&[("base/5/16384", pages(0, 4))]);
    let path = files.0.path().join("base/5/16384");
    let (old, new) = (page(2, 1), page(2, 2));
    let file = fs::File::options().write(true).open(&path).unwrap();
    file.write_all_at(&new[..4096], 2 * PAGE as u64).unwrap();
    assert_ne!(old, new);
    let writer = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(300));
        file.write_all_at(&new[4096..], 2 * PAGE as u64 + 4096).unwrap();
    });
    let outcome = files.scan(true);
    writer.join().unwrap();
    assert_eq!(outcome.damage, []);
    assert_eq!(outcome.checked.pages_in_flux, 1);
}

#[test]
fn a_relation_that_is_dropped_meanwhile_is_not_damaged() {
    let mut bytes = pages(0, 4);
    bytes[5000] ^= 1;
    let files = Files::new(&[("base/5/16384", bytes)]);
    let path = files.0.path().join("base/5/16384");
    let dropper = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(300));
        fs::remove_file(path).unwrap();
    });
    assert_eq!(files.scan(true).damage, []);
    dropper.join().unwrap();
}

#[test]
fn missing_short_and_cut_files_are_seen() {
    let mut cut = pages(0, 2);
    cut.truncate(PAGE + 100);
    let files = Files::new(&[
        ("base/5/16384", pages(0, 16)),
        ("base/5/16384.2", pages(32, 1)),
        ("base/5/16385", pages(0, 3)),
        ("base/5/16385.1", pages(16, 1)),
        ("base/5/16386", cut),
    ]);
    let outcome = files.scan(false);
    let told: Vec<_> = outcome.damage.iter().map(|damage| (damage.file.as_str(), damage.kind, damage.found)).collect();
    let wanted = [
        ("base/5/16384.1", DamageKind::MissingSegment, None),
        ("base/5/16385", DamageKind::ShortSegment, Some(3 * PAGE as u64)),
        ("base/5/16386", DamageKind::PartialPage, Some(PAGE as u64 + 100)),
    ];
    assert_eq!(told, wanted);
}

#[test]
fn a_ruined_file_is_told_page_by_page_and_no_further_than_the_limit() {
    let ruined: Vec<u8> = vec![0xA5; PAGE * 16];
    let files: Vec<(String, Vec<u8>)> = (0..700).map(|number| (format!("base/5/{}", 20_000 + number), ruined.clone())).collect();
    let files: Vec<(&str, Vec<u8>)> = files.iter().map(|(path, bytes)| (path.as_str(), bytes.clone())).collect();
    let outcome = Files::new(&files).scan(false);
    assert_eq!((outcome.damage.len(), outcome.left_out), (ERRORS_AT_MOST, 700 * 16 - ERRORS_AT_MOST as u64));
}
