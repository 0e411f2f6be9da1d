//! Checksums of pages, looked at while they are copied.

use super::copy::PageFormat;
use pgtend_model::pgdata::Lsn;
use pgtend_postgres::files::page::{Header, Verdict, judge};
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::time::Duration;

/// How often a page with a wrong checksum is read again: the server may be writing it.
const ATTEMPTS: usize = 5;
/// How often it must be the same and wrong before that is believed: a server that does not get the processor may stop in the middle of a page.
const SAME: usize = 3;
const PAUSE: Duration = Duration::from_millis(20);
/// Wrong pages that are named. There are that many only where a disk fails, and then nobody is waited for any more.
const NAMED: usize = 1000;
/// Wrong pages that may be replaced by replay and are remembered to be judged at the end.
const DOUBTFUL: usize = 10_000;

/// What a thread found.
#[derive(Debug, Default)]
pub struct Found {
    /// Pages that were checked.
    pub checked: u64,
    /// Pages that are wrong.
    pub wrong: u64,
    /// The first of them, as `path: block`.
    pub named: Vec<String>,
    /// Wrong pages that say that they were written after the backup began, with the position that they say it of.
    doubtful: Vec<(String, Lsn)>,
}

impl Found {
    /// Takes over what another thread found.
    pub fn add(&mut self, other: Self) {
        self.checked += other.checked;
        self.wrong += other.wrong;
        self.named.extend(other.named);
        self.named.truncate(NAMED);
        self.doubtful.extend(other.doubtful);
    }

    /// Checks the pages of an extent that was read from this offset. `first_block` is the number of the file's first page in its fork. A page
    /// that the server was writing is replaced by what it wrote.
    pub fn check(&mut self, path: &str, file: &File, extent: &mut [u8], offset: u64, first_block: u32, pages: PageFormat) {
        for (index, page) in extent.chunks_exact_mut(pages.page_bytes).enumerate() {
            let at = offset + (index * pages.page_bytes) as u64;
            let Ok(in_file) = u32::try_from(at / pages.page_bytes as u64) else { return };
            let block = first_block.wrapping_add(in_file);
            self.checked += 1;
            let pause = if self.named.len() < NAMED { PAUSE } else { Duration::ZERO };
            if judge(page, block, true).is_good() || settles(file, page, at, block, pause) {
                continue;
            }
            let (place, written) = (format!("{path}: {block}"), Header::of(page).lsn);
            if written > pages.begun && self.doubtful.len() < DOUBTFUL {
                self.doubtful.push((place, written));
            } else {
                self.is_wrong(place);
            }
        }
    }

    /// Judges what was left open, now that it is known up to where the backup replays: a page that was written since the backup began comes back
    /// whole from the WAL. PostgreSQL's own backups leave those pages out too.
    pub fn conclude(mut self, stop: Lsn) -> Self {
        for (place, written) in std::mem::take(&mut self.doubtful) {
            if written > stop {
                self.is_wrong(place);
            }
        }
        self
    }

    fn is_wrong(&mut self, place: String) {
        self.wrong += 1;
        if self.named.len() < NAMED {
            self.named.push(place);
        }
    }
}

/// Reads a page again until it is good, or several times the same and wrong.
fn settles(file: &File, page: &mut [u8], at: u64, block: u32, pause: Duration) -> bool {
    let mut again = page.to_vec();
    let mut same = 1;
    for _ in 0..ATTEMPTS {
        std::thread::sleep(pause);
        if file.read_exact_at(&mut again, at).is_err() {
            // The file was truncated meanwhile: replay does the same.
            return true;
        }
        same = if again == page { same + 1 } else { 1 };
        page.copy_from_slice(&again);
        if matches!(judge(page, block, true), Verdict::Sound | Verdict::New) {
            return true;
        }
        if same >= SAME || pause.is_zero() {
            return false;
        }
    }
    // It changes all the time: somebody writes it, and replay mends it.
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    /// Two wrong pages: what the first says of when it was written, and what the second does.
    fn look(first: u64, second: u64) -> Found {
        let mut content = vec![0; 2 * 8192];
        for (page, lsn) in content.chunks_exact_mut(8192).zip([first, second]) {
            page[4..8].copy_from_slice(&u32::try_from(lsn).unwrap().to_le_bytes());
            page[12..20].copy_from_slice(&[24, 0, 0, 32, 0, 32, 4, 32]);
        }
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&content).unwrap();
        let mut found = Found::default();
        let pages = PageFormat { page_bytes: 8192, file_blocks: 131_072, begun: Lsn(1000) };
        found.check("base/5/1259", &file, &mut content, 0, 0, pages);
        found.conclude(Lsn(2000))
    }

    #[test]
    fn a_page_that_replay_writes_anew_is_no_damage() {
        assert_eq!(look(1001, 2000).wrong, 0);
    }

    #[test]
    fn a_page_from_before_the_backup_or_from_the_future_is_damage() {
        let found = look(1000, 2001);
        assert_eq!((found.checked, found.wrong), (2, 2));
        assert_eq!(found.named, ["base/5/1259: 0", "base/5/1259: 1"]);
    }
}
