//! Backups of the servers beside the agent, and of file trees: on schedule and when somebody asks, one at a time for each of them.

mod kept;
mod logical;
mod trees;
mod work;

pub use work::{Ended, Work};

use super::settings::Settings;
use super::tasks::Tasks;
use crate::backup::take::{How, Take};
use crate::backup::{Phase, Progress, cron};
use crate::blocking::blocking;
use crate::wal::Places;
use pgtend_model::backup::tree::owner;
use pgtend_model::backup::{BackupHead, BackupKind};
use pgtend_model::config::{Backup, Effective, Files, Repository as Configured};
use pgtend_model::error::{Error, Kind, Result};
use pgtend_store::repo::Repository;
use pgtend_store::repo::write::Options;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use work::Job;

/// How often a repository that could not be opened is tried again.
const RETRY: Duration = Duration::from_secs(60);

/// How often the first backup of a server is tried.
const RETRY_FIRST: Duration = Duration::from_secs(300);

/// The backups of all servers. Clones share them.
#[derive(Debug, Clone)]
pub struct Backups(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: Backup,
    files: Vec<Files>,
    state_directory: PathBuf,
    places: Places,
    jobs: Mutex<BTreeMap<Target, Job>>,
    /// Held while a backup of a server goes to a repository: others wait for their turn.
    turns: Mutex<BTreeMap<(String, String), Turn>>,
    /// What servers are called in repositories, and their own schedules, by their names.
    servers: Mutex<BTreeMap<String, (String, Option<String>)>>,
    tasks: Tasks,
}

/// Held by whoever's turn it is.
type Turn = Arc<tokio::sync::Mutex<()>>;

/// Which server, and where to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Target {
    /// Name of the server; of a file tree, as a repository calls it.
    pub server: String,
    /// Name of the repository.
    pub repository: String,
    /// What is backed up.
    pub kind: BackupKind,
}

/// What of a server is backed up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum What {
    /// Its files.
    #[default]
    Physical,
    /// What pg_dump tells of it.
    Logical {
        /// These databases; those of the configuration where none is named.
        databases: Vec<String>,
        /// Without these, besides those of the configuration.
        exclude: Vec<String>,
    },
}

impl What {
    const fn kind(&self) -> BackupKind {
        match self {
            Self::Physical => BackupKind::Physical,
            Self::Logical { .. } => BackupKind::Logical,
        }
    }
}

impl Backups {
    /// Opens the repositories, and takes backups on schedule. A repository that cannot be opened is tried again.
    ///
    /// # Errors
    /// `Config` when the schedule cannot be read.
    pub fn start(config: &Effective, places: Places, tasks: &Tasks) -> Result<Self> {
        cron::schedule("backup.schedule", &config.backup.schedule)?;
        cron::schedule("backup.logical.schedule", &config.backup.logical.schedule)?;
        for schedule in config.server.iter().filter_map(|server| server.backup_schedule.as_ref()) {
            cron::schedule("server.backup_schedule", schedule)?;
        }
        config.files.iter().try_for_each(|files| cron::schedule("files.schedule", &files.schedule).map(|_| ()))?;
        let inner = Inner {
            config: config.backup.clone(),
            files: config.files.clone(),
            state_directory: config.agent.state_directory.clone(),
            places,
            jobs: Mutex::default(),
            turns: Mutex::default(),
            servers: Mutex::default(),
            tasks: tasks.clone(),
        };
        let backups = Self(Arc::new(inner));
        backups.look_after_trees();
        Ok(backups)
    }

    /// Takes backups of a server on schedule, until it is no longer watched.
    pub(super) fn look_after(&self, settings: &Settings, ends: CancellationToken) {
        self.know(settings);
        self.look_after_logical(settings, &ends);
        if settings.server.data_directory.is_none() {
            return;
        }
        for configured in self.0.config.repository.clone() {
            let (backups, settings, ends) = (self.clone(), settings.clone(), ends.clone());
            let name = format!("backups of {} in {}", settings.server.name, configured.name);
            self.0.tasks.spawn(name, async move { backups.keep(settings, configured, ends).await });
        }
    }

    async fn keep(&self, settings: Settings, configured: Configured, ends: CancellationToken) {
        if !self.opened(&configured, &ends).await {
            return;
        }
        let server = settings.server.in_repository().to_owned();
        let target = Target { server, repository: configured.name.clone(), kind: BackupKind::Physical };
        let schedule = self.schedule_of(&settings.server.name);
        // A server that could not be backed up at the start is not left without a backup until the night.
        while schedule != cron::OFF
            && self.wants_first(&target, &configured).await
            && !self.take(&settings, &configured, &target, &What::Physical).await
        {
            tokio::select! {
                () = ends.cancelled() => return,
                () = tokio::time::sleep(RETRY_FIRST) => {}
            }
        }
        while cron::turn("server.backup_schedule", &schedule, &ends).await {
            self.take(&settings, &configured, &target, &What::Physical).await;
        }
    }

    fn know(&self, settings: &Settings) {
        let server = &settings.server;
        let known = (server.in_repository().to_owned(), server.backup_schedule.clone());
        self.0.servers.lock().unwrap_or_else(PoisonError::into_inner).insert(server.name.clone(), known);
    }

    /// What a server is called in repositories.
    pub fn filed(&self, server: &str) -> String {
        let known = self.0.servers.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(server).map_or(server, |(filed, _)| filed.as_str()).to_owned()
    }

    fn schedule_of(&self, server: &str) -> String {
        let known = self.0.servers.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(server).and_then(|(_, schedule)| schedule.clone()).unwrap_or_else(|| self.0.config.schedule.clone())
    }

    /// Waits until a repository can be opened; false when nobody wants it any more.
    async fn opened(&self, configured: &Configured, ends: &CancellationToken) -> bool {
        while let Err(error) = self.repository(configured).await {
            tracing::error!(
                repository = configured.name,
                error = error.what,
                place = error.place,
                hint = error.hint,
                "the backup repository cannot be opened"
            );
            tokio::select! {
                () = ends.cancelled() => return false,
                () = tokio::time::sleep(RETRY) => {}
            }
        }
        true
    }

    /// A server that has no backup at all gets one at once, unless backups are taken by hand only.
    async fn wants_first(&self, target: &Target, configured: &Configured) -> bool {
        let Ok(repository) = self.repository(configured).await else { return false };
        let server = target.server.clone();
        matches!(blocking(move || repository.backups(&server)).await, Ok((heads, damaged)) if damaged.is_empty() && !heads.iter().any(|head| head.kind == BackupKind::Physical))
    }

    /// Whether it became a backup.
    async fn take(&self, settings: &Settings, configured: &Configured, target: &Target, what: &What) -> bool {
        let Some(progress) = self.begin(target) else { return false };
        let turn = self.turn_of(target);
        let _turn = turn.lock().await;
        let outcome = match what {
            What::Physical => self.take_one(settings, configured, &progress).await,
            What::Logical { databases, exclude } => self.take_logical(settings, configured, databases, exclude, &progress).await,
        };
        self.over(configured, target, outcome).await
    }

    /// Only one backup of a server goes to a repository at a time.
    fn turn_of(&self, target: &Target) -> Turn {
        let mut turns = self.0.turns.lock().unwrap_or_else(PoisonError::into_inner);
        turns.entry((target.server.clone(), target.repository.clone())).or_default().clone()
    }

    /// Says how a backup ended, and takes away what need not be kept any more.
    async fn over(&self, configured: &Configured, target: &Target, outcome: Result<BackupHead>) -> bool {
        let Target { server, repository, kind } = target;
        let kind = kind.word();
        match &outcome {
            Ok(head) => {
                tracing::info!(
                    server, repository, kind, backup = %head.label, bytes = head.bytes, stored_bytes = head.stored_bytes,
                    seconds = head.duration_seconds(), "backup taken"
                );
                if head.warning_count > 0 {
                    let first = head.warnings.first();
                    tracing::warn!(server, repository, kind, backup = %head.label, warnings = head.warning_count, first, "the backup is not complete");
                }
            }
            Err(error) => {
                tracing::error!(server, repository, kind, error = error.what, place = error.place, hint = error.hint, "backup failed");
            }
        }
        let is_taken = outcome.is_ok();
        self.end(target, outcome);
        if is_taken && let Err(error) = self.expire(configured, server, false).await {
            tracing::error!(server, repository, error = error.what, place = error.place, "old backups could not be expired");
        }
        is_taken
    }

    /// By how much others go first.
    fn nice(&self) -> u8 {
        u8::try_from(self.0.config.nice).unwrap_or(0)
    }

    /// How extents are written.
    fn options(&self) -> Options {
        let config = &self.0.config;
        Options { level: i32::try_from(config.compression_level).unwrap_or(3), uploads: config.workers, deltas: config.page_deltas }
    }

    async fn take_one(&self, settings: &Settings, configured: &Configured, progress: &Progress) -> Result<BackupHead> {
        let repository = self.repository(configured).await?;
        let config = &self.0.config;
        progress.enter(Phase::Starting);
        let how = How {
            workers: config.workers,
            nice: self.nice(),
            options: self.options(),
            wal_timeout: config.wal_timeout,
            fast_checkpoint: true,
            read_all: false,
            application_name: format!("{} backup", settings.server.application_name),
        };
        let take = Take {
            server: settings.server.in_repository().to_owned(),
            target: settings.target.clone(),
            repository,
            peers: settings.peers.clone(),
            how,
        };
        self.unless_the_agent_ends(progress, Box::pin(take.run(progress))).await
    }

    async fn unless_the_agent_ends(&self, progress: &Progress, work: impl Future<Output = Result<BackupHead>>) -> Result<BackupHead> {
        tokio::select! {
            outcome = work => outcome,
            () = self.0.tasks.cancelled() => {
                progress.cancel();
                Err(Error::new(Kind::Conflict, "the agent ends: the backup was stopped").hint("what was copied is kept: the next backup goes on from there"))
            }
        }
    }

    /// Begins a backup that somebody asked for.
    ///
    /// # Errors
    /// `Conflict` when one goes on already; `Config` when the server's files are not here, or there is no such repository.
    pub fn run(&self, settings: &Settings, repository: Option<&str>, what: &What) -> Result<Vec<Target>> {
        if settings.server.data_directory.is_none() && *what == What::Physical {
            return Err(Error::new(
                Kind::Config,
                format!("the files of \"{}\" are not here: it has no data_directory", settings.server.name),
            )
            .hint("a backup is taken where the server runs: set data_directory there"));
        }
        let mut begun = Vec::new();
        for configured in self.configured(repository)? {
            let server = settings.server.in_repository().to_owned();
            let target = Target { server, repository: configured.name.clone(), kind: what.kind() };
            self.is_free(&target)?;
            let (backups, settings, begun_target, what) = (self.clone(), settings.clone(), target.clone(), what.clone());
            self.0.tasks.spawn(format!("backup of {}", target.server), async move {
                backups.take(&settings, &configured, &begun_target, &what).await;
            });
            begun.push(target);
        }
        Ok(begun)
    }

    /// The names of the file trees, as a repository calls them.
    pub fn trees(&self) -> Vec<String> {
        self.0.files.iter().map(|files| owner(&files.name)).collect()
    }

    /// Where backups and WAL go.
    pub fn places(&self) -> &Places {
        &self.0.places
    }

    /// The repositories of the configuration: the one that is named, or all.
    ///
    /// # Errors
    /// `NotFound` when there is none of this name; `Config` when there is none at all.
    pub fn configured(&self, name: Option<&str>) -> Result<Vec<Configured>> {
        let all = &self.0.config.repository;
        if all.is_empty() {
            return Err(
                Error::new(Kind::Config, "no backup repository is configured").hint("add [[backup.repository]] with path = \"/directory\"")
            );
        }
        let Some(name) = name else { return Ok(all.clone()) };
        let found: Vec<Configured> = all.iter().filter(|configured| configured.name == name).cloned().collect();
        if found.is_empty() {
            let names = all.iter().map(|configured| configured.name.as_str()).collect::<Vec<_>>().join(", ");
            return Err(Error::new(Kind::NotFound, format!("no repository is named \"{name}\"")).hint(format!("there are: {names}")));
        }
        Ok(found)
    }

    /// An open repository: the same that WAL goes to. One with a key file is made where there is none.
    ///
    /// # Errors
    /// Why it cannot be opened now.
    pub async fn repository(&self, configured: &Configured) -> Result<Repository> {
        let (places, name) = (self.0.places.clone(), configured.name.clone());
        blocking(move || {
            let place = places.all().iter().find(|place| place.name() == name);
            place.ok_or_else(|| Error::new(Kind::Internal, "a repository of the configuration is not known"))?.repository().cloned()
        })
        .await
    }
}
