//! What is in a file tree now.

use ignore::gitignore::{Gitignore, GitignoreBuilder};
use pgtend_model::backup::tree_path::encode;
use pgtend_model::backup::{FileEntry, FileType};
use pgtend_model::error::{Error, Kind, Result};
use std::collections::HashMap;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use walkdir::{DirEntry, WalkDir};

/// What belongs to a tree.
#[derive(Debug, Clone)]
pub struct Tree {
    /// Directories and files, absolute.
    pub paths: Vec<PathBuf>,
    /// Patterns of files that alone are taken, as .gitignore writes them; all without any.
    pub include: Vec<String>,
    /// Patterns of what is left out.
    pub exclude: Vec<String>,
    /// Whether file systems that are mounted below stay out.
    pub one_file_system: bool,
}

/// What was found.
#[derive(Debug, Default)]
pub struct Listing {
    /// Everything, without extents, sorted by path. Paths as [`encode`] writes them.
    pub entries: Vec<FileEntry>,
    /// What could not be looked at: path and reason.
    pub unreadable: Vec<String>,
    /// Sockets and devices, which cannot be kept.
    pub special: u64,
    names: Names,
    linked: HashMap<(u64, u64), String>,
}

/// Names of users and groups, looked up once.
#[derive(Debug, Default)]
struct Names {
    users: HashMap<u32, String>,
    groups: HashMap<u32, String>,
}

/// Patterns over the whole file system.
fn matcher(patterns: &[String], key: &str) -> Result<Gitignore> {
    let mut builder = GitignoreBuilder::new("/");
    for pattern in patterns {
        builder.add_line(None, pattern).map_err(|error| {
            Error::new(Kind::Config, format!("files.{key} has \"{pattern}\": {error}")).hint("patterns are those of .gitignore")
        })?;
    }
    builder.build().map_err(|error| Error::new(Kind::Config, format!("files.{key}: {error}")))
}

/// Looks at the tree.
///
/// # Errors
/// `NotFound` when one of its paths is not there: a backup without it would look like one. `Config` when a pattern is none.
pub fn list(tree: &Tree) -> Result<Listing> {
    let (include, exclude) = (matcher(&tree.include, "include")?, matcher(&tree.exclude, "exclude")?);
    let mut listing = Listing::default();
    for root in &tree.paths {
        fs::symlink_metadata(root).map_err(|error| {
            Error::new(Kind::NotFound, format!("a path of the file tree cannot be looked at: {error}"))
                .at(root.display().to_string())
                .hint("is it mounted? a backup without it would not be one")
        })?;
        listing.ancestors(root);
        let wanted = |entry: &DirEntry| !exclude.matched(entry.path(), entry.file_type().is_dir()).is_ignore();
        let walk = WalkDir::new(root).same_file_system(tree.one_file_system).sort_by_file_name().into_iter().filter_entry(wanted);
        for entry in walk {
            match entry {
                Ok(entry) => {
                    let is_dir = entry.file_type().is_dir();
                    if is_dir || tree.include.is_empty() || include.matched_path_or_any_parents(entry.path(), false).is_ignore() {
                        listing.add(&entry);
                    }
                }
                Err(error) => {
                    let gone = error.io_error().is_some_and(|error| error.kind() == io::ErrorKind::NotFound);
                    if !gone {
                        let path = error.path().map(|path| path.display().to_string()).unwrap_or_default();
                        let why = error.into_io_error().map_or_else(|| "a loop of links".to_owned(), |error| error.to_string());
                        listing.unreadable.push(format!("{path}: {why}"));
                    }
                }
            }
        }
    }
    listing.entries.sort_by(|a, b| a.path.cmp(&b.path));
    listing.entries.dedup_by(|a, b| a.path == b.path);
    Ok(listing)
}

impl Listing {
    /// The directories above a root, so that they come back as they were.
    fn ancestors(&mut self, root: &Path) {
        for path in root.ancestors().skip(1).filter(|path| path.parent().is_some()) {
            if let Ok(metadata) = fs::metadata(path) {
                let entry = self.entry(path, FileType::Directory, &metadata);
                self.entries.push(entry);
            }
        }
    }

    fn add(&mut self, found: &DirEntry) {
        let path = found.path();
        let metadata = match fs::symlink_metadata(path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return,
            Err(error) => return self.unreadable.push(format!("{}: {error}", path.display())),
        };
        let kind = metadata.file_type();
        let file_type = match () {
            () if kind.is_dir() => FileType::Directory,
            () if kind.is_symlink() => FileType::Link,
            () if kind.is_fifo() => FileType::Pipe,
            () if kind.is_file() => FileType::File,
            () => {
                self.special += 1;
                return;
            }
        };
        let mut entry = self.entry(path, file_type, &metadata);
        if path.parent().is_none() {
            return;
        }
        match file_type {
            FileType::Link => match fs::read_link(path) {
                Ok(target) => entry.target = encode(target.as_os_str().as_bytes()),
                Err(error) => return self.unreadable.push(format!("{}: {error}", path.display())),
            },
            FileType::File => {
                entry.bytes = metadata.len();
                entry.sparse = metadata.blocks() * 512 < metadata.len();
                if metadata.nlink() > 1 {
                    match self.linked.get(&(metadata.dev(), metadata.ino())) {
                        Some(first) => {
                            entry.file_type = FileType::HardLink;
                            entry.target.clone_from(first);
                            entry.bytes = 0;
                        }
                        None => {
                            self.linked.insert((metadata.dev(), metadata.ino()), entry.path.clone());
                        }
                    }
                }
            }
            _ => {}
        }
        self.entries.push(entry);
    }

    fn entry(&mut self, path: &Path, file_type: FileType, metadata: &Metadata) -> FileEntry {
        let relative = path.strip_prefix("/").unwrap_or(path);
        FileEntry {
            path: encode(relative.as_os_str().as_bytes()),
            file_type,
            mode: metadata.mode() & 0o7777,
            modified_ns: nanoseconds(metadata.mtime(), metadata.mtime_nsec()),
            changed_ns: nanoseconds(metadata.ctime(), metadata.ctime_nsec()),
            inode: metadata.ino(),
            uid: metadata.uid(),
            gid: metadata.gid(),
            owner: self.names.of(metadata.uid(), metadata.gid()),
            ..FileEntry::default()
        }
    }
}

/// Time as the list of files has it.
pub const fn nanoseconds(seconds: i64, nanoseconds: i64) -> i64 {
    seconds.saturating_mul(1_000_000_000).saturating_add(nanoseconds)
}

impl Names {
    fn of(&mut self, uid: u32, gid: u32) -> String {
        let user = self.users.entry(uid).or_insert_with(|| {
            nix::unistd::User::from_uid(nix::unistd::Uid::from_raw(uid)).ok().flatten().map(|user| user.name).unwrap_or_default()
        });
        let group = self.groups.entry(gid).or_insert_with(|| {
            nix::unistd::Group::from_gid(nix::unistd::Gid::from_raw(gid)).ok().flatten().map(|group| group.name).unwrap_or_default()
        });
        format!("{user}:{group}")
    }
}
