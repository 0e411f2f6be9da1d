//! Keeps PostgreSQL running: notices its end at once, and does what `pgtend_model::supervise` decides.

use super::carry_out::carry_out;
use super::coming::Coming;
use super::ground::Ground;
use super::options::Options;
use super::signals::Signals;
use super::survey;
use crate::cli::output;
use jiff::Timestamp;
use pgtend_model::error::{Error, Result};
use pgtend_model::supervise::{Decision, End, Policy, decide};
use pgtend_model::up::{DEFAULT_PORT, start_again};
use pgtend_postgres::process::running::{Postmaster, State, StopMode, status};
use std::path::PathBuf;
use std::time::Duration;

/// How often it is looked whether somebody else started PostgreSQL.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Between a start that failed and the next one.
const PAUSE: Duration = Duration::from_secs(1);

/// Where PostgreSQL can be reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The port.
    pub port: u16,
    /// The directory of its socket.
    pub socket_directory: Option<PathBuf>,
}

/// Something that happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// PostgreSQL accepts connections again.
    CameUp,
    /// It ended, or could not be started.
    WentDown,
}

/// One PostgreSQL and how it is kept.
#[derive(Debug)]
pub struct Keeper<'a> {
    options: &'a Options,
    ground: Ground,
    policy: Policy,
    starts: Vec<Timestamp>,
    place: Place,
    now: Now,
}

#[derive(Debug)]
enum Now {
    Up(Postmaster),
    Coming(Coming),
    /// To be started again after this.
    Due(Duration),
    Down,
}

impl<'a> Keeper<'a> {
    /// Of a PostgreSQL that accepts connections.
    pub fn new(options: &'a Options, ground: Ground, postmaster: Postmaster) -> Self {
        let policy = Policy { enabled: !options.no_restart, ..Policy::default() };
        Self { options, ground, policy, starts: Vec::new(), place: place(&postmaster), now: Now::Up(postmaster) }
    }

    /// The directory.
    pub fn ground(&self) -> &Ground {
        &self.ground
    }

    /// Where PostgreSQL can be reached, or could be last.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// The postmaster's process, while it runs.
    pub fn pid(&self) -> Option<u32> {
        if let Now::Up(postmaster) = &self.now { Some(postmaster.pid()) } else { None }
    }

    /// Waits for the next thing to happen. It may be dropped and called again.
    pub async fn next(&mut self) -> Event {
        loop {
            match &mut self.now {
                Now::Up(postmaster) => {
                    postmaster.ended().await;
                    self.ended();
                    return Event::WentDown;
                }
                Now::Coming(coming) => match coming.ready().await {
                    Ok(postmaster) => {
                        tracing::info!(pid = postmaster.pid(), "PostgreSQL accepts connections");
                        self.place = place(&postmaster);
                        self.now = Now::Up(postmaster);
                        return Event::CameUp;
                    }
                    Err(error) => {
                        self.failed(&error);
                        return Event::WentDown;
                    }
                },
                Now::Due(pause) => {
                    tokio::time::sleep(*pause).await;
                    match self.start() {
                        Ok(coming) => self.now = Now::Coming(coming),
                        Err(error) => self.failed(&error),
                    }
                }
                Now::Down => {
                    tokio::time::sleep(LOOK_EVERY).await;
                    self.take_up_what_others_started();
                }
            }
        }
    }

    /// Says how PostgreSQL ended, and what follows.
    fn ended(&mut self) {
        let Now::Up(postmaster) = &mut self.now else { return };
        let how =
            postmaster.exit_status().map_or_else(|| "it was not our child, so how is unknown".to_owned(), |status| status.to_string());
        let pid = postmaster.pid();
        let end = match status(&self.ground.layout.data()) {
            Ok(State::Down) => End::Clean,
            Ok(State::Running(other)) => {
                tracing::warn!(pid, now = other.pid(), "somebody restarted PostgreSQL");
                self.now = Now::Coming(Coming::Adopted(other));
                return;
            }
            _ => End::Crash,
        };
        let decision = self.decide(end);
        match end {
            End::Clean => tracing::warn!(pid, how, "PostgreSQL ended: {decision}"),
            End::Crash | End::FailedStart => tracing::error!(pid, how, "PostgreSQL died: {decision}"),
        }
        self.follow(&decision, Duration::ZERO);
    }

    fn failed(&mut self, error: &Error) {
        let decision = self.decide(End::FailedStart);
        tracing::error!(error = error.what, place = error.place, hint = error.hint, "PostgreSQL could not be started: {decision}");
        self.follow(&decision, PAUSE);
    }

    fn decide(&self, end: End) -> Decision {
        decide(&self.policy, end, &self.starts, Timestamp::now())
    }

    fn follow(&mut self, decision: &Decision, pause: Duration) {
        self.now = match decision {
            Decision::StartAgain(_) => Now::Due(pause),
            Decision::LeaveDown(_) => Now::Down,
        };
    }

    /// Plans anew, as at the beginning, but on the port that everybody knows by now.
    fn start(&mut self) -> Result<Coming> {
        self.starts.push(Timestamp::now());
        let options = Options { pg_port: Some(self.place.port), ..self.options.clone() };
        let found = survey::survey(&options)?;
        let plan = start_again(&found.view)?;
        carry_out(&plan, &mut self.ground, &|step| tracing::info!("{step}"))
    }

    fn take_up_what_others_started(&mut self) {
        if let Ok(State::Running(postmaster)) = status(&self.ground.layout.data()) {
            tracing::info!(pid = postmaster.pid(), "somebody started PostgreSQL: taking it up");
            self.now = Now::Coming(Coming::Adopted(postmaster));
        }
    }

    /// Stops PostgreSQL, or leaves it running.
    pub async fn stop(self, leave_running: bool, signals: &mut Signals) {
        let postmaster = match self.now {
            Now::Up(postmaster) => Some(postmaster),
            Now::Coming(coming) => coming.settle(),
            Now::Due(_) | Now::Down => None,
        };
        match postmaster {
            Some(postmaster) if leave_running => {
                output::progress(&format!("PostgreSQL, process {}, goes on; `pgtend up` takes it up again", postmaster.pid()));
            }
            postmaster => stop(postmaster, signals).await,
        }
    }
}

/// Stops it in order; when told to end once more, at once.
pub async fn stop(postmaster: Option<Postmaster>, signals: &mut Signals) {
    let Some(postmaster) = postmaster else { return };
    output::progress("stopping PostgreSQL (Ctrl-C again: at once, and the next start replays the WAL)");
    ask(&postmaster, StopMode::Fast);
    loop {
        tokio::select! {
            () = postmaster.ended() => break,
            () = signals.end() => {
                output::progress("stopping PostgreSQL at once");
                ask(&postmaster, StopMode::Immediate);
            }
        }
    }
    output::progress("PostgreSQL is stopped");
}

fn ask(postmaster: &Postmaster, mode: StopMode) {
    if let Err(error) = postmaster.ask_to_stop(mode) {
        output::error(&error);
    }
}

fn place(postmaster: &Postmaster) -> Place {
    let file = postmaster.file();
    Place { port: file.port.unwrap_or(DEFAULT_PORT), socket_directory: file.socket_directory.clone() }
}
