//! Plan changes with what they did to the time of a statement, from the counters of pg_stat_statements.

use crate::error::Result;
use crate::past::{Frame, Past, PlanChange, Span, plans};
use crate::query_id::QueryId;
use crate::sample::statements::Statement;
use crate::sample::{Probe, Sample, Taken};
use jiff::Timestamp;
use std::collections::HashMap;

/// Changes told at most: of a server whose plans change more often, the newest.
const MOST: usize = 200;

/// The plan changes within a stretch of time, of one statement or of all, oldest first. `newest` is what was read at its end, where that
/// is not remembered yet.
///
/// # Errors
/// When the history cannot be read.
pub fn of(past: &dyn Past, span: Span, query_id: Option<QueryId>, newest: Option<&Sample<Statement>>) -> Result<Vec<PlanChange>> {
    let seen = past.plans(query_id, span)?;
    let mut changes = plans::changes(&seen, span);
    changes.drain(..changes.len().saturating_sub(MOST));
    if changes.is_empty() {
        return Ok(changes);
    }
    let mut courses = Courses::of(&changes);
    past.frames(Probe::Statements, span, &mut |frame: &Frame| {
        if let Ok(Taken::Statements(sample)) = &frame.rows {
            courses.add(frame.at, &sample.rows);
        }
    })?;
    if let Some(newest) = newest {
        courses.add(newest.at, &newest.rows);
    }
    for change in &mut changes {
        (change.mean_before_ms, change.mean_after_ms) = courses.means(change.query_id, change.at);
    }
    Ok(changes)
}

/// What statements did from reading to reading.
struct Courses {
    rows: HashMap<(i64, i64, i64, Option<bool>), Statement>,
    sums: HashMap<i64, Sum>,
    points: HashMap<i64, Vec<(Timestamp, Sum)>>,
    last: Option<Timestamp>,
}

/// Executions, and their time in ms.
#[derive(Debug, Clone, Copy, Default)]
struct Sum {
    calls: i64,
    ms: f64,
}

impl Courses {
    fn of(changes: &[PlanChange]) -> Self {
        let sums = changes.iter().map(|change| (change.query_id.0, Sum::default())).collect();
        Self { rows: HashMap::new(), sums, points: HashMap::new(), last: None }
    }

    /// Takes in a reading: the rows that changed, or all.
    fn add(&mut self, at: Timestamp, rows: &[Statement]) {
        if self.last.is_some_and(|last| at <= last) {
            return;
        }
        for row in rows {
            let Some(sum) = self.sums.get_mut(&row.queryid) else { continue };
            let before = self.rows.insert((row.queryid, row.userid, row.dbid, row.toplevel), row.clone());
            // A counter that went back began anew; the first reading is where counting begins.
            let kept = before.filter(|before| before.calls <= row.calls && before.stats_since == row.stats_since);
            if self.last.is_some() {
                sum.calls += row.calls - kept.as_ref().map_or(0, |before| before.calls);
                sum.ms += (row.total_exec_time - kept.as_ref().map_or(0.0, |before| before.total_exec_time)).max(0.0);
            }
        }
        for (id, sum) in &self.sums {
            self.points.entry(*id).or_default().push((at, *sum));
        }
        self.last = Some(at);
    }

    /// The mean time of an execution before and after an instant. Readings are minutes apart: what lies between the two around the instant
    /// counts for neither, unless there is nothing after it.
    fn means(&self, id: QueryId, at: Timestamp) -> (Option<f64>, Option<f64>) {
        let Some(points) = self.points.get(&id.0) else { return (None, None) };
        let (Some((_, first)), Some((_, last))) = (points.first(), points.last()) else { return (None, None) };
        let before = points.iter().rfind(|(read, _)| *read <= at).map(|(_, sum)| sum);
        let after = points.iter().find(|(read, _)| *read >= at).map(|(_, sum)| sum);
        let since = after.and_then(|after| mean(*after, *last));
        (before.and_then(|before| mean(*first, *before)), since.or_else(|| before.and_then(|before| mean(*before, *last))))
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
fn mean(from: Sum, to: Sum) -> Option<f64> {
    let calls = to.calls - from.calls;
    (calls > 0).then(|| (to.ms - from.ms) / calls as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::past::{Memory, NewPlan, PlanOrigin};
    use crate::plan::{Node, Plan};
    use crate::sample::testing::{row, sample};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn read(memory: &mut Memory, second: i64, calls: i64, total_exec_time: f64) {
        let rows = vec![row(|row: &mut Statement| (row.queryid, row.calls, row.total_exec_time) = (7, calls, total_exec_time))];
        memory.put(at(second), Taken::Statements(sample(second, rows)));
    }

    fn plan(title: &str) -> Plan {
        Plan { root: Node { title: title.to_owned(), table: Some("orders".to_owned()), ..Node::default() }, ..Plan::default() }
    }

    #[test]
    fn a_change_says_what_it_did_to_the_time() {
        let mut memory = Memory::default();
        for (second, calls, time) in [(0, 100, 1000.0), (300, 200, 1200.0), (600, 300, 3000.0), (900, 400, 8000.0)] {
            read(&mut memory, second, calls, time);
        }
        for (second, title) in [(10, "Index Scan"), (200, "Index Scan"), (400, "Seq Scan")] {
            memory.add_plan(NewPlan::once(QueryId(7), None, PlanOrigin::AutoExplain, at(second), plan(title)));
        }
        let changes = of(&memory, Span::new(at(0), at(901)), None, None).unwrap();
        let [change] = changes.as_slice() else { panic!("{changes:?}") };
        assert_eq!((change.at, change.before.as_str(), change.after.as_str()), (at(400), "Index Scan on orders", "Seq Scan on orders"));
        assert_eq!((change.mean_before_ms, change.mean_after_ms), (Some(2.0), Some(50.0)));
        assert!(of(&memory, Span::new(at(0), at(300)), None, None).unwrap().is_empty());
        let early = of(&memory, Span::new(at(0), at(601)), Some(QueryId(7)), None).unwrap();
        assert_eq!(early[0].mean_after_ms, Some(18.0), "from the reading before the change, where none follows");
    }
}
