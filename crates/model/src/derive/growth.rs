//! What happened between two readings, row by row.

use crate::sample::Sample;
use std::collections::HashMap;
use std::hash::Hash;

/// The newer rows, each with the older row that has the same key.
pub fn pairs<'a, R, K: Hash + Eq>(
    older: Option<&'a Sample<R>>,
    newer: &'a Sample<R>,
    key: impl Fn(&R) -> K,
) -> Vec<(Option<&'a R>, &'a R)> {
    let older: HashMap<K, &R> = older.iter().flat_map(|sample| &sample.rows).map(|row| (key(row), row)).collect();
    newer.rows.iter().map(|row| (older.get(&key(row)).copied(), row)).collect()
}

/// How much a counter grew. One that went back, or was not there before, began again at zero.
pub fn grown(older: Option<i64>, newer: i64) -> i64 {
    older.filter(|older| *older <= newer).map_or(newer, |older| newer - older)
}

/// The same for a fraction.
pub fn grown_f64(older: Option<f64>, newer: f64) -> f64 {
    older.filter(|older| *older <= newer).map_or(newer, |older| newer - older)
}
