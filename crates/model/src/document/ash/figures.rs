//! What samples that have something in common come to: sessions on average, time, processor time, waits.

use super::super::Unknowns;
use super::asked::Coverage;
use crate::ash::WaitClass;
use crate::ash::block::{Block, Columns, Dimension, Key};
use crate::ash::cube::{Count, Cube};
use crate::ash::sampled::Sampled;
use crate::ash::scope::Scope;
use crate::error::Result;
use crate::past::Past;
use crate::sample::Text;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use utoipa::ToSchema;

/// Waits that a row names at most.
const WAITS: usize = 5;

/// What samples that have something in common come to. Sessions on CPU and waiting ones are active; those idle in a transaction are not.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = AshFigures)]
pub struct Figures {
    /// Samples of active sessions: one for each session and instant.
    pub total_samples: u64,
    /// Active sessions on average: samples by the instants at which was sampled.
    pub average_active_sessions: f64,
    /// The time that the samples stand for, in ms.
    pub active_time_ms: f64,
    /// Share of all activity, in per cent.
    pub percent_of_total: f64,
    /// Processor time, in ms: as the operating system counted it, or the samples on CPU (`cpu_time_from` says which).
    pub total_cpu_time_ms: f64,
    /// Share of all processor time, in per cent.
    pub percent_of_total_cpu: f64,
    /// Time idle in a transaction, in ms; that is no activity.
    pub idle_in_transaction_ms: f64,
    /// Active sessions on average, by wait class.
    pub wait_classes: BTreeMap<WaitClass, f64>,
    /// The waits that took most, CPU among them.
    pub top_waits: Vec<Wait>,
}

/// What sessions waited for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = AshWait)]
pub struct Wait {
    /// The class; CPU where the session did not wait.
    pub wait_class: WaitClass,
    /// The wait event as `Type:Event`; null on CPU.
    pub event: Option<String>,
    /// Samples that show it.
    pub samples: u64,
    /// Sessions in it on average.
    pub average_active_sessions: f64,
    /// The time that the samples stand for, in ms.
    pub time_ms: f64,
    /// Share of the activity of the same row, in per cent.
    pub percent: f64,
}

/// Samples that have something in common, counted.
#[derive(Debug, Clone, Default)]
pub(super) struct Tally {
    waits: HashMap<(WaitClass, Option<Text>), u64>,
    cpu: Count,
    /// First and last instant, in ms since 1970.
    ends: Option<(i64, i64)>,
}

impl Tally {
    fn add(&mut self, class: WaitClass, event: &Key, count: Count) {
        let event = event.text().filter(|_| class != WaitClass::Cpu).map(Text::from);
        *self.waits.entry((class, event)).or_default() += count.samples;
        self.cpu.add(count);
    }

    fn of(&self, holds: impl Fn(WaitClass) -> bool) -> u64 {
        self.waits.iter().filter(|((class, _), _)| holds(*class)).map(|(_, samples)| samples).sum()
    }

    /// Samples of active sessions.
    pub(super) fn active(&self) -> u64 {
        self.of(|class| class != WaitClass::Idle)
    }

    /// Samples of sessions idle in a transaction. A statement that sleeps is idle too, and in no such state.
    fn idle_in_transaction(&self) -> u64 {
        let sleeps = |event: &Option<Text>| event.as_deref().is_some_and(|event| event.starts_with("Timeout:"));
        let idle = self.waits.iter().filter(|((class, event), _)| *class == WaitClass::Idle && !sleeps(event));
        idle.map(|(_, samples)| samples).sum()
    }

    /// Samples of active sessions by class and event.
    pub(super) fn waits(&self) -> impl Iterator<Item = (WaitClass, Option<&str>, u64)> {
        let active = self.waits.iter().filter(|((class, _), _)| *class != WaitClass::Idle);
        active.map(|((class, event), samples)| (*class, event.as_deref(), *samples))
    }

    /// When it was first and last seen.
    pub(super) fn ends(&self) -> Option<(Timestamp, Timestamp)> {
        let (first, last) = self.ends?;
        Timestamp::from_millisecond(first).ok().zip(Timestamp::from_millisecond(last).ok())
    }
}

/// Samples counted by what they have in common.
#[derive(Debug)]
pub(super) struct Gathered {
    pub sampled: Sampled,
    pub rows: HashMap<Box<[Key]>, Tally>,
    /// Everything together.
    pub all: Tally,
    /// Whether processor time is known from the operating system.
    pub from_host: bool,
}

impl Gathered {
    /// Counts samples by dimensions; `more` are filled by the way. When a row was first and last seen is told by the first dimension.
    ///
    /// # Errors
    /// When the history cannot be read. None when nothing was sampled, which is noted.
    pub(super) fn of(
        past: &dyn Past,
        scope: &Scope,
        dimensions: &[Dimension],
        more: &mut [(&[Dimension], &mut Cube)],
        unknown: &mut Unknowns,
    ) -> Result<(Coverage, Option<Self>)> {
        let sampled = Sampled::of(past, scope.span)?;
        let coverage = Coverage::of(&sampled, scope.span, unknown);
        let Ok(sampled) = sampled else { return Ok((coverage, None)) };
        let by: Vec<Dimension> = dimensions.iter().copied().chain([Dimension::WaitClass, Dimension::WaitEvent]).collect();
        let mut cube = Cube::new(&by);
        let mut ends = Ends::default();
        let all: Vec<Dimension> = by.iter().chain(more.iter().flat_map(|(dimensions, _)| *dimensions)).copied().collect();
        scope.each(past, Columns::of(&all).with_cpu(), &mut |block| {
            cube.add(block);
            more.iter_mut().for_each(|(_, cube)| cube.add(block));
            dimensions.first().iter().for_each(|dimension| ends.add(block, **dimension));
        })?;
        let mut gathered = Self { sampled, rows: HashMap::new(), all: Tally::default(), from_host: cube.total().cpu_known > 0 };
        for (cell, count) in cube.cells() {
            let (keys, wait) = cell.keys.split_at(dimensions.len());
            let class = wait[0].wait_class();
            gathered.rows.entry(keys.into()).or_default().add(class, &wait[1], count);
            gathered.all.add(class, &wait[1], count);
        }
        for (keys, tally) in &mut gathered.rows {
            tally.ends = keys.first().and_then(|key| ends.0.get(key).copied());
        }
        Ok((coverage, Some(gathered)))
    }

    /// The rows with the most of something, the largest first.
    pub(super) fn top(&self, limit: usize, figure: impl Fn(&Tally) -> f64) -> Vec<(&[Key], &Tally)> {
        let mut rows: Vec<(f64, &[Key], &Tally)> = self.rows.iter().map(|(keys, tally)| (figure(tally), &**keys, tally)).collect();
        rows.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(b.1)));
        rows.into_iter().take(limit).map(|(_, keys, tally)| (keys, tally)).collect()
    }

    /// Processor time in ms.
    pub(super) fn cpu_ms(&self, tally: &Tally) -> f64 {
        if self.from_host { tally.cpu.cpu_ms } else { self.sampled.time_ms(tally.of(|class| class == WaitClass::Cpu)) }
    }

    /// What a tally comes to.
    pub(super) fn figures(&self, tally: &Tally) -> Figures {
        let active = tally.active();
        let mut classes: BTreeMap<WaitClass, u64> = BTreeMap::new();
        tally.waits().for_each(|(class, _, samples)| *classes.entry(class).or_default() += samples);
        Figures {
            total_samples: active,
            average_active_sessions: self.sampled.average(active),
            active_time_ms: self.sampled.time_ms(active),
            percent_of_total: percent(self.sampled.time_ms(active), self.sampled.time_ms(self.all.active())),
            total_cpu_time_ms: self.cpu_ms(tally),
            percent_of_total_cpu: percent(self.cpu_ms(tally), self.cpu_ms(&self.all)),
            idle_in_transaction_ms: self.sampled.time_ms(tally.idle_in_transaction()),
            wait_classes: classes.into_iter().map(|(class, samples)| (class, self.sampled.average(samples))).collect(),
            top_waits: self.waits(tally, WAITS),
        }
    }

    /// The waits of a tally that took most.
    pub(super) fn waits(&self, tally: &Tally, limit: usize) -> Vec<Wait> {
        let active = self.sampled.time_ms(tally.active());
        let wait = |(wait_class, event, samples): (WaitClass, Option<&str>, u64)| Wait {
            wait_class,
            event: event.map(str::to_owned),
            samples,
            average_active_sessions: self.sampled.average(samples),
            time_ms: self.sampled.time_ms(samples),
            percent: percent(self.sampled.time_ms(samples), active),
        };
        let mut waits: Vec<Wait> = tally.waits().map(wait).collect();
        waits.sort_by(|a, b| b.samples.cmp(&a.samples).then_with(|| a.event.cmp(&b.event)));
        waits.truncate(limit);
        waits
    }

    /// Whence processor times are.
    pub(super) const fn cpu_time_from(&self) -> CpuTimeFrom {
        if self.from_host { CpuTimeFrom::Host } else { CpuTimeFrom::Samples }
    }
}

/// Whence processor times are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = AshCpuTimeFrom)]
pub enum CpuTimeFrom {
    /// The operating system counted them, process by process.
    Host,
    /// Samples of sessions that did not wait, times the interval: the agent is not on the server's host.
    Samples,
}

/// The first and the last instant of each key of a dimension.
#[derive(Default)]
struct Ends(HashMap<Key, (i64, i64)>);

impl Ends {
    fn add(&mut self, block: &Block, dimension: Dimension) {
        let Some(coded) = block.dimensions.get(&dimension) else { return };
        let mut ends: Vec<Option<(i64, i64)>> = vec![None; coded.keys.len()];
        for (at, code) in block.at_ms.iter().zip(&coded.codes) {
            let (first, last) = ends[*code as usize].get_or_insert((*at, *at));
            (*first, *last) = ((*first).min(*at), (*last).max(*at));
        }
        for (key, ends) in coded.keys.iter().zip(ends) {
            let Some((from, to)) = ends else { continue };
            let (first, last) = self.0.entry(key.clone()).or_insert((from, to));
            (*first, *last) = ((*first).min(from), (*last).max(to));
        }
    }
}

/// A share in per cent; zero of nothing.
pub(super) fn percent(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { 100.0 * part / whole } else { 0.0 }
}
