//! History: what the servers did, on disk, in a few megabytes a day.
//!
//! The one [`Recorder`] appends to a journal an hour and server, synced every few seconds, seals it into Parquet files when the hour is
//! over, and makes one file of a day's hours. [`Remembered`] answers questions about the past from all of them.
//! `layout` says which file is where and when it counts.

mod catalog;
mod changes;
mod copy;
mod frame_table;
mod journal;
mod kept;
mod layout;
mod parquet_file;
mod playback;
mod positioned;
mod probe_table;
mod record;
mod recorder;
mod remembered;
mod retention;
mod sealing;
mod session_blocks;
mod session_reader;
mod session_table;
mod sql;
mod tending;
#[cfg(test)]
mod tests;
mod text_table;

pub use catalog::Origin;
pub use copy::{Copied, Copier, CopyTo};
pub use recorder::Recorder;
pub use remembered::Remembered;
pub use retention::{Policy, Usage};

use catalog::Catalog;
use layout::Layout;
use pgtend_model::error::{Error, Kind, Result};
use std::fs::{File, TryLockError};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use tending::Journals;

/// A history on disk. Clones share it.
#[derive(Debug, Clone)]
pub struct History(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    layout: Layout,
    catalog: Catalog,
    /// Held to read by whoever reads files, and to write by whoever removes some.
    files: RwLock<()>,
    policy: RwLock<Policy>,
    journals: Mutex<Journals>,
}

impl History {
    /// Opens a history, and makes its directory where there is none.
    ///
    /// # Errors
    /// `System` when the directory cannot be made or its catalog not be read.
    pub fn open(directory: &Path, policy: Policy) -> Result<Self> {
        let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory);
        made.map_err(|error| failed(directory, &error))?;
        let layout = Layout::new(directory);
        let catalog = Catalog::open(&layout.catalog())?;
        Ok(Self::of(layout, catalog, policy))
    }

    fn of(layout: Layout, catalog: Catalog, policy: Policy) -> Self {
        Self(Arc::new(Inner { layout, catalog, files: RwLock::default(), policy: RwLock::new(policy), journals: Mutex::default() }))
    }

    /// Opens a history that is there, to read it beside the agent that writes it, or without one. Nothing has to be written for it.
    ///
    /// # Errors
    /// `NotFound` when there is none; `System` when it cannot be read.
    pub fn open_existing(directory: &Path) -> Result<Self> {
        let layout = Layout::new(directory);
        let has_catalog = layout.catalog().try_exists().map_err(|error| failed(directory, &error))?;
        if !has_catalog && !layout.servers().is_ok_and(|servers| !servers.is_empty()) {
            return Err(Error::new(Kind::NotFound, "there is no history")
                .at(directory.display().to_string())
                .hint("it is the directory history below agent.state_directory, with catalog.db in it"));
        }
        let keep = std::time::Duration::MAX;
        let policy = Policy { ash_keep: keep, ash_max_bytes: u64::MAX, awr_keep: keep, awr_max_bytes: u64::MAX, baseline_keep: keep };
        let catalog = Catalog::open_to_read(&layout.catalog())?;
        Ok(Self::of(layout, catalog, policy))
    }

    /// The one that writes it.
    ///
    /// # Errors
    /// `Conflict` when another process writes it; `System` when the directory cannot be read or written.
    pub fn recorder(&self) -> Result<Recorder> {
        let path = self.layout().lock();
        let lock = File::create(&path).map_err(|error| failed(&path, &error))?;
        match lock.try_lock() {
            Ok(()) => Recorder::new(self.clone(), lock),
            Err(TryLockError::WouldBlock) => Err(Error::new(Kind::Conflict, "another agent writes this history")
                .at(self.layout().root().display().to_string())
                .hint("give each agent a state directory of its own: agent.state_directory")),
            Err(TryLockError::Error(error)) => Err(failed(&path, &error)),
        }
    }

    /// What is remembered of a server.
    pub fn server(&self, name: &str) -> Remembered {
        Remembered::new(self.clone(), name)
    }

    /// The servers of which anything is remembered.
    ///
    /// # Errors
    /// `System` when the directory cannot be read.
    pub fn servers(&self) -> Result<Vec<String>> {
        self.layout().servers().map_err(|error| failed(self.layout().root(), &error))
    }

    /// Changes how long and how much is kept.
    pub fn set_policy(&self, policy: Policy) {
        *self.0.policy.write().unwrap_or_else(PoisonError::into_inner) = policy;
    }

    fn policy(&self) -> Policy {
        *self.0.policy.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn journals(&self) -> MutexGuard<'_, Journals> {
        self.0.journals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn layout(&self) -> &Layout {
        &self.0.layout
    }

    fn catalog(&self) -> &Catalog {
        &self.0.catalog
    }

    /// Removes files once nobody reads any.
    fn remove(&self, paths: &[PathBuf]) -> io::Result<()> {
        let _nobody_reads = self.0.files.write().unwrap_or_else(PoisonError::into_inner);
        for path in paths {
            match std::fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => {}
            }
            if let Some(directory) = path.parent() {
                let _not_empty_yet = std::fs::remove_dir(directory);
            }
        }
        Ok(())
    }
}

fn failed(path: &Path, error: &io::Error) -> Error {
    let hint = match error.kind() {
        io::ErrorKind::StorageFull => "free some space there, or let [ash] and [awr] keep less",
        io::ErrorKind::PermissionDenied => "it belongs to the user that runs the agent: read it as that user, or let others read it",
        _ => "check the file system there",
    };
    Error::new(Kind::System, format!("the history cannot be read or written: {error}")).at(path.display().to_string()).hint(hint)
}
