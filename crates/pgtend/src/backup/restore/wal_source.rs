//! Where a recovery gets its WAL from: a service of this process's own over the repository, for as long as the recovery lasts.

use super::run::Prepared;
use crate::wal::{Options, Place, Places, Served, Service};
use pgtend_model::error::{Error, Kind, Result};
use pgtend_model::pgdata::wal::SegmentSize;
use pgtend_postgres::process::os_user::OsUser;
use pgtend_store::repo::Repository;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// A service that brings WAL to one recovery. Dropping it ends it.
#[derive(Debug)]
pub struct WalSource {
    restore_command: String,
    _service: Service,
}

impl WalSource {
    /// Serves in a directory that the user can enter. `client` is the `pgtend` that PostgreSQL calls, where it is not the program that runs.
    ///
    /// # Errors
    /// `System` when the socket cannot be made.
    pub fn start(directory: &Path, repository: Repository, prepared: &Prepared, user: &OsUser, client: Option<&Path>) -> Result<Self> {
        let socket = directory.join("wal");
        let program = client.map_or_else(|| program(user, Some(directory)), |client| Ok(client.to_owned()))?;
        let bytes = u32::try_from(prepared.plan.backup.wal_segment_bytes).unwrap_or(0);
        let size =
            SegmentSize::new(bytes).ok_or_else(|| Error::new(Kind::Conflict, "the backup names an impossible size of WAL segments"))?;
        let served = Served::recovery(prepared.owner.clone(), size, &prepared.place.data);
        let options = Options { level: 3, workers: 2, prefetch: 8, dropping: None };
        let service = Service::start(&socket, vec![served], Places::new(vec![Place::opened("main", repository)]), options)?;
        Ok(Self { restore_command: restore_command(&program, &socket, &prepared.owner.server), _service: service })
    }

    /// What PostgreSQL calls.
    pub fn restore_command(&self) -> &str {
        &self.restore_command
    }
}

/// The command that gets WAL of a server from the service at a socket.
pub fn restore_command(program: &Path, socket: &Path, server: &str) -> String {
    // PostgreSQL reads % in it.
    let quoted = |text: &str| format!("'{}'", text.replace('\'', r"'\''").replace('%', "%%"));
    let [program, socket] = [program, socket].map(|path| quoted(&path.display().to_string()));
    format!("{program} wal get --socket {socket} --server {} %f %p", quoted(server))
}

/// This program, where the user can run it; otherwise a copy in a directory of ours.
///
/// # Errors
/// `System` when the user cannot reach it, and there is no place for a copy.
pub fn program(user: &OsUser, copies: Option<&Path>) -> Result<PathBuf> {
    let unknown = |error| Error::new(Kind::System, format!("this program's own path is unknown: {error}"));
    let own = std::env::current_exe().map_err(unknown)?;
    match (user.blocked_on_the_way_to(&own)?, copies) {
        (None, _) => Ok(own),
        (Some(blocked), None) => Err(blocked.error(user, &own)),
        (Some(_), Some(directory)) => {
            let copy = directory.join("pgtend");
            let copied = fs::copy(&own, &copy).and_then(|_| fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)));
            copied.map_err(|error| {
                Error::new(Kind::System, format!("a copy of this program cannot be made: {error}")).at(copy.display().to_string())
            })?;
            Ok(copy)
        }
    }
}
