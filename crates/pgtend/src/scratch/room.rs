//! A directory for a scratch server, that is gone when it is no longer needed: removed by whoever made it, or, where that was killed, by the next who
//! makes one beside it.
//!
//! `pgtend-scratch.json` in it says whose it is, and is locked for as long as its maker lives: the kernel lets go of the lock however that ends.

use pgtend_model::error::{Error, Kind, Result};
use pgtend_postgres::process::os_user::OsUser;
use pgtend_postgres::process::running::{State, StopMode, end_orphans, status};
use rustix::fs::{FlockOperation, flock};
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How the names of these directories begin.
const PREFIX: &str = "pgtend-scratch-";
/// What says whose it is.
const MARKER: &str = "pgtend-scratch.json";
/// Where the directories for sockets are: their paths must be short.
const RUN: &str = "/tmp";
/// How their names begin.
const RUN_PREFIX: &str = "pgtend-run-";
/// How long a server that was left behind may take to end.
const STOP_PATIENCE: Duration = Duration::from_secs(20);
/// How old a directory without a marker must be before it is taken for one that was left behind.
const MAKING: Duration = Duration::from_secs(600);

/// What the marker says.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
struct Marker {
    pid: u32,
    purpose: String,
    made: jiff::Timestamp,
    run_directory: PathBuf,
}

/// Such a directory. Dropping it removes it.
#[derive(Debug)]
pub struct Room {
    path: PathBuf,
    run: PathBuf,
    _lock: File,
}

/// A path for one that is not there yet.
///
/// # Errors
/// `System` when there is no randomness.
pub fn new_path(base: &Path) -> Result<PathBuf> {
    Ok(base.join(format!("{PREFIX}{}", random()?)))
}

impl Room {
    /// Makes it, and the directory it is in.
    ///
    /// # Errors
    /// `System` when it cannot be made.
    pub fn make(path: &Path, purpose: &str, user: &OsUser) -> Result<Self> {
        let failed = |error: io::Error| cannot(path, &error);
        if let Some(base) = path.parent() {
            fs::DirBuilder::new().recursive(true).mode(0o711).create(base).map_err(failed)?;
        }
        if let Some(blocked) = user.blocked_on_the_way_to(path)? {
            return Err(blocked.error(user, path));
        }
        let run = PathBuf::from(RUN).join(format!("{RUN_PREFIX}{}", random()?));
        let marker =
            Marker { pid: std::process::id(), purpose: purpose.to_owned(), made: jiff::Timestamp::now(), run_directory: run.clone() };
        fs::DirBuilder::new().mode(0o711).create(path).map_err(failed)?;
        // Locked before it has the name that it is looked for by.
        let (new, marked) = (path.join("new"), path.join(MARKER));
        let lock = File::create_new(&new).map_err(failed)?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive).map_err(|errno| failed(errno.into()))?;
        let text = serde_json::to_string_pretty(&marker).unwrap_or_default();
        (&lock).write_all(text.as_bytes()).and_then(|()| fs::rename(&new, &marked)).map_err(failed)?;
        let room = Self { path: path.to_owned(), run, _lock: lock };
        let sockets = room.sockets();
        let made = fs::DirBuilder::new().mode(0o711).create(&room.run).and_then(|()| fs::DirBuilder::new().mode(0o700).create(&sockets));
        made.map_err(|error| cannot(&sockets, &error))?;
        user.own(&sockets)?;
        Ok(room)
    }

    /// Where the data directory is.
    pub fn data(path: &Path) -> PathBuf {
        path.join("data")
    }

    /// A directory with a short path, that everybody can enter.
    pub fn run_directory(&self) -> &Path {
        &self.run
    }

    /// A directory in it that is the user's alone.
    pub fn sockets(&self) -> PathBuf {
        self.run.join("pg")
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        for path in [&self.run, &self.path] {
            if let Err(error) = fs::remove_dir_all(path)
                && error.kind() != io::ErrorKind::NotFound
            {
                tracing::warn!(path = %path.display(), %error, "a scratch directory could not be removed: the next run tries again");
            }
        }
    }
}

/// Removes what killed processes left behind in this directory, with the servers that run there. Gives their paths.
pub fn sweep(base: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(base).into_iter().flatten().flatten();
    let ours = entries
        .map(|entry| entry.path())
        .filter(|path| path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(PREFIX.as_bytes())));
    ours.filter(|path| is_own_directory(path)).filter(|path| remove_left_behind(path)).collect()
}

/// Whether it was left behind and is gone now.
fn remove_left_behind(path: &Path) -> bool {
    let Ok(file) = File::open(path.join(MARKER)) else { return remove_unmarked(path) };
    if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
        return false;
    }
    let Ok(marker) = serde_json::from_reader::<_, Marker>(&file) else { return false };
    if let Err(why) = stop(&Room::data(path)) {
        tracing::warn!(path = %path.display(), why, "a scratch server was left behind and cannot be stopped");
        return false;
    }
    let run = &marker.run_directory;
    let is_run = run.parent() == Some(Path::new(RUN))
        && run.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(RUN_PREFIX.as_bytes()));
    if is_run && is_own_directory(run) {
        let _ = fs::remove_dir_all(run);
    }
    let removed = fs::remove_dir_all(path);
    match &removed {
        Ok(()) => {
            tracing::info!(path = %path.display(), purpose = marker.purpose, "a scratch directory that was left behind is removed");
        }
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "a scratch directory that was left behind cannot be removed");
        }
    }
    removed.is_ok()
}

/// One whose maker ended before it said whose it is.
fn remove_unmarked(path: &Path) -> bool {
    let old = fs::metadata(path).and_then(|found| found.modified()).is_ok_and(|made| made.elapsed().is_ok_and(|age| age > MAKING));
    let _ = old.then(|| fs::remove_file(path.join("new")));
    old && fs::remove_dir(path).is_ok()
}

/// Ends the server of a directory whose maker is gone.
fn stop(data: &Path) -> Result<(), &'static str> {
    if !data.exists() {
        return Ok(());
    }
    match status(data) {
        Ok(State::Running(postmaster)) => {
            let asked = postmaster.ask_to_stop(StopMode::Immediate);
            if asked.is_err() || !postmaster.wait_for_end(STOP_PATIENCE) {
                return Err("its server does not end");
            }
        }
        Ok(State::SingleUser { .. }) => return Err("somebody works in it in single-user mode"),
        Ok(State::Down | State::Stale { .. }) => end_orphans(data),
        Err(_) => return Err("it cannot be told whether a server runs in it"),
    }
    Ok(())
}

fn is_own_directory(path: &Path) -> bool {
    fs::symlink_metadata(path)
        .is_ok_and(|found| found.is_dir() && found.uid() == rustix::process::geteuid().as_raw() && found.permissions().mode() & 0o022 == 0)
}

fn random() -> Result<String> {
    let mut bytes = [0_u8; 6];
    getrandom::fill(&mut bytes).map_err(|error| Error::new(Kind::System, format!("no random numbers for a name: {error}")))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn cannot(path: &Path, error: &io::Error) -> Error {
    let hint = match error.kind() {
        io::ErrorKind::PermissionDenied => "name a directory that you may write, with --scratch, or run as root",
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "name a directory on another disk, with --scratch",
        _ => "name another directory with --scratch",
    };
    Error::new(Kind::System, format!("the scratch directory cannot be made: {error}")).at(path.display().to_string()).hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base() -> (tempfile::TempDir, OsUser) {
        let base = tempfile::Builder::new().prefix("pgtend-tables-").tempdir_in("/tmp").unwrap();
        fs::set_permissions(base.path(), fs::Permissions::from_mode(0o755)).unwrap();
        (base, OsUser::choose(None).unwrap())
    }

    #[test]
    fn it_is_gone_when_it_is_dropped_and_left_alone_while_its_maker_lives() {
        let (base, user) = base();
        let path = new_path(base.path()).unwrap();
        let room = Room::make(&path, "test", &user).unwrap();
        assert_eq!(sweep(base.path()), Vec::<PathBuf>::new());
        let run = room.run_directory().to_owned();
        assert!(path.exists() && run.exists());
        drop(room);
        assert!(!path.exists() && !run.exists());
    }

    #[test]
    fn what_was_left_behind_is_removed_and_what_is_not_ours_is_not() {
        let (base, user) = base();
        let path = new_path(base.path()).unwrap();
        let room = Room::make(&path, "test", &user).unwrap();
        let run = room.run_directory().to_owned();
        // As after a kill -9: the lock is gone with its file, the directory is not.
        let marker = fs::read(path.join(MARKER)).unwrap();
        drop(room);
        for directory in [&path, &run, &path.join("data")] {
            fs::create_dir(directory).unwrap();
        }
        fs::write(path.join(MARKER), marker).unwrap();
        let strange = base.path().join("pgtend-scratch-mine");
        fs::create_dir(&strange).unwrap();
        fs::write(strange.join("precious"), "x").unwrap();
        std::os::unix::fs::symlink(&strange, base.path().join("pgtend-scratch-link")).unwrap();
        assert_eq!(sweep(base.path()), vec![path.clone()]);
        assert!(!path.exists() && !run.exists() && strange.join("precious").exists());
    }
}
