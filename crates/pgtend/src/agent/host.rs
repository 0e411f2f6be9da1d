//! Watches the host of one server: its processes, memory and disks. It goes on when the server no longer answers.

use super::memory::Memory;
use super::server::Server;
use super::settings::Settings;
use jiff::Timestamp;
use pgtend_model::sample::{Origin, Probe, Reason, Unknown};
use pgtend_model::schedule::Schedule;
use pgtend_model::view::Postmaster;
use pgtend_postgres::host::Host;
use pgtend_postgres::process::running::{State, status};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// How often the first process is looked at: a server that was killed is to be noticed within a second.
const LOOK_EVERY: Duration = Duration::from_millis(500);

pub(super) struct HostWatch {
    server: Server,
    data_directory: PathBuf,
    memory: Memory,
    ends: CancellationToken,
    schedule: Schedule,
    host: Option<Host>,
    seen: Postmaster,
}

impl HostWatch {
    /// The watch, where the agent was told the data directory.
    pub(super) fn new(settings: &Settings, server: Server, memory: Memory, ends: CancellationToken) -> Option<Self> {
        let data_directory = settings.server.data_directory.clone()?;
        let schedule = Schedule::new(settings.cadence(Origin::Host));
        Some(Self { server, data_directory, memory, ends, schedule, host: None, seen: Postmaster::NotWatched })
    }

    /// Blocks until it is told to end.
    pub(super) fn run(mut self) {
        let began = Instant::now();
        while !self.ends.is_cancelled() {
            self.look();
            for probe in self.schedule.due(began.elapsed()) {
                self.schedule.ran(probe, began.elapsed());
                self.read(probe);
            }
            let next = self.schedule.next_turn().map_or(LOOK_EVERY, |turn| turn.saturating_sub(began.elapsed()));
            std::thread::sleep(next.min(LOOK_EVERY));
        }
    }

    fn look(&mut self) {
        let now = self.postmaster();
        if now == self.seen {
            return;
        }
        self.say(&now);
        match &now {
            Postmaster::Running { pid, .. } => self.follow(*pid),
            Postmaster::Down { .. } | Postmaster::Unknown(_) | Postmaster::NotWatched => self.host = None,
        }
        self.server.update(|view| view.postmaster = now.clone());
        self.seen = now;
    }

    fn postmaster(&self) -> Postmaster {
        match status(&self.data_directory) {
            Ok(State::Running(found)) => Postmaster::Running { pid: found.pid(), stopped: found.is_stopped() },
            Ok(State::Down | State::Stale { .. } | State::SingleUser { .. }) => match &self.seen {
                down @ Postmaster::Down { .. } => down.clone(),
                _ => Postmaster::Down { since: Timestamp::now() },
            },
            Err(error) => Postmaster::Unknown(Unknown::new(Reason::Privilege, error.what)),
        }
    }

    fn say(&self, now: &Postmaster) {
        let server = self.server.name();
        match (&self.seen, now) {
            (Postmaster::Running { pid, .. }, Postmaster::Down { .. }) => tracing::error!(server, pid, "the postmaster is gone"),
            (_, Postmaster::Running { pid, stopped: true }) => tracing::error!(server, pid, "the postmaster is stopped by a signal"),
            (_, Postmaster::Running { pid, .. }) => tracing::info!(server, pid, "the postmaster runs"),
            (_, Postmaster::Unknown(why)) => tracing::warn!(server, %why, "the postmaster cannot be looked at"),
            (_, Postmaster::Down { .. } | Postmaster::NotWatched) => tracing::warn!(server, "no postmaster runs"),
        }
    }

    fn follow(&mut self, pid: u32) {
        let Ok(pid) = i32::try_from(pid) else { return };
        match &mut self.host {
            Some(host) => host.follow(pid),
            None => self.host = Some(Host::new(&self.data_directory, pid)),
        }
    }

    fn read(&mut self, probe: Probe) {
        let outcome = match &mut self.host {
            Some(host) => host.read(probe),
            None => Err(Unknown::new(Reason::Unreachable, "the server does not run")),
        };
        match &outcome {
            Ok(taken) => self.memory.reading(taken),
            Err(unknown) => self.memory.unknown(probe, unknown),
        }
        self.server.update(|view| match outcome {
            Ok(taken) => view.readings.put(taken),
            Err(unknown) => view.readings.fail(probe, unknown),
        });
    }
}
