//! What the sessions of a period did, counted from their samples once for all sections.

use super::period::Period;
use crate::ash::block::{Block, Columns, Dimension, Key, Wanted};
use crate::ash::cube::{Count, Cube};
use crate::ash::sampled::{gaps, pace_seconds, step_seconds, steps};
use crate::ash::{State, WaitClass};
use crate::error::Result;
use crate::past::Span;
use crate::sample::{Reason, Unknown};
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;

/// Steps into which a period is cut, at most.
const STEPS: usize = 90;

/// What the sessions did.
#[derive(Debug)]
pub struct Active {
    /// Instants at which they were sampled.
    pub ticks: usize,
    /// The time that one sample stands for.
    pub pace_seconds: f64,
    /// The begin of each step, with the instants in it at which sessions were sampled.
    pub steps: Vec<(Timestamp, usize)>,
    /// How long a step is.
    pub step: SignedDuration,
    /// Stretches in which nothing was sampled.
    pub gaps: Vec<Span>,
    /// By kind of process, wait class, wait event and step.
    pub waits: Cube,
    /// By statement, database, role, kind of process and wait class, with processor time.
    pub statements: Cube,
    /// By session, role, database, application, client, kind of process, wait class and state, with processor time.
    pub who: Cube,
}

impl Active {
    /// Counts the samples of a period.
    ///
    /// # Errors
    /// When the history cannot be read; the inner one says why there are no samples.
    pub fn of(period: &Period<'_>) -> Result<Result<Self, Unknown>> {
        let span = period.span();
        let ticks = period.past.ticks(span)?;
        let Some(pace_seconds) = pace_seconds(&ticks) else {
            return Ok(Err(Unknown::new(Reason::Absent, "the sessions were not sampled in the period")));
        };
        let step_seconds = step_seconds(span.seconds(), STEPS);
        let mut active = Self {
            ticks: ticks.len(),
            pace_seconds,
            steps: steps(span, step_seconds, &ticks),
            step: SignedDuration::from_secs(step_seconds),
            gaps: gaps(span, &ticks, pace_seconds),
            waits: Cube::new(&[Dimension::BackendType, Dimension::WaitClass, Dimension::WaitEvent]).by_time(step_seconds * 1000),
            statements: Cube::new(&[Dimension::Query, Dimension::Database, Dimension::User, Dimension::BackendType, Dimension::WaitClass]),
            who: Cube::new(&[
                Dimension::Session,
                Dimension::User,
                Dimension::Database,
                Dimension::Application,
                Dimension::Client,
                Dimension::BackendType,
                Dimension::WaitClass,
                Dimension::State,
            ]),
        };
        let columns = Columns::of(&Dimension::ALL).with_cpu();
        let wanted = Wanted { from: Some(span.start), to: Some(span.end), columns, ..Wanted::default() };
        period.past.sessions(&wanted, &mut |block| active.add(block))?;
        Ok(Ok(active))
    }

    fn add(&mut self, block: &Block) {
        self.waits.add(block);
        self.statements.add(block);
        self.who.add(block);
    }

    /// Sessions on average, of so many samples.
    #[expect(clippy::cast_precision_loss, reason = "counts of samples are far below 2^52")]
    pub fn average(&self, samples: u64) -> f64 {
        samples as f64 / self.ticks.max(1) as f64
    }

    /// The time that so many samples stand for.
    #[expect(clippy::cast_precision_loss, reason = "counts of samples are far below 2^52")]
    pub fn seconds(&self, samples: u64) -> f64 {
        samples as f64 * self.pace_seconds
    }

    /// The time that was sampled.
    pub fn sampled_seconds(&self) -> f64 {
        self.seconds(u64::try_from(self.ticks).unwrap_or(u64::MAX))
    }

    /// Samples of sessions of clients that did something, by wait class.
    pub fn foreground(&self) -> BTreeMap<WaitClass, u64> {
        self.by_class(true)
    }

    /// Samples of the server's own processes that did something, by wait class.
    pub fn background(&self) -> BTreeMap<WaitClass, u64> {
        self.by_class(false)
    }

    fn by_class(&self, foreground: bool) -> BTreeMap<WaitClass, u64> {
        let mut classes = BTreeMap::new();
        for (cell, count) in self.waits.cells().filter(|(cell, _)| is_foreground(&cell.keys[0]) == foreground) {
            let class = class(&cell.keys[1]);
            if class != WaitClass::Idle {
                *classes.entry(class).or_default() += count.samples;
            }
        }
        classes
    }

    /// Samples of sessions of clients: what Oracle calls DB time.
    pub fn busy(&self) -> u64 {
        self.foreground().values().sum()
    }

    /// Samples of sessions that sat idle in a transaction.
    pub fn idle_in_transaction(&self) -> u64 {
        let idle = |keys: &[Key]| is_foreground(&keys[5]) && is_idle(&keys[7]);
        self.who.cells().filter(|(cell, _)| idle(&cell.keys)).map(|(_, count)| count.samples).sum()
    }

    /// Processor time of the sampled sessions of clients, as the operating system counted it; none where the host is not read.
    pub fn cpu_seconds(&self) -> Option<f64> {
        let mut all = Count::default();
        self.who.cells().filter(|(cell, _)| is_foreground(&cell.keys[5])).for_each(|(_, count)| all.add(count));
        (all.cpu_known > 0).then_some(all.cpu_ms / 1000.0)
    }

    /// The place of a step by its begin in ms.
    pub fn place(&self, bucket_ms: i64) -> Option<usize> {
        self.steps.iter().position(|(at, _)| at.as_millisecond() == bucket_ms)
    }
}

/// Whether a sample belongs to a client: a role that may not see the kind of process sees clients only.
pub fn is_foreground(backend_type: &Key) -> bool {
    backend_type.is_foreground()
}

/// Whether a session sat idle in its transaction; one that sleeps by `pg_sleep` is idle by its wait class only.
pub fn is_idle(state: &Key) -> bool {
    state.text() == Some(State::Idle.word())
}

/// The wait class that a key names.
pub fn class(key: &Key) -> WaitClass {
    key.wait_class()
}
