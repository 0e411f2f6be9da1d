//! Drills of the servers beside the agent: on schedule and when somebody asks, one at a time on this machine. What they found is kept in the state
//! directory: `drills/<server>.json` in short, `drills/<server>/<id>.json` in full.

use super::backups::Backups;
use super::settings::Settings;
use super::tasks::Tasks;
use crate::backup::cron;
use crate::blocking::blocking;
use crate::drill::{Doing, Ground, Wanted, run};
use crate::scratch::DEFAULT_DIRECTORY;
use jiff::Timestamp;
use pgtend_model::backup::Label;
use pgtend_model::backup::restore_plan::Target;
use pgtend_model::config::{Drill as Config, Effective, Repository as Configured};
use pgtend_model::drill::{Drill, Drills as Told, Kept, Kind, Running, Verdict, Which};
use pgtend_model::error::{Error, Kind as ErrorKind, Result};
use pgtend_postgres::process::os_user::{OsUser, user_name};
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use tokio_util::sync::CancellationToken;

/// The keys of the schedules.
const SCHEDULE: &str = "drill.schedule";
const FULL_SCHEDULE: &str = "drill.full_schedule";

/// The drills of all servers. Clones share them.
#[derive(Debug, Clone)]
pub struct Drills(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: Config,
    state_directory: PathBuf,
    scratch: Option<PathBuf>,
    backups: Backups,
    /// One at a time: two copies at once would need twice the room.
    going: Mutex<Option<Going>>,
    tasks: Tasks,
}

/// One that goes on.
#[derive(Debug, Clone)]
struct Going {
    server: String,
    id: Label,
    started_at: Timestamp,
    doing: Doing,
}

impl Drills {
    /// Those of a configuration.
    ///
    /// # Errors
    /// `Config` when a schedule cannot be read.
    pub fn start(config: &Effective, backups: Backups, tasks: &Tasks) -> Result<Self> {
        cron::schedule(SCHEDULE, &config.drill.schedule)?;
        cron::schedule(FULL_SCHEDULE, &config.drill.full_schedule)?;
        Ok(Self(Arc::new(Inner {
            config: config.drill.clone(),
            state_directory: config.agent.state_directory.clone(),
            scratch: config.backup.scratch_directory.clone(),
            backups,
            going: Mutex::default(),
            tasks: tasks.clone(),
        })))
    }

    /// Does drills of a server on schedule, until it is no longer watched.
    pub(super) fn look_after(&self, settings: &Settings, ends: CancellationToken) {
        if settings.server.data_directory.is_none() || self.0.backups.configured(None).is_err() {
            return;
        }
        for kind in [Kind::Regular, Kind::Full] {
            if self.next(kind).is_none() {
                continue;
            }
            let (this, settings, ends) = (self.clone(), settings.clone(), ends.clone());
            self.0.tasks.spawn(format!("drills of {}", settings.server.name), async move {
                while let Some(next) = this.next(kind) {
                    tokio::select! {
                        () = ends.cancelled() => return,
                        () = tokio::time::sleep(Timestamp::now().duration_until(next).unsigned_abs()) => {}
                    }
                    this.on_schedule(&settings, kind).await;
                }
            });
        }
    }

    fn next(&self, kind: Kind) -> Option<Timestamp> {
        match kind {
            Kind::Regular => cron::following(SCHEDULE, &self.0.config.schedule),
            Kind::Full => cron::following(FULL_SCHEDULE, &self.0.config.full_schedule),
        }
    }

    async fn on_schedule(&self, settings: &Settings, kind: Kind) {
        let which = if kind == Kind::Full { Which::Newest } else { self.kept(&settings.server.name).next_turn() };
        let wanted = Wanted { which, label: None, kind, target: Target::Latest, spares_room: true };
        let begun = self.begin(settings, None);
        match begun {
            Ok((configured, going)) => self.carry_out(settings, &configured, wanted, going).await,
            Err(error) => tracing::warn!(server = settings.server.name, error = error.what, "a drill on schedule was left out"),
        }
    }

    /// Begins a drill that somebody asked for; gives its name.
    ///
    /// # Errors
    /// `Conflict` when one goes on already; `Config` when there is no repository, or the server's files are not here; `NotFound` when the backup that is
    /// named is not there: that is a slip of the pen, not a drill that failed.
    pub async fn run(&self, settings: &Settings, repository: Option<&str>, wanted: Wanted) -> Result<Label> {
        if let Some(label) = wanted.label {
            let configured = self.0.backups.configured(repository)?.swap_remove(0);
            let (opened, server) = (self.0.backups.repository(&configured).await?, settings.server.in_repository().to_owned());
            blocking(move || opened.backup(&server, label)).await?;
        }
        let (configured, going) = self.begin(settings, repository)?;
        let (this, settings, id) = (self.clone(), settings.clone(), going.id);
        self.0.tasks.spawn(format!("drill of {}", settings.server.name), async move {
            this.carry_out(&settings, &configured, wanted, going).await;
        });
        Ok(id)
    }

    fn begin(&self, settings: &Settings, repository: Option<&str>) -> Result<(Configured, Going)> {
        let name = &settings.server.name;
        if settings.server.data_directory.is_none() {
            return Err(Error::new(ErrorKind::Config, format!("the files of \"{name}\" are not here: it has no data_directory"))
                .hint("a drill is done where the server runs and is backed up: set data_directory in the agent's configuration there"));
        }
        let configured = self.0.backups.configured(repository)?.swap_remove(0);
        let mut running = self.0.going.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(going) = running.as_ref() {
            return Err(Error::new(ErrorKind::Conflict, format!("a drill of \"{}\" goes on already", going.server))
                .hint("one at a time: `pgtend drill list` tells how far it is"));
        }
        let started_at = Timestamp::now();
        let going = Going { server: name.clone(), id: Label::at(started_at), started_at, doing: Doing::default() };
        *running = Some(going.clone());
        Ok((configured, going))
    }

    async fn carry_out(&self, settings: &Settings, configured: &Configured, wanted: Wanted, going: Going) {
        let name = &settings.server.name;
        let done = tokio::select! {
            done = Box::pin(self.drill(settings, configured, &wanted, &going)) => done,
            () = self.0.tasks.cancelled() => {
                going.doing.progress.cancel();
                Err(Error::new(ErrorKind::Conflict, "the agent ends: the drill was stopped"))
            }
        };
        match done {
            Ok(drill) => {
                log(&drill);
                // It is kept before it is over, so that whoever waits for the end finds it.
                if let Err(error) = self.keep(name, &drill) {
                    tracing::error!(server = name, %error, "the report of a drill cannot be kept");
                }
            }
            Err(error) => tracing::error!(server = name, error = error.what, place = error.place, hint = error.hint, "drill failed"),
        }
        *self.0.going.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    async fn drill(&self, settings: &Settings, configured: &Configured, wanted: &Wanted, going: &Going) -> Result<Drill> {
        // A full drill opens the repository as somebody would who has nothing but its place and its key.
        let repository = if wanted.kind == Kind::Full {
            let (configured, state) = (configured.clone(), self.0.state_directory.clone());
            blocking(move || crate::backup::open::open(&configured, &state)).await?
        } else {
            self.0.backups.repository(configured).await?
        };
        let config = &self.0.config;
        let usual = config.scratch_directory.clone().or_else(|| self.0.scratch.clone()).unwrap_or_else(|| DEFAULT_DIRECTORY.into());
        let directory = if wanted.kind == Kind::Full { config.full_directory.clone().unwrap_or(usual) } else { usual };
        let ground = Ground {
            server: settings.server.in_repository().to_owned(),
            live: settings.target.clone(),
            repository,
            repository_name: configured.name.clone(),
            config: config.clone(),
            directory,
            user: owner(settings.server.data_directory.as_deref())?,
        };
        Ok(run(&ground, wanted, going.id, &going.doing).await)
    }

    /// Stops the one of this server that goes on; whether there was one.
    pub fn stop(&self, server: &str) -> bool {
        let going = self.0.going.lock().unwrap_or_else(PoisonError::into_inner);
        going.as_ref().filter(|going| going.server == server).inspect(|going| going.doing.progress.cancel()).is_some()
    }

    fn directory(&self, server: &str) -> PathBuf {
        self.0.state_directory.join("drills").join(server)
    }

    fn keep(&self, server: &str, drill: &Drill) -> io::Result<()> {
        let directory = self.directory(server);
        fs::create_dir_all(&directory)?;
        write(&directory.join(format!("{}.json", drill.id)), drill)?;
        let mut kept = self.kept(server);
        let gone = kept.take(drill, self.0.config.keep);
        write(&directory.with_extension("json"), &kept)?;
        for id in gone {
            let _ = fs::remove_file(directory.join(format!("{id}.json")));
        }
        Ok(())
    }

    /// What is known of earlier drills of a server.
    pub fn kept(&self, server: &str) -> Kept {
        read(&self.directory(server).with_extension("json")).unwrap_or_default()
    }

    /// The report of a drill.
    ///
    /// # Errors
    /// `NotFound` when there is none of this name.
    pub fn report(&self, server: &str, id: &str) -> Result<Drill> {
        // Only what can be its name becomes a path.
        let known = id.parse::<Label>().ok();
        known.and_then(|id| read(&self.directory(server).join(format!("{id}.json")))).ok_or_else(|| {
            Error::new(ErrorKind::NotFound, format!("there is no report of a drill {id} of \"{server}\""))
                .hint("`pgtend drill list` shows those there are")
        })
    }

    /// What goes on, and what was found.
    pub fn told(&self, server: &str) -> Told {
        let going = self.0.going.lock().unwrap_or_else(PoisonError::into_inner).clone().filter(|going| going.server == server);
        let running = going.map(|going| {
            let seen = going.doing.progress.see();
            let what = going.doing.what();
            let doing = if what == "restoring" { seen.phase.text().to_owned() } else { what };
            Running {
                id: going.id.to_string(),
                started_at: going.started_at,
                doing,
                total_bytes: seen.total_bytes,
                done_bytes: seen.done_bytes,
            }
        });
        let Kept { drills, last_passed_at } = self.kept(server);
        Told {
            server: server.to_owned(),
            running,
            drills,
            last_passed_at,
            next: self.next(Kind::Regular),
            next_full: self.next(Kind::Full),
        }
    }
}

/// Who runs the copy: who owns the server's own files.
fn owner(data: Option<&Path>) -> Result<OsUser> {
    let owner = data.and_then(|data| fs::metadata(data).ok()).map(|found| user_name(found.uid()));
    let asked = owner.filter(|_| rustix::process::geteuid().is_root());
    OsUser::choose(asked.as_deref())
}

fn write(path: &Path, document: &impl serde::Serialize) -> io::Result<()> {
    let new = path.with_extension("new");
    fs::write(&new, serde_json::to_vec(document).map_err(io::Error::other)?)?;
    fs::rename(&new, path)
}

fn read<T: serde::de::DeserializeOwned>(path: &Path) -> Option<T> {
    fs::read(path).ok().and_then(|text| serde_json::from_slice(&text).ok())
}

fn log(drill: &Drill) {
    let (server, backup) = (drill.server.as_str(), drill.backup.map(|label| label.to_string()).unwrap_or_default());
    match drill.verdict {
        Verdict::Failed => tracing::error!(
            server,
            drill = drill.id,
            backup,
            conclusion = drill.conclusion,
            hint = "pgtend drill show tells all of it",
            "a drill failed"
        ),
        _ => tracing::info!(server, drill = drill.id, backup, conclusion = drill.conclusion, rto_seconds = drill.rto_seconds, "drill done"),
    }
}
