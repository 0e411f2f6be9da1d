//! The agent as a process: listeners up, the service manager told, signals heeded, everything ended in order.

use crate::agent::Agent;
use crate::agent::tasks::Tasks;
use crate::api::{self, Listening};
use crate::log;
use pgtend_model::config::{Effective, diff};
use pgtend_model::error::{Error, Kind, Result};
use pgtend_store::state::{FILE_NAME, StateStore};
use sd_notify::NotifyState;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// How long tasks may take to end before they are named as stragglers.
const PATIENCE: Duration = Duration::from_secs(5);

/// A running agent with its listeners.
#[derive(Debug)]
pub struct Daemon {
    /// The agent.
    pub agent: Agent,
    /// Where it answers.
    pub listening: Listening,
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

/// What somebody wants of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// To end.
    End,
    /// To read its configuration again.
    Reload,
}

impl Daemon {
    /// Starts the agent and its listeners.
    ///
    /// # Errors
    /// When a listener's address cannot be had, or the configuration names something that cannot be read.
    pub async fn start(config: Effective) -> Result<Self> {
        log::start(&config.logging);
        let heed = |kind| signal(kind).map_err(|error| Error::new(Kind::System, format!("signals cannot be heeded: {error}")));
        let (interrupt, terminate, hangup) = (heed(SignalKind::interrupt())?, heed(SignalKind::terminate())?, heed(SignalKind::hangup())?);
        let agent = Agent::start(config, Tasks::default())?;
        match listen(&agent).await {
            Ok(listening) => Ok(Self { agent, listening, interrupt, terminate, hangup }),
            Err(error) => {
                // The process would not end before the threads that watch.
                agent.tasks().cancel();
                agent.tasks().finished(PATIENCE).await;
                Err(error)
            }
        }
    }

    /// Tells the service manager that everything answers, and keeps its watchdog content from then on.
    pub fn ready(&self) {
        notify(&[NotifyState::Ready]);
        let Some(every) = sd_notify::watchdog_enabled() else { return };
        let tasks = self.agent.tasks().clone();
        self.agent.tasks().spawn("watchdog", async move {
            let mut beat = tokio::time::interval(every / 3);
            loop {
                tokio::select! {
                    () = tasks.cancelled() => return,
                    _ = beat.tick() => notify(&[NotifyState::Watchdog]),
                }
            }
        });
    }

    /// Waits until somebody wants something.
    pub async fn told(&mut self) -> Told {
        tokio::select! {
            _ = self.interrupt.recv() => Told::End,
            _ = self.terminate.recv() => Told::End,
            _ = self.hangup.recv() => Told::Reload,
        }
    }

    /// Goes over to another configuration; when it cannot be used, says so and stays with the one in force.
    pub fn reload(&self, read: Result<Effective>) {
        notify(&[NotifyState::Reloading]);
        let old = self.agent.config();
        match read.and_then(|config| self.agent.reload(config)) {
            Ok(()) => {
                let new = self.agent.config();
                log::change(&new.logging);
                let changes = diff(&old, &new);
                tracing::info!(changes = changes.len(), "configuration read again");
                for change in changes {
                    tracing::info!("{change}");
                }
            }
            Err(error) => {
                tracing::error!(error = error.what, place = error.place, hint = error.hint, "the configuration stays as it was");
            }
        }
        if let Err(error) = self.listening.reload() {
            tracing::error!(error = error.what, place = error.place, hint = error.hint, "the API's certificate stays as it was");
        }
        notify(&[NotifyState::Ready]);
    }

    /// Ends everything but the archiving of WAL, and names what did not end in time. A PostgreSQL that is stopped next still hands over
    /// its last segment; [`Agent::stop_archive`] ends that too.
    pub async fn stop(self) -> Agent {
        notify(&[NotifyState::Stopping]);
        self.agent.tasks().cancel();
        let stragglers = self.agent.tasks().finished(PATIENCE).await;
        if !stragglers.is_empty() {
            tracing::warn!(tasks = stragglers.join(", "), "tasks did not end in time");
        }
        if let Some(socket) = &self.listening.socket {
            let _gone_already = std::fs::remove_file(socket);
        }
        self.agent
    }
}

async fn listen(agent: &Agent) -> Result<Listening> {
    let state = StateStore::open(&agent.config().agent.state_directory.join(FILE_NAME))?;
    api::serve(agent, Arc::new(state)).await
}

/// Nobody listens unless a service manager started the process; then there is nothing to tell.
fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "the service manager could not be told");
    }
}
