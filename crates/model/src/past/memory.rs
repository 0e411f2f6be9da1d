//! A past that is kept in memory: of a look without an agent, which lasts minutes, and of tests.

use super::{Baseline, Frame, NewPlan, Past, PlanOrigin, PlanSeen, Snapshot, Span, TickMark};
use crate::ash::block::{Block, Wanted};
use crate::ash::{Filter, Ring};
use crate::error::{Error, Kind, Result};
use crate::plan::Plan;
use crate::query_id::QueryId;
use crate::sample::{Probe, Readings, Reason, Taken, Text, Unknown};
use jiff::Timestamp;
use std::collections::{BTreeMap, HashMap};

/// Everything that was seen, as long as it lives. What is put in must come in the order of time.
#[derive(Debug, Default)]
pub struct Memory {
    frames: BTreeMap<Probe, Vec<Frame>>,
    blocks: Vec<Block>,
    ticks: Vec<TickMark>,
    texts: HashMap<i64, Text>,
    snapshots: Vec<Snapshot>,
    baselines: Vec<Baseline>,
    plans: Vec<NewPlan>,
}

impl Memory {
    /// Remembers a reading: all rows that there were at an instant.
    pub fn put(&mut self, at: Timestamp, taken: Taken) {
        self.frames.entry(taken.probe()).or_default().push(Frame { at, whole: true, rows: Ok(taken) });
    }

    /// Remembers why a probe could not be read at an instant.
    pub fn fail(&mut self, at: Timestamp, probe: Probe, unknown: Unknown) {
        self.frames.entry(probe).or_default().push(Frame { at, whole: true, rows: Err(unknown) });
    }

    /// Remembers session samples.
    pub fn add_sessions(&mut self, block: Block) {
        self.blocks.push(block);
    }

    /// Remembers that sessions were sampled at an instant.
    pub fn add_tick(&mut self, at: Timestamp, sessions: u32) {
        self.ticks.push(TickMark { at, sessions });
    }

    /// Remembers all that a ring holds: its samples and the texts of their statements.
    pub fn add_ring(&mut self, ring: &Ring) {
        let all = Filter::default();
        let mut ticks: Vec<TickMark> = ring
            .ticks(&all)
            .map(|tick| TickMark { at: tick.at, sessions: u32::try_from(tick.sessions.len()).unwrap_or(u32::MAX) })
            .collect();
        ticks.reverse();
        self.ticks.extend(ticks);
        for (_, session) in ring.sessions(&all) {
            if let Some(statement) = session.statement.as_ref().filter(|statement| !statement.text.is_empty()) {
                self.texts.entry(statement.id).or_insert_with(|| statement.text.clone());
            }
        }
        self.blocks.push(Block::of_ring(ring, &all));
    }

    /// Remembers the text of a statement.
    pub fn add_text(&mut self, query_id: i64, text: Text) {
        self.texts.insert(query_id, text);
    }

    /// Remembers a plan.
    pub fn add_plan(&mut self, plan: NewPlan) {
        self.plans.push(plan);
    }

    /// Numbers an instant as a snapshot, from what was read at or before it.
    pub fn add_snapshot(&mut self, at: Timestamp, reason: &str) -> i64 {
        let id = self.snapshots.last().map_or(1, |last| last.id + 1);
        let readings = self.at(at, &[Probe::Server]);
        let server = readings.server.current().ok().and_then(|sample| sample.rows.first());
        self.snapshots.push(Snapshot {
            id,
            at,
            reason: reason.to_owned(),
            server_started_at: server.map(|row| row.started_at),
            version: server.map(|row| row.version.to_string()),
            missing: Vec::new(),
        });
        id
    }

    /// Keeps a period to compare others with.
    ///
    /// # Errors
    /// `NotFound` when there is no such snapshot.
    pub fn add_baseline(&mut self, name: &str, start_snapshot_id: i64, end_snapshot_id: i64, now: Timestamp) -> Result<()> {
        let at = |id: i64| {
            let found = self.snapshots.iter().find(|snapshot| snapshot.id == id);
            found.map(|snapshot| snapshot.at).ok_or_else(|| Error::new(Kind::NotFound, format!("there is no snapshot {id}")))
        };
        let span = Span::new(at(start_snapshot_id)?, at(end_snapshot_id)?);
        let description = String::new();
        let baseline = Baseline { name: name.to_owned(), start_snapshot_id, end_snapshot_id, span, description, created_at: now };
        self.baselines.retain(|known| known.name != name);
        self.baselines.push(baseline);
        self.baselines.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(())
    }

    fn at(&self, at: Timestamp, probes: &[Probe]) -> Readings {
        let mut readings = Readings::default();
        for probe in probes {
            match self.frames.get(probe).and_then(|frames| frames.iter().rfind(|frame| frame.at <= at)).map(|frame| &frame.rows) {
                Some(Ok(taken)) => readings.put(taken.clone()),
                Some(Err(unknown)) => readings.fail(*probe, unknown.clone()),
                None => readings.fail(*probe, Unknown::new(Reason::Absent, "nothing is remembered of that time")),
            }
        }
        readings
    }
}

impl Past for Memory {
    fn sessions(&self, wanted: &Wanted, each: &mut dyn FnMut(&Block)) -> Result<()> {
        for block in &self.blocks {
            let block = block.clone().only(wanted);
            if !block.is_empty() {
                each(&block);
            }
        }
        Ok(())
    }

    fn ticks(&self, span: Span) -> Result<Vec<TickMark>> {
        Ok(self.ticks.iter().copied().filter(|tick| span.contains(tick.at)).collect())
    }

    fn readings(&self, at: Timestamp, probes: &[Probe]) -> Result<Readings> {
        Ok(self.at(at, probes))
    }

    fn frames(&self, probe: Probe, span: Span, each: &mut dyn FnMut(&Frame)) -> Result<()> {
        let Some(frames) = self.frames.get(&probe) else { return Ok(()) };
        let before = frames.iter().rposition(|frame| frame.at < span.start).unwrap_or(0);
        frames[before..].iter().take_while(|frame| frame.at < span.end).for_each(each);
        Ok(())
    }

    fn text(&self, query_id: i64) -> Result<Option<Text>> {
        Ok(self.texts.get(&query_id).cloned())
    }

    fn plans(&self, query_id: Option<QueryId>, span: Span) -> Result<Vec<PlanSeen>> {
        let wanted = |plan: &&NewPlan| query_id.is_none_or(|id| id == plan.query_id) && plan.first < span.end;
        let mut seen: Vec<PlanSeen> = Vec::new();
        for plan in self.plans.iter().filter(wanted) {
            let hash = plan.plan.shape();
            let same = |known: &&mut PlanSeen| (known.query_id, known.origin, &known.plan_hash) == (plan.query_id, plan.origin, &hash);
            match seen.iter_mut().find(same) {
                Some(known) => (known.last_seen, known.times_seen) = (plan.last, known.times_seen + plan.times),
                None => seen.push(PlanSeen {
                    query_id: plan.query_id,
                    database: plan.database.as_ref().map(ToString::to_string),
                    plan_hash: hash,
                    plan: plan.plan.one_line(),
                    origin: plan.origin,
                    first_seen: plan.first,
                    last_seen: plan.last,
                    times_seen: plan.times,
                    mean_duration_ms: plan.duration_ms,
                }),
            }
        }
        Ok(seen)
    }

    fn captured_plan(&self, query_id: QueryId) -> Result<Option<(Timestamp, Plan)>> {
        let captured = |plan: &&NewPlan| plan.query_id == query_id && plan.origin == PlanOrigin::AutoExplain;
        Ok(self.plans.iter().rfind(captured).map(|plan| (plan.last, plan.plan.clone())))
    }

    fn snapshots(&self) -> Result<Vec<Snapshot>> {
        Ok(self.snapshots.clone())
    }

    fn baselines(&self) -> Result<Vec<Baseline>> {
        Ok(self.baselines.clone())
    }

    fn extent(&self) -> Result<Option<Span>> {
        let read = self.frames.values().flatten().map(|frame| frame.at);
        let seen: Vec<Timestamp> = read.chain(self.ticks.iter().map(|tick| tick.at)).collect();
        let ends = seen.iter().min().zip(seen.iter().max());
        Ok(ends.map(|(start, end)| Span::new(*start, *end + jiff::SignedDuration::from_millis(1))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::bgwriter::Bgwriter;
    use crate::sample::testing::{row, sample};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn put(memory: &mut Memory, second: i64, buffers_clean: i64) {
        let rows = vec![row(|row: &mut Bgwriter| row.buffers_clean = buffers_clean)];
        memory.put(at(second), Taken::Bgwriter(sample(second, rows)));
    }

    #[test]
    fn readings_are_the_newest_at_or_before_an_instant() {
        let mut memory = Memory::default();
        put(&mut memory, 10, 1);
        put(&mut memory, 20, 2);
        memory.fail(at(30), Probe::Bgwriter, Unknown::new(Reason::Timeout, "too slow"));
        let clean = |second| {
            let readings = memory.readings(at(second), &[Probe::Bgwriter]).unwrap();
            readings.bgwriter.current().map(|sample| sample.rows[0].buffers_clean).map_err(|unknown| unknown.reason)
        };
        assert_eq!([5, 10, 19, 20, 31].map(clean), [Err(Reason::Absent), Ok(1), Ok(1), Ok(2), Err(Reason::Timeout)]);
    }

    #[test]
    fn frames_begin_with_what_was_known_before() {
        let mut memory = Memory::default();
        (1..=4).for_each(|n| put(&mut memory, 10 * n, n));
        let mut seen = Vec::new();
        memory.frames(Probe::Bgwriter, Span::new(at(25), at(40)), &mut |frame| seen.push(frame.at)).unwrap();
        assert_eq!(seen, [at(20), at(30)]);
    }
}
