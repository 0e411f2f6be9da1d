//! Backups of the servers beside the agent: on schedule and when somebody asks, one at a time for each server.

use super::settings::Settings;
use super::tasks::Tasks;
use crate::backup::progress::Seen;
use crate::backup::take::{How, Take};
use crate::backup::{Progress, cron, expire};
use crate::blocking::blocking;
use crate::wal::Places;
use jiff::Timestamp;
use pgtend_model::backup::annotation::Annotations;
use pgtend_model::backup::retention::Policy;
use pgtend_model::backup::{BackupHead, Label};
use pgtend_model::config::{Backup, Effective, Repository as Configured};
use pgtend_model::error::{Error, Kind, Result};
use pgtend_store::repo::Repository;
use pgtend_store::repo::write::Options;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

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
    places: Places,
    jobs: Mutex<BTreeMap<Target, Job>>,
    tasks: Tasks,
}

/// Which server, and where to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Target {
    /// Name of the server.
    pub server: String,
    /// Name of the repository.
    pub repository: String,
}

/// What goes on, or ended last.
#[derive(Debug, Clone)]
struct Job {
    progress: Option<Progress>,
    last: Option<Ended>,
}

/// How a backup ended.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
pub struct Ended {
    /// When.
    pub at: Timestamp,
    /// The backup, if it became one.
    pub backup: Option<BackupHead>,
    /// Why not.
    pub error: Option<Error>,
}

/// The backups of one server in one repository, and what goes on.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
pub struct Work {
    /// Name of the server.
    pub server: String,
    /// Name of the repository.
    pub repository: String,
    /// Where the repository is.
    pub place: String,
    /// How far a backup is that goes on.
    pub running: Option<Seen>,
    /// How the last one ended that this agent took.
    pub last: Option<Ended>,
    /// When the next one is due.
    pub next: Option<Timestamp>,
}

impl Backups {
    /// Opens the repositories, and takes backups on schedule. A repository that cannot be opened is tried again.
    ///
    /// # Errors
    /// `Config` when the schedule cannot be read.
    pub fn start(config: &Effective, places: Places, tasks: &Tasks) -> Result<Self> {
        let backups = Self(Arc::new(Inner { config: config.backup.clone(), places, jobs: Mutex::default(), tasks: tasks.clone() }));
        cron::schedule("backup.schedule", &config.backup.schedule)?;
        Ok(backups)
    }

    /// Takes backups of a server on schedule, until it is no longer watched.
    pub(super) fn look_after(&self, settings: &Settings, ends: tokio_util::sync::CancellationToken) {
        if settings.server.data_directory.is_none() || self.0.config.repository.is_empty() {
            return;
        }
        for configured in self.0.config.repository.clone() {
            let (backups, settings, ends) = (self.clone(), settings.clone(), ends.clone());
            let name = format!("backups of {} in {}", settings.server.name, configured.name);
            self.0.tasks.spawn(name, async move { backups.keep(settings, configured, ends).await });
        }
    }

    async fn keep(&self, settings: Settings, configured: Configured, ends: tokio_util::sync::CancellationToken) {
        while let Err(error) = self.repository(&configured).await {
            tracing::error!(
                repository = configured.name,
                error = error.what,
                place = error.place,
                hint = error.hint,
                "the backup repository cannot be opened"
            );
            tokio::select! {
                () = ends.cancelled() => return,
                () = tokio::time::sleep(RETRY) => {}
            }
        }
        let target = Target { server: settings.server.name.clone(), repository: configured.name.clone() };
        // A server that could not be backed up at the start is not left without a backup until the night.
        while self.wants_first(&target, &configured).await && !self.take(&settings, &configured, &target).await {
            tokio::select! {
                () = ends.cancelled() => return,
                () = tokio::time::sleep(RETRY_FIRST) => {}
            }
        }
        loop {
            let Some(next) = cron::following("backup.schedule", &self.0.config.schedule) else { return };
            let wait = Timestamp::now().duration_until(next);
            tokio::select! {
                () = ends.cancelled() => return,
                () = tokio::time::sleep(wait.unsigned_abs()) => {}
            }
            self.take(&settings, &configured, &target).await;
        }
    }

    /// A server that has no backup at all gets one at once, unless backups are taken by hand only.
    async fn wants_first(&self, target: &Target, configured: &Configured) -> bool {
        if self.0.config.schedule == cron::OFF {
            return false;
        }
        let Ok(repository) = self.repository(configured).await else { return false };
        let server = target.server.clone();
        matches!(blocking(move || repository.backups(&server)).await, Ok((heads, damaged)) if heads.is_empty() && damaged.is_empty())
    }

    /// Whether it became a backup.
    async fn take(&self, settings: &Settings, configured: &Configured, target: &Target) -> bool {
        let Some(progress) = self.begin(target) else { return false };
        let outcome = self.take_one(settings, configured, &progress).await;
        match &outcome {
            Ok(head) => tracing::info!(
                server = target.server, repository = target.repository, backup = %head.label, bytes = head.bytes, stored_bytes = head.stored_bytes,
                seconds = head.duration_seconds(), "backup taken"
            ),
            Err(error) => tracing::error!(
                server = target.server,
                repository = target.repository,
                error = error.what,
                place = error.place,
                hint = error.hint,
                "backup failed"
            ),
        }
        let expires = outcome.is_ok();
        self.end(target, outcome);
        if expires && let Err(error) = self.expire(configured, &target.server, false).await {
            tracing::error!(
                server = target.server,
                repository = target.repository,
                error = error.what,
                place = error.place,
                "old backups could not be expired"
            );
        }
        expires
    }

    async fn take_one(&self, settings: &Settings, configured: &Configured, progress: &Progress) -> Result<BackupHead> {
        let repository = self.repository(configured).await?;
        let config = &self.0.config;
        let level = i32::try_from(config.compression_level).unwrap_or(3);
        let how = How {
            workers: config.workers,
            nice: u8::try_from(config.nice).unwrap_or(0),
            options: Options { level, uploads: config.workers, deltas: config.page_deltas },
            wal_timeout: config.wal_timeout,
            fast_checkpoint: true,
            read_all: false,
            application_name: format!("{} backup", settings.server.application_name),
        };
        let take = Take { server: settings.server.name.clone(), target: settings.target.clone(), repository, how };
        tokio::select! {
            outcome = Box::pin(take.run(progress)) => outcome,
            () = self.0.tasks.cancelled() => {
                progress.cancel();
                Err(Error::new(Kind::Conflict, "the agent ends: the backup was stopped").hint("what was copied is kept: the next backup goes on from there"))
            }
        }
    }

    /// Marks the beginning; none when one goes on already.
    fn begin(&self, target: &Target) -> Option<Progress> {
        let mut jobs = self.0.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        let job = jobs.entry(target.clone()).or_insert(Job { progress: None, last: None });
        if job.progress.is_some() {
            return None;
        }
        let progress = Progress::new(self.0.config.max_read_bytes_per_second);
        job.progress = Some(progress.clone());
        Some(progress)
    }

    fn end(&self, target: &Target, outcome: Result<BackupHead>) {
        let (backup, error) = outcome.map_or_else(|error| (None, Some(error)), |head| (Some(head), None));
        let ended = Ended { at: Timestamp::now(), backup, error };
        let mut jobs = self.0.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        jobs.insert(target.clone(), Job { progress: None, last: Some(ended) });
    }

    /// Begins a backup that somebody asked for.
    ///
    /// # Errors
    /// `Conflict` when one goes on already; `Config` when the server's files are not here, or there is no such repository.
    pub fn run(&self, settings: &Settings, repository: Option<&str>) -> Result<Vec<Target>> {
        if settings.server.data_directory.is_none() {
            return Err(Error::new(
                Kind::Config,
                format!("the files of \"{}\" are not here: it has no data_directory", settings.server.name),
            )
            .hint("a backup is taken where the server runs: set data_directory there"));
        }
        let mut begun = Vec::new();
        for configured in self.configured(repository)? {
            let target = Target { server: settings.server.name.clone(), repository: configured.name.clone() };
            if self.running(&target).is_some() {
                return Err(Error::new(
                    Kind::Conflict,
                    format!("a backup of \"{}\" to \"{}\" goes on already", target.server, target.repository),
                )
                .hint("`pgtend backup list` shows how far it is"));
            }
            let (backups, settings, begun_target) = (self.clone(), settings.clone(), target.clone());
            self.0.tasks.spawn(format!("backup of {}", target.server), async move {
                backups.take(&settings, &configured, &begun_target).await;
            });
            begun.push(target);
        }
        Ok(begun)
    }

    /// Stops a backup that goes on.
    pub fn stop(&self, server: &str) -> usize {
        let jobs = self.0.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        let running = jobs.iter().filter(|(target, _)| target.server == server).filter_map(|(_, job)| job.progress.as_ref());
        running.inspect(|progress| progress.cancel()).count()
    }

    fn running(&self, target: &Target) -> Option<Seen> {
        let jobs = self.0.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        jobs.get(target).and_then(|job| job.progress.as_ref().map(Progress::see))
    }

    /// What goes on for a server.
    pub fn work(&self, server: &str) -> Vec<Work> {
        let next = cron::following("backup.schedule", &self.0.config.schedule);
        let jobs = self.0.jobs.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let of = |configured: &Configured| {
            let job = jobs.get(&Target { server: server.to_owned(), repository: configured.name.clone() });
            Work {
                server: server.to_owned(),
                repository: configured.name.clone(),
                place: place(configured),
                running: job.and_then(|job| job.progress.as_ref().map(Progress::see)),
                last: job.and_then(|job| job.last.clone()),
                next,
            }
        };
        self.0.config.repository.iter().map(of).collect()
    }

    /// Takes away what the retention does not keep; with `dry_run` only tells it.
    ///
    /// # Errors
    /// What the repository says.
    pub async fn expire(&self, configured: &Configured, server: &str, dry_run: bool) -> Result<expire::Expired> {
        let repository = self.repository(configured).await?;
        let (policy, server) = (policy(configured), server.to_owned());
        blocking(move || expire::expire(&repository, &server, &policy, dry_run)).await
    }

    /// Takes one backup away.
    ///
    /// # Errors
    /// `NotFound` when there is none; what the repository says.
    pub async fn delete(&self, configured: &Configured, server: &str, label: Label) -> Result<()> {
        let repository = self.repository(configured).await?;
        let server = server.to_owned();
        blocking(move || expire::delete(&repository, &server, label)).await
    }

    /// The backups of a server in a repository.
    ///
    /// # Errors
    /// What the repository says.
    pub async fn list(&self, configured: &Configured, server: &str) -> Result<(Vec<BackupHead>, Vec<Error>)> {
        let repository = self.repository(configured).await?;
        let server = server.to_owned();
        blocking(move || repository.backups(&server)).await
    }

    /// What was written to the backups of a server.
    ///
    /// # Errors
    /// What the repository says.
    pub async fn annotations(&self, configured: &Configured, server: &str) -> Result<BTreeMap<Label, Annotations>> {
        let repository = self.repository(configured).await?;
        let server = server.to_owned();
        blocking(move || repository.annotations(&server)).await
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

    /// An open repository: the same that WAL goes to.
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

fn place(configured: &Configured) -> String {
    configured.path.as_ref().map(|path| path.display().to_string()).or_else(|| configured.url.clone()).unwrap_or_default()
}

fn policy(configured: &Configured) -> Policy {
    Policy {
        count: configured.keep_count as usize,
        days: configured.keep_days,
        weekly: configured.keep_weekly as usize,
        monthly: configured.keep_monthly as usize,
        yearly: configured.keep_yearly as usize,
    }
}
