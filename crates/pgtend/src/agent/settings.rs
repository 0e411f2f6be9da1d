//! How one server is watched: what the configuration says, resolved for that server.

use pgtend_model::ash::Capture;
use pgtend_model::config::effective::{Ash, Awr};
use pgtend_model::config::metrics::Custom;
use pgtend_model::config::probes::Probes;
use pgtend_model::config::{self, Effective};
use pgtend_model::error::{Error, Kind, Result};
use pgtend_model::sample::registry::SPECS;
use pgtend_model::sample::{Origin, Probe, Reason, Unknown};
use pgtend_model::schedule::Cadence;
use pgtend_postgres::connect::{Environment, Limits, Target};
use pgtend_postgres::probe::Bounds;
use std::collections::HashMap;
use std::time::Duration;

/// How one server is watched.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Its section of the configuration.
    pub server: config::Server,
    /// How to connect.
    pub target: Target,
    /// How to connect to the other nodes of its cluster.
    pub peers: Vec<Target>,
    /// How sessions are sampled.
    pub ash: Ash,
    /// What is remembered, and when snapshots are taken.
    pub awr: Awr,
    /// How often probes run and what they may cost.
    pub probes: Probes,
    /// The user's own metrics on this server.
    pub custom: Vec<Custom>,
    /// Time that all of these may take in one round.
    pub custom_budget: Duration,
}

impl Settings {
    /// What the configuration says about one of its servers.
    ///
    /// # Errors
    /// When the connection string, or a file that it names, cannot be read.
    pub fn new(config: &Effective, server: &config::Server, environment: &Environment) -> Result<Self> {
        let is_peer = |other: &&config::Server| other.name != server.name && other.in_repository() == server.in_repository();
        let custom = config.metrics.custom.iter().filter(|custom| custom.servers.includes(&server.name)).cloned().collect();
        Ok(Self {
            server: server.clone(),
            target: target(server, environment)?,
            // What stands in the way of one of them is said where that one is watched.
            peers: config.server.iter().filter(is_peer).filter_map(|peer| target(peer, environment).ok()).collect(),
            ash: config.ash.clone(),
            awr: config.awr.clone(),
            probes: config.probes.clone(),
            custom,
            custom_budget: config.metrics.custom_budget,
        })
    }

    /// Of every server in the configuration.
    ///
    /// # Errors
    /// As [`Settings::new`].
    pub fn all(config: &Effective, environment: &Environment) -> Result<Vec<Self>> {
        config.server.iter().map(|server| Self::new(config, server, environment)).collect()
    }

    /// Whether the other says the same: then the watch goes on as it is.
    pub fn same(&self, other: &Self) -> bool {
        self.server == other.server
            && self.ash == other.ash
            && self.awr == other.awr
            && self.probes == other.probes
            && self.custom == other.custom
            && self.custom_budget == other.custom_budget
    }

    /// Bounds of its sessions.
    pub fn limits(&self) -> Limits {
        Limits {
            connect_timeout: self.server.connect_timeout,
            statement_timeout: self.server.statement_timeout,
            lock_timeout: self.server.lock_timeout,
            ..Limits::default()
        }
    }

    /// How long a silent server is waited for: longer than it is allowed to take, so that its own time-out comes first.
    pub fn patience(&self) -> Duration {
        self.server.statement_timeout + Duration::from_secs(1)
    }

    /// What each probe may cost.
    pub fn bounds(&self) -> HashMap<Probe, Bounds> {
        let of = |probe: Probe| {
            let settings = self.probes.get(probe);
            Bounds { timeout: settings.timeout, max_rows: settings.max_rows }
        };
        SPECS.iter().map(|spec| (spec.probe, of(spec.probe))).collect()
    }

    /// What of a session's sample is kept.
    pub fn capture(&self) -> Capture {
        Capture { statements: self.ash.capture_sql_text, waits: self.ash.capture_wait_events, blockers: self.ash.capture_blocking_sessions }
    }

    /// How often each probe of this origin runs; those that never run by themselves are left out.
    pub fn cadence(&self, origin: Origin) -> Cadence {
        let mut cadence = self.probes.cadence();
        cadence.retain(|probe, _| probe.spec().origin == origin && self.never(*probe).is_none());
        if let Some(every) = cadence.get_mut(&Probe::HostProcess) {
            *every = self.ash.sample_interval_seconds;
        }
        cadence
    }

    /// Why a probe never runs on this server, if it does not.
    pub fn never(&self, probe: Probe) -> Option<Unknown> {
        let switched_off = probe == Probe::HostProcess && !self.ash.capture_resource_usage;
        if switched_off || !self.probes.get(probe).enabled {
            return Some(Unknown::new(Reason::Disabled, "switched off in the configuration"));
        }
        if probe.spec().origin == Origin::Host && self.server.data_directory.is_none() {
            let detail = "figures of the host need the agent on the server's machine, and data_directory in its [[server]] section";
            return Some(Unknown::new(Reason::Remote, detail));
        }
        if probe.spec().origin == Origin::Log && self.server.data_directory.is_none() && self.server.log_file.is_none() {
            let detail = "the server's log needs the agent on the server's machine, and data_directory in its [[server]] section";
            return Some(Unknown::new(Reason::Remote, detail));
        }
        None
    }
}

fn target(server: &config::Server, environment: &Environment) -> Result<Target> {
    let target = Target::resolve(Some(server.dsn.expose()), environment).map_err(|error| error.at(format!("server {}", server.name)))?;
    let Some(file) = &server.password_file else { return Ok(target) };
    Ok(target.with_password(&password(file).map_err(|error| error.at(file.display().to_string()))?))
}

fn password(file: &std::path::Path) -> Result<String> {
    let text = std::fs::read_to_string(file).map_err(|error| {
        Error::new(Kind::Config, format!("the password file cannot be read: {error}"))
            .hint("it must be readable by the user that runs the agent")
    })?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}
