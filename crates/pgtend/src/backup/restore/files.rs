//! Writing the files of a backup, on several threads.

use super::place::{Place, UNFINISHED, unfinished_text};
use crate::backup::Progress;
use pgtend_model::backup::file_list::EXTENT;
use pgtend_model::backup::{FileEntry, FileType, Selection};
use pgtend_model::error::{Error, Kind, Result};
use pgtend_model::pgdata::wal::is_wal_name;
use pgtend_postgres::process::os_user::OsUser;
use pgtend_store::repo::read::{Extents, Place as InPack, Reader};
use std::collections::{HashSet, VecDeque};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::num::NonZeroU64;
use std::ops::Range;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// What one thread reads at once, in the repository's bytes.
const TURN_STORED_BYTES: u64 = 4 << 20;
/// What one thread writes before it takes the next turn, unless it is the same content again and again.
const TURN_BYTES: u64 = 32 << 20;
/// Less than this is written out with all else at the end.
const WRITE_OUT_BYTES: u64 = 1 << 20;

/// An extent that is to be written, and where.
struct Piece {
    id: [u8; 32],
    /// Where most of it is read from.
    at: InPack,
    file: usize,
    offset: u64,
    bytes: u32,
}

/// Without it no server starts.
const CONTROL: &str = "global/pg_control";

/// Writes all files of a backup.
#[derive(Debug)]
pub struct Files<'a> {
    /// Its files.
    pub files: &'a [FileEntry],
    /// Whose contents are written; the others stay empty, and as long as they were.
    pub selection: &'a Selection,
    /// Where they go.
    pub place: &'a Place,
    /// Who owns them.
    pub user: &'a OsUser,
    /// Whether they are to be durable soon: then writing them out begins at once.
    pub lasts: bool,
}

impl Files<'_> {
    /// Writes on this many threads. The directory is no cluster until what this gives is told that all else is there, and durable.
    ///
    /// # Errors
    /// The first failure; `Conflict` when an extent is missing or damaged.
    pub fn write(&self, extents: &Extents, workers: usize, progress: &Progress, system_identifier: &str) -> Result<Unfinished> {
        make(&self.place.data, 0o700)?;
        let mark = self.place.data.join(UNFINISHED);
        fs::write(&mark, unfinished_text(system_identifier)).map_err(|error| unwritable(&mark, &error))?;
        // PostgreSQL must not start on half a cluster: its control file goes first and gets its name back last.
        let control = self.place.path(CONTROL);
        if control.exists() {
            fs::remove_file(&control).map_err(|error| unwritable(&control, &error))?;
        }
        if self.place.delta {
            self.remove_others()?;
        }
        self.directories()?;
        progress.expect(self.files.iter().filter(|file| self.selection.takes(&file.path)).map(|file| file.bytes).sum());
        self.empty_files()?;
        let pieces = self.pieces(extents)?;
        let turns = Mutex::new(VecDeque::from(turns(&pieces)));
        let failed: Mutex<Option<Error>> = Mutex::new(None);
        std::thread::scope(|scope| {
            for number in 0..workers.max(1) {
                let (turns, failed, pieces) = (&turns, &failed, &pieces);
                scope.spawn(move || {
                    let mut worker =
                        Worker { files: self, reader: extents.reader(), open: None, written: None, content: Vec::new(), progress };
                    while let Some(range) = next(turns, number) {
                        if failed.lock().unwrap_or_else(PoisonError::into_inner).is_some() {
                            return;
                        }
                        if let Err(error) = worker.turn(&pieces[range]) {
                            failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                        }
                    }
                });
            }
        });
        if let Some(error) = failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
            return Err(error);
        }
        Ok(Unfinished { mark, written: self.path(CONTROL), control })
    }

    fn directories(&self) -> Result<()> {
        make(&self.place.data, 0o700)?;
        self.user.own(&self.place.data)?;
        for path in self.place.tablespaces.values() {
            make(path, 0o700)?;
            self.user.own(path)?;
        }
        for entry in self.files {
            let path = self.place.path(&entry.path);
            match entry.file_type {
                FileType::Directory => make(&path, entry.mode)?,
                FileType::Link => self.link(entry)?,
                FileType::File | FileType::HardLink | FileType::Pipe => continue,
            }
            if entry.file_type == FileType::Directory {
                self.user.own(&path)?;
            }
        }
        Ok(())
    }

    /// A tablespace's link leads to where the tablespace goes now.
    fn link(&self, entry: &FileEntry) -> Result<()> {
        let path = self.place.data.join(&entry.path);
        let oid = entry.path.strip_prefix("pg_tblspc/").and_then(|oid| oid.parse::<u32>().ok());
        let target = oid.and_then(|oid| self.place.tablespaces.get(&oid).cloned()).unwrap_or_else(|| PathBuf::from(&entry.target));
        let made = match fs::read_link(&path) {
            Ok(there) if there == target => return Ok(()),
            Ok(_) => fs::remove_file(&path).and_then(|()| symlink(&target, &path)),
            Err(_) => symlink(&target, &path),
        };
        made.map_err(|error| unwritable(&path, &error))
    }

    /// Takes away what the backup does not have. WAL stays: what was not archived is nowhere else.
    fn remove_others(&self) -> Result<()> {
        let known: HashSet<PathBuf> = self.files.iter().map(|file| self.place.path(&file.path)).collect();
        let wal = self.place.data.join("pg_wal");
        for root in self.place.tablespaces.values().chain([&self.place.data]) {
            remove_unknown(root, &known, &wal).map_err(|error| unwritable(root, &error))?;
        }
        Ok(())
    }

    fn empty_files(&self) -> Result<()> {
        for entry in self.files.iter().filter(|entry| entry.file_type == FileType::File) {
            let path = self.path(&entry.path);
            if self.place.delta && is_other_type(&path) {
                fs::remove_file(&path).map_err(|error| unwritable(&path, &error))?;
            }
            let file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(false)
                .mode(0o600)
                .open(&path)
                .map_err(|error| unwritable(&path, &error))?;
            // What is left out is empty, whatever was there.
            let emptied = if self.selection.takes(&entry.path) { Ok(()) } else { file.set_len(0) };
            let sized = emptied
                .and_then(|()| file.set_len(entry.bytes))
                .and_then(|()| file.set_permissions(fs::Permissions::from_mode(entry.mode)));
            sized.map_err(|error| unwritable(&path, &error))?;
            self.user.own(&path)?;
        }
        Ok(())
    }

    /// All extents, in the order in which they lie in the repository.
    fn pieces(&self, extents: &Extents) -> Result<Vec<Piece>> {
        let mut pieces = Vec::new();
        for (file, entry) in self.files.iter().enumerate().filter(|(_, entry)| self.selection.takes(&entry.path)) {
            for (offset, bytes, extent) in entry.pieces() {
                let at = extents.bulk(extent.id).ok_or_else(|| {
                    Error::new(Kind::Conflict, format!("an extent of {} is not in the repository", entry.path))
                        .hint("`pgtend repo verify` tells what else is missing; restore from another repository or an older backup")
                })?;
                pieces.push(Piece { id: extent.id, at, file, offset, bytes });
            }
        }
        pieces.sort_by_key(|piece| (piece.at, piece.id, piece.file, piece.offset));
        Ok(pieces)
    }

    /// Where a file is written. The control file has another name until all others are there.
    fn path(&self, relative: &str) -> PathBuf {
        let path = self.place.path(relative);
        if relative == CONTROL { path.with_extension("unfinished") } else { path }
    }
}

/// A directory whose files are written, and which is no cluster yet.
#[derive(Debug)]
#[must_use = "PostgreSQL does not start on it"]
pub struct Unfinished {
    mark: PathBuf,
    written: PathBuf,
    control: PathBuf,
}

impl Unfinished {
    /// Makes it one. Everything else must be there, and durable where it is to last.
    ///
    /// # Errors
    /// What the file system says.
    pub fn finish(self) -> Result<()> {
        if self.written.exists() {
            fs::rename(&self.written, &self.control).map_err(|error| unwritable(&self.control, &error))?;
        }
        fs::remove_file(&self.mark).map_err(|error| unwritable(&self.mark, &error))
    }
}

struct Worker<'a> {
    files: &'a Files<'a>,
    reader: Reader,
    open: Option<(usize, File)>,
    /// What was written of the open file in this turn.
    written: Option<Range<u64>>,
    /// The extent that was read last.
    content: Vec<u8>,
    progress: &'a Progress,
}

impl Worker<'_> {
    /// Writes what lies close together.
    fn turn(&mut self, pieces: &[Piece]) -> Result<()> {
        if !self.files.place.delta {
            self.reader.read_ahead(pieces.iter().map(|piece| piece.id));
        }
        let mut content = std::mem::take(&mut self.content);
        for same in pieces.chunk_by(|a, b| a.id == b.id) {
            self.progress.check()?;
            let mut is_read = false;
            for piece in same {
                if self.files.place.delta && self.is_there(piece)? {
                    self.progress.done(u64::from(piece.bytes));
                    continue;
                }
                if !is_read {
                    self.reader.extent_into(piece.id, &mut content)?;
                    is_read = true;
                }
                self.write(piece, &content)?;
            }
        }
        self.content = content;
        self.write_out();
        Ok(())
    }

    /// Has the kernel begin to write out what was written: otherwise all of it waits for the sync at the end. Linux does that when it is told that pages are
    /// not needed; those that are not clean yet stay where they are.
    fn write_out(&mut self) {
        let (Some((_, file)), Some(range)) = (&self.open, self.written.take()) else { return };
        let bytes = NonZeroU64::new(range.end - range.start).filter(|bytes| self.files.lasts && bytes.get() >= WRITE_OUT_BYTES);
        if bytes.is_some() {
            // Only sooner or later is at stake.
            let _ = rustix::fs::fadvise(file, range.start, bytes, rustix::fs::Advice::DontNeed);
        }
    }

    fn write(&mut self, piece: &Piece, content: &[u8]) -> Result<()> {
        if content.len() != piece.bytes as usize || content.len() > EXTENT as usize * 16 {
            return Err(Error::new(Kind::Conflict, "an extent has another length than the backup's list says")
                .at(self.files.files[piece.file].path.clone()));
        }
        let path = self.files.path(&self.files.files[piece.file].path);
        let file = self.file(piece.file, &path)?;
        file.write_all_at(content, piece.offset).map_err(|error| unwritable(&path, &error))?;
        let range = piece.offset..piece.offset + u64::from(piece.bytes);
        self.written = Some(self.written.take().map_or(range.clone(), |before| before.start.min(range.start)..before.end.max(range.end)));
        self.progress.done(u64::from(piece.bytes));
        self.progress.stored(u64::from(piece.bytes));
        Ok(())
    }

    /// Whether the file has this content already.
    fn is_there(&mut self, piece: &Piece) -> Result<bool> {
        let path = self.files.path(&self.files.files[piece.file].path);
        let file = self.file(piece.file, &path)?;
        let mut content = vec![0; piece.bytes as usize];
        file.read_exact_at(&mut content, piece.offset).map_err(|error| unwritable(&path, &error))?;
        Ok(self.reader.is(&content, piece.id))
    }

    fn file(&mut self, index: usize, path: &Path) -> Result<&File> {
        if self.open.as_ref().is_none_or(|(open, _)| *open != index) {
            self.write_out();
            let file = OpenOptions::new().read(true).write(true).open(path).map_err(|error| unwritable(path, &error))?;
            self.open = Some((index, file));
        }
        self.open.as_ref().map(|(_, file)| file).ok_or_else(|| Error::new(Kind::Internal, "no file is open"))
    }
}

/// The next turn of a thread. Half of them begin at the other end: two that write to one file wait for each other.
fn next(turns: &Mutex<VecDeque<Range<usize>>>, number: usize) -> Option<Range<usize>> {
    let mut turns = turns.lock().unwrap_or_else(PoisonError::into_inner);
    if number.is_multiple_of(2) { turns.pop_front() } else { turns.pop_back() }
}

/// What one thread does at once: pieces of one pack, so many that reading on pays, and so few that all threads have work.
fn turns(pieces: &[Piece]) -> Vec<Range<usize>> {
    let mut turns: Vec<Range<usize>> = Vec::new();
    let (mut stored, mut plain) = (0, 0);
    for (index, piece) in pieces.iter().enumerate() {
        let before = index.checked_sub(1).map(|before| &pieces[before]);
        let again = before.is_some_and(|before| before.id == piece.id);
        let full = stored >= TURN_STORED_BYTES || plain >= TURN_BYTES;
        match turns.last_mut() {
            // Equal pieces stay together: their content is read once.
            Some(turn) if again || (!full && before.is_some_and(|before| before.at.pack == piece.at.pack)) => turn.end = index + 1,
            _ => {
                turns.push(index..index + 1);
                (stored, plain) = (0, 0);
            }
        }
        stored += if again { 0 } else { u64::from(piece.at.stored) };
        plain += u64::from(piece.bytes);
    }
    turns
}

/// Removes files below a directory that are not among the known ones, and directories that are left empty by that.
fn remove_unknown(directory: &Path, known: &HashSet<PathBuf>, wal: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let entry = entry?;
        let path = entry.path();
        if entry.file_type()?.is_dir() {
            remove_unknown(&path, known, wal)?;
            if !known.contains(&path) && path.parent() != Some(wal) {
                // One that is not empty holds something of ours.
                let _ = fs::remove_dir(&path);
            }
        } else if !known.contains(&path) && !is_segment(&path, wal) && path.file_name() != Some(UNFINISHED.as_ref()) {
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}

fn is_segment(path: &Path, wal: &Path) -> bool {
    path.parent() == Some(wal) && path.file_name().and_then(|name| name.to_str()).is_some_and(is_wal_name)
}

fn is_other_type(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|metadata| !metadata.is_file())
}

fn make(path: &Path, mode: u32) -> Result<()> {
    let made = match fs::create_dir_all(path) {
        Ok(()) => fs::set_permissions(path, fs::Permissions::from_mode(mode)),
        Err(error) => Err(error),
    };
    made.map_err(|error| unwritable(path, &error))
}

fn unwritable(path: &Path, error: &io::Error) -> Error {
    let hint = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "make room, and go on with --delta: what was written stays",
        io::ErrorKind::PermissionDenied => "pgtend must run as root or as the user that is to own the directory",
        _ => "",
    };
    Error::new(Kind::System, format!("a restored file cannot be written: {error}")).at(path.display().to_string()).hint(hint)
}
