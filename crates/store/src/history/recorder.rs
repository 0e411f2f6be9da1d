//! Writes history: the one writer of a history's directory, on a thread of its own.

use super::catalog::Origin;
use super::changes::Changes;
use super::journal::Journal;
use super::layout::{Hour, JournalFile, to_ms};
use super::record::{Filling, Head};
use super::{History, failed};
use jiff::Timestamp;
use pgtend_model::ash;
use pgtend_model::error::Result;
use pgtend_model::logline::Position;
use pgtend_model::past::NewPlan;
use pgtend_model::sample::{Probe, Taken, Text, Unknown};
use std::collections::HashMap;
use std::fs::File;
use std::io;

/// What waits to be written while the disk is full; beyond that it is given up.
const MOST_WAITING: usize = 16 << 20;
/// A journal of more than this is sealed before its hour is over, so that sealing takes little memory.
pub(super) const MOST_JOURNAL_BYTES: u64 = 16 << 20;

/// The one writer of a history.
#[derive(Debug)]
pub struct Recorder {
    history: History,
    next_number: u64,
    servers: HashMap<String, Writing>,
    lost: u64,
    /// Held as long as this lives.
    _lock: File,
}

#[derive(Debug, Default)]
struct Writing {
    open: Option<(JournalFile, Journal)>,
    filling: Filling,
    changes: Changes,
    hour: Option<Hour>,
    /// Whether the last write failed.
    failing: bool,
}

impl Recorder {
    pub(super) fn new(history: History, lock: File) -> Result<Self> {
        let layout = history.layout();
        let greatest = layout.greatest_number().map_err(|error| failed(layout.root(), &error))?;
        Ok(Self { history, next_number: greatest + 1, servers: HashMap::new(), lost: 0, _lock: lock })
    }

    /// The history that it writes.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// Records the sessions at one instant.
    pub fn tick(&mut self, server: &str, tick: &ash::Tick) {
        self.turn(server, tick.at);
        self.writing(server).filling.tick(tick);
    }

    /// Records a reading of a probe: what changed since the one before.
    pub fn reading(&mut self, server: &str, at: Timestamp, took: std::time::Duration, taken: &Taken) {
        self.turn(server, at);
        let writing = self.writing(server);
        let difference = writing.changes.take(taken);
        let took_ms = u32::try_from(took.as_millis()).unwrap_or(u32::MAX);
        let head = Head { at_ms: to_ms(at).as_millisecond(), took_ms, whole: difference.whole };
        writing.filling.frame(taken, head, &difference.rows, &difference.gone);
    }

    /// Records rows that are events: each is written once, and never said to be gone.
    pub fn events(&mut self, server: &str, at: Timestamp, events: &Taken) {
        self.turn(server, at);
        let rows: Vec<usize> = (0..events.len()).collect();
        let head = Head { at_ms: to_ms(at).as_millisecond(), took_ms: 0, whole: true };
        self.writing(server).filling.frame(events, head, &rows, &[]);
    }

    /// Notes how far a server's log was read, of which everything was handed over and flushed.
    ///
    /// # Errors
    /// `System` when it cannot be written.
    pub fn log_position(&self, server: &str, position: &Position) -> Result<()> {
        self.history.catalog().keep_log_position(server, position)
    }

    /// Records that a probe could not be read.
    pub fn unknown(&mut self, server: &str, at: Timestamp, probe: Probe, why: &Unknown) {
        self.turn(server, at);
        self.writing(server).filling.unknown(at.as_millisecond(), probe.spec().name, why);
    }

    /// Keeps texts of statements.
    ///
    /// # Errors
    /// `System` when they cannot be written.
    pub fn texts(&mut self, server: &str, texts: &[(i64, Text)], origin: Origin, now: Timestamp) -> Result<()> {
        self.history.catalog().keep_texts(server, texts, origin, now)
    }

    /// Keeps plans of statements.
    ///
    /// # Errors
    /// `System` when they cannot be written.
    pub fn plans(&mut self, server: &str, plans: &[NewPlan]) -> Result<()> {
        self.history.catalog().keep_plans(server, plans)
    }

    fn writing(&mut self, server: &str) -> &mut Writing {
        if !self.servers.contains_key(server) {
            self.servers.insert(server.to_owned(), Writing::default());
        }
        self.servers.entry(server.to_owned()).or_default()
    }

    /// Goes over to another hour's journal, whichever way the clock went.
    fn turn(&mut self, server: &str, at: Timestamp) {
        let hour = Hour::of(at);
        let writing = self.writing(server);
        if writing.hour == Some(hour) {
            return;
        }
        if writing.hour.is_some() {
            self.write_down(server);
        }
        let history = self.history.clone();
        let writing = self.writing(server);
        writing.hour = Some(hour);
        writing.close(&history);
        writing.changes.restart();
    }

    /// Writes what was recorded, and waits until it is durable.
    pub fn flush(&mut self) {
        let servers: Vec<String> = self.servers.keys().cloned().collect();
        for server in servers {
            self.write_down(&server);
        }
    }

    fn write_down(&mut self, server: &str) {
        let writing = self.writing(server);
        if writing.filling.is_empty() {
            return;
        }
        let waiting = writing.filling.bytes();
        match self.append(server) {
            Ok(()) => {
                if std::mem::take(&mut self.writing(server).failing) {
                    tracing::info!(server, "history can be written again");
                }
                self.let_go_of_large(server);
            }
            Err(error) => self.could_not_write(server, &error, waiting),
        }
    }

    fn append(&mut self, server: &str) -> io::Result<()> {
        self.open(server)?;
        let freed = |recorder: &mut Self, error: &io::Error| error.kind() == io::ErrorKind::StorageFull && recorder.history.free_oldest();
        loop {
            let writing = self.writing(server);
            let Some((_, journal)) = &mut writing.open else { return Ok(()) };
            match journal.append(writing.filling.batch()) {
                Ok(()) => {
                    writing.filling.take();
                    return Ok(());
                }
                Err(error) if freed(self, &error) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// A journal of this hour that an earlier run left is written on.
    fn open(&mut self, server: &str) -> io::Result<()> {
        let number = self.next_number;
        let layout = self.history.layout().clone();
        let writing = self.writing(server);
        let (None, Some(hour)) = (&writing.open, writing.hour) else { return Ok(()) };
        let history = self.history.clone();
        let mut journals = history.journals();
        let left = layout.journals(server)?.into_iter().rfind(|journal| journal.hour == hour);
        let free = left.filter(|left| !journals.sealing.contains(&left.number));
        let small = free.filter(|left| left.path.metadata().is_ok_and(|metadata| metadata.len() < MOST_JOURNAL_BYTES));
        let file = small.unwrap_or_else(|| layout.journal(server, hour, number));
        let journal = Journal::open(&file.path)?;
        journals.open.insert(file.number);
        drop(journals);
        if file.number == number {
            self.next_number += 1;
        }
        self.writing(server).open = Some((file, journal));
        Ok(())
    }

    fn let_go_of_large(&mut self, server: &str) {
        let history = self.history.clone();
        let writing = self.writing(server);
        if writing.open.as_ref().is_some_and(|(_, journal)| journal.length() >= MOST_JOURNAL_BYTES) {
            writing.close(&history);
            writing.changes.restart();
        }
    }

    fn could_not_write(&mut self, server: &str, error: &io::Error, waiting: usize) {
        let history = self.history.clone();
        let writing = self.writing(server);
        if !writing.failing {
            tracing::error!(server, %error, waiting_bytes = waiting, "history cannot be written: it waits in memory and is tried again");
        }
        writing.failing = true;
        writing.close(&history);
        if waiting > MOST_WAITING {
            let given_up = writing.filling.take();
            writing.changes.restart();
            self.lost += given_up.ticks.len() as u64;
            tracing::error!(server, samples = given_up.ticks.len(), "history given up: too much waited to be written");
        }
    }

    /// Samples given up because they could not be written.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// Lets go of journals whose hour is over, so that they can be sealed.
    pub fn close(&mut self, now: Timestamp) {
        self.flush();
        let hour = Hour::of(now);
        let history = self.history.clone();
        for writing in self.servers.values_mut().filter(|writing| writing.hour != Some(hour) && writing.filling.is_empty()) {
            writing.close(&history);
            *writing = Writing::default();
        }
    }
}

impl Writing {
    fn close(&mut self, history: &History) {
        if let Some((file, _)) = self.open.take() {
            history.journals().open.remove(&file.number);
        }
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.flush();
        let history = self.history.clone();
        self.servers.values_mut().for_each(|writing| writing.close(&history));
    }
}
