//! Which rows of a reading changed since the one before: only those are written.

use super::record::Owned;
use pgtend_model::sample::{Kind, Probe, Taken, Value};
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

/// The rows written last, of every probe.
#[derive(Debug, Default)]
pub(super) struct Changes(HashMap<Probe, HashMap<u64, Known>>);

#[derive(Debug)]
struct Known {
    row: u64,
    labels: Vec<Option<Owned>>,
}

/// What of a reading is to be written.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Difference {
    /// Whether it is everything.
    pub(super) whole: bool,
    /// Rows.
    pub(super) rows: Vec<usize>,
    /// Labels of rows that are no more.
    pub(super) gone: Vec<Vec<Option<Owned>>>,
}

impl Changes {
    /// Forgets everything: the next reading of each probe is written whole.
    pub(super) fn restart(&mut self) {
        self.0.clear();
    }

    /// Compares a reading with the one before, and takes its place.
    pub(super) fn take(&mut self, taken: &Taken) -> Difference {
        let labels: Vec<usize> = columns_of(taken, |kind| kind == Kind::Label);
        let mut new: HashMap<u64, Known> = HashMap::with_capacity(taken.len());
        let old = self.0.remove(&taken.probe());
        let mut difference = Difference { whole: old.is_none(), ..Difference::default() };
        for row in 0..taken.len() {
            let (name, content) = (hash(taken, row, labels.iter().copied()), hash(taken, row, 0..taken.probe().spec().columns.len()));
            if old.as_ref().and_then(|old| old.get(&name)).is_none_or(|known| known.row != content) {
                difference.rows.push(row);
            }
            let named = labels.iter().map(|column| Owned::of(taken.value(row, *column))).collect();
            if new.insert(name, Known { row: content, labels: named }).is_some() {
                // Labels that do not name a row alone cannot tell which one changed.
                return Difference { whole: true, rows: (0..taken.len()).collect(), gone: Vec::new() };
            }
        }
        let gone = old.into_iter().flatten().filter(|(name, _)| !new.contains_key(name));
        difference.gone = gone.map(|(_, known)| known.labels).collect();
        self.0.insert(taken.probe(), new);
        difference
    }
}

fn columns_of(taken: &Taken, wanted: impl Fn(Kind) -> bool) -> Vec<usize> {
    let columns = taken.probe().spec().columns.iter().enumerate();
    columns.filter(|(_, column)| wanted(column.kind)).map(|(place, _)| place).collect()
}

fn hash(taken: &Taken, row: usize, columns: impl Iterator<Item = usize>) -> u64 {
    let mut hasher = DefaultHasher::new();
    for column in columns {
        match taken.value(row, column) {
            Value::Null => 0_u8.hash(&mut hasher),
            Value::Int(v) => (1_u8, v).hash(&mut hasher),
            Value::Float(v) => (2_u8, v.to_bits()).hash(&mut hasher),
            Value::Bool(v) => (3_u8, v).hash(&mut hasher),
            Value::Text(v) => (4_u8, v).hash(&mut hasher),
            Value::Time(v) => (5_u8, v.as_microsecond()).hash(&mut hasher),
            Value::Ints(v) => (6_u8, v).hash(&mut hasher),
        }
    }
    hasher.finish()
}
