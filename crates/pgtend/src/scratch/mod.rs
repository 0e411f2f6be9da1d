//! A restored copy of a server that is asked something and thrown away: for single tables, single pages, and drills.
//!
//! A backup is restored into a directory of its own, WAL is replayed up to where one wants, and a PostgreSQL runs over it that nobody else can reach. It
//! archives nothing, follows nobody and runs no command of the server it was copied from. When it is dropped, it is stopped and removed; after a kill -9
//! the next one does that.

mod room;
mod superuser;

use crate::backup::restore::private::{Manner, Private, Running};
use crate::backup::restore::recover::Recovered;
use crate::backup::restore::run::{Prepared, Replay, Restore};
use crate::backup::restore::settings::{Action, Purpose};
use crate::backup::restore::wal_source::WalSource;
use crate::backup::{Phase, Progress};
use pgtend_model::backup::restore_plan::{Plan, Wanted};
use pgtend_model::error::{Error, Kind, Result};
use pgtend_model::up::Installation;
use pgtend_postgres::connect::Target;
use pgtend_postgres::process::os_user::OsUser;
use pgtend_store::repo::Repository;
use room::Room;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Where scratch directories are made when nobody says where.
pub const DEFAULT_DIRECTORY: &str = "/var/tmp";

/// What is wanted.
#[derive(Debug, Clone)]
pub struct Request {
    /// From where.
    pub repository: Repository,
    /// Name of the server in it.
    pub server: String,
    /// To what state.
    pub wanted: Wanted,
    /// Whether recovery ends before the target.
    pub exclusive: bool,
    /// Only these databases; all where there are none. The others are there, empty, and cannot be connected to.
    pub databases: BTreeSet<String>,
    /// On which disk: a directory is made in this one.
    pub directory: PathBuf,
    /// Who runs it.
    pub user: OsUser,
    /// Where PostgreSQL's programs are, where they are not in the usual places.
    pub bindir: Option<PathBuf>,
    /// Threads that restore.
    pub workers: usize,
    /// Libraries that the cluster cannot do without, as `shared_preload_libraries` has them; mostly none.
    pub preload: String,
    /// The `pgtend` that PostgreSQL calls for WAL, where it is not the program that runs.
    pub client: Option<PathBuf>,
    /// What it is for, in a word or two: told of one that was left behind.
    pub purpose: &'static str,
}

/// What was looked at and decided; nothing is written yet.
#[derive(Debug, Clone)]
pub struct Planned {
    request: Request,
    restore: Restore,
    prepared: Prepared,
    path: PathBuf,
}

/// A running scratch server. Dropping it stops it and removes all of it.
#[derive(Debug)]
pub struct Scratch {
    // In the order in which they end.
    server: Option<Running>,
    _source: WalSource,
    _room: Room,
    planned: Planned,
    target: Target,
    recovered: Recovered,
    took: Took,
}

/// How long it took to get there, in seconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
pub struct Took {
    /// Files were brought from the repository.
    pub copy_seconds: f64,
    /// WAL was replayed, up to where the server accepts connections.
    pub replay_seconds: f64,
    /// The first query was answered.
    pub first_query_seconds: f64,
}

impl Took {
    /// All together.
    pub fn seconds(&self) -> f64 {
        self.copy_seconds + self.replay_seconds + self.first_query_seconds
    }
}

impl Request {
    /// Looks at everything that could stand in the way, and decides: whether the target can be reached, whether there is room, whether PostgreSQL's
    /// programs are here. What was left behind by a killed process is removed.
    ///
    /// # Errors
    /// What stands in the way, with what to do.
    pub fn prepare(self) -> Result<Planned> {
        room::sweep(&self.directory);
        let path = room::new_path(&self.directory)?;
        let restore = Restore {
            repository: self.repository.clone(),
            server: self.server.clone(),
            system_identifier: None,
            wanted: self.wanted.clone(),
            into: Room::data(&path),
            delta: false,
            databases: self.databases.clone(),
            tablespace_map: BTreeMap::new(),
            user: self.user.clone(),
            bindir: self.bindir.clone(),
            workers: self.workers,
        };
        let prepared = restore.prepare(true)?;
        Ok(Planned { request: self, restore, prepared, path })
    }
}

impl Planned {
    /// What is restored, and why this.
    pub fn plan(&self) -> &Plan {
        &self.prepared.plan
    }

    /// The whole of it.
    pub fn prepared(&self) -> &Prepared {
        &self.prepared
    }

    /// To what state, for people.
    pub fn target(&self) -> String {
        self.request.wanted.target.to_string()
    }

    /// The directory that will be made.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The programs that run it.
    ///
    /// # Errors
    /// `Internal`: they were looked for before.
    pub fn installation(&self) -> Result<&Installation> {
        self.prepared.installation.as_ref().ok_or_else(|| Error::new(Kind::Internal, "no programs were found for the scratch server"))
    }

    /// Bytes that are brought from the repository.
    pub fn bytes(&self) -> u64 {
        let files = self.prepared.files.iter().filter(|file| self.prepared.selection.takes(&file.path));
        files.map(|file| file.bytes).sum()
    }

    /// Restores, replays, and opens it for queries. When this is not waited for any more, it stops and leaves nothing.
    ///
    /// # Errors
    /// What went wrong; nothing is left then.
    pub async fn bring(self, progress: &Progress) -> Result<Scratch> {
        let ends = EndsWithUs(progress.clone());
        let progress = progress.clone();
        let opened = tokio::task::spawn_blocking(move || self.bring_up(&progress)).await;
        let mut opened =
            opened.unwrap_or_else(|error| Err(Error::new(Kind::Internal, format!("a thread of the restore ended: {error}"))))?;
        let began = Instant::now();
        let target = Box::pin(superuser::find(&mut opened)).await?;
        let took = Took { first_query_seconds: began.elapsed().as_secs_f64(), ..opened.took };
        std::mem::forget(ends);
        Ok(Scratch {
            server: opened.server,
            _source: opened.source,
            _room: opened.room,
            planned: opened.planned,
            target,
            recovered: opened.recovered,
            took,
        })
    }

    fn bring_up(self, progress: &Progress) -> Result<Opened> {
        let began = Instant::now();
        let room = Room::make(&self.path, self.request.purpose, &self.request.user)?;
        let (repository, client) = (self.request.repository.clone(), self.request.client.as_deref());
        let source = WalSource::start(room.run_directory(), repository, &self.prepared, &self.request.user, client)?;
        let replay = Replay {
            restore_command: source.restore_command().to_owned(),
            exclusive: self.request.exclusive,
            action: Action::Promote,
            purpose: Purpose::Scratch,
            primary_conninfo: None,
            run: true,
        };
        self.restore.lay_out(&self.prepared, &replay, progress)?;
        let copy_seconds = began.elapsed().as_secs_f64();
        let began = Instant::now();
        progress.enter(Phase::Recovering);
        let mut opened = Opened { server: None, source, room, planned: self, recovered: Recovered::default(), took: Took::default() };
        opened.recovered = opened.start(progress)?;
        opened.server.as_ref().map_or(Ok(()), |server| server.lacks_nothing_of(&opened.planned.prepared.selection))?;
        opened.took = Took { copy_seconds, replay_seconds: began.elapsed().as_secs_f64(), first_query_seconds: 0.0 };
        Ok(opened)
    }
}

/// One that runs; how to ask it is not known yet.
#[derive(Debug)]
struct Opened {
    server: Option<Running>,
    source: WalSource,
    room: Room,
    planned: Planned,
    recovered: Recovered,
    took: Took,
}

impl Opened {
    /// Starts PostgreSQL and waits until it accepts connections.
    fn start(&mut self, progress: &Progress) -> Result<Recovered> {
        let sockets = self.room.sockets();
        let server = self.server.insert(self.private(&sockets)?.start()?);
        server.wait(progress)
    }

    fn private<'a>(&'a self, sockets: &'a Path) -> Result<Private<'a>> {
        let prepared = &self.planned.prepared;
        Ok(Private {
            installation: self.planned.installation()?,
            user: &self.planned.request.user,
            data: &prepared.place.data,
            run_directory: sockets,
            manner: Manner::Scratch { preload: &self.planned.request.preload, partial: !prepared.selection.is_everything() },
        })
    }
}

impl Scratch {
    /// How to connect to a database of it, as a superuser.
    pub fn target(&self, database: &str) -> Target {
        self.target.with_database(database)
    }

    /// The directory of its socket; its port is [`crate::backup::restore::private::PORT`].
    pub fn socket_directory(&self) -> PathBuf {
        self._room.sockets()
    }

    /// Its data directory.
    pub fn data(&self) -> &Path {
        &self.planned.prepared.place.data
    }

    /// What was decided.
    pub fn planned(&self) -> &Planned {
        &self.planned
    }

    /// Up to where WAL was replayed.
    pub fn recovered(&self) -> &Recovered {
        &self.recovered
    }

    /// How long that took.
    pub fn took(&self) -> Took {
        self.took
    }

    /// Its process, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.server.as_ref().map(Running::pid)
    }

    /// What it said last, for an error.
    pub fn last_words(&self) -> String {
        self.server.as_ref().map(Running::last_words).unwrap_or_default()
    }

    /// Stops the server cleanly and keeps its files, so that they can be read.
    pub fn stop(&mut self) {
        if let Some(mut server) = self.server.take() {
            server.stop();
        }
    }

    /// Runs a program of PostgreSQL's, of its major, as its user. Start it inside [`OsUser::run`].
    ///
    /// # Errors
    /// As [`Planned::installation`]; `NotFound` when the program is not beside the server's.
    pub fn program(&self, name: &str) -> Result<std::process::Command> {
        let path = self.planned.installation()?.bindir.join(name);
        if !path.exists() {
            return Err(Error::new(Kind::NotFound, format!("{name} is not installed here"))
                .at(path.display().to_string())
                .hint("install PostgreSQL's client programs of the same major"));
        }
        Ok(self.user().command(&path))
    }

    /// Who runs it.
    pub fn user(&self) -> &OsUser {
        &self.planned.request.user
    }
}

/// Stops the work when nobody waits for it any more.
struct EndsWithUs(Progress);

impl Drop for EndsWithUs {
    fn drop(&mut self) {
        self.0.cancel();
    }
}
