//! The staging directory: each file of a dump is stored as soon as pg_dump has closed it, and removed.
//!
//! So there is never more on the disk than the tables that are dumped just now.

use super::program::{PAUSE, Running};
use crate::backup::Progress;
use crate::backup::tree::store::{Storing, Trouble};
use pgtend_model::backup::logical::complaint;
use pgtend_model::backup::{FileEntry, FileType};
use pgtend_model::error::{Error, Kind, Result};
use pgtend_model::units::show_bytes;
use pgtend_store::repo::cutting::Cutter;
use pgtend_store::repo::write::Writing;
use rustix::fs::inotify;
use std::collections::HashSet;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, PoisonError};

/// What must stay free on the staging directory's disk: PostgreSQL's may be the same.
const RESERVE_BYTES: u64 = 256 << 20;

/// A directory that is there until this is dropped.
#[derive(Debug)]
pub struct Staging {
    path: PathBuf,
}

/// What a dump of a database came to.
#[derive(Debug, Default)]
pub struct Stored {
    /// Its files.
    pub files: Vec<FileEntry>,
    /// Bytes of extents that the repository did not have.
    pub new_bytes: u64,
}

/// Where files go, and how.
pub struct Sink<'a> {
    /// The repository.
    pub writing: &'a Writing,
    /// What cuts them.
    pub cutter: &'a Cutter,
    /// Threads.
    pub workers: usize,
    /// How far it is.
    pub progress: &'a Progress,
}

impl Staging {
    /// Makes it, and removes what an earlier backup that was killed left there.
    ///
    /// # Errors
    /// `System` when it cannot be made.
    pub fn make(path: PathBuf) -> Result<Self> {
        let made = remove(&path)
            .and_then(|()| fs::create_dir_all(&path))
            .and_then(|()| fs::set_permissions(&path, fs::Permissions::from_mode(0o700)));
        made.map_err(|error| trouble(&path, &error))?;
        Ok(Self { path })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether this much can be written there.
    ///
    /// # Errors
    /// `System` when not.
    pub fn has_room(&self, bytes: u64, what: &str) -> Result<()> {
        let free = free(&self.path);
        if free >= bytes.saturating_add(RESERVE_BYTES) {
            return Ok(());
        }
        #[expect(clippy::cast_precision_loss, reason = "figures for people")]
        let what =
            format!("{what}: some {} are needed and {} are free", show_bytes((bytes + RESERVE_BYTES) as f64), show_bytes(free as f64));
        Err(Error::new(Kind::System, format!("there is not enough room for {what}"))
            .at(self.path.display().to_string())
            .hint("name a directory on another disk: staging_directory in [backup.logical]"))
    }

    /// Lets a program write into a new directory here, and stores what it has written, under `path` in the backup.
    ///
    /// # Errors
    /// When the program fails, the disk fills up, or the repository does not take it.
    pub fn dump(
        &self,
        mut running: impl FnMut(&Path) -> Result<Running>,
        path: &str,
        database: &str,
        major: u16,
        sink: &Sink<'_>,
    ) -> Result<Stored> {
        let directory = self.path.join("dump");
        remove(&directory).and_then(|()| fs::create_dir(&directory)).map_err(|error| trouble(&directory, &error))?;
        let watch = watch(&directory).map_err(|error| trouble(&directory, &error))?;
        let (send, receive) = channel::<OsString>();
        let receive = Mutex::new(receive);
        let failed: Mutex<Option<Error>> = Mutex::new(None);
        let dumped = std::thread::scope(|scope| {
            let workers: Vec<_> =
                (0..sink.workers.max(1)).map(|_| scope.spawn(|| work(&directory, path, &receive, &failed, sink))).collect();
            let run = running(&directory)
                .and_then(|running| self.follow(running, &watch, &directory, (database, major), &send, &failed, sink.progress));
            drop(send);
            let mut stored = Stored::default();
            for worker in workers {
                let done = worker.join().unwrap_or_default();
                stored.files.extend(done.files);
                stored.new_bytes += done.new_bytes;
            }
            run.map(|()| stored)
        });
        if let Some(error) = failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
            return Err(error);
        }
        let stored = dumped?;
        remove(&directory).map_err(|error| trouble(&directory, &error))?;
        Ok(stored)
    }

    /// Sends each file that is finished, until the program has ended.
    #[expect(clippy::too_many_arguments, reason = "the parts of one loop")]
    fn follow(
        &self,
        mut running: Running,
        watch: &OwnedFd,
        directory: &Path,
        (database, major): (&str, u16),
        send: &Sender<OsString>,
        failed: &Mutex<Option<Error>>,
        progress: &Progress,
    ) -> Result<()> {
        let mut sent: HashSet<OsString> = HashSet::new();
        let mut buffer = [MaybeUninit::uninit(); 64 << 10];
        let mut events = inotify::Reader::new(watch, &mut buffer);
        let status = loop {
            let ended = running.ended()?;
            while let Ok(event) = events.next() {
                let Some(name) = event.file_name() else { continue };
                let name = OsString::from(std::ffi::OsStr::from_bytes(name.to_bytes()));
                if sent.insert(name.clone()) && send.send(name).is_err() {
                    break;
                }
            }
            if let Some(status) = ended {
                break status;
            }
            progress.check()?;
            if failed.lock().unwrap_or_else(PoisonError::into_inner).is_some() {
                return Ok(());
            }
            self.has_room(0, "the dump")?;
            std::thread::sleep(PAUSE);
        };
        if !status.success() {
            return Err(complaint("pg_dump", database, &running.stderr(), major));
        }
        // A queue of events can overflow: what is still there was not sent.
        for entry in fs::read_dir(directory).map_err(|error| trouble(directory, &error))? {
            let name = entry.map_err(|error| trouble(directory, &error))?.file_name();
            if sent.insert(name.clone()) {
                let _ = send.send(name);
            }
        }
        Ok(())
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        if let Err(error) = remove(&self.path) {
            tracing::error!(directory = %self.path.display(), error = %error, "a staging directory with plain data could not be removed");
        }
    }
}

fn work(directory: &Path, path: &str, receive: &Mutex<Receiver<OsString>>, failed: &Mutex<Option<Error>>, sink: &Sink<'_>) -> Stored {
    let mut stored = Stored::default();
    let result = sink.writing.writer().and_then(|writer| {
        let mut storing = Storing::new(writer, sink.cutter, sink.progress);
        loop {
            let next = receive.lock().unwrap_or_else(PoisonError::into_inner).recv();
            let Ok(name) = next else { break };
            if failed.lock().unwrap_or_else(PoisonError::into_inner).is_some() {
                continue;
            }
            store(&directory.join(&name), &format!("{path}/{}", name.to_string_lossy()), &mut storing, &mut stored)?;
            sink.progress.file();
        }
        storing.finish()
    });
    if let Err(error) = result {
        failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        // The others wait for nobody who is gone.
        while receive.lock().unwrap_or_else(PoisonError::into_inner).recv().is_ok() {}
    }
    stored
}

/// Stores a file and removes it.
pub fn store(from: &Path, path: &str, storing: &mut Storing<'_>, stored: &mut Stored) -> Result<()> {
    let file = File::open(from).map_err(|error| trouble(from, &error))?;
    let metadata = file.metadata().map_err(|error| trouble(from, &error))?;
    let done = storing.store(&file, metadata.len()).map_err(|error| match error {
        Trouble::Read(error) => trouble(from, &error),
        Trouble::Repository(error) => error,
    })?;
    fs::remove_file(from).map_err(|error| trouble(from, &error))?;
    stored.new_bytes += done.new_bytes;
    stored.files.push(FileEntry {
        path: path.to_owned(),
        file_type: FileType::File,
        mode: 0o600,
        bytes: done.bytes,
        modified_ns: metadata.mtime().saturating_mul(1_000_000_000).saturating_add(metadata.mtime_nsec()),
        crc32c: done.crc32c,
        extents: done.extents,
        sizes: done.sizes,
        ..FileEntry::default()
    });
    Ok(())
}

fn watch(directory: &Path) -> io::Result<OwnedFd> {
    let watch = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK)?;
    inotify::add_watch(&watch, directory, inotify::WatchFlags::CLOSE_WRITE)?;
    Ok(watch)
}

fn free(path: &Path) -> u64 {
    rustix::fs::statvfs(path).map_or(u64::MAX, |stat| stat.f_bavail * stat.f_frsize)
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn trouble(path: &Path, error: &io::Error) -> Error {
    let hint = match error.kind() {
        io::ErrorKind::PermissionDenied => "staging_directory in [backup.logical] must be writable for the agent's user",
        io::ErrorKind::StorageFull => "staging_directory in [backup.logical] may be on another disk",
        _ => "",
    };
    Error::new(Kind::System, format!("the staging directory cannot be used: {error}")).at(path.display().to_string()).hint(hint)
}
