//! Growth and rates of counters between two readings. A counter that went back was reset: then there is no rate, never a negative one.

use crate::sample::{Reason, Row, Slot, Unknown};

/// How much a counter grew, summed over all rows, between the newest two readings.
///
/// # Errors
/// The reason why there is no such figure: one reading only, or a reset in between.
pub fn growth<T: Row>(slot: &Slot<T>, counter: impl Fn(&T) -> i64) -> Result<i64, Unknown> {
    let (older, newer, _) = slot.pair()?;
    let total = |rows: &[T]| rows.iter().map(&counter).sum::<i64>();
    let grown = total(&newer.rows) - total(&older.rows);
    if grown < 0 { Err(reset()) } else { Ok(grown) }
}

/// How much a counter grew a second, summed over all rows, between the newest two readings.
///
/// # Errors
/// As [`growth`].
#[expect(clippy::cast_precision_loss, reason = "a rate needs no more than a double's precision")]
pub fn rate<T: Row>(slot: &Slot<T>, counter: impl Fn(&T) -> i64) -> Result<f64, Unknown> {
    let (_, _, seconds) = slot.pair()?;
    Ok(growth(slot, counter)? as f64 / seconds)
}

/// As [`growth`], for a counter that is a fraction (milliseconds).
///
/// # Errors
/// As [`growth`].
pub fn growth_f64<T: Row>(slot: &Slot<T>, counter: impl Fn(&T) -> f64) -> Result<f64, Unknown> {
    let (older, newer, _) = slot.pair()?;
    let total = |rows: &[T]| rows.iter().map(&counter).sum::<f64>();
    let grown = total(&newer.rows) - total(&older.rows);
    if grown < 0.0 { Err(reset()) } else { Ok(grown) }
}

fn reset() -> Unknown {
    Unknown::new(Reason::Reset, "the counters were reset between the last two readings")
}

/// What becomes of each row between the newest two readings: the newer row, and how much its counters grew a second as `rate` says.
/// A row that is new has no rate, and a counter that went back neither.
///
/// # Errors
/// The reason why there is no reading.
pub fn rows<'a, T: Row, K: Eq + std::hash::Hash>(slot: &'a Slot<T>, key: impl Fn(&T) -> K) -> Result<Vec<Grown<'a, T>>, Unknown> {
    let newer = slot.current().map_err(Clone::clone)?;
    let (older, seconds) = match slot.pair() {
        Ok((older, _, seconds)) => (older.rows.iter().map(|row| (key(row), row)).collect(), seconds),
        Err(_) => (std::collections::HashMap::new(), 1.0),
    };
    Ok(newer.rows.iter().map(|row| Grown { row, before: older.get(&key(row)).copied(), seconds }).collect())
}

/// A row with the same row of the reading before.
#[derive(Debug, Clone, Copy)]
pub struct Grown<'a, T> {
    /// The newer row.
    pub row: &'a T,
    before: Option<&'a T>,
    seconds: f64,
}

impl<T> Grown<'_, T> {
    /// Growth of a counter a second.
    #[expect(clippy::cast_precision_loss, reason = "a rate needs no more than a double's precision")]
    pub fn per_second(&self, counter: impl Fn(&T) -> i64) -> Option<f64> {
        let grown = counter(self.row) - counter(self.before?);
        (grown >= 0).then_some(grown as f64 / self.seconds)
    }

    /// The same for a counter that is a fraction.
    pub fn per_second_f64(&self, counter: impl Fn(&T) -> f64) -> Option<f64> {
        let grown = counter(self.row) - counter(self.before?);
        (grown >= 0.0).then_some(grown / self.seconds)
    }

    /// How much one counter grew for each step of another: a mean; none when the other stood still.
    pub fn mean(&self, sum: impl Fn(&T) -> f64, count: impl Fn(&T) -> i64) -> Option<f64> {
        let times = self.per_second(count)?;
        (times > 0.0).then_some(self.per_second_f64(sum)? / times)
    }
}
