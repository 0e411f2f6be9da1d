//! What of a server's readings is remembered, and when: the way from its watch to the history.

use super::recording::Recording;
use jiff::Timestamp;
use pgtend_model::ash::Tick;
use pgtend_model::config::effective::Awr;
use pgtend_model::logline::Position;
use pgtend_model::past::{NewPlan, remembered_every};
use pgtend_model::sample::{Probe, Taken, Text, Unknown};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A reading that comes a little before its turn counts as in time.
const EARLY: Duration = Duration::from_millis(500);

#[derive(Debug)]
pub(super) struct Memory {
    recording: Recording,
    server: Arc<str>,
    awr: Awr,
    kept: HashMap<Probe, Instant>,
}

impl Memory {
    pub(super) fn new(recording: Recording, server: &str, awr: Awr) -> Self {
        Self { recording, server: server.into(), awr, kept: HashMap::new() }
    }

    /// Whether readings of a probe are remembered at all.
    pub(super) fn remembers(&self, probe: Probe) -> bool {
        let wanted = match probe {
            Probe::Statements | Probe::StatementsInfo => self.awr.capture_sql_stats,
            Probe::Io | Probe::BackendIo | Probe::Slru | Probe::HostDisk => self.awr.capture_io_stats,
            Probe::Buffercache | Probe::BuffercacheUsage | Probe::Bgwriter => self.awr.capture_buffer_pool_stats,
            _ => true,
        };
        self.awr.enabled && wanted && remembered_every(probe).is_some()
    }

    fn is_due(&self, probe: Probe) -> bool {
        let every = remembered_every(probe).unwrap_or_default().saturating_sub(EARLY);
        self.remembers(probe) && self.kept.get(&probe).is_none_or(|kept| kept.elapsed() >= every)
    }

    /// Every probe is remembered at its next reading, whenever that was last done.
    pub(super) fn all_due(&mut self) {
        self.kept.clear();
    }

    /// Remembers a reading whose turn it is.
    pub(super) fn reading(&mut self, taken: &Taken) {
        if self.is_due(taken.probe()) {
            self.kept.insert(taken.probe(), Instant::now());
            self.recording.reading(&self.server, taken.at(), taken.took(), taken.clone());
        }
    }

    /// Remembers that a probe whose turn it is could not be read.
    pub(super) fn unknown(&mut self, probe: Probe, why: &Unknown) {
        if self.is_due(probe) {
            self.kept.insert(probe, Instant::now());
            self.recording.unknown(&self.server, Timestamp::now(), probe, why.clone());
        }
    }

    /// Remembers what the sessions did.
    pub(super) fn tick(&self, tick: Tick) {
        self.recording.tick(&self.server, tick);
    }

    /// Remembers texts of statements.
    pub(super) fn texts(&self, texts: Vec<(i64, Text)>) {
        self.recording.texts(&self.server, texts);
    }

    /// Remembers messages of the server's log.
    pub(super) fn events(&self, taken: &Taken) {
        if self.remembers(taken.probe()) && !taken.is_empty() {
            self.recording.events(&self.server, taken.at(), taken.clone());
        }
    }

    /// Remembers plans that were executed, and the texts of those statements that nothing else tells.
    pub(super) fn plans(&self, plans: Vec<NewPlan>, texts: Vec<(i64, Text)>) {
        if self.awr.enabled {
            self.recording.plans(&self.server, plans);
            self.recording.sampled_texts(&self.server, texts);
        }
    }

    /// Remembers how far the server's log was read.
    pub(super) fn log_read(&self, position: Position) {
        self.recording.log_read(&self.server, position);
    }

    pub(super) fn recording(&self) -> &Recording {
        &self.recording
    }
}
