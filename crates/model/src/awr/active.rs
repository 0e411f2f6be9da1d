//! What the sessions of a period did, counted from their samples once for all sections.

use super::period::Period;
use crate::ash::block::{Block, Columns, Dimension, Wanted};
use crate::ash::cube::{Cell, Count, Cube};
use crate::ash::sampled::{Sampled, Steps};
use crate::ash::{State, WaitClass};
use crate::error::Result;
use crate::sample::Unknown;
use std::collections::BTreeMap;

/// Steps into which a period is cut, at most.
const STEPS: usize = 90;

/// What the sessions did.
#[derive(Debug)]
pub struct Active {
    /// The instants at which they were sampled.
    pub sampled: Sampled,
    /// The period in steps.
    pub steps: Steps,
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
        let sampled = match Sampled::of(period.past, span)? {
            Ok(sampled) => sampled,
            Err(unknown) => return Ok(Err(unknown)),
        };
        let steps = sampled.steps(STEPS);
        let step_ms = i64::try_from(steps.length.as_millis()).unwrap_or(i64::MAX);
        let mut active = Self {
            sampled,
            steps,
            waits: Cube::new(&[Dimension::BackendType, Dimension::WaitClass, Dimension::WaitEvent]).by_time(step_ms),
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
        for (cell, count) in self.waits.cells().filter(|(cell, _)| is_foreground(&self.waits, cell) == foreground) {
            let class = class(&self.waits, cell);
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
        let idle = |cell: &Cell| is_foreground(&self.who, cell) && is_idle(&self.who, cell);
        self.who.cells().filter(|(cell, _)| idle(cell)).map(|(_, count)| count.samples).sum()
    }

    /// Processor time of the sampled sessions of clients, as the operating system counted it; none where the host is not read.
    pub fn cpu_seconds(&self) -> Option<f64> {
        let mut all = Count::default();
        self.who.cells().filter(|(cell, _)| is_foreground(&self.who, cell)).for_each(|(_, count)| all.add(count));
        (all.cpu_known > 0).then_some(all.cpu_ms / 1000.0)
    }

    /// The place of a step by its begin in ms.
    pub fn place(&self, bucket_ms: i64) -> Option<usize> {
        self.steps.begins.iter().position(|(at, _)| at.as_millisecond() == bucket_ms)
    }
}

/// Whether samples belong to a client: a role that may not see the kind of process sees clients only.
pub fn is_foreground(cube: &Cube, cell: &Cell) -> bool {
    cube.key(cell, Dimension::BackendType).is_foreground()
}

/// Whether a session sat idle in its transaction; one that sleeps by `pg_sleep` is idle by its wait class only.
pub fn is_idle(cube: &Cube, cell: &Cell) -> bool {
    cube.key(cell, Dimension::State).text() == Some(State::Idle.word())
}

/// The wait class of samples.
pub fn class(cube: &Cube, cell: &Cell) -> WaitClass {
    cube.key(cell, Dimension::WaitClass).wait_class()
}
