//! Bringing files back: a file tree, or the directory of a logical backup, into a directory.

use crate::backup::{Phase, Progress};
use pgtend_model::backup::tree_path::{decode, stays_below};
use pgtend_model::backup::{FileEntry, FileType};
use pgtend_model::error::{Error, Kind, Result};
use pgtend_model::units::show_bytes;
use pgtend_store::repo::read::{Extents, Place, Reader};
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps};
use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// Room that is left beside what is written.
const RESERVE_BYTES: u64 = 64 << 20;

/// What is written where.
#[derive(Debug, Clone)]
pub struct Restore {
    /// Into this directory.
    pub into: PathBuf,
    /// This file or directory of the backup only, with what is below it.
    pub below: Option<String>,
    /// How much of the front of each path is left out, with its slash.
    pub strip: Option<String>,
    /// Whether files that are there are replaced.
    pub overwrite: bool,
    /// Whether owners are brought back, which takes root.
    pub owners: bool,
    /// Threads.
    pub workers: usize,
}

/// What was looked at; nothing is written yet.
#[derive(Debug)]
pub struct Prepared {
    entries: Vec<Target>,
    /// Bytes of the files.
    pub bytes: u64,
    /// How many files, links and pipes.
    pub files: u64,
    /// What whoever restores should know.
    pub notes: Vec<String>,
}

/// An entry, and its path.
#[derive(Debug)]
struct Target {
    entry: FileEntry,
    path: PathBuf,
}

struct Piece {
    id: [u8; 32],
    at: Place,
    file: usize,
    offset: u64,
    bytes: u32,
}

impl Restore {
    /// Looks at everything that could stand in the way.
    ///
    /// # Errors
    /// `Conflict` when files are there already, or the backup's list leads out of the directory; `NotFound` when the backup has no such path; `System` when there is no room.
    pub fn prepare(&self, files: Vec<FileEntry>) -> Result<Prepared> {
        let all = files.len();
        let entries: Vec<Target> =
            files.into_iter().filter(|entry| self.wants(&entry.path)).map(|entry| self.target(entry)).collect::<Result<_>>()?;
        let content = |target: &&Target| target.entry.file_type != FileType::Directory;
        let (bytes, files) = (entries.iter().map(|target| target.entry.bytes).sum(), entries.iter().filter(content).count() as u64);
        if entries.is_empty() && all > 0 {
            let below = self.below.clone().unwrap_or_default();
            return Err(Error::new(Kind::NotFound, format!("the backup has nothing at \"{below}\""))
                .hint("paths are those of the host, with or without the first slash; without --path all of it is restored"));
        }
        if !self.overwrite && !is_empty(&self.into)? {
            return Err(Error::new(Kind::Conflict, "the directory is not empty")
                .at(self.into.display().to_string())
                .hint("name a new one; --overwrite replaces files of the same names and leaves others alone"));
        }
        self.has_room(bytes)?;
        let mut notes = Vec::new();
        if self.owners && !rustix::process::geteuid().is_root() {
            notes.push("owners are not brought back: that takes root".to_owned());
        }
        Ok(Prepared { entries, bytes, files, notes })
    }

    fn wants(&self, path: &str) -> bool {
        let Some(below) = self.below.as_ref().map(|below| below.trim_matches('/')).filter(|below| !below.is_empty()) else { return true };
        path.strip_prefix(below).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    fn target(&self, entry: FileEntry) -> Result<Target> {
        let relative = self.strip.as_ref().and_then(|strip| entry.path.strip_prefix(strip.as_str())).unwrap_or(&entry.path);
        let path = decode(relative).filter(|path| stays_below(path)).ok_or_else(|| leads_out(&entry.path))?;
        let path = self.into.join(OsStr::from_bytes(&path));
        Ok(Target { entry, path })
    }

    fn has_room(&self, bytes: u64) -> Result<()> {
        let Some(existing) = self.into.ancestors().find(|path| path.exists()) else { return Ok(()) };
        let Ok(stat) = rustix::fs::statvfs(existing) else { return Ok(()) };
        let free = stat.f_bavail * stat.f_frsize;
        if bytes + RESERVE_BYTES <= free {
            return Ok(());
        }
        #[expect(clippy::cast_precision_loss, reason = "figures for people")]
        let what = format!("{} are needed and {} are free", show_bytes(bytes as f64), show_bytes(free as f64));
        Err(Error::new(Kind::System, format!("there is not enough room: {what}")).at(self.into.display().to_string()))
    }

    /// Writes it. What was written stays when it fails.
    ///
    /// # Errors
    /// The first failure; `Conflict` when an extent is missing or damaged.
    pub fn carry_out(&self, prepared: &Prepared, extents: &Extents, progress: &Progress) -> Result<()> {
        progress.enter(Phase::Restoring);
        progress.expect(prepared.bytes);
        fs::create_dir_all(&self.into).map_err(|error| unwritable(&self.into, &error))?;
        let of = |wanted: FileType| prepared.entries.iter().filter(move |target| target.entry.file_type == wanted);
        for target in of(FileType::Directory) {
            self.make_directory(&target.path)?;
        }
        for target in of(FileType::File) {
            self.empty_file(target)?;
        }
        self.contents(&prepared.entries, extents, progress)?;
        for target in of(FileType::File) {
            self.attributes(target)?;
        }
        self.hard_links(prepared)?;
        for target in of(FileType::Pipe) {
            self.clear(&target.path)?;
            rustix::fs::mknodat(CWD, &target.path, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR, 0)
                .map_err(|error| unwritable(&target.path, &error.into()))?;
            self.attributes(target)?;
        }
        // Links come last, so that nothing is ever written through one.
        for target in of(FileType::Link) {
            self.clear(&target.path)?;
            let leads_to = decode(&target.entry.target).ok_or_else(|| leads_out(&target.entry.path))?;
            symlink(OsStr::from_bytes(&leads_to), &target.path).map_err(|error| unwritable(&target.path, &error))?;
            self.attributes(target)?;
        }
        // A directory's own time changes with each file that is made in it: the deepest first.
        let mut directories: Vec<&Target> = of(FileType::Directory).collect();
        directories.sort_by_key(|target| std::cmp::Reverse(target.entry.path.len()));
        for target in directories {
            self.attributes(target)?;
        }
        let synced = File::open(&self.into).and_then(|directory| rustix::fs::syncfs(&directory).map_err(io::Error::from));
        synced.map_err(|error| unwritable(&self.into, &error))
    }

    /// Makes a directory, and the ones above it up to the root of the restore. A link in the way is not followed.
    fn make_directory(&self, path: &Path) -> Result<()> {
        if path == self.into {
            return Ok(());
        }
        match fs::symlink_metadata(path) {
            Ok(metadata) if metadata.is_dir() => Ok(()),
            Ok(_) => Err(Error::new(Kind::Conflict, "something that is no directory is where the backup has one")
                .at(path.display().to_string())
                .hint("restore into another directory, or move it away: links are not followed")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                path.parent().map_or(Ok(()), |parent| self.make_directory(parent))?;
                fs::create_dir(path)
                    .and_then(|()| fs::set_permissions(path, fs::Permissions::from_mode(0o700)))
                    .map_err(|error| unwritable(path, &error))
            }
            Err(error) => Err(unwritable(path, &error)),
        }
    }

    /// Takes away what is where a file goes.
    fn clear(&self, path: &Path) -> Result<()> {
        if let Some(parent) = path.parent() {
            self.make_directory(parent)?;
        }
        match fs::symlink_metadata(path) {
            Ok(_) if !self.overwrite => Err(Error::new(Kind::Conflict, "a file is there already")
                .at(path.display().to_string())
                .hint("--overwrite replaces files of the same names")),
            Ok(metadata) if metadata.is_dir() => Err(Error::new(Kind::Conflict, "a directory is where the backup has a file")
                .at(path.display().to_string())
                .hint("move it away")),
            Ok(_) => fs::remove_file(path).map_err(|error| unwritable(path, &error)),
            Err(_) => Ok(()),
        }
    }

    fn empty_file(&self, target: &Target) -> Result<()> {
        self.clear(&target.path)?;
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&target.path);
        file.and_then(|file| file.set_len(target.entry.bytes)).map_err(|error| unwritable(&target.path, &error))
    }

    fn contents(&self, targets: &[Target], extents: &Extents, progress: &Progress) -> Result<()> {
        let mut pieces = Vec::new();
        for (file, target) in targets.iter().enumerate().filter(|(_, target)| target.entry.file_type == FileType::File) {
            for (offset, bytes, extent) in target.entry.pieces() {
                let at = extents.place(extent.id).ok_or_else(|| {
                    Error::new(Kind::Conflict, format!("an extent of {} is not in the repository", target.entry.path))
                        .hint("`pgtend repo verify` tells what else is missing; restore from another repository or an older backup")
                })?;
                pieces.push(Piece { id: extent.id, at, file, offset, bytes });
            }
        }
        pieces.sort_by_key(|piece| (piece.at, piece.file, piece.offset));
        let packs: Vec<&[Piece]> = pieces.chunk_by(|a, b| a.at.pack == b.at.pack).collect();
        let next = AtomicUsize::new(0);
        let failed: Mutex<Option<Error>> = Mutex::new(None);
        std::thread::scope(|scope| {
            for _ in 0..self.workers.max(1) {
                scope.spawn(|| {
                    let mut worker = Worker { targets, reader: extents.reader(), open: None, progress };
                    while let Some(pack) = packs.get(next.fetch_add(1, Ordering::Relaxed)) {
                        if failed.lock().unwrap_or_else(PoisonError::into_inner).is_some() {
                            return;
                        }
                        if let Err(error) = worker.pack(pack) {
                            failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                        }
                    }
                });
            }
        });
        failed.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
    }

    /// More names of a file.
    fn hard_links(&self, prepared: &Prepared) -> Result<()> {
        let paths: HashMap<&str, &Path> =
            prepared.entries.iter().map(|target| (target.entry.path.as_str(), target.path.as_path())).collect();
        for target in prepared.entries.iter().filter(|target| target.entry.file_type == FileType::HardLink) {
            let Some(first) = paths.get(target.entry.target.as_str()) else {
                return Err(Error::new(
                    Kind::NotFound,
                    format!("{} is a hard link to {}, which is not below --path", target.entry.path, target.entry.target),
                )
                .hint("restore that one too, or all of it"));
            };
            self.clear(&target.path)?;
            fs::hard_link(first, &target.path).map_err(|error| unwritable(&target.path, &error))?;
        }
        Ok(())
    }

    fn attributes(&self, Target { entry, path }: &Target) -> Result<()> {
        let wrong = |error: rustix::io::Errno| unwritable(path, &error.into());
        if self.owners && rustix::process::geteuid().is_root() {
            let (uid, gid) = owner(entry);
            let (uid, gid) = (rustix::fs::Uid::from_raw(uid), rustix::fs::Gid::from_raw(gid));
            rustix::fs::chownat(CWD, path, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW).map_err(wrong)?;
        }
        if entry.file_type != FileType::Link {
            fs::set_permissions(path, fs::Permissions::from_mode(entry.mode)).map_err(|error| unwritable(path, &error))?;
        }
        let time = Timespec { tv_sec: entry.modified_ns.div_euclid(1_000_000_000), tv_nsec: entry.modified_ns.rem_euclid(1_000_000_000) };
        let times = Timestamps { last_access: time, last_modification: time };
        rustix::fs::utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).map_err(wrong)
    }
}

/// By name where this system has it, otherwise by number.
fn owner(entry: &FileEntry) -> (u32, u32) {
    let (user, group) = entry.owner.split_once(':').unwrap_or_default();
    let uid = nix::unistd::User::from_name(user).ok().flatten().map_or(entry.uid, |user| user.uid.as_raw());
    let gid = nix::unistd::Group::from_name(group).ok().flatten().map_or(entry.gid, |group| group.gid.as_raw());
    (uid, gid)
}

struct Worker<'a> {
    targets: &'a [Target],
    reader: Reader,
    open: Option<(usize, File)>,
    progress: &'a Progress,
}

impl Worker<'_> {
    /// Writes what lies in one pack.
    fn pack(&mut self, pieces: &[Piece]) -> Result<()> {
        self.reader.read_ahead(pieces.iter().map(|piece| piece.id));
        for same in pieces.chunk_by(|a, b| a.id == b.id) {
            self.progress.check()?;
            let Some(first) = same.first() else { continue };
            let content = self.reader.extent(first.id)?;
            for piece in same {
                self.write(piece, &content)?;
            }
        }
        Ok(())
    }

    fn write(&mut self, piece: &Piece, content: &[u8]) -> Result<()> {
        let target = &self.targets[piece.file];
        if content.len() != piece.bytes as usize {
            return Err(
                Error::new(Kind::Conflict, "an extent has another length than the backup's list says").at(target.entry.path.clone())
            );
        }
        let is_hole = target.entry.sparse && content.iter().all(|byte| *byte == 0);
        if !is_hole {
            if self.open.as_ref().is_none_or(|(open, _)| *open != piece.file) {
                let file = OpenOptions::new().write(true).open(&target.path).map_err(|error| unwritable(&target.path, &error))?;
                self.open = Some((piece.file, file));
            }
            let (_, file) = self.open.as_ref().ok_or_else(|| Error::new(Kind::Internal, "no file is open"))?;
            file.write_all_at(content, piece.offset).map_err(|error| unwritable(&target.path, &error))?;
        }
        self.progress.done(u64::from(piece.bytes));
        self.progress.stored(u64::from(piece.bytes));
        Ok(())
    }
}

fn is_empty(path: &Path) -> Result<bool> {
    match fs::read_dir(path) {
        Ok(mut entries) => Ok(entries.all(|entry| entry.is_ok_and(|entry| entry.file_name() == "lost+found"))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(Error::new(Kind::System, format!("the directory cannot be looked into: {error}")).at(path.display().to_string())),
    }
}

fn leads_out(path: &str) -> Error {
    Error::new(Kind::Conflict, "a path of the backup leads out of the directory: nothing is restored").at(path)
}

fn unwritable(path: &Path, error: &io::Error) -> Error {
    let hint = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "make room, and run it again with --overwrite",
        io::ErrorKind::PermissionDenied => "run it as root, or as a user who may write there",
        _ => "",
    };
    Error::new(Kind::System, format!("a restored file cannot be written: {error}")).at(path.display().to_string()).hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn restore(into: &Path, below: Option<&str>) -> Restore {
        Restore { into: into.to_owned(), below: below.map(str::to_owned), strip: None, overwrite: false, owners: false, workers: 1 }
    }

    fn files(paths: &[&str]) -> Vec<FileEntry> {
        paths.iter().map(|path| FileEntry { path: (*path).to_owned(), ..FileEntry::default() }).collect()
    }

    #[test]
    fn nothing_leads_out_of_the_directory() {
        let directory = tempfile::tempdir().unwrap();
        for path in ["../etc/passwd", "/etc/passwd", "a/../../b", r"a/\x2e./b", "a//b"] {
            let error = restore(directory.path(), None).prepare(files(&["fine", path])).unwrap_err();
            assert!(error.what.contains("leads out"), "{path}: {error}");
        }
    }

    #[test]
    fn a_part_of_the_tree_is_chosen_by_its_path() {
        let directory = tempfile::tempdir().unwrap();
        let count = |below| {
            restore(directory.path(), Some(below))
                .prepare(files(&["etc/a", "etc/ab/c", "etc/ab/d", "var/x"]))
                .map(|prepared| prepared.files)
        };
        assert_eq!((count("/etc/ab").unwrap(), count("etc/a/").unwrap(), count("/").unwrap()), (2, 1, 4));
        assert_eq!(count("/etc/b").unwrap_err().kind, Kind::NotFound);
    }

    #[test]
    fn what_is_there_is_not_overwritten_without_saying_so() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("mine"), "x").unwrap();
        assert_eq!(restore(directory.path(), None).prepare(files(&["a"])).unwrap_err().kind, Kind::Conflict);
    }
}
