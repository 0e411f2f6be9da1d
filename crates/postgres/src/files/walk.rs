//! Lists a data directory with its tablespaces: what a copy takes, what it leaves out and why.
//!
//! The rules are [`pgtend_model::pgdata::exclusion`]. A file that vanishes meanwhile is no error: a running server drops tables.

use crate::process::system;
use pgtend_model::error::{Error, Kind, Result};
use pgtend_model::pgdata::exclusion::{self, Found, Reason, Verdict};
use pgtend_model::pgdata::{Fork, RelationFile};
use rustc_hash::FxHashSet;
use std::fs::{self, FileType, Metadata};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

/// What a data directory consists of. Paths are relative to it; those of tablespaces begin with `pg_tblspc/OID`.
#[derive(Debug, Clone, Default)]
pub struct Listing {
    /// The directories to make, parents first, without the data directory itself and without tablespaces that are links.
    pub directories: Vec<Directory>,
    /// The files to copy, folder by folder.
    pub files: Vec<FileEntry>,
    /// The tablespaces besides `pg_default` and `pg_global`.
    pub tablespaces: Vec<Tablespace>,
    /// What a copy leaves out, with its reason; a directory stands for everything in it.
    pub left_out: Vec<(PathBuf, Reason)>,
    /// What could not be looked at, with what the system said. A copy without it is not complete.
    pub unreadable: Vec<(PathBuf, String)>,
}

/// A directory of a copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directory {
    /// Relative to the data directory.
    pub path: PathBuf,
    /// The permission bits.
    pub mode: u32,
}

/// A file of a copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileEntry {
    /// Relative to the data directory.
    pub path: PathBuf,
    /// How long it was when it was listed.
    pub size_bytes: u64,
    /// When it was last written, in nanoseconds since 1970.
    pub modified_ns: i128,
    /// When its inode last changed, in nanoseconds since 1970: unlike the time of writing, nobody can set it.
    pub changed_ns: i128,
    /// Its inode: another one under the same name is another file.
    pub inode: u64,
    /// The permission bits.
    pub mode: u32,
    /// What it is a file of, where it is a relation's.
    pub relation: Option<RelationFile>,
}

/// A tablespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tablespace {
    /// Its OID, the name in `pg_tblspc`.
    pub oid: u32,
    /// Where the link points. `None` for one that lies in `pg_tblspc` itself (15 and later, `allow_in_place_tablespaces`).
    pub location: Option<PathBuf>,
}

/// Lists everything that a copy of this data directory would take. `version_folder` is the folder of this version in tablespaces
/// ([`super::control::ControlFile::version_folder`]); folders that an upgrade left there belong to another cluster and are passed over.
///
/// # Errors
/// `NotFound` and `System` when the directory itself cannot be read. What cannot be read inside of it is in the listing.
pub fn list(data: &Path, version_folder: &str) -> Result<Listing> {
    let mut walk = Walk { data, version_folder, inside: tablespaces_inside(data), listing: Listing::default() };
    walk.folder(Path::new("")).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Error::new(Kind::NotFound, "there is no such directory")
            .at(data.display().to_string())
            .hint("name the data directory, where PG_VERSION is"),
        _ => system("could not read the data directory", data, &error),
    })?;
    Ok(walk.listing)
}

/// The tablespaces that lie inside the data directory, relative to it: they would be met twice.
fn tablespaces_inside(data: &Path) -> Vec<PathBuf> {
    let Ok(home) = fs::canonicalize(data) else { return Vec::new() };
    let links = fs::read_dir(data.join("pg_tblspc")).into_iter().flatten().flatten();
    let targets =
        links.filter(|link| link.file_type().is_ok_and(|kind| kind.is_symlink())).filter_map(|link| fs::canonicalize(link.path()).ok());
    targets.filter_map(|target| target.strip_prefix(&home).ok().map(Path::to_owned)).collect()
}

struct Walk<'a> {
    data: &'a Path,
    version_folder: &'a str,
    inside: Vec<PathBuf>,
    listing: Listing,
}

/// Something in a folder, before it is judged.
struct Entry {
    path: PathBuf,
    found: Found,
}

impl Walk<'_> {
    fn folder(&mut self, folder: &Path) -> io::Result<()> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(self.data.join(folder))? {
            let entry = entry?;
            let path = folder.join(entry.file_name());
            match entry.file_type() {
                Ok(kind) => entries.push(Entry { path, found: found(kind) }),
                Err(error) => self.note(path, &error),
            }
        }
        entries.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        let unlogged = unlogged(&entries);
        for entry in entries {
            // What PostgreSQL names is plain ASCII: another name is nothing that a rule knows.
            let judged = entry.path.to_str().map(|path| exclusion::judge(path, entry.found, |relation| unlogged.contains(&relation)));
            self.carry_out(entry, judged.unwrap_or(Verdict::Keep));
        }
        Ok(())
    }

    fn carry_out(&mut self, entry: Entry, verdict: Verdict) {
        match verdict {
            Verdict::LeaveOut(reason) => self.listing.left_out.push((entry.path, reason)),
            Verdict::Keep if entry.found == Found::Directory && self.inside.contains(&entry.path) => {
                self.listing.left_out.push((entry.path, Reason::TablespaceInside));
            }
            Verdict::Keep if entry.found == Found::Directory => {
                self.directory(&entry.path);
                self.descend(&entry.path);
            }
            Verdict::Keep => self.file(entry.path),
            Verdict::KeepEmpty(reason) => {
                self.directory(&entry.path);
                self.listing.left_out.push((entry.path, reason));
            }
            Verdict::Tablespace => self.tablespace(entry),
        }
    }

    /// A folder below; that it is gone by now is fine.
    fn descend(&mut self, folder: &Path) {
        if let Err(error) = self.folder(folder) {
            self.note(folder.to_owned(), &error);
        }
    }

    fn directory(&mut self, path: &Path) {
        match fs::metadata(self.data.join(path)) {
            Ok(metadata) => self.listing.directories.push(Directory { path: path.to_owned(), mode: metadata.mode() & 0o7777 }),
            Err(error) => self.note(path.to_owned(), &error),
        }
    }

    fn file(&mut self, path: PathBuf) {
        match fs::symlink_metadata(self.data.join(&path)) {
            Ok(metadata) => self.listing.files.push(file_entry(path, &metadata)),
            Err(error) => self.note(path, &error),
        }
    }

    fn tablespace(&mut self, entry: Entry) {
        let Some(oid) = entry.path.file_name().and_then(|name| name.to_str()?.parse().ok()) else { return };
        let location = match entry.found {
            Found::Link => match fs::read_link(self.data.join(&entry.path)) {
                Ok(location) => Some(location),
                Err(error) => return self.note(entry.path, &error),
            },
            _ => {
                self.directory(&entry.path);
                None
            }
        };
        self.listing.tablespaces.push(Tablespace { oid, location });
        let folder = entry.path.join(self.version_folder);
        // A tablespace that was just made has no folder of this version yet.
        if self.data.join(&folder).is_dir() {
            self.directory(&folder);
            self.descend(&folder);
        } else if let Err(error) = fs::metadata(self.data.join(&entry.path)) {
            self.missing(entry.path, &error);
        }
    }

    /// A tablespace whose directory is not there is no file that vanished: its disk is not mounted.
    fn missing(&mut self, path: PathBuf, error: &io::Error) {
        self.listing.unreadable.push((path, format!("the tablespace's directory cannot be reached: {error}")));
    }

    fn note(&mut self, path: PathBuf, error: &io::Error) {
        if error.kind() != io::ErrorKind::NotFound {
            self.listing.unreadable.push((path, error.to_string()));
        }
    }
}

fn file_entry(path: PathBuf, metadata: &Metadata) -> FileEntry {
    let relation = path.to_str().and_then(RelationFile::of_path);
    FileEntry {
        size_bytes: metadata.size(),
        modified_ns: i128::from(metadata.mtime()) * 1_000_000_000 + i128::from(metadata.mtime_nsec()),
        changed_ns: i128::from(metadata.ctime()) * 1_000_000_000 + i128::from(metadata.ctime_nsec()),
        inode: metadata.ino(),
        mode: metadata.mode() & 0o7777,
        relation,
        path,
    }
}

fn found(kind: FileType) -> Found {
    if kind.is_dir() {
        Found::Directory
    } else if kind.is_file() {
        Found::File
    } else if kind.is_symlink() {
        Found::Link
    } else {
        debug_assert!(kind.is_socket() || kind.is_fifo() || kind.is_block_device() || kind.is_char_device(), "all kinds are known");
        Found::Special
    }
}

/// The relations of a folder that have an init fork.
fn unlogged(entries: &[Entry]) -> FxHashSet<u32> {
    let relations = entries.iter().filter_map(|entry| RelationFile::of_path(entry.path.to_str()?));
    let init = relations.filter(|file| file.locator.fork == Fork::Init && file.temporary_of.is_none());
    init.map(|file| file.locator.relfilenode).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    const VERSION: &str = "PG_15_202209061";

    fn put(data: &Path, path: &str) {
        let path = data.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "x").unwrap();
    }

    fn names(listing: &Listing) -> Vec<&str> {
        listing.files.iter().map(|file| file.path.to_str().unwrap()).collect()
    }

    #[test]
    fn everything_is_listed_once_and_what_is_left_out_has_a_reason() {
        let directory = tempfile::tempdir().unwrap();
        let data = directory.path().join("data");
        let elsewhere = directory.path().join("elsewhere");
        for path in
            ["PG_VERSION", "global/pg_control", "base/5/16384", "base/5/16385", "base/5/16385_init", "base/5/t1_16386", "postmaster.pid"]
        {
            put(&data, path);
        }
        for path in ["pg_wal/000000010000000000000001", "pg_wal/archive_status/x.ready", "inside/PG_15_202209061/5/16401", "pg_notify/0000"]
        {
            put(&data, path);
        }
        put(&elsewhere, "PG_15_202209061/5/16400");
        put(&elsewhere, "PG_14_202107181/5/16400");
        fs::create_dir(data.join("pg_tblspc")).unwrap();
        symlink(&elsewhere, data.join("pg_tblspc/16390")).unwrap();
        symlink(data.join("inside"), data.join("pg_tblspc/16391")).unwrap();
        symlink(directory.path().join("unmounted"), data.join("pg_tblspc/16392")).unwrap();
        put(&data, "pg_tblspc/16393/PG_15_202209061/5/16402");

        let listing = list(&data, VERSION).unwrap();
        let wanted = [
            "PG_VERSION",
            "base/5/16384",
            "base/5/16385_init",
            "global/pg_control",
            "pg_tblspc/16390/PG_15_202209061/5/16400",
            "pg_tblspc/16391/PG_15_202209061/5/16401",
            "pg_tblspc/16393/PG_15_202209061/5/16402",
        ];
        assert_eq!(names(&listing), wanted);
        let left: Vec<_> = listing.left_out.iter().map(|(path, reason)| (path.to_str().unwrap(), *reason)).collect();
        let wanted = [
            ("base/5/16385", Reason::UnloggedRelation),
            ("base/5/t1_16386", Reason::TemporaryRelation),
            ("inside", Reason::TablespaceInside),
            ("pg_notify", Reason::EmptiedAtStart),
            ("pg_wal", Reason::Wal),
            ("postmaster.pid", Reason::RunningServer),
        ];
        assert_eq!(left, wanted);
        let tablespaces: Vec<_> = listing.tablespaces.iter().map(|tablespace| (tablespace.oid, tablespace.location.is_some())).collect();
        assert_eq!(tablespaces, [(16390, true), (16391, true), (16392, true), (16393, false)]);
        assert_eq!(listing.unreadable.len(), 1, "{:?}", listing.unreadable);
        let directories: Vec<_> = listing.directories.iter().map(|directory| directory.path.to_str().unwrap()).collect();
        assert!(directories.contains(&"pg_wal") && directories.contains(&"pg_tblspc/16390/PG_15_202209061/5"), "{directories:?}");
        assert!(!directories.contains(&"pg_wal/archive_status") && !directories.contains(&"pg_tblspc/16390"), "{directories:?}");
    }

    #[test]
    fn a_directory_that_is_not_there_is_told() {
        let error = list(Path::new("/nonexistent/pgtend"), VERSION).unwrap_err();
        assert_eq!(error.kind, Kind::NotFound);
    }
}
