//! Statements by what they cost in any period of the past, from the readings that are remembered.

use super::{Cost, Covered, Names, Params, Period, Queries};
use crate::awr::change::{Changes, Fate};
use crate::document::ash::{period, statements_of};
use crate::document::{Dated, Unknowns};
use crate::error::Result;
use crate::past::Past;
use crate::sample::statements::Statement;
use jiff::Timestamp;

impl Dated for Queries {
    fn is_of_past(params: &Params) -> bool {
        params.start.is_some() || params.end.is_some()
    }

    fn of_past(past: &dyn Past, now: Timestamp, params: &Params) -> Result<Self> {
        let asked = statements_of(past, period(params.start, params.end, now)?)?;
        let readings = &asked.end.readings;
        let mut unknown = Unknowns::default();
        let text = |id| past.text(id).ok().flatten().map(|text| text.to_string()).filter(|text| !text.is_empty());
        let names = Names::of(readings, &text, &mut unknown);
        let info = unknown.take("given_up", readings.statements_info.current()).and_then(|sample| sample.rows.first());
        let changes = Changes::<Statement>::of(&asked);
        let document = Self::told(Period::Between, params, changes.as_ref().map(covered).map_err(Clone::clone), &names, info, unknown)?;
        Ok(document.with_reasons(None))
    }
}

/// What was executed; a counter that was reset in between is added up over the reset.
fn covered(changes: &Changes<Statement>) -> Covered<'_> {
    let executed = changes.rows.iter().filter(|change| change.grown.calls > 0);
    let cost = executed.map(|change| Cost { row: &change.grown, before: None, has_extremes: change.fate == Fate::Appeared });
    Covered { since: Some(changes.from), until: Some(changes.to), statements: cost.collect() }
}

#[cfg(test)]
mod tests {
    use super::super::super::super::by_hand::{at, read};
    use super::*;
    use crate::past::Memory;
    use crate::sample::{Sample, Taken};
    use serde_json::json;
    use std::time::Duration;

    fn put(memory: &mut Memory, second: i64, calls: &[(i64, i64)]) {
        let row = |(queryid, calls): &(i64, i64)| {
            read(
                json!({"userid": 10, "dbid": 5, "queryid": queryid, "toplevel": true, "calls": calls, "total_exec_time": 10.0 * *calls as f64,
                        "max_exec_time": 99.0}),
            )
        };
        let rows = calls.iter().map(row).collect();
        memory.put(at(second), Taken::Statements(Sample { at: at(second), took: Duration::ZERO, rows, missing: Vec::new() }));
    }

    fn remembered() -> Memory {
        let mut memory = Memory::default();
        put(&mut memory, 0, &[(1, 1000), (2, 7)]);
        put(&mut memory, 300, &[(1, 1200), (2, 7)]);
        put(&mut memory, 600, &[(1, 50), (2, 7), (3, 4)]);
        put(&mut memory, 900, &[(1, 80), (2, 7), (3, 10)]);
        memory.add_text(3, "select $1".into());
        memory
    }

    #[test]
    fn what_was_executed_between_two_times_also_over_a_reset() {
        let told = |start, end| {
            let params = Params { start: Some(at(start)), end: Some(at(end)), min_ms: Some(0.0), ..Params::default() };
            let document = Queries::of_past(&remembered(), at(9999), &params).unwrap();
            document.top_queries_by_calls.into_iter().map(|query| (query.query_id.0, query.calls, query.max_time_ms)).collect::<Vec<_>>()
        };
        assert_eq!(told(0, 300), [(1, 200, None)]);
        assert_eq!(told(0, 900), [(1, 200 + 50 + 30, None), (3, 10, Some(99.0))]);
        assert_eq!(told(600, 1000), [(1, 30, None), (3, 6, None)]);
    }

    #[test]
    fn a_period_without_two_readings_is_unknown() {
        let params = Params { start: Some(at(310)), end: Some(at(320)), ..Params::default() };
        let document = Queries::of_past(&remembered(), at(9999), &params).unwrap();
        assert_eq!((document.statements, document.period), (0, Period::Between));
        assert!(document.unknown.get("slow_queries").is_some());
    }
}
