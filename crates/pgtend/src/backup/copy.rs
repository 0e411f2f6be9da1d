//! Copying the files of a data directory into a repository, on several threads.

use super::pages::Found;
use super::progress::Progress;
use pgtend_model::backup::file_list::EXTENT;
use pgtend_model::backup::{Extent, FileEntry, FileType};
use pgtend_model::error::{Error, Kind, Result};
use pgtend_model::pgdata::{Lsn, RelationFile};
use pgtend_store::repo::write::{Writer, Writing};
use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// Extents that one thread takes at once: enough that it reads on, few enough that one large file is shared.
const EXTENTS_A_TURN: usize = 32;

/// What is copied from where.
#[derive(Debug)]
pub struct Copy<'a> {
    /// The data directory.
    pub data: &'a Path,
    /// Its files, without extents.
    pub files: Vec<FileEntry>,
    /// What an earlier backup has, by path.
    pub before: HashMap<&'a str, &'a FileEntry>,
    /// When that backup began, in ns since 1970.
    pub before_started_ns: i64,
    /// How pages are checked; none without checksums.
    pub pages: Option<PageFormat>,
}

/// How pages lie in files.
#[derive(Debug, Clone, Copy)]
pub struct PageFormat {
    /// Bytes of a page.
    pub page_bytes: usize,
    /// Pages of a file of a relation, before the next one begins.
    pub file_blocks: u32,
    /// Where the backup began: pages that were written after it come back from the WAL.
    pub begun: Lsn,
}

/// What was copied.
#[derive(Debug, Default)]
pub struct Copied {
    /// The files, with their extents; those that vanished meanwhile are not among them.
    pub files: Vec<FileEntry>,
    /// Bytes of all files.
    pub bytes: u64,
    /// Bytes of extents that the repository did not have.
    pub new_bytes: u64,
    /// What the pages' checksums said.
    pub pages: Found,
}

/// Some extents of a file.
struct Turn {
    file: usize,
    first: usize,
    count: usize,
}

/// What a thread did.
#[derive(Default)]
struct Done {
    pieces: Vec<(usize, usize, Vec<Extent>)>,
    vanished: Vec<usize>,
    new_bytes: u64,
    pages: Found,
}

impl Copy<'_> {
    /// Copies on this many threads.
    ///
    /// # Errors
    /// The first failure: a file that cannot be read, or what the repository says.
    pub fn run(mut self, writing: &Writing, workers: usize, progress: &Progress) -> Result<Copied> {
        progress.expect(self.files.iter().map(|file| file.bytes).sum());
        self.reuse(writing, progress);
        let turns = self.turns();
        let next = AtomicUsize::new(0);
        let failed: Mutex<Option<Error>> = Mutex::new(None);
        let done: Vec<Done> = std::thread::scope(|scope| {
            let threads: Vec<_> =
                (0..workers.max(1)).map(|_| scope.spawn(|| self.work(writing, &turns, &next, &failed, progress))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap_or_default()).collect()
        });
        match failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Some(error) => Err(error),
            None => self.assemble(done),
        }
    }

    /// Takes over the extents of files that have not been written since.
    fn reuse(&mut self, writing: &Writing, progress: &Progress) {
        for file in &mut self.files {
            let Some(before) = self.before.get(file.path.as_str()) else { continue };
            let same = file.is_as(before, self.before_started_ns) && before.extents.iter().all(|extent| writing.knows(extent.id));
            if same && file.bytes > 0 {
                file.extents.clone_from(&before.extents);
                file.crc32c = before.crc32c;
                progress.done(file.bytes);
                progress.file();
            }
        }
    }

    /// The work, largest files first, so that no thread is left with one at the end.
    fn turns(&self) -> Vec<Turn> {
        let mut order: Vec<usize> =
            (0..self.files.len()).filter(|index| self.files[*index].bytes > 0 && self.files[*index].extents.is_empty()).collect();
        order.sort_by_key(|index| std::cmp::Reverse(self.files[*index].bytes));
        let mut turns = Vec::new();
        for file in order {
            let extents = usize::try_from(self.files[file].bytes.div_ceil(u64::from(EXTENT))).unwrap_or(usize::MAX);
            for first in (0..extents).step_by(EXTENTS_A_TURN) {
                turns.push(Turn { file, first, count: EXTENTS_A_TURN.min(extents - first) });
            }
        }
        turns
    }

    fn work(&self, writing: &Writing, turns: &[Turn], next: &AtomicUsize, failed: &Mutex<Option<Error>>, progress: &Progress) -> Done {
        let mut done = Done::default();
        let result = writing.writer().and_then(|mut writer| {
            while let Some(turn) = turns.get(next.fetch_add(1, Ordering::Relaxed)) {
                progress.check()?;
                if failed.lock().unwrap_or_else(PoisonError::into_inner).is_some() {
                    return Ok(());
                }
                self.turn(turn, &mut writer, &mut done, progress)?;
            }
            writer.finish()
        });
        if let Err(error) = result {
            failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        }
        done
    }

    fn turn(&self, turn: &Turn, writer: &mut Writer, done: &mut Done, progress: &Progress) -> Result<()> {
        let entry = &self.files[turn.file];
        let path = self.data.join(&entry.path);
        let file = match File::open(&path) {
            Ok(file) => file,
            // Dropped meanwhile: replay drops it too.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                done.vanished.push(turn.file);
                return Ok(());
            }
            Err(error) => return Err(unreadable(&path, &error)),
        };
        let before = self.before.get(entry.path.as_str()).map_or(&[][..], |before| &before.extents);
        let first_block = self.pages.and_then(|pages| RelationFile::of_path(&entry.path)?.first_block(pages.file_blocks));
        let mut extents = Vec::with_capacity(turn.count);
        let mut content = Vec::new();
        for index in turn.first..turn.first + turn.count {
            let offset = index as u64 * u64::from(EXTENT);
            let bytes = usize::try_from((entry.bytes - offset).min(u64::from(EXTENT))).unwrap_or(0);
            progress.check()?;
            progress.pace(bytes as u64);
            read_padded(&file, &mut content, bytes, offset).map_err(|error| unreadable(&path, &error))?;
            if let (Some(pages), Some(first_block)) = (self.pages, first_block) {
                done.pages.check(&entry.path, &file, &mut content, offset, first_block, pages);
            }
            let stored = writer.add(&content, before.get(index).map(|extent| extent.id))?;
            if let Some(new) = stored.new_bytes {
                done.new_bytes += bytes as u64;
                progress.stored(new as u64);
            }
            extents.push(Extent { id: stored.id, crc32c: crc32c::crc32c(&content) });
            progress.done(bytes as u64);
        }
        done.pieces.push((turn.file, turn.first, extents));
        Ok(())
    }

    /// Puts the pieces of each file together.
    fn assemble(mut self, done: Vec<Done>) -> Result<Copied> {
        let mut copied = Copied::default();
        let mut pieces = Vec::new();
        let mut vanished = vec![false; self.files.len()];
        for done in done {
            copied.new_bytes += done.new_bytes;
            copied.pages.add(done.pages);
            pieces.extend(done.pieces);
            done.vanished.into_iter().for_each(|file| vanished[file] = true);
        }
        pieces.sort_by_key(|(file, first, _)| (*file, *first));
        let mut fresh = vec![false; self.files.len()];
        for (file, _, extents) in pieces {
            fresh[file] = true;
            self.files[file].extents.extend(extents);
        }
        for (index, mut file) in self.files.into_iter().enumerate() {
            if vanished[index] {
                continue;
            }
            if file.file_type == FileType::File && (file.extents.len() as u64) < file.bytes.div_ceil(u64::from(EXTENT)) {
                return Err(Error::new(Kind::Internal, "a file was not copied to its end").at(file.path));
            }
            if fresh[index] {
                file.crc32c = whole_crc(&file);
            }
            copied.bytes += file.bytes;
            copied.files.push(file);
        }
        Ok(copied)
    }
}

/// The CRC of a file, from those of its extents.
fn whole_crc(file: &FileEntry) -> u32 {
    let combine = |crc, (_, bytes, extent): (u64, u32, Extent)| crc32c::crc32c_combine(crc, extent.crc32c, bytes as usize);
    file.pieces().fold(0, combine)
}

/// Reads this many bytes; what a file that was truncated does not have any more is zero, as replay leaves it.
fn read_padded(file: &File, content: &mut Vec<u8>, bytes: usize, offset: u64) -> io::Result<()> {
    content.resize(bytes, 0);
    let mut filled = 0;
    while filled < bytes {
        match file.read_at(&mut content[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    content[filled..].fill(0);
    Ok(())
}

fn unreadable(path: &Path, error: &io::Error) -> Error {
    let hint = match error.kind() {
        io::ErrorKind::PermissionDenied => "pgtend must run as root or as the user that owns the data directory",
        _ if error.raw_os_error() == Some(5) => {
            "the disk fails: see the kernel's log, and do not wait with a copy of what can still be read"
        }
        _ => "",
    };
    Error::new(Kind::System, format!("a file of the server cannot be read: {error}")).at(path.display().to_string()).hint(hint)
}
