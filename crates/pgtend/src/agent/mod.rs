//! The agent: watches servers, remembers what it saw, and answers for them.

pub mod archive;
mod archive_watch;
mod backup_watch;
pub mod backups;
mod copying;
mod custom;
pub mod drills;
mod explain;
mod host;
mod memory;
mod order;
mod proof_watch;
mod recording;
pub mod repo_verify;
mod server;
mod server_log;
mod settings;
mod snapshots;
mod statement_texts;
pub mod streaming;
pub mod tasks;
pub mod verifications;
mod visit;
mod watch;

pub use order::{Order, Outcome};
pub use recording::Recording;
pub use server::Server;
pub use settings::Settings;

use crate::wal::Service;
use arc_swap::ArcSwap;
use pgtend_model::backup::wal_stream::Streaming;
use pgtend_model::config::Effective;
use pgtend_model::document::Known;
use pgtend_model::error::{Error, Kind, Result};
use pgtend_postgres::connect::Environment;
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tasks::Tasks;
use tokio_util::sync::CancellationToken;

/// How long WAL that is on its way to a repository is waited for at the end.
const ARCHIVE_PATIENCE: Duration = Duration::from_secs(5);

/// A running agent. Clones share it.
#[derive(Debug, Clone)]
pub struct Agent(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: ArcSwap<Effective>,
    watched: ArcSwap<Vec<Watched>>,
    recording: Recording,
    archive: Option<Arc<Service>>,
    streams: streaming::Streams,
    backups: backups::Backups,
    drills: drills::Drills,
    verifications: verifications::Verifications,
    repo_verifications: repo_verify::RepoVerifications,
    tasks: Tasks,
    explaining: tokio::sync::Semaphore,
    started_at: jiff::Timestamp,
}

#[derive(Debug, Clone)]
struct Watched {
    settings: Settings,
    server: Server,
    ends: CancellationToken,
}

impl Agent {
    /// Starts to watch the servers of a configuration.
    ///
    /// # Errors
    /// When a connection string, or a file that it names, cannot be read; when the history cannot be written, or another agent writes
    /// it; when the socket for WAL cannot be had. A server that cannot be reached is no error.
    pub fn start(config: Effective, tasks: Tasks) -> Result<Self> {
        // What was begun before the error would keep the process from ending.
        Self::begin(config, tasks.clone()).inspect_err(|_| tasks.cancel())
    }

    fn begin(config: Effective, tasks: Tasks) -> Result<Self> {
        let recording = Recording::start(&config, &tasks)?;
        copying::start(&config.history, &recording, &tasks)?;
        let places = archive::places(&config);
        let archive = archive::start(&config, places.clone())?.map(Arc::new);
        let streams = streaming::Streams::new(&config, archive.clone(), &tasks);
        let repo_verifications = repo_verify::RepoVerifications::start(&config, places.clone(), &tasks)?;
        let backups = backups::Backups::start(&config, places, &tasks)?;
        let verifications = verifications::Verifications::start(&config, &tasks)?;
        let drills = drills::Drills::start(&config, backups.clone(), &tasks)?;
        let inner = Inner {
            config: ArcSwap::from_pointee(config.clone()),
            watched: ArcSwap::default(),
            recording,
            archive,
            streams,
            backups,
            drills,
            verifications,
            repo_verifications,
            tasks,
            explaining: tokio::sync::Semaphore::new(explain::AT_ONCE),
            started_at: jiff::Timestamp::now(),
        };
        let agent = Self(Arc::new(inner));
        agent.reload(config)?;
        archive_watch::start(&agent);
        archive_watch::catch_up(&agent);
        backup_watch::start(&agent);
        proof_watch::start(&agent);
        Ok(agent)
    }

    /// Goes over to another configuration: watches what is new, lets go of what is gone, starts anew what changed, and leaves alone what
    /// did not. Keys that need a restart keep their effect until then.
    ///
    /// # Errors
    /// As [`Agent::start`]; then everything stays as it was.
    pub fn reload(&self, config: Effective) -> Result<()> {
        let wanted = Settings::all(&config, &Environment::from_process())?;
        let old = self.0.watched.load_full();
        let new: Vec<Watched> = wanted.into_iter().map(|settings| self.watched(settings, &old)).collect();
        for watched in old.iter().filter(|old| !new.iter().any(|new| new.server.is(&old.server))) {
            watched.ends.cancel();
        }
        self.0.watched.store(Arc::new(new));
        self.0.recording.reload(&config);
        self.0.config.store(Arc::new(config));
        Ok(())
    }

    fn watched(&self, settings: Settings, old: &[Watched]) -> Watched {
        let known = old.iter().find(|old| old.server.name() == settings.server.name);
        if let Some(known) = known.filter(|known| known.settings.same(&settings)) {
            return known.clone();
        }
        let (server, orders) = known.map_or_else(|| Server::new(&settings, &self.0.recording), |known| known.server.renewed(&settings));
        let ends = self.0.tasks.token();
        let watch = watch::Watch::new(settings.clone(), server.clone(), orders, self.memory(&settings), ends.clone());
        self.0.tasks.spawn(format!("watch {}", server.name()), watch.run());
        if let Some(host) = host::HostWatch::new(&settings, server.clone(), self.memory(&settings), ends.clone()) {
            self.0.tasks.spawn_blocking(format!("host {}", server.name()), move || host.run());
        }
        if let Some(log) = server_log::LogWatch::new(&settings, server.clone(), self.memory(&settings), ends.clone()) {
            self.0.tasks.spawn_blocking(format!("log {}", server.name()), move || log.run());
        }
        self.0.backups.look_after(&settings, ends.clone());
        self.0.streams.look_after(&settings, ends.clone());
        self.0.drills.look_after(&settings, ends.clone());
        self.0.verifications.look_after(&settings, ends.clone());
        Watched { settings, server, ends }
    }

    fn memory(&self, settings: &Settings) -> memory::Memory {
        memory::Memory::new(self.0.recording.clone(), &settings.server.name, settings.awr.clone())
    }

    /// The backups of all servers.
    pub fn backups(&self) -> &backups::Backups {
        &self.0.backups
    }

    /// The verifications of the repositories.
    pub fn repo_verifications(&self) -> &repo_verify::RepoVerifications {
        &self.0.repo_verifications
    }

    /// The verifications of all servers.
    pub fn verifications(&self) -> &verifications::Verifications {
        &self.0.verifications
    }

    /// The drills of all servers.
    pub fn drills(&self) -> &drills::Drills {
        &self.0.drills
    }

    /// How a server is watched.
    pub fn settings(&self, server: &Server) -> Option<Settings> {
        self.0.watched.load().iter().find(|watched| watched.server.is(server)).map(|watched| watched.settings.clone())
    }

    /// The history of all servers.
    pub fn recording(&self) -> &Recording {
        &self.0.recording
    }

    /// Ends the archiving of WAL. What is being written to a repository is finished first.
    pub async fn stop_archive(&self) {
        let agent = self.clone();
        let stopping = tokio::task::spawn_blocking(move || agent.archive().map(Service::stop));
        if tokio::time::timeout(ARCHIVE_PATIENCE, stopping).await.is_err() {
            tracing::warn!("a repository is slow: WAL on its way there is left; PostgreSQL asks again");
        }
    }

    /// What keeps and brings WAL, where there is a repository.
    pub fn archive(&self) -> Option<&Service> {
        self.0.archive.as_deref()
    }

    /// How the streaming of a server's WAL goes; none where it is not wanted, and no slot of it is left.
    pub fn streaming(&self, server: &Server) -> Option<Streaming> {
        self.0.streams.told(&server.view())
    }

    /// The configuration in force.
    pub fn config(&self) -> Arc<Effective> {
        self.0.config.load_full()
    }

    /// The servers, in the order of the configuration.
    pub fn servers(&self) -> Vec<Server> {
        self.0.watched.load().iter().map(|watched| watched.server.clone()).collect()
    }

    /// The server of this name, or the only one there is.
    ///
    /// # Errors
    /// `NotFound` with the names there are; `Usage` when none is named and there are several.
    pub fn server(&self, name: Option<&str>) -> Result<Server> {
        let servers = self.servers();
        let names = || servers.iter().map(Server::name).collect::<Vec<_>>().join(", ");
        match (name, servers.as_slice()) {
            (Some(name), servers) => servers.iter().find(|server| server.name() == name).cloned().ok_or_else(|| {
                Error::new(Kind::NotFound, format!("no server is named \"{name}\"")).hint(format!("there are: {}", names()))
            }),
            (None, [only]) => Ok(only.clone()),
            (None, []) => Err(Error::new(Kind::NotFound, "no server is configured")),
            (None, [..]) => {
                Err(Error::new(Kind::Usage, "which server?").hint(format!("name one, with --server NAME or ?server=NAME: {}", names())))
            }
        }
    }

    /// Makes something of all that is known of a server, now.
    pub fn tell<T>(&self, server: &Server, make: impl FnOnce(&Known<'_>) -> T) -> T {
        let view = server.view();
        let ash = server.ash().read().unwrap_or_else(PoisonError::into_inner);
        let thresholds = self.config().health_checks.thresholds();
        make(&Known { view: &view, ash: &ash, thresholds, now: jiff::Timestamp::now() })
    }

    /// Its tasks.
    pub fn tasks(&self) -> &Tasks {
        &self.0.tasks
    }

    /// When it started.
    pub fn started_at(&self) -> jiff::Timestamp {
        self.0.started_at
    }
}
