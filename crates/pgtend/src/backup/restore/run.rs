//! A restore from the plan to the last word about it.

use super::databases::databases;
use super::files::Files;
use super::known::known;
use super::manifest;
use super::place::Place;
use super::recover::{Recover, Recovered, socket_directory};
use super::settings::{Action, Purpose, Recovery};
use crate::backup::{Phase, Progress};
use pgtend_model::backup::restore_plan::{self, Known, Plan, Wanted};
use pgtend_model::backup::{FileEntry, FileType, Selection};
use pgtend_model::error::{Error, Kind, Result};
use pgtend_model::pgdata::exclusion::made_anew;
use pgtend_model::up::Installation;
use pgtend_postgres::process::find::{find, how_to_install};
use pgtend_postgres::process::os_user::OsUser;
use pgtend_store::repo::Repository;
use pgtend_store::repo::wal::WalOwner;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// What is to be restored.
#[derive(Debug, Clone)]
pub struct Restore {
    /// From where.
    pub repository: Repository,
    /// Name of the server in it.
    pub server: String,
    /// Which of the clusters that wrote under that name; the one of the newest backup when none is named.
    pub system_identifier: Option<String>,
    /// To what state.
    pub wanted: Wanted,
    /// Into which directory.
    pub into: PathBuf,
    /// Whether files there that are the same may stay.
    pub delta: bool,
    /// Only these databases; all where there are none.
    pub databases: BTreeSet<String>,
    /// Where tablespaces go, by OID or former path.
    pub tablespace_map: BTreeMap<String, PathBuf>,
    /// Who will own the files.
    pub user: OsUser,
    /// Where PostgreSQL's programs are, where they are not in the usual places.
    pub bindir: Option<PathBuf>,
    /// Threads.
    pub workers: usize,
}

/// What was looked at and decided; nothing is written yet.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// What to do.
    pub plan: Plan,
    /// Whose WAL is replayed.
    pub owner: WalOwner,
    /// Where it goes.
    pub place: Place,
    /// The files of the backup.
    pub files: Vec<FileEntry>,
    /// Which of them are brought back.
    pub selection: Selection,
    /// The programs of the cluster's major, if they are here.
    pub installation: Option<Installation>,
}

/// How WAL is replayed after the files are there.
#[derive(Debug, Clone)]
pub struct Replay {
    /// The command that brings WAL.
    pub restore_command: String,
    /// Whether recovery ends before the target.
    pub exclusive: bool,
    /// What happens at the target.
    pub action: Action,
    /// What becomes of the cluster.
    pub purpose: Purpose,
    /// How a standby reaches its primary.
    pub primary_conninfo: Option<String>,
    /// Whether PostgreSQL is started to replay; otherwise it does so when somebody starts it.
    pub run: bool,
}

impl Restore {
    /// Looks at everything that could stand in the way, and decides.
    ///
    /// # Errors
    /// When the target cannot be reached, the place cannot be used, or (where WAL is to be replayed) the programs are not here.
    pub fn prepare(&self, runs: bool) -> Result<Prepared> {
        // Several clusters may have had the server's name, one after the other: a backup that is named tells which one is meant.
        let named = self.wanted.backup.and_then(|label| self.repository.backup(&self.server, label).ok());
        let identifier = self.system_identifier.clone().or(named.map(|head| head.system_identifier));
        let (owner, known): (WalOwner, Known) = known(&self.repository, &self.server, identifier.as_deref())?;
        let plan = restore_plan::plan(&known, &self.wanted)?;
        let files = self.repository.files(&self.server, plan.backup.label)?;
        let selection = self.selection(&files)?;
        let coming: Vec<&FileEntry> = files.iter().filter(|file| file.file_type == FileType::File && selection.takes(&file.path)).collect();
        let place = Place::check(&self.into, &plan.backup, &coming, self.delta, &self.tablespace_map)?;
        if let Some(blocked) = self.user.blocked_on_the_way_to(&place.data)? {
            return Err(blocked.error(&self.user, &place.data));
        }
        let major = u16::try_from(plan.backup.postgresql_version / 10_000).unwrap_or(0);
        let installation = self.installation(major);
        if runs && installation.is_none() {
            return Err(Error::new(Kind::NotFound, format!("PostgreSQL {major} is not installed here, and the backup is of that version"))
                .hint(format!("{}; or restore the files only: --no-recovery", how_to_install(Some(major)))));
        }
        Ok(Prepared { plan, owner, place, files, selection, installation })
    }

    fn selection(&self, files: &[FileEntry]) -> Result<Selection> {
        if self.databases.is_empty() {
            return Ok(Selection::everything());
        }
        Ok(Selection::of(&self.databases, &databases(&self.repository, files)?))
    }

    fn installation(&self, major: u16) -> Option<Installation> {
        find(self.bindir.as_deref(), &self.user).ok()?.usable.into_iter().find(|installation| installation.major == major)
    }

    /// Does it.
    ///
    /// # Errors
    /// What stands in the way. What was written stays, and `--delta` goes on from there.
    pub fn carry_out(&self, prepared: &Prepared, replay: &Replay, progress: &Progress) -> Result<Option<Recovered>> {
        self.lay_out(prepared, replay, progress)?;
        let (Some(installation), true) = (&prepared.installation, replay.run) else { return Ok(None) };
        let data = &prepared.place.data;
        let socket = socket_directory(&self.user)?;
        let recover = Recover {
            installation,
            user: &self.user,
            data,
            socket_directory: socket.path(),
            archives: replay.purpose == Purpose::Primary,
            selection: &prepared.selection,
        };
        let recovered = recover.run(progress)?;
        // It tells what the files were before WAL was replayed.
        let manifest = data.join(manifest::NAME);
        if manifest.exists() {
            fs::remove_file(&manifest).map_err(|error| failed(&manifest, &error))?;
        }
        Ok(Some(recovered))
    }

    /// Writes the files, and what tells PostgreSQL to replay.
    ///
    /// # Errors
    /// As [`Restore::carry_out`].
    pub fn lay_out(&self, prepared: &Prepared, replay: &Replay, progress: &Progress) -> Result<()> {
        progress.enter(Phase::Restoring);
        let extents = self.repository.extents()?;
        let data = &prepared.place.data;
        let lasts = replay.purpose != Purpose::Scratch;
        let files = Files { files: &prepared.files, selection: &prepared.selection, place: &prepared.place, user: &self.user, lasts };
        let unfinished = files.write(&extents, self.workers, progress, &prepared.owner.system_identifier)?;
        self.anew(prepared)?;
        if lasts && prepared.selection.is_everything() {
            self.write(&data.join(manifest::NAME), &manifest::text(&prepared.plan.backup, &prepared.files))?;
        }
        let recovery = Recovery {
            plan: &prepared.plan,
            target: &self.wanted.target,
            exclusive: replay.exclusive,
            action: replay.action,
            purpose: replay.purpose,
            restore_command: &replay.restore_command,
            primary_conninfo: replay.primary_conninfo.as_deref(),
        };
        recovery.write(data)?;
        for name in ["postgresql.auto.conf", "recovery.signal", "standby.signal"] {
            let path = data.join(name);
            if path.exists() {
                self.user.own(&path)?;
            }
        }
        if !lasts {
            return unfinished.finish();
        }
        // A cluster must not be whole by name before it is by content, whenever the power fails.
        prepared.place.tablespaces.values().chain([data]).try_for_each(|path| sync(path))?;
        unfinished.finish()?;
        sync(data)
    }

    /// Directories that PostgreSQL does not make itself.
    fn anew(&self, prepared: &Prepared) -> Result<()> {
        for name in made_anew(prepared.plan.backup.postgresql_version / 10_000) {
            let path = prepared.place.data.join(name);
            let made = fs::create_dir_all(&path).and_then(|()| fs::set_permissions(&path, fs::Permissions::from_mode(0o700)));
            made.map_err(|error| failed(&path, &error))?;
            self.user.own(&path)?;
        }
        Ok(())
    }

    fn write(&self, path: &Path, text: &str) -> Result<()> {
        let written = fs::write(path, text).and_then(|()| fs::set_permissions(path, fs::Permissions::from_mode(0o600)));
        written.map_err(|error| failed(path, &error))?;
        self.user.own(path)
    }
}

/// One sync for a file system instead of one a file.
fn sync(directory: &Path) -> Result<()> {
    let synced = fs::File::open(directory).and_then(|opened| rustix::fs::syncfs(&opened).map_err(std::io::Error::from));
    synced.map_err(|error| {
        Error::new(Kind::System, format!("what was restored could not be made durable: {error}")).at(directory.display().to_string())
    })
}

fn failed(path: &Path, error: &std::io::Error) -> Error {
    Error::new(Kind::System, format!("the restored cluster cannot be made ready: {error}")).at(path.display().to_string())
}
