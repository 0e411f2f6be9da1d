//! The newest samples in memory, bounded by number and by bytes.

use super::{Session, Statement, Wait, Who, class_of, state_of};
use crate::fingerprint::fingerprint;
use crate::sample::activity::Activity;
use crate::sample::{Sample, Text};
use jiff::Timestamp;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// All sessions at one instant. A tick without sessions says "idle"; a missing tick says "not sampled".
#[derive(Debug, Clone)]
pub struct Tick {
    /// When.
    pub at: Timestamp,
    /// The sessions that did something.
    pub sessions: Box<[Session]>,
}

/// Which samples are wanted.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Not before.
    pub from: Option<Timestamp>,
    /// Not after.
    pub to: Option<Timestamp>,
    /// Only this process id.
    pub pid: Option<i64>,
}

/// What the ring holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// Samples (instants).
    pub samples: usize,
    /// Sessions in them, all together.
    pub sessions: usize,
    /// Bytes that they take, estimated.
    pub bytes: usize,
    /// The oldest sample.
    pub oldest: Option<Timestamp>,
    /// The newest sample.
    pub newest: Option<Timestamp>,
    /// Samples let go since the start because of the bounds.
    pub dropped: u64,
}

/// What of a session is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capture {
    /// Texts of statements; without them their identifiers only.
    pub statements: bool,
    /// Wait events; without them their classes only.
    pub waits: bool,
    /// The sessions that a session waits for.
    pub blockers: bool,
}

impl Default for Capture {
    fn default() -> Self {
        Self { statements: true, waits: true, blockers: true }
    }
}

/// The ring.
#[derive(Debug)]
pub struct Ring {
    most_samples: usize,
    most_bytes: usize,
    ticks: VecDeque<Tick>,
    sessions: usize,
    dropped: u64,
    shared: Shared,
    capture: Capture,
}

const BYTES_A_SESSION: usize = size_of::<Session>();
const BYTES_A_TICK: usize = size_of::<Tick>();

impl Ring {
    /// An empty ring that holds at most so many samples and so many bytes.
    pub fn new(most_samples: usize, most_bytes: usize) -> Self {
        Self {
            most_samples,
            most_bytes,
            ticks: VecDeque::new(),
            sessions: 0,
            dropped: 0,
            shared: Shared::default(),
            capture: Capture::default(),
        }
    }

    /// The same, keeping only this of each session.
    #[must_use]
    pub fn capturing(mut self, capture: Capture) -> Self {
        self.capture = capture;
        self
    }

    /// Changes what is kept of the sessions to come.
    pub fn set_capture(&mut self, capture: Capture) {
        self.capture = capture;
    }

    /// Takes in a reading of the sessions. `cpu_ms` gives processor time since the sample before, by process id.
    pub fn record(&mut self, sample: &Sample<Activity>, cpu_ms: &HashMap<i64, f32>) {
        let sessions: Box<[Session]> =
            sample.rows.iter().map(|row| self.shared.session(row, sample.at, cpu_ms.get(&row.pid).copied(), self.capture)).collect();
        self.sessions += sessions.len();
        self.ticks.push_back(Tick { at: sample.at, sessions });
        while self.ticks.len() > self.most_samples.max(1) || (self.bytes() > self.most_bytes && self.ticks.len() > 1) {
            self.drop_oldest();
        }
        self.shared.sweep();
    }

    /// Changes the bounds; what exceeds them goes with the next sample.
    pub fn set_bounds(&mut self, most_samples: usize, most_bytes: usize) {
        (self.most_samples, self.most_bytes) = (most_samples, most_bytes);
    }

    /// The newest sample.
    pub fn newest(&self) -> Option<&Tick> {
        self.ticks.back()
    }

    /// Samples within the filter, newest first.
    pub fn ticks<'a>(&'a self, filter: &'a Filter) -> impl Iterator<Item = &'a Tick> {
        self.ticks
            .iter()
            .rev()
            .skip_while(|tick| filter.to.is_some_and(|to| tick.at > to))
            .take_while(|tick| filter.from.is_none_or(|from| tick.at >= from))
    }

    /// Sessions within the filter with the instant they were seen, newest first.
    pub fn sessions<'a>(&'a self, filter: &'a Filter) -> impl Iterator<Item = (Timestamp, &'a Session)> {
        self.ticks(filter)
            .flat_map(|tick| tick.sessions.iter().map(|session| (tick.at, session)))
            .filter(|(_, session)| filter.pid.is_none_or(|pid| session.who.pid == pid))
    }

    /// The text with which a statement was sampled.
    pub fn text(&self, query_id: i64) -> Option<&str> {
        self.shared.statements.get(&query_id).map(|statement| &*statement.text)
    }

    /// What it may hold at most: samples and bytes.
    pub fn bounds(&self) -> (usize, usize) {
        (self.most_samples, self.most_bytes)
    }

    /// What it holds.
    pub fn held(&self) -> Held {
        Held {
            samples: self.ticks.len(),
            sessions: self.sessions,
            bytes: self.bytes(),
            oldest: self.ticks.front().map(|tick| tick.at),
            newest: self.ticks.back().map(|tick| tick.at),
            dropped: self.dropped,
        }
    }

    fn bytes(&self) -> usize {
        self.sessions * BYTES_A_SESSION + self.ticks.len() * BYTES_A_TICK + self.shared.text_bytes
    }

    fn drop_oldest(&mut self) {
        if let Some(tick) = self.ticks.pop_front() {
            self.sessions -= tick.sessions.len();
            self.dropped += 1;
        }
    }
}

/// What many samples have in common, each once.
#[derive(Debug, Default)]
struct Shared {
    who: HashMap<i64, Arc<Who>>,
    statements: HashMap<i64, Arc<Statement>>,
    /// PostgreSQL's identifiers by database and pgtend's own: a session that is blocked while its statement is parsed shows its text
    /// alone.
    natives: HashMap<(Option<i64>, i64), i64>,
    waits: HashMap<(Text, Text), Arc<Wait>>,
    text_bytes: usize,
    sweep_at: usize,
}

impl Shared {
    fn session(&mut self, row: &Activity, at: Timestamp, cpu_ms: Option<f32>, capture: Capture) -> Session {
        Session {
            who: self.who(row),
            statement: self.statement(row, capture),
            wait: capture.waits.then(|| self.wait(row)).flatten(),
            class: class_of(row),
            state: state_of(row),
            xact_age_ms: row.xact_start.map(|since| age_ms(at, since)),
            query_age_ms: row.query_start.map(|since| age_ms(at, since)),
            cpu_ms,
            blocked_by: row.blocked_by.as_deref().filter(|_| capture.blockers).unwrap_or_default().into(),
        }
    }

    fn who(&mut self, row: &Activity) -> Arc<Who> {
        let who = Who {
            pid: row.pid,
            backend_start: row.backend_start,
            database: row.datname.clone(),
            user: row.usename.clone(),
            application: row.application_name.clone(),
            client: row.client_addr.clone(),
            backend_type: row.backend_type.clone(),
        };
        let known = self.who.entry(row.pid).or_insert_with(|| Arc::new(who.clone()));
        if **known != who {
            *known = Arc::new(who);
        }
        known.clone()
    }

    fn statement(&mut self, row: &Activity, capture: Capture) -> Option<Arc<Statement>> {
        let text = row.query.as_ref().filter(|text| !text.is_empty())?;
        let id = row.query_id.unwrap_or_else(|| {
            let own = fingerprint(text);
            self.natives.get(&(row.datid, own)).copied().unwrap_or(own)
        });
        if let Some(known) = self.statements.get(&id) {
            return Some(known.clone());
        }
        if row.query_id.is_some() {
            self.natives.insert((row.datid, fingerprint(text)), id);
        }
        let text = if capture.statements { text.clone() } else { Text::default() };
        self.text_bytes += text.len();
        let statement = Arc::new(Statement { id, id_is_native: row.query_id.is_some(), text });
        self.statements.insert(id, statement.clone());
        Some(statement)
    }

    fn wait(&mut self, row: &Activity) -> Option<Arc<Wait>> {
        let (wait_type, event) = (row.wait_event_type.clone()?, row.wait_event.clone()?);
        let known = self.waits.entry((wait_type.clone(), event.clone()));
        Some(known.or_insert_with(|| Arc::new(Wait { wait_type, event })).clone())
    }

    /// Lets go of what no sample holds any more, once the tables have grown.
    fn sweep(&mut self) {
        if self.who.len() + self.statements.len() < self.sweep_at.max(4096) {
            return;
        }
        self.who.retain(|_, who| Arc::strong_count(who) > 1);
        self.statements.retain(|_, statement| Arc::strong_count(statement) > 1);
        self.natives.retain(|_, id| self.statements.contains_key(id));
        self.text_bytes = self.statements.values().map(|statement| statement.text.len()).sum();
        self.sweep_at = (self.who.len() + self.statements.len()) * 2;
    }
}

/// Zero where the server's clock is ahead of the agent's.
fn age_ms(at: Timestamp, since: Timestamp) -> u32 {
    u32::try_from((at.as_millisecond() - since.as_millisecond()).max(0)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
