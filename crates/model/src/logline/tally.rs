//! Counts messages, and chooses which of them are kept.

use super::{Event, Severity, auto_explain};
use crate::sample::Text;
use crate::sample::log::{LogEvent, LogMessages};
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, VecDeque};

/// The stretch of time over which errors are counted.
const MINUTE: SignedDuration = SignedDuration::from_secs(60);
/// Longest text that is kept, in characters.
const MOST_CHARACTERS: usize = 4000;

/// What LOG messages begin with that every statement or connection writes.
const NOISE: &[&str] = &[
    "duration: ",
    "statement: ",
    "execute ",
    "fastpath function call: ",
    "connection received: ",
    "connection authenticated: ",
    "connection authorized: ",
    "connection ready: ",
    "replication connection authorized: ",
    "disconnection: ",
    "received replication command: ",
];

/// Counts messages.
#[derive(Debug)]
pub struct Tally {
    counts: BTreeMap<(Severity, String), i64>,
    /// Errors by the second in which they were read.
    errors: VecDeque<(Timestamp, u32)>,
    since: Timestamp,
}

impl Tally {
    /// Begins to count.
    pub fn new(since: Timestamp) -> Self {
        Self { counts: BTreeMap::new(), errors: VecDeque::new(), since }
    }

    /// Counts a message that is read now.
    pub fn add(&mut self, event: &Event, now: Timestamp) {
        *self.counts.entry((event.severity, event.sqlstate_class().to_owned())).or_default() += 1;
        if !event.severity.is_error() {
            return;
        }
        match self.errors.back_mut().filter(|(second, _)| now.duration_since(*second) < SignedDuration::from_secs(1)) {
            Some((_, count)) => *count += 1,
            None => self.errors.push_back((now, 1)),
        }
    }

    /// Errors in the last minute; before a minute has passed, as many as a minute would have at this rate.
    pub fn errors_per_minute(&mut self, now: Timestamp) -> f64 {
        while self.errors.front().is_some_and(|(second, _)| now.duration_since(*second) > MINUTE) {
            self.errors.pop_front();
        }
        let errors: f64 = self.errors.iter().map(|(_, count)| f64::from(*count)).sum();
        let seconds = now.duration_since(self.since).as_secs_f64().clamp(10.0, 60.0);
        errors * 60.0 / seconds
    }

    /// The counts, the worst last.
    pub fn rows(&self) -> Vec<LogMessages> {
        let row = |((severity, class), written): (&(Severity, String), &i64)| LogMessages {
            severity: severity.word().into(),
            sqlstate_class: class.as_str().into(),
            written: *written,
        };
        self.counts.iter().map(row).collect()
    }
}

/// What is kept of a message; none where it tells nothing that lasts. `now` stands in where the log has no times.
pub fn kept(event: Event, now: Timestamp) -> Option<LogEvent> {
    let wanted = match event.severity {
        Severity::Log => !NOISE.iter().any(|noise| event.message.starts_with(noise)) && !is_timing(&event.message),
        severity => severity >= Severity::Warning || severity == Severity::Unknown,
    };
    if !wanted || auto_explain::is_plan(&event.message) {
        return None;
    }
    let event = event.redacted();
    let text = |text: Option<String>| text.map(|text| cut(&text));
    Some(LogEvent {
        at: event.at.unwrap_or(now),
        severity: event.severity.word().into(),
        sqlstate: text(event.sqlstate),
        pid: event.pid,
        user: text(event.user),
        database: text(event.database),
        application: text(event.application),
        client: text(event.client),
        backend_type: text(event.backend_type),
        message: cut(&event.message),
        detail: text(event.detail),
        hint: text(event.hint),
        context: text(event.context),
        query: text(event.query),
        query_id: event.query_id,
    })
}

/// What `log_parser_stats` and its like write.
fn is_timing(message: &str) -> bool {
    message.ends_with(" STATISTICS")
}

fn cut(text: &str) -> Text {
    match text.char_indices().nth(MOST_CHARACTERS) {
        Some((end, _)) => format!("{}…", &text[..end]).into(),
        None => text.into(),
    }
}
