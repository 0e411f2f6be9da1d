//! Views made by hand, for the tests of documents: rows are given as JSON, and what is not given is zero, empty or none.

use super::{Document, Known};
use crate::ash::Ring;
use crate::health::Thresholds;
use crate::sample::{DecodeError, Row, RowSource, Sample, Slot, Text};
use crate::view::{Link, View};
use jiff::Timestamp;
use serde_json::Value;
use std::collections::HashMap;
use std::time::Duration;

/// A server that is up since noon.
pub fn view() -> View {
    let mut view = View::unseen("main", "db1:5432");
    view.link = Link::Up { since: at(0) };
    view
}

/// So many seconds after noon.
pub fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_767_268_800 + seconds).unwrap()
}

/// Puts a reading of these rows, taken so many seconds after noon, into a slot.
pub fn put<T: Row>(slot: &mut Slot<T>, seconds: i64, rows: Value) {
    let rows = rows.as_array().unwrap().iter().map(|row| read(row.clone())).collect();
    slot.put(Ok(Sample { at: at(seconds), took: Duration::from_millis(2), rows, missing: Vec::new() }));
}

/// The document, as JSON, a minute after noon.
pub fn built<D: Document>(view: &View, params: &D::Params) -> Value {
    let mut ash = Ring::new(100, usize::MAX);
    if let Ok(sample) = view.readings.activity.current() {
        ash.record(sample, &HashMap::new());
    }
    let document = D::build(&Known { view, ash: &ash, thresholds: Thresholds::default(), now: at(60) }, params).unwrap();
    let json = serde_json::to_value(&document).unwrap();
    serde_json::from_value::<D>(json.clone()).expect("a document reads back");
    json
}

/// Sessions sampled once a second, from second to second after noon.
pub fn ring(stretches: &[(std::ops::Range<i64>, Value)]) -> Ring {
    let mut ring = Ring::new(100_000, usize::MAX);
    for (seconds, rows) in stretches {
        for second in seconds.clone() {
            let rows = rows.as_array().unwrap().iter().map(|row| read(row.clone())).collect();
            ring.record(&Sample { at: at(second), took: Duration::from_millis(2), rows, missing: Vec::new() }, &HashMap::new());
        }
    }
    ring
}

/// A row.
pub fn read<T: Row>(row: Value) -> T {
    for name in row.as_object().unwrap().keys() {
        assert!(T::COLUMNS.iter().any(|column| column.name == name), "there is no column {name}");
    }
    T::read(&mut ByHand { row, columns: T::COLUMNS }).unwrap()
}

struct ByHand {
    row: Value,
    columns: &'static [crate::sample::Column],
}

impl ByHand {
    /// The value, or the default where one is required.
    fn get<T>(&self, column: usize, default: T, parse: impl Fn(&Value) -> Option<T>) -> Result<Option<T>, DecodeError> {
        match self.row.get(self.columns[column].name) {
            Some(Value::Null) => Ok(None),
            Some(value) => Ok(Some(parse(value).unwrap_or_else(|| panic!("{} cannot be {value}", self.columns[column].name)))),
            None if self.columns[column].ty.starts_with("Option") => Ok(None),
            None => Ok(Some(default)),
        }
    }
}

impl RowSource for ByHand {
    fn int(&mut self, column: usize) -> Result<Option<i64>, DecodeError> {
        self.get(column, 0, Value::as_i64)
    }

    fn float(&mut self, column: usize) -> Result<Option<f64>, DecodeError> {
        self.get(column, 0.0, Value::as_f64)
    }

    fn bool(&mut self, column: usize) -> Result<Option<bool>, DecodeError> {
        self.get(column, false, Value::as_bool)
    }

    fn text(&mut self, column: usize) -> Result<Option<Text>, DecodeError> {
        self.get(column, "".into(), |value| value.as_str().map(Into::into))
    }

    /// Instants are seconds after noon.
    fn time(&mut self, column: usize) -> Result<Option<Timestamp>, DecodeError> {
        self.get(column, at(0), |value| value.as_i64().map(at))
    }

    fn ints(&mut self, column: usize) -> Result<Option<Vec<i32>>, DecodeError> {
        self.get(column, Vec::new(), |value| serde_json::from_value(value.clone()).ok())
    }
}
