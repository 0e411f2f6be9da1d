//! When each probe was read and what came of it: tells "unchanged" from "not read".

use super::probe_table::delta;
use super::record::{Batch, Frame};
use arrow_array::builder::StringDictionaryBuilder;
use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, TimestampMillisecondType, UInt32Type};
use arrow_array::{Array, ArrayRef, BooleanArray, RecordBatch, TimestampMillisecondArray, UInt32Array};
use arrow_schema::{DataType, Field, Schema, TimeUnit};
use pgtend_model::sample::{Reason, Unknown};
use serde::Deserialize;
use serde::de::IntoDeserializer;
use serde::de::value::StrDeserializer;
use std::io;
use std::sync::Arc;

/// The dataset of readings.
pub(super) const FRAMES: &str = "frames";

/// One reading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) at_ms: i64,
    pub(super) probe: String,
    pub(super) took_ms: u32,
    /// Whether all its rows were written, not only those that changed.
    pub(super) whole: bool,
    /// Rows that were written; none where nothing could be read.
    pub(super) rows: Option<u32>,
    /// Why there were none, or what was missing.
    pub(super) unknown: Option<Unknown>,
}

impl Entry {
    /// Of a frame in a journal.
    pub(super) fn of(batch: &Batch, frame: &Frame) -> Option<Self> {
        let unknown = frame.unknown.as_ref().or(frame.missing.first()).map(|why| batch.why(why));
        Some(Self {
            at_ms: frame.at_ms,
            probe: batch.text(frame.probe)?.to_string(),
            took_ms: frame.took_ms,
            whole: frame.whole,
            rows: frame.unknown.is_none().then(|| u32::try_from(frame.rows.len() + frame.gone.len()).unwrap_or(u32::MAX)),
            unknown,
        })
    }

    /// Whether nothing could be read.
    pub(super) fn failed(&self) -> bool {
        self.rows.is_none()
    }
}

/// The columns of the dataset.
pub(super) fn schema() -> Arc<Schema> {
    let word = || DataType::Dictionary(DataType::Int32.into(), DataType::Utf8.into());
    Arc::new(Schema::new(vec![
        delta(Field::new("sample_time", DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())), false)),
        Field::new("probe", word(), true),
        Field::new("took_ms", DataType::UInt32, false),
        Field::new("whole", DataType::Boolean, false),
        Field::new("rows", DataType::UInt32, true),
        Field::new("reason", word(), true),
        Field::new("detail", word(), true),
    ]))
}

/// Entries as a table, sorted by probe.
pub(super) fn to_arrow(entries: &mut [Entry]) -> io::Result<RecordBatch> {
    entries.sort_by(|a, b| a.probe.cmp(&b.probe).then(a.at_ms.cmp(&b.at_ms)));
    let words = |word: &dyn Fn(&Entry) -> Option<String>| -> ArrayRef {
        let mut builder = StringDictionaryBuilder::<Int32Type>::new();
        entries.iter().for_each(|entry| builder.append_option(word(entry)));
        Arc::new(builder.finish())
    };
    let arrays: Vec<ArrayRef> = vec![
        Arc::new(TimestampMillisecondArray::from_iter_values(entries.iter().map(|entry| entry.at_ms)).with_timezone("UTC")),
        words(&|entry| Some(entry.probe.clone())),
        Arc::new(UInt32Array::from_iter_values(entries.iter().map(|entry| entry.took_ms))),
        Arc::new(entries.iter().map(|entry| Some(entry.whole)).collect::<BooleanArray>()),
        Arc::new(entries.iter().map(|entry| entry.rows).collect::<UInt32Array>()),
        words(&|entry| entry.unknown.as_ref().map(|unknown| unknown.reason.word().to_owned())),
        words(&|entry| entry.unknown.as_ref().map(|unknown| unknown.detail.clone())),
    ];
    RecordBatch::try_new(schema(), arrays).map_err(io::Error::other)
}

/// A table's entries.
pub(super) fn from_arrow(batch: &RecordBatch) -> Vec<Entry> {
    let number = |name: &str, row: usize| {
        let array = batch.column_by_name(name).and_then(|array| array.as_primitive_opt::<UInt32Type>())?;
        array.is_valid(row).then(|| array.value(row))
    };
    let at = batch.column_by_name("sample_time").and_then(|array| array.as_primitive_opt::<TimestampMillisecondType>());
    let whole = batch.column_by_name("whole").and_then(|array| array.as_boolean_opt());
    let entry = |row: usize| Entry {
        at_ms: at.map_or(0, |at| at.value(row)),
        probe: word(batch, "probe", row).unwrap_or_default(),
        took_ms: number("took_ms", row).unwrap_or(0),
        whole: whole.is_some_and(|whole| whole.value(row)),
        rows: number("rows", row),
        unknown: word(batch, "reason", row).map(|reason| Unknown::new(to_reason(&reason), word(batch, "detail", row).unwrap_or_default())),
    };
    (0..batch.num_rows()).map(entry).collect()
}

fn to_reason(word: &str) -> Reason {
    let deserializer: StrDeserializer<'_, serde::de::value::Error> = word.into_deserializer();
    Reason::deserialize(deserializer).unwrap_or(Reason::Failed)
}

fn word(batch: &RecordBatch, column: &str, row: usize) -> Option<String> {
    let coded = batch.column_by_name(column)?.as_dictionary_opt::<Int32Type>()?;
    if coded.is_null(row) {
        return None;
    }
    let place = usize::try_from(coded.keys().value(row)).ok()?;
    Some(coded.values().as_string_opt::<i32>()?.value(place).to_owned())
}
