//! Rows for tests: everything zero, to be filled in where it matters.

use super::{DecodeError, Row, RowSource, Sample, Text};
use jiff::Timestamp;
use std::time::Duration;

struct Zeros;

impl RowSource for Zeros {
    fn int(&mut self, _: usize) -> Result<Option<i64>, DecodeError> {
        Ok(Some(0))
    }

    fn float(&mut self, _: usize) -> Result<Option<f64>, DecodeError> {
        Ok(Some(0.0))
    }

    fn bool(&mut self, _: usize) -> Result<Option<bool>, DecodeError> {
        Ok(Some(false))
    }

    fn text(&mut self, _: usize) -> Result<Option<Text>, DecodeError> {
        Ok(Some(Text::from("")))
    }

    fn time(&mut self, _: usize) -> Result<Option<Timestamp>, DecodeError> {
        Ok(Some(Timestamp::UNIX_EPOCH))
    }

    fn ints(&mut self, _: usize) -> Result<Option<Vec<i32>>, DecodeError> {
        Ok(Some(Vec::new()))
    }
}

/// A row of zeros and empty texts, with some fields set.
pub fn row<R: Row>(fill: impl FnOnce(&mut R)) -> R {
    let mut row = R::read(&mut Zeros).expect("zeros fit every row");
    fill(&mut row);
    row
}

/// A sample of these rows, taken so many seconds after 1970.
pub fn sample<R>(second: i64, rows: Vec<R>) -> Sample<R> {
    Sample { at: Timestamp::from_second(second).expect("a small number"), took: Duration::from_millis(2), rows, missing: Vec::new() }
}
