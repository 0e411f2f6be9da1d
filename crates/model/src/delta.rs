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
