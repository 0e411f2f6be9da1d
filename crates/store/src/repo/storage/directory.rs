//! A repository in a directory.
//!
//! An object is written under a temporary name, synced, and linked into its place: `link(2)` refuses a name that is taken, on NFS too.

use super::super::DESCRIPTION;
use super::{Object, Put, Storage};
use jiff::Timestamp;
use pgtend_model::error::{Error, Kind, Result, Retry};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Where objects grow before they are linked into their place.
const UNFINISHED: &str = "tmp";
/// An unfinished object this old belongs to nobody any more.
const ABANDONED_S: i64 = 86_400;

/// A directory.
#[derive(Debug)]
pub struct Directory {
    root: PathBuf,
    next: AtomicU64,
    process: String,
}

impl Directory {
    /// The repository in this directory, which is made if it is not there (mode 0700).
    ///
    /// # Errors
    /// `System` when it cannot be made or written to.
    pub fn make(root: &Path) -> Result<Self> {
        let made = directories(&root.join(UNFINISHED));
        made.map_err(|error| failed("the repository's directory cannot be made", root, &error))?;
        Self::open(root)
    }

    /// The repository in this directory.
    ///
    /// # Errors
    /// `NotFound` when there is no such directory.
    pub fn open(root: &Path) -> Result<Self> {
        match fs::metadata(root) {
            Ok(metadata) if metadata.is_dir() => {}
            Ok(_) => return Err(Error::new(Kind::NotFound, "the repository is no directory").at(root.display().to_string())),
            Err(error) => {
                let hint = "is its file system mounted? where there never was a repository, `pgtend repo init` makes it";
                return Err(failed("the repository's directory cannot be opened", root, &error).hint(hint));
            }
        }
        let mut random = [0_u8; 8];
        getrandom::fill(&mut random)
            .map_err(|error| Error::new(Kind::System, format!("the operating system gives no random numbers: {error}")))?;
        Ok(Self { root: root.to_owned(), next: AtomicU64::new(0), process: format!("{:016x}", u64::from_le_bytes(random)) })
    }

    /// Removes what writers that died left unfinished.
    ///
    /// # Errors
    /// `System` when the directory cannot be read.
    pub fn remove_abandoned(&self, now: Timestamp) -> Result<usize> {
        let unfinished = self.root.join(UNFINISHED);
        let mut removed = 0;
        let entries = match fs::read_dir(&unfinished) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
            Err(error) => return Err(failed("unfinished objects cannot be listed", &unfinished, &error)),
        };
        for entry in entries.flatten() {
            let old = entry.metadata().and_then(|metadata| metadata.modified()).ok().and_then(|time| Timestamp::try_from(time).ok());
            if old.is_some_and(|written| now.duration_since(written).as_secs() > ABANDONED_S) && fs::remove_file(entry.path()).is_ok() {
                removed += 1;
            }
        }
        Ok(removed)
    }

    fn path(&self, key: &str) -> PathBuf {
        self.root.join(key)
    }

    /// Writes the content under a temporary name, durably.
    fn unfinished(&self, content: &[u8]) -> Result<PathBuf> {
        let name = format!("{}-{}", self.process, self.next.fetch_add(1, Ordering::Relaxed));
        let path = self.root.join(UNFINISHED).join(name);
        let write = || -> io::Result<()> {
            let mut file = match create(&path) {
                // Only in a repository: where its file system is not mounted, nothing may be written below.
                Err(error) if error.kind() == io::ErrorKind::NotFound && self.root.join(DESCRIPTION).exists() => {
                    directories(&self.root.join(UNFINISHED))?;
                    create(&path)?
                }
                opened => opened?,
            };
            file.write_all(content)?;
            file.sync_data()
        };
        write().map_err(|error| {
            let _ = fs::remove_file(&path);
            failed("an object cannot be written to the repository", &self.root, &error)
        })?;
        Ok(path)
    }

    /// Brings a finished object into its place with `place`, making the directory it lies in if need be.
    fn put(&self, key: &str, content: &[u8], place: fn(&Path, &Path) -> io::Result<()>) -> Result<Put> {
        let unfinished = self.unfinished(content)?;
        let path = self.path(key);
        let parent = path.parent().unwrap_or(&self.root);
        let placed = match place(&unfinished, &path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => directories(parent).and_then(|()| place(&unfinished, &path)),
            placed => placed,
        };
        let done = match placed {
            Ok(()) => File::open(parent).and_then(|directory| directory.sync_all()).map(|()| Put::Made),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(Put::Exists),
            Err(error) => Err(error),
        };
        let _ = fs::remove_file(&unfinished);
        done.map_err(|error| failed("an object cannot be written to the repository", &path, &error))
    }
}

impl Storage for Directory {
    fn shown(&self) -> String {
        self.root.display().to_string()
    }

    fn get(&self, key: &str) -> Result<Vec<u8>> {
        let path = self.path(key);
        fs::read(&path).map_err(|error| failed("an object of the repository cannot be read", &path, &error))
    }

    fn get_range(&self, key: &str, offset: u64, bytes: usize) -> Result<Vec<u8>> {
        let path = self.path(key);
        let mut content = vec![0; bytes];
        let read = File::open(&path).and_then(|file| file.read_exact_at(&mut content, offset));
        match read {
            Ok(()) => Ok(content),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Err(Error::new(Kind::Conflict, "an object of the repository is cut off")
                    .at(path.display().to_string())
                    .hint("`pgtend repo verify` names the backups that this hurts")
                    .retry(Retry::Never))
            }
            Err(error) => Err(failed("an object of the repository cannot be read", &path, &error)),
        }
    }

    fn put_new(&self, key: &str, content: &[u8]) -> Result<Put> {
        self.put(key, content, |from, to| fs::hard_link(from, to))
    }

    fn replace(&self, key: &str, content: &[u8]) -> Result<()> {
        self.put(key, content, |from, to| fs::rename(from, to)).map(|_| ())
    }

    fn delete(&self, key: &str) -> Result<()> {
        let path = self.path(key);
        match fs::remove_file(&path) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(failed("an object of the repository cannot be removed", &path, &error)),
        }
    }

    fn list(&self, below: &str) -> Result<Vec<Object>> {
        let mut found = Vec::new();
        walk(&self.path(below), below, &mut found).map_err(|error| failed("the repository cannot be listed", &self.path(below), &error))?;
        found.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(found)
    }

    fn free_bytes(&self) -> Option<u64> {
        let free = rustix::fs::statvfs(&self.root).ok()?;
        Some(free.f_bavail * free.f_frsize)
    }
}

fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// Makes directories and their parents durably: a new directory is an entry of the one above it.
fn directories(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    directories(parent)?;
    match fs::DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    File::open(parent)?.sync_all()
}

fn walk(path: &Path, key: &str, found: &mut Vec<Object>) -> io::Result<()> {
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => return Ok(()),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let (Some(name), false) = (name.to_str(), key.is_empty() && entry.file_name() == UNFINISHED) else { continue };
        let below = if key.is_empty() { name.to_owned() } else { format!("{key}/{name}") };
        let metadata = match entry.metadata() {
            Ok(metadata) => metadata,
            // Somebody removed it meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        if metadata.is_dir() {
            walk(&entry.path(), &below, found)?;
        } else if metadata.is_file() {
            let modified = metadata.modified().ok().and_then(|time| Timestamp::try_from(time).ok()).unwrap_or_default();
            found.push(Object { key: below, bytes: metadata.len(), modified });
        }
    }
    Ok(())
}

fn failed(what: &str, path: &Path, error: &io::Error) -> Error {
    let (kind, hint) = match error.kind() {
        io::ErrorKind::NotFound => (Kind::NotFound, ""),
        io::ErrorKind::PermissionDenied => (Kind::System, "the user that pgtend runs as must own the repository"),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            (Kind::System, "make room there: `pgtend backup expire --dry-run` shows what could go, and what was written before stays whole")
        }
        io::ErrorKind::ReadOnlyFilesystem => (Kind::System, "the file system is mounted read-only: see the kernel's log"),
        _ => (Kind::System, ""),
    };
    let passes = matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
    let told = Error::new(kind, format!("{what}: {error}")).at(path.display().to_string()).hint(hint);
    if passes { told.retry(Retry::Later) } else { told }
}

#[cfg(test)]
mod tests {
    use super::super::conformance;
    use super::*;

    #[test]
    fn a_directory_does_what_a_storage_must() {
        let dir = tempfile::TempDir::new().unwrap();
        let directory = Directory::make(dir.path()).unwrap();
        conformance::conforms(&directory).unwrap();
        conformance::one_writer_wins(&directory, 10).unwrap();
    }
}
