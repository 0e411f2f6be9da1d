//! Columns as they come from files, read cell by cell.

use super::instant::{self, Bucket};
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int32Type, Int64Type, TimestampMicrosecondType, TimestampMillisecondType, UInt32Type};
use arrow_array::{
    Array, ArrayRef, BooleanArray, Float64Array, Int32Array, Int64Array, ListArray, StringArray, TimestampMicrosecondArray,
    TimestampMillisecondArray, UInt32Array,
};
use arrow_schema::{DataType, TimeUnit};
use std::sync::Arc;

/// A cell that belongs to its column.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Ref<'a> {
    Null,
    Int(i64),
    Real(f64),
    Text(&'a str),
    /// In ms.
    Instant(i64),
    /// In µs.
    Fine(i64),
    /// The start of a minute, hour or day, in ms.
    Bucket(Bucket, i64),
    /// A list of process ids.
    Pids(&'a [i32]),
}

/// A cell of its own.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Cell {
    Null,
    Int(i64),
    Real(f64),
    Text(Arc<str>),
    Instant(i64),
    Fine(i64),
    Bucket(Bucket, i64),
}

impl Cell {
    pub(super) fn get(&self) -> Ref<'_> {
        match self {
            Self::Null => Ref::Null,
            Self::Int(v) => Ref::Int(*v),
            Self::Real(v) => Ref::Real(*v),
            Self::Text(v) => Ref::Text(v),
            Self::Instant(v) => Ref::Instant(*v),
            Self::Fine(v) => Ref::Fine(*v),
            Self::Bucket(bucket, v) => Ref::Bucket(*bucket, *v),
        }
    }
}

impl Ref<'_> {
    pub(super) fn to_cell(self) -> Cell {
        match self {
            Self::Null => Cell::Null,
            Self::Int(v) => Cell::Int(v),
            Self::Real(v) => Cell::Real(v),
            Self::Text(v) => Cell::Text(v.into()),
            Self::Instant(v) => Cell::Instant(v),
            Self::Fine(v) => Cell::Fine(v),
            Self::Bucket(bucket, v) => Cell::Bucket(bucket, v),
            Self::Pids(pids) => Cell::Text(written(pids).into()),
        }
    }

    /// As SQLite gets it.
    pub(super) fn to_sql<T>(self, set: impl FnOnce(Sql<'_>) -> T) -> T {
        match self {
            Self::Null => set(Sql::Null),
            Self::Int(v) => set(Sql::Int(v)),
            Self::Real(v) => set(Sql::Real(v)),
            Self::Text(v) => set(Sql::Text(v)),
            Self::Instant(v) => set(Sql::Text(&instant::write(v))),
            Self::Fine(v) => set(Sql::Text(&instant::write_us(v))),
            Self::Bucket(bucket, v) => set(Sql::Text(&bucket.write(v))),
            Self::Pids(pids) => set(Sql::Text(&written(pids))),
        }
    }
}

/// What SQLite knows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Sql<'a> {
    Null,
    Int(i64),
    Real(f64),
    Text(&'a str),
}

fn written(pids: &[i32]) -> String {
    let pids: Vec<String> = pids.iter().map(ToString::to_string).collect();
    format!("[{}]", pids.join(","))
}

/// A column of some rows.
#[derive(Debug, Clone)]
pub(super) enum Column {
    /// The same in every row.
    Same(Cell),
    Long(Int64Array),
    Int(Int32Array),
    Count(UInt32Array),
    Real(Float64Array),
    Bool(BooleanArray),
    /// Each text once, and a place a row.
    Words(Int32Array, StringArray),
    Instants(TimestampMillisecondArray),
    EpochMs(TimestampMillisecondArray),
    Buckets(Bucket, TimestampMillisecondArray),
    Fine(TimestampMicrosecondArray),
    Pids(ListArray, Int32Array),
}

impl Column {
    /// Of a column of a file; null in all rows where its type is not known.
    pub(super) fn of(array: &ArrayRef) -> Self {
        let known = match array.data_type() {
            DataType::Int64 => array.as_primitive_opt::<Int64Type>().cloned().map(Self::Long),
            DataType::Int32 => array.as_primitive_opt::<Int32Type>().cloned().map(Self::Int),
            DataType::UInt32 => array.as_primitive_opt::<UInt32Type>().cloned().map(Self::Count),
            DataType::Float64 => array.as_primitive_opt::<Float64Type>().cloned().map(Self::Real),
            DataType::Boolean => array.as_boolean_opt().cloned().map(Self::Bool),
            DataType::Timestamp(TimeUnit::Millisecond, _) => {
                array.as_primitive_opt::<TimestampMillisecondType>().cloned().map(Self::Instants)
            }
            DataType::Timestamp(TimeUnit::Microsecond, _) => array.as_primitive_opt::<TimestampMicrosecondType>().cloned().map(Self::Fine),
            DataType::Dictionary(..) => array
                .as_dictionary_opt::<Int32Type>()
                .and_then(|coded| Some(Self::Words(coded.keys().clone(), coded.values().as_string_opt::<i32>()?.clone()))),
            DataType::List(_) => array.as_list_opt::<i32>().and_then(|lists| {
                let pids = lists.values().as_primitive_opt::<Int32Type>()?.clone();
                Some(Self::Pids(lists.clone(), pids))
            }),
            _ => None,
        };
        known.unwrap_or(Self::Same(Cell::Null))
    }

    /// The cell of a row.
    pub(super) fn get(&self, row: usize) -> Ref<'_> {
        match self {
            Self::Same(cell) => cell.get(),
            _ if self.is_null(row) => Ref::Null,
            Self::Long(array) => Ref::Int(array.value(row)),
            Self::Int(array) => Ref::Int(i64::from(array.value(row))),
            Self::Count(array) => Ref::Int(i64::from(array.value(row))),
            Self::Real(array) => Ref::Real(array.value(row)),
            Self::Bool(array) => Ref::Int(i64::from(array.value(row))),
            Self::Words(keys, words) => usize::try_from(keys.value(row)).map_or(Ref::Null, |place| Ref::Text(words.value(place))),
            Self::Instants(array) => Ref::Instant(array.value(row)),
            Self::EpochMs(array) => Ref::Int(array.value(row)),
            Self::Buckets(bucket, array) => Ref::Bucket(*bucket, bucket.of(array.value(row))),
            Self::Fine(array) => Ref::Fine(array.value(row)),
            Self::Pids(lists, pids) => {
                let at = |row: usize| usize::try_from(lists.value_offsets()[row]).unwrap_or(0);
                Ref::Pids(&pids.values()[at(row)..at(row + 1)])
            }
        }
    }

    pub(super) fn is_null(&self, row: usize) -> bool {
        match self {
            Self::Same(cell) => *cell == Cell::Null,
            Self::Long(array) => array.is_null(row),
            Self::Int(array) => array.is_null(row),
            Self::Count(array) => array.is_null(row),
            Self::Real(array) => array.is_null(row),
            Self::Bool(array) => array.is_null(row),
            Self::Words(keys, _) => keys.is_null(row),
            Self::Instants(array) | Self::EpochMs(array) | Self::Buckets(_, array) => array.is_null(row),
            Self::Fine(array) => array.is_null(row),
            Self::Pids(lists, _) => lists.is_null(row),
        }
    }
}
