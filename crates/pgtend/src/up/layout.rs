//! What lies where in a directory of `pgtend up`.

use pgtend_model::error::{Error, Kind, Result};
use pgtend_model::up;
use std::env;
use std::path::{Path, PathBuf};

/// Where root's is when no directory is named.
const SYSTEM: &str = "/var/lib/pgtend-up";

/// The places in one directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    root: PathBuf,
}

impl Layout {
    /// Of this directory, made absolute.
    ///
    /// # Errors
    /// `System` when the current directory is gone.
    pub fn of(directory: &Path) -> Result<Self> {
        let root = std::path::absolute(directory).map_err(|error| {
            Error::new(Kind::System, format!("the directory cannot be made absolute: {error}")).at(directory.display().to_string())
        })?;
        Ok(Self { root })
    }

    /// The directory itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// PostgreSQL's data directory.
    pub fn data(&self) -> PathBuf {
        up::data_directory(&self.root)
    }

    /// PostgreSQL's log.
    pub fn log(&self) -> PathBuf {
        self.root.join("log")
    }

    /// The passwords.
    pub fn pgpass(&self) -> PathBuf {
        self.root.join("pgpass")
    }

    /// What the agent remembers.
    pub fn state(&self) -> PathBuf {
        self.root.join("state")
    }

    /// Where backups and WAL are kept.
    pub fn repository(&self) -> PathBuf {
        self.root.join("repository")
    }

    /// Where copies are restored to for a while.
    pub fn scratch(&self) -> PathBuf {
        self.root.join("scratch")
    }

    /// What opens them.
    pub fn repository_key(&self) -> PathBuf {
        self.root.join("repository.key")
    }

    /// Where PostgreSQL hands over its WAL. It stays where it is, whoever runs pgtend next time: `archive_command` names it.
    pub fn wal_socket(&self) -> PathBuf {
        self.root.join("wal.socket")
    }

    /// The program for `archive_command`, where PostgreSQL's user cannot reach the one that runs.
    pub fn program(&self) -> PathBuf {
        self.root.join("bin/pgtend")
    }

    /// By which pgtend knows that it made the directory.
    pub fn marker(&self) -> PathBuf {
        self.root.join("pgtend.json")
    }

    /// By which one pgtend keeps another out.
    pub fn lock(&self) -> PathBuf {
        self.root.join("pgtend.lock")
    }
}

/// The directory when none is named.
///
/// # Errors
/// `Usage` when this user has no home directory.
pub fn default_directory() -> Result<PathBuf> {
    if rustix::process::geteuid().is_root() {
        return Ok(SYSTEM.into());
    }
    let data_home = env::var_os("XDG_DATA_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let data_home = data_home.or_else(|| env::home_dir().map(|home| home.join(".local/share")));
    data_home
        .map(|home| home.join("pgtend"))
        .ok_or_else(|| Error::new(Kind::Usage, "this user has no home directory").hint("name a directory: pgtend up DIR"))
}
