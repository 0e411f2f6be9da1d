//! Session samples as a table, sorted by session so that what is alike lies together.

use super::probe_table::delta;
use super::record::{Batch, Index, Seen};
use arrow_array::builder::{Int32Builder, ListBuilder};
use arrow_array::types::Int32Type;
use arrow_array::{
    ArrayRef, BooleanArray, DictionaryArray, Int32Array, Int64Array, RecordBatch, StringArray, TimestampMillisecondArray, UInt32Array,
};
use arrow_schema::{DataType, Field, Schema, TimeUnit};
use pgtend_model::ash::block::Coder;
use pgtend_model::sample::Text;
use std::io;
use std::sync::Arc;

/// The dataset of session samples.
pub(super) const ASH: &str = "ash";
/// The dataset of the instants at which sessions were sampled.
pub(super) const TICKS: &str = "ticks";

/// Session samples, each text once.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    texts: Coder<Text>,
    rows: Vec<Row>,
    ticks: Vec<(i64, u32)>,
}

/// A code of `texts`; none where there is no text.
type Code = Option<u32>;

#[derive(Debug, Clone)]
struct Row {
    at_ms: i64,
    pid: i32,
    backend_start_ms: Option<i64>,
    /// Database, user, application, client, backend type, state, wait class, wait event type, wait event.
    texts: [Code; 9],
    query_id: Option<i64>,
    query_id_is_native: bool,
    query_age_ms: Option<i32>,
    xact_age_ms: Option<i32>,
    cpu_ms: Option<i32>,
    blocked_by: Vec<i32>,
}

const TEXTS: [&str; 9] =
    ["database", "user", "application", "client", "backend_type", "state", "wait_class", "wait_event_type", "wait_event"];

fn instant() -> DataType {
    DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()))
}

/// The columns of the dataset `ash`.
pub(super) fn ash_schema() -> Arc<Schema> {
    let mut fields = vec![
        delta(Field::new("sample_time", instant(), false)),
        Field::new("pid", DataType::Int32, false),
        Field::new("backend_start", instant(), true),
    ];
    fields.extend(TEXTS.map(|name| Field::new(name, DataType::Dictionary(DataType::Int32.into(), DataType::Utf8.into()), true)));
    fields.extend([
        Field::new("query_id", DataType::Int64, true),
        Field::new("query_id_is_native", DataType::Boolean, true),
        Field::new("query_age_ms", DataType::Int32, true),
        Field::new("xact_age_ms", DataType::Int32, true),
        Field::new("cpu_ms", DataType::Int32, true),
        Field::new("blocked_by", DataType::List(Arc::new(Field::new_list_field(DataType::Int32, true))), true),
    ]);
    Arc::new(Schema::new(fields))
}

/// The columns of the dataset `ticks`.
pub(super) fn ticks_schema() -> Arc<Schema> {
    Arc::new(Schema::new(vec![delta(Field::new("sample_time", instant(), false)), Field::new("sessions", DataType::UInt32, false)]))
}

impl Sessions {
    /// Adds what a batch of a journal holds.
    pub(super) fn add(&mut self, batch: &Batch) {
        let codes: Vec<u32> = batch.texts.iter().map(|text| self.texts.code(text.clone())).collect();
        let code = |index: Index| (index as usize).checked_sub(1).and_then(|place| codes.get(place).copied());
        for tick in &batch.ticks {
            self.ticks.push((tick.at_ms, u32::try_from(tick.sessions.len()).unwrap_or(u32::MAX)));
            self.rows.extend(tick.sessions.iter().filter_map(|seen| row(batch, tick.at_ms, seen, &code)));
        }
    }

    /// The instants, oldest first.
    pub(super) fn ticks(mut self) -> io::Result<Option<RecordBatch>> {
        if self.ticks.is_empty() {
            return Ok(None);
        }
        self.ticks.sort_unstable();
        let at = TimestampMillisecondArray::from_iter_values(self.ticks.iter().map(|tick| tick.0)).with_timezone("UTC");
        let sessions = UInt32Array::from_iter_values(self.ticks.iter().map(|tick| tick.1));
        RecordBatch::try_new(ticks_schema(), vec![Arc::new(at), Arc::new(sessions)]).map(Some).map_err(io::Error::other)
    }

    /// The samples as a table.
    pub(super) fn table(&mut self) -> io::Result<Option<RecordBatch>> {
        if self.rows.is_empty() {
            return Ok(None);
        }
        self.rows.sort_by_key(|row| (row.pid, row.backend_start_ms, row.at_ms));
        let texts = std::mem::take(&mut self.texts).into_keys();
        let rows = &self.rows;
        let mut arrays: Vec<ArrayRef> = vec![
            Arc::new(TimestampMillisecondArray::from_iter_values(rows.iter().map(|row| row.at_ms)).with_timezone("UTC")),
            Arc::new(Int32Array::from_iter_values(rows.iter().map(|row| row.pid))),
            Arc::new(rows.iter().map(|row| row.backend_start_ms).collect::<TimestampMillisecondArray>().with_timezone("UTC")),
        ];
        for column in 0..TEXTS.len() {
            arrays.push(Arc::new(coded(&texts, rows.iter().map(|row| row.texts[column]))?));
        }
        let mut blocked_by = ListBuilder::new(Int32Builder::new());
        rows.iter().for_each(|row| {
            let pids = (!row.blocked_by.is_empty()).then(|| row.blocked_by.iter().copied().map(Some));
            blocked_by.append_option(pids);
        });
        arrays.extend([
            Arc::new(rows.iter().map(|row| row.query_id).collect::<Int64Array>()) as ArrayRef,
            Arc::new(rows.iter().map(|row| row.query_id.map(|_| row.query_id_is_native)).collect::<BooleanArray>()),
            Arc::new(rows.iter().map(|row| row.query_age_ms).collect::<Int32Array>()),
            Arc::new(rows.iter().map(|row| row.xact_age_ms).collect::<Int32Array>()),
            Arc::new(rows.iter().map(|row| row.cpu_ms).collect::<Int32Array>()),
            Arc::new(blocked_by.finish()),
        ]);
        RecordBatch::try_new(ash_schema(), arrays).map(Some).map_err(io::Error::other)
    }
}

fn row(batch: &Batch, at_ms: i64, seen: &Seen, code: &impl Fn(Index) -> Code) -> Option<Row> {
    let who = batch.whos.get(seen.who as usize)?;
    let texts = [
        who.database,
        who.user,
        who.application,
        who.client,
        who.backend_type,
        seen.state,
        seen.wait_class,
        seen.wait_type,
        seen.wait_event,
    ];
    Some(Row {
        at_ms,
        pid: i32::try_from(who.pid).unwrap_or(0),
        backend_start_ms: who.backend_start_ms,
        texts: texts.map(code),
        query_id: seen.query_id,
        query_id_is_native: seen.query_id_is_native,
        query_age_ms: seen.query_age_ms.map(about),
        xact_age_ms: seen.xact_age_ms.map(about),
        cpu_ms: seen.cpu_ms.map(to_ticks),
        blocked_by: seen.blocked_by.clone(),
    })
}

/// Only the texts of `texts` that occur in a column, coded anew.
fn coded(texts: &[Text], codes: impl Iterator<Item = Code>) -> io::Result<DictionaryArray<Int32Type>> {
    let mut places: Vec<Option<i32>> = vec![None; texts.len()];
    let mut values: Vec<&str> = Vec::new();
    let mut place = |code: u32| {
        *places[code as usize].get_or_insert_with(|| {
            values.push(&texts[code as usize]);
            i32::try_from(values.len() - 1).unwrap_or(i32::MAX)
        })
    };
    let keys: Int32Array = codes.map(|code| code.map(&mut place)).collect();
    DictionaryArray::try_new(keys, Arc::new(StringArray::from(values))).map_err(io::Error::other)
}

/// An age to a tenth of a second, and from one second on to within a fifth: exact ages would take more room than everything else of a
/// sample together, and who looks once a second knows no better.
pub(super) fn about(age_ms: u32) -> i32 {
    if age_ms < 1000 {
        return i32::try_from((age_ms + 50) / 100 * 100).unwrap_or(i32::MAX);
    }
    let bits = age_ms.ilog2() - 2;
    let rounded = ((u64::from(age_ms) + (1_u64 << bits >> 1)) >> bits) << bits;
    i32::try_from(rounded).unwrap_or(i32::MAX)
}

/// Processor time to 10 ms: Linux counts it in such ticks.
#[expect(clippy::cast_possible_truncation, reason = "a float that is too large becomes the largest number")]
fn to_ticks(cpu_ms: f32) -> i32 {
    (cpu_ms / 10.0).round() as i32 * 10
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn ages_are_kept_to_a_tenth_of_a_second_or_within_a_fifth(age_ms in prop_oneof![0_u32..5000, 0_u32..2_000_000_000]) {
            let off = (i64::from(about(age_ms)) - i64::from(age_ms)).abs();
            prop_assert!(if age_ms < 1000 { off <= 50 } else { off * 5 <= i64::from(age_ms) }, "{age_ms} became {}", about(age_ms));
        }
    }

    #[test]
    fn ages_keep_their_order_and_large_ones_do_not_overflow() {
        assert_eq!([0, 49, 50, 149, 949, 999, 1000].map(about), [0, 0, 100, 100, 900, 1000, 1024]);
        assert!((0..20_000).map(about).is_sorted());
        assert_eq!(about(u32::MAX), i32::MAX);
    }
}
