//! Reads the pages of relation files, with several threads, and says what is damaged.
//!
//! Files are read in pieces that stay in the processor's cache, so memory is bounded by the threads; the order of the files is not
//! kept. Nothing is written.

mod file;
mod lengths;
mod suspects;

use super::control::ControlFile;
use super::walk::Listing;
use file::Reader;
use pgtend_model::pgdata::RelationFile;
use pgtend_model::pgdata::exclusion::Reason;
use pgtend_model::sample::{self, Unknown};
use pgtend_model::verify::{Checked, Damage, ERRORS_AT_MOST, Unchecked};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A relation's file to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// Relative to the data directory.
    pub path: PathBuf,
    /// What it is a file of.
    pub relation: RelationFile,
    /// How long it was when it was listed.
    pub size_bytes: u64,
}

/// The relation files of a listing; not temporary ones, whose pages nobody reads after their session. Unlogged ones are asked for
/// unless the next start resets them anyway.
pub fn subjects(data: &Path, listing: &Listing, with_unlogged: bool) -> Vec<Subject> {
    let kept = listing.files.iter().filter_map(|file| {
        let relation = file.relation?;
        Some(Subject { path: file.path.clone(), relation, size_bytes: file.size_bytes })
    });
    let unlogged =
        listing.left_out.iter().filter(|(_, reason)| with_unlogged && *reason == Reason::UnloggedRelation).filter_map(|(path, _)| {
            let relation = RelationFile::of_path(path.to_str()?)?;
            // One that is gone meanwhile was dropped.
            let size_bytes = fs::symlink_metadata(data.join(path)).ok()?.len();
            Some(Subject { path: path.clone(), relation, size_bytes })
        });
    kept.chain(unlogged).collect()
}

/// How to read.
#[derive(Clone, Copy)]
pub struct Manner<'a> {
    /// The data directory.
    pub data: &'a Path,
    /// The sizes that the files were made with, and whether pages carry checksums.
    pub control: &'a ControlFile,
    /// Threads that read.
    pub threads: usize,
    /// Whether a sample of each long file is enough ([`pgtend_model::verify::sample`]).
    pub quick: bool,
    /// Whether a server may be writing now. Asked each time a page looks wrong.
    pub server_runs: &'a (dyn Fn() -> bool + Sync),
}

/// How far the reading is, for who wants to show it.
#[derive(Debug, Default)]
pub struct Progress {
    /// Bytes that will be read.
    pub total_bytes: AtomicU64,
    /// Bytes that were read.
    pub done_bytes: AtomicU64,
    /// Pages found damaged so far.
    pub damaged: AtomicU64,
    /// Whether somebody wants it to stop.
    pub cancelled: AtomicBool,
    /// Bytes a second that are read at most, by all threads together; 0: any.
    pub max_bytes_per_second: u64,
    paced_until: Mutex<Option<Instant>>,
}

impl Progress {
    /// Reads at most so many bytes a second.
    pub fn paced(max_bytes_per_second: u64) -> Self {
        Self { max_bytes_per_second, ..Self::default() }
    }

    /// Counts what was read, and waits as long as the pace asks for.
    fn read(&self, bytes: u64) {
        self.done_bytes.fetch_add(bytes, Ordering::Relaxed);
        if self.max_bytes_per_second == 0 {
            return;
        }
        let takes = Duration::from_micros(bytes.saturating_mul(1_000_000) / self.max_bytes_per_second);
        let until = {
            let mut until = self.paced_until.lock().unwrap_or_else(PoisonError::into_inner);
            let now = Instant::now();
            let next = until.map_or(now, |until| until.max(now)) + takes;
            *until = Some(next);
            next
        };
        std::thread::sleep(until.saturating_duration_since(Instant::now()));
    }
}

/// What reading gave.
#[derive(Debug, Default)]
pub struct Outcome {
    /// What was looked at.
    pub checked: Checked,
    /// What is damaged, at most [`ERRORS_AT_MOST`], ordered by file and place.
    pub damage: Vec<Damage>,
    /// Damage beyond that.
    pub left_out: u64,
    /// What could not be looked at.
    pub unchecked: Vec<Unchecked>,
}

impl Outcome {
    fn damaged(&mut self, damage: Damage, progress: &Progress) {
        progress.damaged.fetch_add(1, Ordering::Relaxed);
        if self.damage.len() < ERRORS_AT_MOST {
            self.damage.push(damage);
        } else {
            self.left_out += 1;
        }
    }

    fn unchecked(&mut self, what: &Path, reason: sample::Reason, detail: impl Into<String>) {
        let why = Unknown::new(reason, detail);
        self.unchecked.push(Unchecked { what: what.display().to_string(), why, hint: String::new() });
    }

    fn merge(&mut self, other: Self) {
        let (into, from) = (&mut self.checked, other.checked);
        into.files += from.files;
        into.pages += from.pages;
        into.pages_of_all += from.pages_of_all;
        into.new_pages += from.new_pages;
        into.pages_in_flux += from.pages_in_flux;
        into.highest_lsn = into.highest_lsn.max(from.highest_lsn);
        self.left_out += other.left_out;
        self.damage.extend(other.damage);
        self.unchecked.extend(other.unchecked);
    }
}

/// Reads the pages of these files, and looks for files that are missing or too short.
pub fn scan(manner: &Manner<'_>, mut subjects: Vec<Subject>, progress: &Progress) -> Outcome {
    // The longest first, so that no thread is left alone with one at the end.
    subjects.sort_unstable_by(|a, b| b.size_bytes.cmp(&a.size_bytes).then_with(|| a.path.cmp(&b.path)));
    let total = subjects.iter().map(|subject| file::to_read(subject.size_bytes, manner.quick)).sum();
    progress.total_bytes.store(total, Ordering::Relaxed);
    let next = AtomicUsize::new(0);
    let all = Mutex::new(Outcome::default());
    std::thread::scope(|scope| {
        for _ in 0..manner.threads.max(1) {
            scope.spawn(|| {
                let mut reader = Reader::new(*manner, progress);
                while let Some(subject) = subjects.get(next.fetch_add(1, Ordering::Relaxed)) {
                    reader.read(subject);
                }
                if let Ok(mut all) = all.lock() {
                    all.merge(reader.outcome);
                }
            });
        }
    });
    let mut outcome = all.into_inner().unwrap_or_default();
    lengths::check(manner, &subjects, &mut outcome, progress);
    outcome.damage.sort_by(|a, b| (&a.file, a.offset_bytes).cmp(&(&b.file, b.offset_bytes)));
    let too_many = outcome.damage.len().saturating_sub(ERRORS_AT_MOST);
    outcome.damage.truncate(ERRORS_AT_MOST);
    outcome.left_out += too_many as u64;
    outcome
}

#[cfg(test)]
mod tests;
