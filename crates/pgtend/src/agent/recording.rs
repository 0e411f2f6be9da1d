//! Hands what was seen to the history, which writes it on a thread of its own: watching never waits for a disk.

use jiff::Timestamp;
use pgtend_model::ash::Tick;
use pgtend_model::config::Effective;
use pgtend_model::error::Result;
use pgtend_model::logline::Position;
use pgtend_model::past::NewPlan;
use pgtend_model::sample::{Probe, Taken, Text, Unknown};
use pgtend_store::history::{History, Origin, Policy, Recorder};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, oneshot};
use tokio_util::sync::CancellationToken;

use super::tasks::Tasks;

/// The directory of the history, in the agent's state directory.
const DIRECTORY: &str = "history";
/// How often what was recorded is made durable: a kill -9 loses at most this.
const FLUSH_EVERY: Duration = Duration::from_secs(5);
/// How often is looked for hours that are over and files that are too old.
const TEND_EVERY: Duration = Duration::from_secs(60);
/// Most that waits for the writer; what does not fit is lost, and said to be.
const MOST_WAITING: usize = 4096;

/// Something to remember.
enum Message {
    Tick { server: Arc<str>, tick: Tick },
    Reading { server: Arc<str>, at: Timestamp, took: Duration, taken: Box<Taken> },
    Unknown { server: Arc<str>, at: Timestamp, probe: Probe, why: Unknown },
    Texts { server: Arc<str>, texts: Vec<(i64, Text)> },
    Plans { server: Arc<str>, plans: Vec<NewPlan> },
    Events { server: Arc<str>, at: Timestamp, events: Box<Taken> },
    Sampled { server: Arc<str>, texts: Vec<(i64, Text)> },
    LogRead { server: Arc<str>, position: Position },
    Flush(oneshot::Sender<()>),
}

/// The way to the history. Clones share it.
#[derive(Debug, Clone)]
pub struct Recording {
    history: History,
    messages: SyncSender<Message>,
    lost: Arc<Lost>,
    tended: Arc<Notify>,
}

/// Samples that are lost since the agent started.
#[derive(Debug, Default)]
struct Lost {
    /// The writer was too far behind to take them.
    not_taken: AtomicU64,
    /// They could not be written.
    not_written: AtomicU64,
}

impl Recording {
    /// Opens the history and starts to write it.
    ///
    /// # Errors
    /// When its directory cannot be used, or another agent uses it.
    pub(super) fn start(config: &Effective, tasks: &Tasks) -> Result<Self> {
        let history = History::open(&config.agent.state_directory.join(DIRECTORY), policy(config))?;
        let recorder = history.recorder()?;
        let (sender, receiver) = sync_channel(MOST_WAITING);
        let ends = tasks.token();
        let (lost, tended) = (Arc::new(Lost::default()), Arc::new(Notify::new()));
        let recording = Self { history: history.clone(), messages: sender, lost: lost.clone(), tended: tended.clone() };
        let until = ends.clone();
        tasks.spawn_blocking("history", move || Writer::new(recorder, lost).run(&receiver, &ends));
        tasks.spawn_blocking("history tending", move || tend(&history, &until, &tended));
        Ok(recording)
    }

    /// The history itself, to read.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// Samples of all servers that are lost since the agent started.
    pub fn lost_samples(&self) -> u64 {
        self.lost.not_taken.load(Ordering::Relaxed) + self.lost.not_written.load(Ordering::Relaxed)
    }

    /// Resolves when files were sealed or removed, or may have been: then there may be something to copy.
    pub(super) async fn tended(&self) {
        self.tended.notified().await;
    }

    /// Goes over to another configuration.
    pub(super) fn reload(&self, config: &Effective) {
        self.history.set_policy(policy(config));
    }

    pub(super) fn tick(&self, server: &Arc<str>, tick: Tick) {
        self.send(Message::Tick { server: server.clone(), tick });
    }

    pub(super) fn reading(&self, server: &Arc<str>, at: Timestamp, took: Duration, taken: Taken) {
        self.send(Message::Reading { server: server.clone(), at, took, taken: Box::new(taken) });
    }

    pub(super) fn unknown(&self, server: &Arc<str>, at: Timestamp, probe: Probe, why: Unknown) {
        self.send(Message::Unknown { server: server.clone(), at, probe, why });
    }

    pub(super) fn texts(&self, server: &Arc<str>, texts: Vec<(i64, Text)>) {
        if !texts.is_empty() {
            self.send(Message::Texts { server: server.clone(), texts });
        }
    }

    pub(super) fn plans(&self, server: &Arc<str>, plans: Vec<NewPlan>) {
        if !plans.is_empty() {
            self.send(Message::Plans { server: server.clone(), plans });
        }
    }

    /// Rows that are events, each of which is written once.
    pub(super) fn events(&self, server: &Arc<str>, at: Timestamp, events: Taken) {
        self.send(Message::Events { server: server.clone(), at, events: Box::new(events) });
    }

    /// Texts of statements as they were sent.
    pub(super) fn sampled_texts(&self, server: &Arc<str>, texts: Vec<(i64, Text)>) {
        if !texts.is_empty() {
            self.send(Message::Sampled { server: server.clone(), texts });
        }
    }

    /// How far a server's log was read; it is kept once what was handed over before is durable.
    pub(super) fn log_read(&self, server: &Arc<str>, position: Position) {
        self.send(Message::LogRead { server: server.clone(), position });
    }

    /// Waits until everything that was handed over is durable, and so can be read.
    pub async fn flushed(&self) {
        let (sender, receiver) = oneshot::channel();
        self.send(Message::Flush(sender));
        let _the_writer_is_gone = receiver.await;
    }

    fn send(&self, message: Message) {
        let is_sample = matches!(message, Message::Tick { .. });
        if let Err(TrySendError::Full(_)) = self.messages.try_send(message) {
            self.lost.not_taken.fetch_add(u64::from(is_sample), Ordering::Relaxed);
            tracing::warn!("the disk is too slow for the history: a reading is lost");
        }
    }
}

/// How long and how much is kept.
fn policy(config: &Effective) -> Policy {
    let hours = |hours: u32| Duration::from_secs(u64::from(hours) * 3600);
    Policy {
        ash_keep: hours(config.ash.retention_hours),
        ash_max_bytes: config.ash.max_disk_bytes,
        awr_keep: hours(config.awr.retention_days * 24),
        awr_max_bytes: config.awr.max_disk_bytes,
        baseline_keep: hours(config.awr.baseline_retention_days * 24),
    }
}

/// Seals and removes files beside the writer, which must not wait for it.
fn tend(history: &History, ends: &CancellationToken, told: &Notify) {
    let mut tended: Option<Instant> = None;
    while !ends.is_cancelled() {
        if tended.is_none_or(|tended| tended.elapsed() >= TEND_EVERY) {
            history.tend(Timestamp::now());
            told.notify_one();
            tended = Some(Instant::now());
        }
        std::thread::sleep(Duration::from_millis(500));
    }
}

/// The thread that writes.
struct Writer {
    recorder: Recorder,
    /// Statements whose text a session was seen with, by server.
    sampled: HashSet<(Arc<str>, i64)>,
    /// How far logs were read, as far as it is not noted yet.
    log_read: HashMap<Arc<str>, Position>,
    flushed: Instant,
    lost: Arc<Lost>,
}

impl Writer {
    fn new(recorder: Recorder, lost: Arc<Lost>) -> Self {
        Self { recorder, sampled: HashSet::new(), log_read: HashMap::new(), flushed: Instant::now(), lost }
    }

    fn run(mut self, messages: &Receiver<Message>, ends: &CancellationToken) {
        while !ends.is_cancelled() {
            match messages.recv_timeout(Duration::from_millis(500)) {
                Ok(message) => self.take(message),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if self.flushed.elapsed() >= FLUSH_EVERY {
                self.flush();
            }
        }
        messages.try_iter().for_each(|message| self.take(message));
        self.flush();
    }

    fn flush(&mut self) {
        self.recorder.close(Timestamp::now());
        self.flushed = Instant::now();
        self.lost.not_written.store(self.recorder.lost(), Ordering::Relaxed);
        for (server, position) in self.log_read.drain() {
            if let Err(error) = self.recorder.log_position(&server, &position) {
                tracing::error!(server = &*server, error = error.what, place = error.place, "how far the log was read could not be kept");
            }
        }
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Tick { server, tick } => {
                self.recorder.tick(&server, &tick);
                self.sampled_texts(&server, &tick);
            }
            Message::Reading { server, at, took, taken } => self.recorder.reading(&server, at, took, &taken),
            Message::Unknown { server, at, probe, why } => self.recorder.unknown(&server, at, probe, &why),
            Message::Texts { server, texts } => self.keep(&server, &texts, Origin::Statements),
            Message::Events { server, at, events } => self.recorder.events(&server, at, &events),
            Message::Sampled { server, texts } => self.keep(&server, &texts, Origin::Sampled),
            Message::LogRead { server, position } => {
                self.log_read.insert(server, position);
            }
            Message::Plans { server, plans } => {
                if let Err(error) = self.recorder.plans(&server, &plans) {
                    tracing::error!(server = &*server, error = error.what, place = error.place, "plans could not be kept");
                }
            }
            Message::Flush(done) => {
                self.flush();
                let _nobody_waits_any_more = done.send(());
            }
        }
    }

    /// Texts of statements that only sessions show: PostgreSQL 13 has no identifiers, and pg_stat_statements may not be there.
    fn sampled_texts(&mut self, server: &Arc<str>, tick: &Tick) {
        let statements = tick.sessions.iter().filter_map(|session| session.statement.as_ref());
        let new: Vec<(i64, Text)> = statements
            .filter(|statement| !statement.text.is_empty() && self.sampled.insert((server.clone(), statement.id)))
            .map(|statement| (statement.id, statement.text.clone()))
            .collect();
        if !new.is_empty() {
            self.keep(server, &new, Origin::Sampled);
        }
    }

    fn keep(&mut self, server: &str, texts: &[(i64, Text)], origin: Origin) {
        if let Err(error) = self.recorder.texts(server, texts, origin, Timestamp::now()) {
            tracing::error!(server, error = error.what, place = error.place, "texts of statements could not be kept");
        }
    }
}
