//! Verifying the repositories, on schedule and when somebody asks for it: one at a time, and what came of the last one.

use super::tasks::Tasks;
use crate::backup::progress::Seen;
use crate::backup::repo_verify::{Job, Request, advise_all, last_report, progress_file, remember, run};
use crate::backup::{Progress, cron};
use crate::blocking::blocking;
use crate::wal::Places;
use pgtend_model::backup::repo_report::RepoReport;
use pgtend_model::config::{Effective, RepoVerify};
use pgtend_model::error::{Error, Kind, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use tokio_util::sync::CancellationToken;
use utoipa::ToSchema;

/// The verifications of all repositories. Clones share them.
#[derive(Debug, Clone)]
pub struct RepoVerifications(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    places: Places,
    state: PathBuf,
    config: RepoVerify,
    now: Mutex<Now>,
}

/// What goes on, and what failed.
#[derive(Debug, Default)]
struct Now {
    running: Option<(String, Progress)>,
    /// How many were begun.
    begun: u64,
    errors: BTreeMap<String, Error>,
}

/// The verification of one repository.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[schema(as = RepoVerification)]
pub struct Verification {
    /// Name of the repository.
    pub repository: String,
    /// How far it is, while it goes on.
    pub running: Option<Seen>,
    /// Why the last one did not come to an end.
    pub error: Option<Error>,
    /// What the last one found that did.
    pub last: Option<RepoReport>,
}

impl RepoVerifications {
    /// Of a configuration: on schedule until the agent ends.
    ///
    /// # Errors
    /// `Config` when a schedule cannot be read.
    pub(super) fn start(config: &Effective, places: Places, tasks: &Tasks) -> Result<Self> {
        let state = config.agent.state_directory.clone();
        let config = config.backup.verify.clone();
        let this = Self(Arc::new(Inner { places, state, config, now: Mutex::default() }));
        let turns = [
            ("backup.verify.schedule", this.0.config.schedule.clone(), Some(this.0.config.sample_percent)),
            ("backup.verify.full_schedule", this.0.config.full_schedule.clone(), None),
        ];
        for (key, schedule, percent) in turns {
            cron::schedule(key, &schedule)?;
            if this.0.places.all().is_empty() {
                continue;
            }
            let (verifications, ends) = (this.clone(), tasks.token());
            tasks.spawn(key, async move {
                while cron::turn(key, &schedule, &ends).await {
                    verifications.on_schedule(percent, ends.clone()).await;
                }
            });
        }
        Ok(this)
    }

    /// A turn that comes while another verification goes on is left out.
    async fn on_schedule(&self, sample_percent: Option<f64>, ends: CancellationToken) {
        let request = Request { sample_percent, parallel: Some(self.0.config.workers), ..Request::default() };
        match self.begin_at(None, &request, self.0.config.max_read_bytes_per_second) {
            Ok(begun) => begun.finish(ends).await,
            Err(error) => tracing::warn!(error = error.what, "a verification of the repositories on schedule was left out"),
        }
    }

    fn now(&self) -> std::sync::MutexGuard<'_, Now> {
        self.0.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Verifies these repositories one after the other. `Conflict` when that goes on already.
    ///
    /// # Errors
    /// `Conflict` when one goes on; `NotFound` when there is no such repository.
    pub fn begin(&self, repository: Option<&str>, request: &Request) -> Result<Begun> {
        self.begin_at(repository, request, 0)
    }

    /// The same, at so many bytes a second at most.
    fn begin_at(&self, repository: Option<&str>, request: &Request, pace: u64) -> Result<Begun> {
        let all = self.0.places.all();
        let names: Vec<String> =
            all.iter().map(|place| place.name().to_owned()).filter(|name| repository.is_none_or(|wanted| wanted == name)).collect();
        if names.is_empty() {
            let there = all.iter().map(crate::wal::Place::name).collect::<Vec<_>>().join(", ");
            return Err(match repository {
                Some(name) => Error::new(Kind::NotFound, format!("no repository is named \"{name}\"")).hint(format!("there are: {there}")),
                None => Error::new(Kind::Config, "no backup repository is configured")
                    .hint("add [[backup.repository]] with path = \"/directory\""),
            });
        }
        let mut now = self.now();
        if let Some((name, _)) = &now.running {
            return Err(Error::new(Kind::Conflict, format!("repository \"{name}\" is being verified already"))
                .hint("wait for its end; `pgtend repo verify --status` shows how far it is, --stop stops it"));
        }
        let progress = Progress::new(pace);
        now.running = Some((names[0].clone(), progress.clone()));
        now.begun += 1;
        names.iter().for_each(|name| drop(now.errors.remove(name)));
        Ok(Begun { verifications: self.clone(), names, request: request.clone(), progress, pace })
    }

    /// Stops what goes on; gives whether anything did.
    pub fn stop(&self) -> bool {
        let now = self.now();
        now.running.as_ref().inspect(|(_, progress)| progress.cancel()).is_some()
    }

    /// What goes on, and what the last ones found.
    pub fn tell(&self) -> Vec<Verification> {
        let now = self.now();
        let of = |name: &str| Verification {
            repository: name.to_owned(),
            running: now.running.as_ref().filter(|(running, _)| running == name).map(|(_, progress)| progress.see()),
            error: now.errors.get(name).cloned(),
            last: last_report(&self.0.state, name),
        };
        self.0.places.all().iter().map(|place| of(place.name())).collect()
    }

    fn one(&self, name: &str, request: &Request, progress: &Progress) -> Result<RepoReport> {
        let place = self.0.places.all().iter().find(|place| place.name() == name);
        let place = place.ok_or_else(|| Error::new(Kind::Internal, "a repository of the configuration is not known"))?;
        let state = Some(progress_file(&self.0.state, name));
        // A sample must not make damage forgotten that is still there.
        let again = last_report(&self.0.state, name).map(|last| last.errors.into_iter().map(|error| error.object).collect());
        let repository = place.repository()?.clone();
        run(&Job { repository, name: name.to_owned(), request: request.clone(), state, again: again.unwrap_or_default() }, progress)
    }
}

/// A verification that was begun.
#[derive(Debug)]
pub struct Begun {
    verifications: RepoVerifications,
    names: Vec<String>,
    request: Request,
    progress: Progress,
    pace: u64,
}

impl Begun {
    /// Does the work, or stops it when the agent ends.
    pub async fn finish(self, ends: CancellationToken) {
        let Self { verifications, names, request, progress, pace } = self;
        let mut reports = Vec::new();
        let mut current = progress;
        for name in names {
            verifications.now().running = Some((name.clone(), current.clone()));
            let (all, wanted, asked, progress) = (verifications.clone(), name.clone(), request.clone(), current.clone());
            let work = blocking(move || all.one(&wanted, &asked, &progress));
            tokio::pin!(work);
            let outcome = tokio::select! {
                outcome = &mut work => outcome,
                () = ends.cancelled() => {
                    current.cancel();
                    work.await
                }
            };
            match outcome {
                Ok(report) => {
                    told(&report);
                    reports.push(report);
                }
                Err(error) => {
                    tracing::error!(repository = name, error = error.what, place = error.place, "the repository could not be verified");
                    verifications.now().errors.insert(name, error);
                }
            }
            if current.check().is_err() {
                break;
            }
            current = Progress::new(pace);
        }
        advise_all(&mut reports);
        for report in &reports {
            if let Err(error) = remember(&verifications.0.state, report) {
                tracing::error!(error = error.what, place = error.place, "what was found cannot be kept");
            }
        }
        verifications.now().running = None;
    }
}

fn told(report: &RepoReport) {
    use pgtend_model::verify::Verdict;
    let (repository, errors) = (&report.repository, report.errors.len());
    match report.verdict {
        Verdict::Damaged => tracing::error!(
            repository,
            errors,
            "the repository is DAMAGED: `pgtend repo verify --status` names the backups that this hurts"
        ),
        Verdict::Incomplete => tracing::warn!(repository, "no damage was found in the repository, but not everything could be looked at"),
        Verdict::Clean => tracing::info!(repository, bytes = report.checked.bytes, "the repository was verified: nothing is damaged"),
    }
}
