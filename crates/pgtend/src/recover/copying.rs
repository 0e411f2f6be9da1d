//! Copies a data directory that may be damaged: what cannot be read is told and left empty, block by block. Where the file system can, files share
//! their blocks with the original (reflink).

use pgtend_model::error::{Error, Kind, Result};
use pgtend_postgres::process::machine::free_bytes;
use pgtend_postgres::process::os_user::OsUser;
use pgtend_postgres::process::system;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

/// What is read at a time where reading fails.
const BLOCK: u64 = 8192;
/// What must be free besides the copy: WAL is replayed there.
const ROOM_BYTES: u64 = 256 << 20;
/// What does not belong into the copy. With `tablespace_map` PostgreSQL would lead the copy's links back to the original tablespaces.
const LEFT_OUT: &[&str] = &["postmaster.pid", "tablespace_map"];

/// A copy to be made.
pub(super) struct Copying<'a> {
    pub data: &'a Path,
    pub to: &'a Path,
    pub user: &'a OsUser,
}

/// What became of it.
#[derive(Debug, Default)]
pub(super) struct Copied {
    pub bytes: u64,
    pub files: u64,
    pub shared: bool,
    /// Parts that could not be read: path, and how many blocks are empty in the copy.
    pub unreadable: Vec<String>,
}

impl Copying<'_> {
    /// The copy's data directory.
    pub fn copy_data(&self) -> PathBuf {
        self.to.join("data")
    }

    /// Whether there is room; with reflinks little is needed.
    pub fn check_room(&self) -> Result<()> {
        if self.to.exists() {
            return Err(Error::new(Kind::Conflict, "the place for the copy is taken")
                .at(self.to.display().to_string())
                .hint("name another with --copy-to"));
        }
        let parent = self.to.parent().unwrap_or(Path::new("/"));
        if let Some(blocked) = self.user.blocked_on_the_way_to(self.to)? {
            return Err(blocked.error(self.user, self.to));
        }
        let needed = if self.can_share(parent) { ROOM_BYTES } else { size(self.data) + ROOM_BYTES };
        match free_bytes(parent) {
            Some(free) if free < needed => {
                Err(Error::new(Kind::System, format!("there is no room for a copy: {needed} bytes are needed, {free} are free"))
                    .at(parent.display().to_string())
                    .hint("name a place on another disk with --copy-to; nothing is tried without a copy"))
            }
            _ => Ok(()),
        }
    }

    fn can_share(&self, parent: &Path) -> bool {
        let probe = || -> io::Result<()> {
            let source = File::open(self.data.join("PG_VERSION"))?;
            let target = tempfile::tempfile_in(parent)?;
            rustix::fs::ioctl_ficlone(&target, &source).map_err(io::Error::from)
        };
        probe().is_ok()
    }

    /// Makes it.
    pub fn copy(&self) -> Result<Copied> {
        let mut copied = Copied { shared: true, ..Copied::default() };
        self.directory(self.to)?;
        self.directory(&self.copy_data())?;
        self.tree(self.data, &self.copy_data(), &mut copied)?;
        for name in LEFT_OUT {
            let path = self.copy_data().join(name);
            if path.exists() {
                fs::remove_file(&path).map_err(|error| system("could not be left out of the copy", &path, &error))?;
            }
        }
        copied.shared &= copied.files > 0;
        Ok(copied)
    }

    fn directory(&self, path: &Path) -> Result<()> {
        let made = fs::create_dir_all(path).and_then(|()| fs::set_permissions(path, fs::Permissions::from_mode(0o700)));
        made.map_err(|error| system("the copy cannot be written", path, &error))?;
        self.user.own(path)
    }

    fn tree(&self, from: &Path, to: &Path, copied: &mut Copied) -> Result<()> {
        let entries = match fs::read_dir(from) {
            Ok(entries) => entries,
            Err(error) => {
                copied.unreadable.push(format!("{}: {error}", from.display()));
                return Ok(());
            }
        };
        for entry in entries.flatten() {
            let (path, target) = (entry.path(), to.join(entry.file_name()));
            let Ok(kind) = entry.file_type() else { continue };
            if kind.is_symlink() && from.ends_with("pg_tblspc") {
                self.tablespace(&path, &target, copied)?;
            } else if path.is_dir() {
                self.directory(&target)?;
                self.tree(&path, &target, copied)?;
            } else if path.is_file() {
                self.file(&path, &target, copied)?;
            }
        }
        Ok(())
    }

    /// A tablespace gets a place beside the copy, so that replay does not touch the original.
    fn tablespace(&self, link: &Path, target: &Path, copied: &mut Copied) -> Result<()> {
        let Ok(source) = fs::canonicalize(link) else { return Ok(()) };
        let place = self.to.join("tablespaces").join(link.file_name().unwrap_or_default());
        self.directory(&self.to.join("tablespaces"))?;
        self.directory(&place)?;
        self.tree(&source, &place, copied)?;
        symlink(&place, target).map_err(|error| system("the copy cannot be written", target, &error))
    }

    fn file(&self, from: &Path, to: &Path, copied: &mut Copied) -> Result<()> {
        let source = match File::open(from) {
            Ok(source) => source,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => {
                copied.unreadable.push(format!("{}: {error}", from.display()));
                return Ok(());
            }
        };
        let failed =
            |error: &io::Error| system("the copy cannot be written", to, error).hint("name a place on another disk with --copy-to");
        let mode = source.metadata().map_or(0o600, |metadata| metadata.mode() & 0o740 | 0o600);
        let target = OpenOptions::new().write(true).create_new(true).mode(mode).open(to).map_err(|error| failed(&error))?;
        let length = source.metadata().map_or(0, |metadata| metadata.len());
        if rustix::fs::ioctl_ficlone(&target, &source).is_err() {
            copied.shared = false;
            if io::copy(&mut &source, &mut &target).is_err() {
                let empty = by_block(&source, &target, length).map_err(|error| failed(&error))?;
                if empty > 0 {
                    copied.unreadable.push(format!("{}: {empty} blocks of {BLOCK} bytes", from.display()));
                }
            }
        }
        copied.bytes += length;
        copied.files += 1;
        self.user.own(to)
    }
}

/// Copies what can be read; how many blocks could not and are empty.
fn by_block(source: &File, target: &File, length: u64) -> io::Result<u64> {
    target.set_len(length)?;
    let mut empty = 0;
    for at in (0..length).step_by(BLOCK as usize) {
        let mut block = vec![0; usize::try_from(BLOCK.min(length - at)).unwrap_or(0)];
        match source.read_exact_at(&mut block, at) {
            Ok(()) => target.write_all_at(&block, at)?,
            Err(_) => empty += 1,
        }
    }
    Ok(empty)
}

/// Bytes of everything below, tablespaces included.
fn size(directory: &Path) -> u64 {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let each = entries.map(|entry| {
        let path = entry.path();
        match fs::metadata(&path) {
            Ok(metadata) if metadata.is_dir() => size(&path),
            Ok(metadata) => metadata.len(),
            Err(_) => 0,
        }
    });
    each.sum()
}
