//! One thread's reading of relation files, a piece at a time.

use super::suspects::{Doubt, settle};
use super::{Manner, Outcome, Progress, Subject};
use crate::files::page::{self, Header, Verdict};
use pgtend_model::pgdata::Lsn;
use pgtend_model::sample::Reason;
use pgtend_model::verify::suspect::Suspect;
use pgtend_model::verify::{Damage, DamageKind, sample};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::atomic::Ordering;

/// How much is read at a time: little enough to be still in the cache when it is summed, and a multiple of every page size.
const PIECE_BYTES: usize = 256 << 10;
/// Pages in doubt that are kept at a time; then they are settled before reading goes on.
const DOUBTS_AT_MOST: usize = 4096;

/// How much of a file of this length is read.
pub(super) fn to_read(size_bytes: u64, quick: bool) -> u64 {
    if quick { sample::parts(size_bytes).iter().map(|(_, length)| length).sum() } else { size_bytes }
}

/// What a thread reads with.
pub(super) struct Reader<'a> {
    manner: Manner<'a>,
    progress: &'a Progress,
    buffer: Vec<u8>,
    doubts: Vec<Doubt>,
    pub(super) outcome: Outcome,
}

/// A file that is open.
pub(super) struct Opened<'a> {
    pub(super) file: File,
    pub(super) subject: &'a Subject,
    pub(super) first_block: u32,
}

impl<'a> Reader<'a> {
    pub(super) fn new(manner: Manner<'a>, progress: &'a Progress) -> Self {
        Self { manner, progress, buffer: vec![0; PIECE_BYTES], doubts: Vec::new(), outcome: Outcome::default() }
    }

    /// Reads a file. One that is gone was dropped.
    pub(super) fn read(&mut self, subject: &Subject) {
        let control = self.manner.control;
        if self.progress.cancelled.load(Ordering::Relaxed) {
            return;
        }
        let Some(first_block) = subject.relation.first_block(control.relation_segment_blocks) else {
            return self.outcome.unchecked(&subject.path, Reason::Failed, "no relation is as long as the number in this file's name says");
        };
        let file = match File::open(self.manner.data.join(&subject.path)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return,
            Err(error) => return self.outcome.unchecked(&subject.path, reason(&error), format!("it could not be opened: {error}")),
        };
        // Read ahead; that it cannot be advised is no reason not to read.
        _ = rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::Sequential);
        self.outcome.checked.files += 1;
        self.outcome.checked.pages_of_all += subject.size_bytes / u64::from(control.block_bytes);
        let opened = Opened { file, subject, first_block };
        let parts = if self.manner.quick { sample::parts(subject.size_bytes) } else { vec![(0, subject.size_bytes)] };
        for (start, length) in parts {
            if !self.part(&opened, start, start + length) {
                break;
            }
        }
        self.settle(&opened);
    }

    /// Reads a part of a file; whether there may be more after it.
    fn part(&mut self, opened: &Opened<'_>, start: u64, end: u64) -> bool {
        let block_bytes = u64::from(self.manner.control.block_bytes);
        let mut at = start;
        // A piece that ends within a page is told with the lengths.
        while at + block_bytes <= end {
            let wanted = usize::try_from((end - at) / block_bytes * block_bytes).unwrap_or(usize::MAX).min(PIECE_BYTES);
            let mut buffer = std::mem::take(&mut self.buffer);
            let read = read_fully(&opened.file, &mut buffer[..wanted], at);
            let pages = match read {
                Ok(read) => {
                    self.pages(opened, &buffer[..read], at);
                    read
                }
                Err(_) => {
                    self.page_by_page(opened, &mut buffer, at, wanted);
                    wanted
                }
            };
            self.buffer = buffer;
            self.progress.read(wanted as u64);
            if self.doubts.len() >= DOUBTS_AT_MOST {
                self.settle(opened);
            }
            if pages < wanted || self.progress.cancelled.load(Ordering::Relaxed) {
                return false;
            }
            at += wanted as u64;
        }
        true
    }

    /// Judges the whole pages of a piece.
    fn pages(&mut self, opened: &Opened<'_>, piece: &[u8], at: u64) {
        let control = self.manner.control;
        let block_bytes = control.block_bytes as usize;
        // A file is at most 4 billion pages long, or it would have no first block.
        let first = u32::try_from(at / u64::from(control.block_bytes)).unwrap_or(u32::MAX);
        let mut highest = Lsn(0);
        for (index, page) in (first..).zip(piece.chunks_exact(block_bytes)) {
            let block = opened.first_block.saturating_add(index);
            self.outcome.checked.pages += 1;
            match page::judge(page, block, control.has_checksums()) {
                Verdict::Sound => highest = highest.max(Header::of(page).lsn),
                Verdict::New => self.outcome.checked.new_pages += 1,
                verdict => {
                    let suspect = Suspect::new(crc32c::crc32c(page));
                    self.doubts.push(Doubt { index, block, verdict, lsn: Header::of(page).lsn, suspect });
                }
            }
        }
        self.outcome.checked.highest_lsn = self.outcome.checked.highest_lsn.max(highest.known());
    }

    /// Reads a piece that could not be read at once, so that the damage is told by the page.
    fn page_by_page(&mut self, opened: &Opened<'_>, buffer: &mut [u8], at: u64, wanted: usize) {
        let block_bytes = self.manner.control.block_bytes as usize;
        for offset in (0..wanted).step_by(block_bytes) {
            let at = at + offset as u64;
            match read_fully(&opened.file, &mut buffer[..block_bytes], at) {
                Ok(read) => self.pages(opened, &buffer[..read], at),
                Err(error) => {
                    let detail = format!("the system could not read it: {error}");
                    let mut damage = damage(opened, DamageKind::Unreadable, detail);
                    damage.block = u32::try_from(at / block_bytes as u64).ok().map(|index| opened.first_block.saturating_add(index));
                    damage.offset_bytes = Some(at);
                    self.outcome.damaged(damage, self.progress);
                }
            }
        }
    }

    fn settle(&mut self, opened: &Opened<'_>) {
        let doubts = std::mem::take(&mut self.doubts);
        if !doubts.is_empty() {
            settle(&self.manner, opened, doubts, &mut self.outcome, self.progress);
        }
    }
}

/// Damage of this kind in a file.
pub(super) fn damage(opened: &Opened<'_>, kind: DamageKind, detail: String) -> Damage {
    Damage::in_file(kind, &opened.subject.path.to_string_lossy(), &opened.subject.relation, detail)
}

/// Why a file could not be opened.
fn reason(error: &io::Error) -> Reason {
    if error.kind() == io::ErrorKind::PermissionDenied { Reason::Privilege } else { Reason::Failed }
}

/// Reads until the buffer is full or the file ends; how much it is.
pub(super) fn read_fully(file: &File, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    let mut read = 0;
    while read < buffer.len() {
        match file.read_at(&mut buffer[read..], at + read as u64) {
            Ok(0) => break,
            Ok(more) => read += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(read)
}
