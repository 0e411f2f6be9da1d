//! Verifications of the servers beside the agent: on schedule and when somebody asks, one at a time for each server. What was found is
//! kept in the state directory, so that it is known after a restart.

use super::settings::Settings;
use super::tasks::Tasks;
use crate::backup::cron;
use crate::verify::{self, Options};
use jiff::Timestamp;
use pgtend_model::config::{Effective, Verify};
use pgtend_model::error::{Error, Kind, Result};
use pgtend_model::verify::kept::{Ended, Kept, Running, Verifications as Told};
use pgtend_model::verify::{Depth, Verdict, Verification};
use pgtend_postgres::files::scan::Progress;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// The key of the schedule.
const SCHEDULE: &str = "verify.schedule";
/// How long one relation may take with amcheck on schedule.
const TIMEOUT: Duration = Duration::from_secs(3600);

/// The verifications of all servers. Clones share them.
#[derive(Debug, Clone)]
pub struct Verifications(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: Verify,
    directory: PathBuf,
    running: Mutex<BTreeMap<String, Going>>,
    tasks: Tasks,
}

/// One that goes on.
#[derive(Debug, Clone)]
struct Going {
    started_at: Timestamp,
    depth: Depth,
    progress: Arc<Progress>,
}

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Asked {
    /// How much is looked at.
    pub depth: Depth,
    /// Threads that read.
    pub threads: usize,
    /// Only these relations.
    pub relations: Vec<String>,
    /// Check indexes from the root down too.
    pub parents: bool,
    /// How long amcheck may take for one relation.
    pub timeout: Duration,
    /// Bytes a second at most; 0: any.
    pub max_bytes_per_second: u64,
}

impl Verifications {
    /// Those of a configuration.
    ///
    /// # Errors
    /// `Config` when the schedule cannot be read.
    pub fn start(config: &Effective, tasks: &Tasks) -> Result<Self> {
        cron::schedule(SCHEDULE, &config.verify.schedule)?;
        let directory = config.agent.state_directory.join("verify");
        Ok(Self(Arc::new(Inner { config: config.verify.clone(), directory, running: Mutex::default(), tasks: tasks.clone() })))
    }

    /// Verifies a server on schedule, until it is no longer watched.
    pub(super) fn look_after(&self, settings: &Settings, ends: CancellationToken) {
        if settings.server.data_directory.is_none() || self.0.config.schedule == cron::OFF {
            return;
        }
        let (this, settings) = (self.clone(), settings.clone());
        self.0.tasks.spawn(format!("verify {}", settings.server.name), async move {
            while let Some(next) = cron::following(SCHEDULE, &this.0.config.schedule) {
                tokio::select! {
                    () = ends.cancelled() => return,
                    () = tokio::time::sleep(Timestamp::now().duration_until(next).unsigned_abs()) => {}
                }
                let asked = this.on_schedule();
                if let Ok(going) = this.begin(&settings, &asked) {
                    this.carry_out(&settings, asked, going).await;
                }
            }
        });
    }

    fn on_schedule(&self) -> Asked {
        let config = &self.0.config;
        Asked {
            depth: config.depth.into(),
            threads: config.workers,
            relations: Vec::new(),
            parents: false,
            timeout: TIMEOUT,
            max_bytes_per_second: config.max_read_bytes_per_second,
        }
    }

    /// Begins a verification that somebody asked for.
    ///
    /// # Errors
    /// `Conflict` when one goes on already; `Config` when the server's files are not here.
    pub fn run(&self, settings: &Settings, asked: Asked) -> Result<()> {
        let going = self.begin(settings, &asked)?;
        let (this, settings) = (self.clone(), settings.clone());
        self.0.tasks.spawn(format!("verification of {}", settings.server.name), async move {
            this.carry_out(&settings, asked, going).await;
        });
        Ok(())
    }

    fn begin(&self, settings: &Settings, asked: &Asked) -> Result<Going> {
        let name = &settings.server.name;
        if settings.server.data_directory.is_none() {
            return Err(Error::new(Kind::Config, format!("the files of \"{name}\" are not here: it has no data_directory"))
                .hint("a server is verified where it runs: set data_directory in the agent's configuration there"));
        }
        let going =
            Going { started_at: Timestamp::now(), depth: asked.depth, progress: Arc::new(Progress::paced(asked.max_bytes_per_second)) };
        let mut running = self.0.running.lock().unwrap_or_else(PoisonError::into_inner);
        if running.contains_key(name) {
            return Err(Error::new(Kind::Conflict, format!("a verification of \"{name}\" goes on already"))
                .hint("GET /api/v1/verify tells how far it is"));
        }
        running.insert(name.clone(), going.clone());
        Ok(going)
    }

    async fn carry_out(&self, settings: &Settings, asked: Asked, going: Going) {
        let options = Options {
            data: settings.server.data_directory.clone(),
            target: Some(settings.target.clone()),
            silence_allowed: true,
            depth: asked.depth,
            threads: asked.threads,
            relations: asked.relations.clone(),
            parents: asked.parents,
            timeout: asked.timeout,
        };
        let outcome = tokio::select! {
            outcome = Box::pin(verify::run(&options, &going.progress)) => outcome,
            () = self.0.tasks.cancelled() => {
                going.progress.cancelled.store(true, Ordering::Relaxed);
                Err(Error::new(Kind::Conflict, "the agent ends: the verification was stopped"))
            }
        };
        let name = &settings.server.name;
        log(name, &outcome);
        let (report, error) = outcome.map_or_else(|error| (None, Some(error)), |report| (Some(report), None));
        let ended = Ended { at: Timestamp::now(), relations: asked.relations, report, error };
        // It is kept before it is over, so that whoever waits for the end finds it.
        if let Err(error) = self.keep(name, ended) {
            tracing::error!(server = name, %error, "the result of a verification cannot be kept");
        }
        self.0.running.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
    }

    /// Stops the one that goes on; whether there was one.
    pub fn stop(&self, server: &str) -> bool {
        let running = self.0.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.get(server).is_some_and(|going| {
            going.progress.cancelled.store(true, Ordering::Relaxed);
            true
        })
    }

    fn keep(&self, server: &str, ended: Ended) -> io::Result<()> {
        let mut kept = self.kept(server);
        kept.take(ended);
        fs::create_dir_all(&self.0.directory)?;
        let path = document(&self.0.directory, server);
        let new = path.with_extension("new");
        fs::write(&new, serde_json::to_vec(&kept).map_err(io::Error::other)?)?;
        fs::rename(&new, &path)
    }

    /// What is known of earlier verifications of a server.
    pub fn kept(&self, server: &str) -> Kept {
        let text = fs::read(document(&self.0.directory, server)).ok();
        text.and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default()
    }

    /// What goes on, and what was found last.
    pub fn told(&self, server: &str) -> Told {
        let running = self.0.running.lock().unwrap_or_else(PoisonError::into_inner).get(server).map(|going| Running {
            started_at: going.started_at,
            depth: going.depth,
            total_bytes: going.progress.total_bytes.load(Ordering::Relaxed),
            done_bytes: going.progress.done_bytes.load(Ordering::Relaxed),
            damaged: going.progress.damaged.load(Ordering::Relaxed),
        });
        let kept = self.kept(server);
        let next = cron::following(SCHEDULE, &self.0.config.schedule);
        Told { server: server.to_owned(), data_directory: None, running, last: kept.last, last_clean_at: kept.last_clean_at, next }
    }
}

/// Where the document of a server is. Its name has only characters that file names may have, but for the slash.
fn document(directory: &Path, server: &str) -> PathBuf {
    directory.join(format!("{}.json", server.replace('/', "_")))
}

fn log(server: &str, outcome: &Result<Verification>) {
    match outcome {
        Ok(report) if report.verdict == Verdict::Damaged => {
            let first = report.errors.first();
            tracing::error!(
                server,
                errors = report.errors.len() as u64 + report.errors_left_out,
                first = first.map(|damage| format!("{}: {} in {}", damage.kind.text(), damage.detail, damage.file)),
                hint = "pgtend verify shows all of it; pgtend repair says what can be done",
                "the server's files are damaged"
            );
        }
        Ok(report) => {
            tracing::info!(server, verdict = ?report.verdict, pages = report.checked.pages, seconds = report.took_s, "server verified");
        }
        Err(error) => tracing::error!(server, error = error.what, place = error.place, hint = error.hint, "verification failed"),
    }
}
