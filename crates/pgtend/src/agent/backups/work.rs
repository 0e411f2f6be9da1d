//! Which backups go on, how far they are, and how the last ones ended.

use super::{Backups, Configured, Target};
use crate::backup::progress::Seen;
use crate::backup::{Phase, Progress, cron};
use jiff::Timestamp;
use pgtend_model::backup::tree::owner;
use pgtend_model::backup::{BackupHead, BackupKind};
use pgtend_model::error::{Error, Kind, Result};
use std::sync::PoisonError;

/// What goes on, or ended last.
#[derive(Debug, Clone)]
pub(super) struct Job {
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
    /// Name of the server; of a file tree, as a repository calls it.
    pub server: String,
    /// Name of the repository.
    pub repository: String,
    /// What is backed up.
    pub kind: BackupKind,
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
    /// Marks the beginning; none when one goes on already.
    pub(super) fn begin(&self, target: &Target) -> Option<Progress> {
        let mut jobs = self.0.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        let job = jobs.entry(target.clone()).or_insert(Job { progress: None, last: None });
        if job.progress.is_some() {
            return None;
        }
        let progress = Progress::new(self.0.config.max_read_bytes_per_second);
        progress.enter(Phase::Queued);
        job.progress = Some(progress.clone());
        Some(progress)
    }

    pub(super) fn end(&self, target: &Target, outcome: Result<BackupHead>) {
        let (backup, error) = outcome.map_or_else(|error| (None, Some(error)), |head| (Some(head), None));
        let ended = Ended { at: Timestamp::now(), backup, error };
        let mut jobs = self.0.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        jobs.insert(target.clone(), Job { progress: None, last: Some(ended) });
    }

    pub(super) fn is_free(&self, target: &Target) -> Result<()> {
        if self.running(target).is_none() {
            return Ok(());
        }
        let Target { server, repository, kind } = target;
        Err(Error::new(Kind::Conflict, format!("a {} backup of \"{server}\" to \"{repository}\" goes on already", kind.word()))
            .hint("`pgtend backup list` shows how far it is"))
    }

    /// Stops a backup that goes on.
    pub fn stop(&self, server: &str) -> usize {
        let server = self.filed(server);
        let jobs = self.0.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        let running = jobs.iter().filter(|(target, _)| target.server == server).filter_map(|(_, job)| job.progress.as_ref());
        running.inspect(|progress| progress.cancel()).count()
    }

    pub(super) fn running(&self, target: &Target) -> Option<Seen> {
        let jobs = self.0.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        jobs.get(target).and_then(|job| job.progress.as_ref().map(Progress::see))
    }

    /// What goes on for a server, and for file trees.
    pub fn work(&self, server: &str) -> Vec<Work> {
        let logical = &self.0.config.logical.schedule;
        let filed = self.filed(server);
        let mut all = self.work_of(&filed, BackupKind::Physical, &self.schedule_of(server));
        let dumps = self.work_of(&filed, BackupKind::Logical, logical);
        if logical != cron::OFF || dumps.iter().any(|work| work.running.is_some() || work.last.is_some()) {
            all.extend(dumps);
        }
        all.extend(self.0.files.iter().flat_map(|files| self.work_of(&owner(&files.name), BackupKind::Files, &files.schedule)));
        all
    }

    fn work_of(&self, server: &str, kind: BackupKind, schedule: &str) -> Vec<Work> {
        let next = cron::following("schedule", schedule);
        let jobs = self.0.jobs.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let of = |configured: &Configured| {
            let job = jobs.get(&Target { server: server.to_owned(), repository: configured.name.clone(), kind });
            Work {
                server: server.to_owned(),
                repository: configured.name.clone(),
                kind,
                place: place(configured),
                running: job.and_then(|job| job.progress.as_ref().map(Progress::see)),
                last: job.and_then(|job| job.last.clone()),
                next,
            }
        };
        self.0.config.repository.iter().map(of).collect()
    }
}

fn place(configured: &Configured) -> String {
    configured.path.as_ref().map(|path| path.display().to_string()).or_else(|| configured.url.clone()).unwrap_or_default()
}
