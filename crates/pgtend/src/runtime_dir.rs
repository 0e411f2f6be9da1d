//! Where agents' sockets are: the one rule, for those who make the directory and for those who look into it.
//!
//! `PGTEND_RUNTIME_DIR` where it is set; otherwise `/run/pgtend` for root, `$XDG_RUNTIME_DIR/pgtend` for others, and
//! `/tmp/pgtend-UID` where there is no such variable.

use pgtend_model::error::{Error, Kind, Result};
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

/// Where an agent that runs as a system service puts its socket.
const SYSTEM: &str = "/run/pgtend";

/// What the rule depends on.
#[derive(Debug, Clone)]
pub struct RuntimeDir {
    /// `PGTEND_RUNTIME_DIR`.
    pub named: Option<OsString>,
    /// `XDG_RUNTIME_DIR`.
    pub xdg: Option<OsString>,
    /// The user.
    pub uid: u32,
}

/// What was found where a socket may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// An agent answers.
    Agent(PathBuf),
    /// An agent is there, but this user may not talk to it.
    Forbidden(PathBuf),
    /// The file of an agent that is gone.
    Stale(PathBuf),
}

impl RuntimeDir {
    /// For this process.
    pub fn from_process() -> Self {
        let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        Self { named: set("PGTEND_RUNTIME_DIR"), xdg: set("XDG_RUNTIME_DIR"), uid: rustix::process::geteuid().as_raw() }
    }

    /// The directory in which an agent of this user has its socket.
    pub fn path(&self) -> PathBuf {
        match (&self.named, &self.xdg) {
            (Some(named), _) => named.into(),
            (None, _) if self.uid == 0 => SYSTEM.into(),
            (None, Some(xdg)) => Path::new(xdg).join("pgtend"),
            (None, None) => format!("/tmp/pgtend-{}", self.uid).into(),
        }
    }

    /// The same, made if it is not there. Others may look for sockets in root's; a socket's own mode says who may talk.
    ///
    /// # Errors
    /// `System` when it cannot be made; `Privilege` when it belongs to somebody else or others may write into it.
    pub fn create(&self) -> Result<PathBuf> {
        let path = self.path();
        let mode = if path == Path::new(SYSTEM) { 0o755 } else { 0o700 };
        fs::DirBuilder::new().recursive(true).mode(mode).create(&path).map_err(|error| {
            Error::new(Kind::System, format!("the directory for the agent's socket cannot be made: {error}"))
                .at(path.display().to_string())
                .hint("set PGTEND_RUNTIME_DIR to a directory that you may write")
        })?;
        self.trusted(&path)?;
        Ok(path)
    }

    /// The sockets there are, by name. Of other users' directories only the system's is looked at.
    pub fn sockets(&self) -> Vec<Found> {
        let mut directories = vec![self.path()];
        if self.named.is_none() && self.uid != 0 {
            directories.push(SYSTEM.into());
        }
        directories
            .iter()
            .filter(|path| *path == Path::new(SYSTEM) || self.trusted(path).is_ok())
            .flat_map(|path| sockets_in(path))
            .collect()
    }

    /// A directory in /tmp can be anybody's: who writes into it could pass for the agent.
    fn trusted(&self, path: &Path) -> Result<()> {
        let wrong = |what: &str| {
            Err(Error::new(Kind::Privilege, format!("the directory for the agent's socket {what}"))
                .at(path.display().to_string())
                .hint("remove it, or set PGTEND_RUNTIME_DIR to a directory of your own"))
        };
        match fs::symlink_metadata(path) {
            Ok(found) if !found.is_dir() => wrong("is no directory"),
            Ok(found) if found.uid() != self.uid && found.uid() != 0 => wrong("belongs to another user"),
            Ok(found) if found.mode() & 0o022 != 0 => wrong("can be written by others"),
            Ok(_) => Ok(()),
            Err(error) => wrong(&format!("cannot be looked at: {error}")),
        }
    }
}

fn sockets_in(directory: &Path) -> Vec<Found> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> =
        entries.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|ext| ext == "sock")).collect();
    paths.sort();
    paths.into_iter().map(look).collect()
}

fn look(path: PathBuf) -> Found {
    match UnixStream::connect(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => Found::Forbidden(path),
        Err(_) => Found::Stale(path),
        Ok(_) => Found::Agent(path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::net::UnixListener;

    fn rule(named: Option<&str>, xdg: Option<&str>, uid: u32) -> PathBuf {
        RuntimeDir { named: named.map(Into::into), xdg: xdg.map(Into::into), uid }.path()
    }

    #[test]
    fn the_rule() {
        assert_eq!(rule(Some("/x"), Some("/run/user/0"), 0), Path::new("/x"));
        assert_eq!(rule(None, Some("/run/user/0"), 0), Path::new("/run/pgtend"));
        assert_eq!(rule(None, Some("/run/user/7"), 7), Path::new("/run/user/7/pgtend"));
        assert_eq!(rule(None, None, 7), Path::new("/tmp/pgtend-7"));
    }

    #[test]
    fn sockets_of_agents_and_of_agents_that_are_gone() {
        let outer = tempfile::tempdir().unwrap();
        let named = outer.path().join("made");
        let place = RuntimeDir { named: Some(named.clone().into()), xdg: None, uid: rustix::process::geteuid().as_raw() };
        assert_eq!(place.sockets(), []);
        assert_eq!(place.create().unwrap(), named);
        drop(UnixListener::bind(named.join("a.sock")).unwrap());
        let _listens = UnixListener::bind(named.join("b.sock")).unwrap();
        fs::write(named.join("other"), "").unwrap();
        assert_eq!(place.sockets(), [Found::Stale(named.join("a.sock")), Found::Agent(named.join("b.sock"))]);
    }

    #[test]
    fn a_directory_that_others_may_write_is_not_trusted() {
        let directory = tempfile::tempdir().unwrap();
        let _listens = UnixListener::bind(directory.path().join("a.sock")).unwrap();
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o777)).unwrap();
        let place = RuntimeDir { named: Some(directory.path().into()), xdg: None, uid: rustix::process::geteuid().as_raw() };
        assert_eq!(place.create().unwrap_err().kind, Kind::Privilege);
        assert_eq!(place.sockets(), []);
    }
}
