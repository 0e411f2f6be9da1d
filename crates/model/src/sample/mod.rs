//! What a probe yields: typed rows at an instant, each column defined once.
//!
//! A row is declared with [`rows!`]; that one declaration gives the struct, how it is read from any source, its generic form for
//! history and export, and its reference documentation. [`registry`] lists the probes.

pub mod registry;
mod row;

pub mod activity;
pub mod aios;
pub mod archiver;
pub mod backend_io;
pub mod bgwriter;
pub mod buffercache;
pub mod checkpointer;
pub mod connections;
pub mod custom;
pub mod database;
pub mod database_size;
pub mod extensions;
pub mod file_settings;
pub mod functions;
pub mod hba;
pub mod host_cpu;
pub mod host_disk;
pub mod host_filesystem;
pub mod host_memory;
pub mod host_network;
pub mod host_pressure;
pub mod host_process;
pub mod idle_sessions;
pub mod indexes;
pub mod io;
pub mod lock_waits;
pub mod locks;
pub mod log;
pub mod prepared_transactions;
pub mod progress;
pub mod recovery;
pub mod recovery_conflicts;
pub mod replication;
pub mod roles;
pub mod sequences;
pub mod server;
pub mod session_locks;
pub mod settings;
pub mod slots;
pub mod slru;
pub mod ssl;
pub mod statements;
pub mod subscription;
pub mod tables;
#[cfg(test)]
pub mod testing;
pub mod wait_events;
pub mod wal;
pub mod wal_files;
pub mod wal_receiver;

pub use registry::{Origin, Probe, Readings, Scope, Spec, Taken};
pub use row::{Column, DecodeError, Field, Kind, Row, RowSource, Text, Value};

use std::fmt;
use std::time::Duration;

/// The rows of one probe at one instant.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample<T> {
    /// When the rows were asked for, by the agent's clock.
    pub at: jiff::Timestamp,
    /// How long the answer took.
    pub took: Duration,
    /// The rows.
    pub rows: Vec<T>,
    /// What is missing from the rows, in words for a person; empty when they are whole.
    pub missing: Vec<Unknown>,
}

/// The rows of a sample without their type.
pub trait Rows {
    /// How many there are.
    fn len(&self) -> usize;
    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// A row's column.
    fn value(&self, row: usize, column: usize) -> Value<'_>;
    /// What is missing from them.
    fn missing(&self) -> &[Unknown];
}

impl<T: Row> Rows for Sample<T> {
    fn len(&self) -> usize {
        self.rows.len()
    }

    fn value(&self, row: usize, column: usize) -> Value<'_> {
        self.rows[row].value(column)
    }

    fn missing(&self) -> &[Unknown] {
        &self.missing
    }
}

/// Why a figure could not be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Nobody asked yet: the probe's first round is still to come.
    Pending,
    /// The server could not be reached, or went away.
    Unreachable,
    /// The role may not read it.
    Privilege,
    /// This PostgreSQL is too old (or too new) to have it.
    Version,
    /// An extension or library that provides it is not there.
    Extension,
    /// It took longer than its limit.
    Timeout,
    /// A lock that it needs is held by somebody else.
    Lock,
    /// It needs files or /proc of the server's host, and the agent is elsewhere.
    Remote,
    /// It is switched off in the configuration or by a setting of the server.
    Disabled,
    /// There is none: the figure has no meaning here, the lag of a server without standbys for instance.
    Absent,
    /// Two readings are needed and the counter was reset between them.
    Reset,
    /// The round's time budget was used up before its turn.
    Budget,
    /// Anything else; the detail says what.
    Failed,
}

impl Reason {
    /// The word that stands for it in documents and metrics.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Unreachable => "unreachable",
            Self::Privilege => "privilege",
            Self::Version => "version",
            Self::Extension => "extension",
            Self::Timeout => "timeout",
            Self::Lock => "lock",
            Self::Remote => "remote",
            Self::Disabled => "disabled",
            Self::Absent => "absent",
            Self::Reset => "reset",
            Self::Budget => "budget",
            Self::Failed => "failed",
        }
    }
}

/// A figure that could not be had, with the reason.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
pub struct Unknown {
    /// The kind of reason, for programs.
    pub reason: Reason,
    /// The reason in words, with what would mend it.
    pub detail: String,
}

impl Unknown {
    /// An unknown with its reason in words.
    pub fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into() }
    }
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

/// Time over which a rate is taken, at least: sessions report what they did about once a second.
const MIN_APART: jiff::SignedDuration = jiff::SignedDuration::from_millis(950);

/// What is known of one probe: the newest rows, the ones before (for rates), and why the last attempt failed if it did.
#[derive(Debug, Clone)]
pub struct Slot<T> {
    /// The newest sample. It stays, with its age, when later attempts fail.
    pub latest: Option<std::sync::Arc<Sample<T>>>,
    /// A sample before the newest, at least a second before it where there is one.
    pub previous: Option<std::sync::Arc<Sample<T>>>,
    /// The sample that becomes the previous one when a newer is far enough from it.
    candidate: Option<std::sync::Arc<Sample<T>>>,
    /// Why the newest attempt gave nothing; none while all is well.
    pub unknown: Option<Unknown>,
}

impl<T> Default for Slot<T> {
    fn default() -> Self {
        Self { latest: None, previous: None, candidate: None, unknown: Some(Unknown::new(Reason::Pending, "not sampled yet")) }
    }
}

impl<T> Slot<T> {
    /// Takes in what an attempt gave.
    pub fn put(&mut self, outcome: Result<Sample<T>, Unknown>) {
        match outcome {
            Ok(sample) => {
                let sample = std::sync::Arc::new(sample);
                if self.candidate.as_ref().is_none_or(|candidate| sample.at.duration_since(candidate.at) >= MIN_APART) {
                    self.previous = self.candidate.replace(sample.clone());
                }
                self.latest = Some(sample);
                self.unknown = None;
            }
            Err(unknown) => self.unknown = Some(unknown),
        }
    }

    /// The newest rows, as long as the newest attempt succeeded.
    ///
    /// # Errors
    /// The reason why there are none now.
    pub fn current(&self) -> Result<&Sample<T>, &Unknown> {
        match (&self.unknown, &self.latest) {
            (Some(unknown), _) => Err(unknown),
            (None, Some(sample)) => Ok(sample),
            (None, None) => unreachable!("a slot without an unknown holds a sample"),
        }
    }

    /// The newest two samples and the seconds between them, for rates.
    ///
    /// # Errors
    /// The reason why there are not two samples.
    pub fn pair(&self) -> Result<(&Sample<T>, &Sample<T>, f64), Unknown> {
        let newer = self.current().map_err(Clone::clone)?;
        let older = self.previous.as_deref().ok_or_else(|| Unknown::new(Reason::Pending, "a rate needs a second sample"))?;
        let seconds = (newer.at - older.at).total(jiff::Unit::Second).unwrap_or(0.0);
        if seconds <= 0.0 {
            return Err(Unknown::new(Reason::Reset, "the clock went backwards between the two samples"));
        }
        Ok((older, newer, seconds))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(ms: i64) -> Sample<i64> {
        let at = jiff::Timestamp::from_millisecond(ms).expect("a valid time");
        Sample { at, took: Duration::ZERO, rows: vec![ms], missing: Vec::new() }
    }

    #[test]
    fn rates_span_at_least_a_second_however_often_is_sampled() {
        let mut slot = Slot::default();
        for ms in (0..10_000).step_by(100) {
            slot.put(Ok(sample(ms)));
            if ms >= 1000 {
                let (_, _, seconds) = slot.pair().expect("two samples");
                assert!((0.95..2.1).contains(&seconds), "{seconds} s at {ms} ms");
            }
        }
    }

    #[test]
    fn a_failed_attempt_hides_the_rows_and_the_next_success_shows_them() {
        let mut slot = Slot::default();
        slot.put(Ok(sample(0)));
        slot.put(Err(Unknown::new(Reason::Timeout, "too slow")));
        assert_eq!(slot.current().map_err(|unknown| unknown.reason), Err(Reason::Timeout));
        slot.put(Ok(sample(5000)));
        assert_eq!(slot.pair().map(|(older, newer, _)| (older.rows[0], newer.rows[0])), Ok((0, 5000)));
    }
}
