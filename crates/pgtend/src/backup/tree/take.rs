//! Taking a backup of a file tree, from the lock to the head.

use super::store::{StoredFile, Storing, Trouble};
pub use super::walk::Tree;
use super::walk::{Listing, list, nanoseconds};
use crate::backup::nice::nicely;
use crate::backup::{Phase, Progress};
use jiff::Timestamp;
use pgtend_model::backup::head::MOST_WARNINGS;
use pgtend_model::backup::tree::{owner, shrunk};
use pgtend_model::backup::tree_path::decode;
use pgtend_model::backup::{BackupHead, BackupKind, FileEntry, FileType};
use pgtend_model::error::{Error, Kind, Result, Retry};
use pgtend_store::repo::Repository;
use pgtend_store::repo::backups::Identity;
use pgtend_store::repo::write::{Options, Writing};
use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::fs::{File, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// How often a file that changes while it is read is read.
const ATTEMPTS: usize = 3;

/// A backup of a file tree to be taken.
#[derive(Debug, Clone)]
pub struct Take {
    /// Its name in the configuration.
    pub name: String,
    /// What belongs to it.
    pub tree: Tree,
    /// Where it goes.
    pub repository: Repository,
    /// Threads.
    pub workers: usize,
    /// Their nice value.
    pub nice: u8,
    /// How extents are written.
    pub options: Options,
}

/// What a thread did.
#[derive(Default)]
struct Done {
    files: Vec<(usize, FileEntry)>,
    vanished: Vec<usize>,
    warnings: Vec<String>,
    new_bytes: u64,
}

/// What an earlier backup has.
#[derive(Default)]
struct Before {
    files: HashMap<String, FileEntry>,
    count: Option<u64>,
    started_ns: i64,
}

impl Take {
    /// Takes the backup; gives its head. Blocks.
    ///
    /// # Errors
    /// When a path of the tree is not there, or the repository does not take it. A file that cannot be read is a warning.
    pub fn run(&self, progress: &Progress) -> Result<BackupHead> {
        let started = Timestamp::now();
        let (owner, host) = (owner(&self.name), rustix::system::uname().nodename().to_string_lossy().into_owned());
        self.claim(&owner, &host, started)?;
        let lock = self.repository.lock(&format!("backup-{owner}"), &format!("backup of the file tree {}", self.name), started)?;
        let before = self.before(&owner)?;
        let mut listing = list(&self.tree)?;
        let label = self.repository.free_label(&owner, started)?;
        progress.expect(listing.entries.iter().map(|entry| entry.bytes).sum());
        progress.enter(Phase::Copying);
        let writing = self.repository.write(self.options, &self.repository.condemned()?)?;
        let mut warnings = std::mem::take(&mut listing.unreadable);
        let new_bytes = nicely(self.nice, || self.copy(&mut listing, &before, &writing, &mut warnings, progress))?;
        let stored_bytes = writing.finish()?;
        progress.enter(Phase::Publishing);
        let files = listing.entries.iter().filter(|entry| matches!(entry.file_type, FileType::File | FileType::HardLink)).count() as u64;
        warnings.extend(before.count.and_then(|count| shrunk(count, files)));
        let warning_count = warnings.len() as u64;
        warnings.truncate(MOST_WARNINGS);
        let special = (listing.special > 0).then(|| format!("{} sockets and devices were left out", listing.special));
        let head = BackupHead {
            system_identifier: host.clone(),
            host,
            finished: Timestamp::now(),
            bytes: listing.entries.iter().map(|entry| entry.bytes).sum(),
            new_bytes,
            stored_bytes,
            files,
            notes: special.into_iter().chain(self.repository.storage().notes()).collect(),
            warnings,
            warning_count,
            roots: self.tree.paths.iter().map(|path| path.display().to_string()).collect(),
            ..BackupHead::begun(BackupKind::Files, owner, label, started)
        };
        lock.check()?;
        self.repository.publish(&head, &listing.entries)?;
        Ok(head)
    }

    /// Two hosts do not write into one tree.
    fn claim(&self, owner: &str, host: &str, now: Timestamp) -> Result<()> {
        let identity = Identity { system_identifier: host.to_owned(), postgresql_version: 0, first_seen: now };
        self.repository.claim_server(owner, &identity).map_err(|error| match error.kind {
            Kind::Conflict => Error::new(
                Kind::Conflict,
                format!("the file tree \"{}\" of this repository is another host's, and this one is {host}", self.name),
            )
            .at(error.place)
            .hint(format!("give the tree another name here; where this host takes the other's place: `pgtend repo adopt --server {owner}`"))
            .retry(Retry::Never),
            _ => error,
        })
    }

    fn before(&self, owner: &str) -> Result<Before> {
        let (heads, damaged) = self.repository.backups(owner)?;
        for error in damaged {
            tracing::error!(error = error.what, place = error.place, "a backup cannot be read");
        }
        let Some(last) = heads.into_iter().next_back() else { return Ok(Before::default()) };
        let files = self.repository.files(owner, last.label).unwrap_or_else(|error| {
            tracing::error!(
                error = error.what,
                place = error.place,
                "the last backup's list of files cannot be read: every file is read anew"
            );
            Vec::new()
        });
        Ok(Before {
            files: files.into_iter().filter(|file| file.file_type == FileType::File).map(|file| (file.path.clone(), file)).collect(),
            count: Some(last.files),
            started_ns: i64::try_from(last.started.as_nanosecond()).unwrap_or(0),
        })
    }

    /// Stores the files; gives the bytes that were new.
    fn copy(
        &self,
        listing: &mut Listing,
        before: &Before,
        writing: &Writing,
        warnings: &mut Vec<String>,
        progress: &Progress,
    ) -> Result<u64> {
        let mut todo = Vec::new();
        for (index, entry) in listing.entries.iter_mut().enumerate().filter(|(_, entry)| entry.file_type == FileType::File) {
            let known = before
                .files
                .get(&entry.path)
                .filter(|known| entry.is_as(known, before.started_ns) && known.extents.iter().all(|extent| writing.knows(extent.id)));
            match known {
                Some(known) => {
                    entry.extents.clone_from(&known.extents);
                    entry.sizes.clone_from(&known.sizes);
                    entry.crc32c = known.crc32c;
                    progress.done(entry.bytes);
                    progress.file();
                }
                None => todo.push(index),
            }
        }
        todo.sort_by_key(|index| std::cmp::Reverse(listing.entries[*index].bytes));
        let done = self.work(&listing.entries, &todo, writing, progress)?;
        let mut gone = HashSet::new();
        let mut new_bytes = 0;
        for done in done {
            new_bytes += done.new_bytes;
            warnings.extend(done.warnings);
            gone.extend(done.vanished);
            done.files.into_iter().for_each(|(index, entry)| listing.entries[index] = entry);
        }
        warnings.sort_unstable();
        let lost: HashSet<String> = gone.iter().map(|index| listing.entries[*index].path.clone()).collect();
        // A name of a file that is not there leads nowhere.
        listing
            .entries
            .retain(|entry| !(lost.contains(&entry.path) || entry.file_type == FileType::HardLink && lost.contains(&entry.target)));
        Ok(new_bytes)
    }

    fn work(&self, entries: &[FileEntry], todo: &[usize], writing: &Writing, progress: &Progress) -> Result<Vec<Done>> {
        let (next, cutter) = (AtomicUsize::new(0), self.repository.cutter());
        let failed: Mutex<Option<Error>> = Mutex::new(None);
        let thread = || {
            let mut done = Done::default();
            let result = writing.writer().and_then(|writer| {
                let mut storing = Storing::new(writer, &cutter, progress);
                while let Some(index) = todo.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if failed.lock().unwrap_or_else(PoisonError::into_inner).is_some() {
                        return Ok(());
                    }
                    one(*index, &entries[*index], &mut storing, &mut done)?;
                    progress.file();
                }
                storing.finish()
            });
            if let Err(error) = result {
                failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
            }
            done
        };
        let done = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..self.workers.max(1)).map(|_| scope.spawn(thread)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap_or_default()).collect()
        });
        failed.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(done), Err)
    }
}

/// Stores one file. That it cannot be read, or does not hold still, is a warning.
fn one(index: usize, entry: &FileEntry, storing: &mut Storing<'_>, done: &mut Done) -> Result<()> {
    let path = path_of(entry);
    for attempt in 1..=ATTEMPTS {
        match attempt_one(&path, entry, storing) {
            Ok((stored, metadata, held_still)) => {
                done.new_bytes += stored.new_bytes;
                if !held_still && attempt < ATTEMPTS {
                    continue;
                }
                if !held_still {
                    done.warnings
                        .push(format!("{}: it changed while it was read, {ATTEMPTS} times: what is kept may be a mixture", path.display()));
                }
                done.files.push((index, finished(entry, stored, &metadata)));
                return Ok(());
            }
            Err(Trouble::Repository(error)) => return Err(error),
            // It was removed meanwhile.
            Err(Trouble::Read(error)) if error.kind() == io::ErrorKind::NotFound => break,
            Err(Trouble::Read(error)) => {
                done.warnings.push(format!("{}: it cannot be read: {error}", path.display()));
                break;
            }
        }
    }
    done.vanished.push(index);
    Ok(())
}

/// Where the file of an entry is.
fn path_of(entry: &FileEntry) -> PathBuf {
    Path::new("/").join(OsStr::from_bytes(&decode(&entry.path).unwrap_or_default()))
}

fn attempt_one(path: &Path, entry: &FileEntry, storing: &mut Storing<'_>) -> Result<(StoredFile, Metadata, bool), Trouble> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let flags = i32::try_from((rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK).bits()).unwrap_or(0);
    let file = File::options().read(true).custom_flags(flags).open(path)?;
    let first = file.metadata()?;
    if !first.is_file() {
        return Err(Trouble::Read(io::Error::other("it is no file any more")));
    }
    let stored = storing.store(&file, entry.bytes)?;
    let last = file.metadata()?;
    let same = |a: &Metadata, b: &Metadata| a.len() == b.len() && a.mtime() == b.mtime() && a.mtime_nsec() == b.mtime_nsec();
    let held_still = same(&first, &last) && stored.bytes == last.len();
    Ok((stored, last, held_still))
}

/// The entry as the file was when it was read.
fn finished(entry: &FileEntry, stored: StoredFile, metadata: &Metadata) -> FileEntry {
    FileEntry {
        bytes: stored.bytes,
        modified_ns: nanoseconds(metadata.mtime(), metadata.mtime_nsec()),
        changed_ns: nanoseconds(metadata.ctime(), metadata.ctime_nsec()),
        inode: metadata.ino(),
        mode: metadata.mode() & 0o7777,
        crc32c: stored.crc32c,
        extents: stored.extents,
        sizes: stored.sizes,
        ..entry.clone()
    }
}
