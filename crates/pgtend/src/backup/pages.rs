//! Checksums of pages, looked at while they are copied.

use pgtend_postgres::files::page::{Verdict, judge};
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::time::Duration;

/// How often a page with a wrong checksum is read again: the server may be writing it.
const ATTEMPTS: usize = 5;
const PAUSE: Duration = Duration::from_millis(20);
/// Wrong pages that are named.
const NAMED: usize = 1000;

/// What a thread found.
#[derive(Debug, Default)]
pub struct Found {
    /// Pages that were checked.
    pub checked: u64,
    /// Pages that are wrong.
    pub wrong: u64,
    /// The first of them, as `path: block`.
    pub named: Vec<String>,
}

impl Found {
    /// Takes over what another thread found.
    pub fn add(&mut self, other: Self) {
        self.checked += other.checked;
        self.wrong += other.wrong;
        self.named.extend(other.named);
        self.named.truncate(NAMED);
    }

    /// Checks the pages of an extent that was read from this offset. `first_block` is the number of the file's first page in its fork. A page
    /// that the server was writing is replaced by what it wrote.
    pub fn check(&mut self, path: &str, file: &File, extent: &mut [u8], offset: u64, first_block: u32, page_bytes: usize) {
        for (index, page) in extent.chunks_exact_mut(page_bytes).enumerate() {
            let at = offset + (index * page_bytes) as u64;
            let Ok(in_file) = u32::try_from(at / page_bytes as u64) else { return };
            let block = first_block.wrapping_add(in_file);
            self.checked += 1;
            if judge(page, block, true).is_good() || settles(file, page, at, block) {
                continue;
            }
            self.wrong += 1;
            if self.named.len() < NAMED {
                self.named.push(format!("{path}: {block}"));
            }
        }
    }
}

/// Reads a page again until it is good, or twice the same and wrong.
fn settles(file: &File, page: &mut [u8], at: u64, block: u32) -> bool {
    let mut again = page.to_vec();
    for _ in 0..ATTEMPTS {
        std::thread::sleep(PAUSE);
        if file.read_exact_at(&mut again, at).is_err() {
            // The file was truncated meanwhile: replay does the same.
            return true;
        }
        let same = again == page;
        page.copy_from_slice(&again);
        if matches!(judge(page, block, true), Verdict::Sound | Verdict::New) {
            return true;
        }
        if same {
            return false;
        }
    }
    // It changes all the time: somebody writes it, and replay mends it.
    true
}
