//! Replaying WAL in a restored cluster: PostgreSQL is started for itself alone, watched until recovery is over, and stopped.

use super::private::{Manner, Private};
use crate::backup::{Phase, Progress};
use pgtend_model::backup::Selection;
use pgtend_model::error::{Error, Kind, Result};
use pgtend_model::up::Installation;
use pgtend_postgres::process::os_user::OsUser;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// A recovery to be run.
#[derive(Debug)]
pub struct Recover<'a> {
    /// The programs, of the cluster's major.
    pub installation: &'a Installation,
    /// Who owns the cluster.
    pub user: &'a OsUser,
    /// The data directory.
    pub data: &'a Path,
    /// A directory for the socket, which nobody else uses.
    pub socket_directory: &'a Path,
    /// Whether the cluster archives afterwards.
    pub archives: bool,
    /// What was brought back of the backup.
    pub selection: &'a Selection,
}

/// What was recovered, as the server's own log tells it.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
pub struct Recovered {
    /// Up to which position WAL was replayed.
    pub replayed_to: Option<String>,
    /// When the last transaction committed that was replayed.
    pub last_commit: Option<String>,
    /// Why recovery stopped where it did.
    pub stopped: Option<String>,
    /// The timeline that the cluster goes on with.
    pub timeline: Option<u32>,
    /// How long replaying took, in seconds.
    pub seconds: f64,
}

impl Recover<'_> {
    /// Replays until recovery is over, and stops the server.
    ///
    /// # Errors
    /// `Server` with the last lines of the log when it ends before; `Conflict` when pages were missing of what was brought back.
    pub fn run(&self, progress: &Progress) -> Result<Recovered> {
        progress.enter(Phase::Recovering);
        let started = Instant::now();
        let manner = Manner::Lasting { archives: self.archives, partial: !self.selection.is_everything() };
        let private =
            Private { installation: self.installation, user: self.user, data: self.data, run_directory: self.socket_directory, manner };
        let mut running = private.start()?;
        running.wait(progress)?;
        running.lacks_nothing_of(self.selection)?;
        Ok(Recovered { seconds: started.elapsed().as_secs_f64(), ..running.stop() })
    }
}

/// A directory for a socket, short enough for its name, that is the user's.
///
/// # Errors
/// `System` when it cannot be made.
pub fn socket_directory(user: &OsUser) -> Result<tempfile::TempDir> {
    let made = tempfile::Builder::new().prefix("pgtend-").tempdir_in(PathBuf::from("/tmp"));
    let directory =
        made.map_err(|error| Error::new(Kind::System, format!("a directory for the socket cannot be made: {error}")).at("/tmp"))?;
    user.own(directory.path())?;
    Ok(directory)
}
