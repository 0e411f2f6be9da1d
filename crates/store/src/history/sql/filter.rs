//! Which rows are wanted, as far as SQLite says it beforehand: what is pushed down never takes away a row that SQLite would keep.

use super::column::{Cell, Column, Ref, Sql};
use super::instant;
use super::relation::{Origin, Relation};
use arrow_array::Array;
use jiff::Timestamp;
use rusqlite::types::Value;

/// A comparison of a column with a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// What rows must meet.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Filter {
    /// From this ms on.
    pub(super) from_ms: i64,
    /// Before this one.
    pub(super) to_ms: i64,
    /// Columns that must have a value.
    pub(super) equal: Vec<(usize, Value)>,
    /// Whether no row can meet it.
    pub(super) nothing: bool,
}

impl Default for Filter {
    fn default() -> Self {
        Self { from_ms: i64::MIN, to_ms: i64::MAX, equal: Vec::new(), nothing: false }
    }
}

impl Filter {
    /// Adds a comparison. Fails where a time is compared with what is none.
    pub(super) fn add(&mut self, relation: &Relation, field: usize, operator: Operator, value: Value) -> Result<(), String> {
        let origin = relation.fields.get(field).map(|field| field.origin);
        match (origin, value) {
            (_, Value::Null) => self.nothing = true,
            (Some(Origin::Time), value) => self.bound(operator, time(&value)?),
            (_, value) if operator == Operator::Equal => self.equal.push((field, value)),
            _ => {}
        }
        Ok(())
    }

    fn bound(&mut self, operator: Operator, at: Timestamp) {
        let (floor, ceil) = (instant::floor_ms(at), instant::ceil_ms(at));
        let (from, to) = match operator {
            Operator::Equal => (ceil, floor.saturating_add(1)),
            Operator::Less => (i64::MIN, ceil),
            Operator::LessOrEqual => (i64::MIN, floor.saturating_add(1)),
            Operator::Greater => (floor.saturating_add(1), i64::MAX),
            Operator::GreaterOrEqual => (ceil, i64::MAX),
        };
        self.from_ms = self.from_ms.max(from);
        self.to_ms = self.to_ms.min(to);
    }

    /// Whether no row can meet it.
    pub(super) fn is_nothing(&self) -> bool {
        self.nothing || self.from_ms >= self.to_ms
    }

    /// Whether all instants of a span are in it.
    pub(super) fn covers(&self, (first, last): (i64, i64)) -> bool {
        self.from_ms <= first && last < self.to_ms
    }

    /// What a column must be, where it is a text.
    pub(super) fn text(&self, relation: &Relation, origin: Origin) -> Option<&str> {
        self.equal.iter().find_map(|(field, value)| match value {
            Value::Text(text) if relation.fields[*field].origin == origin => Some(text.as_str()),
            _ => None,
        })
    }
}

fn time(value: &Value) -> Result<Timestamp, String> {
    let read = match value {
        Value::Text(text) => instant::read(text),
        #[expect(clippy::cast_precision_loss, reason = "seconds of any calendar are exact")]
        Value::Integer(seconds) => instant::read_seconds(*seconds as f64),
        Value::Real(seconds) => instant::read_seconds(*seconds),
        Value::Null | Value::Blob(_) => None,
    };
    let shown = match value {
        Value::Text(text) => format!("'{text}'"),
        Value::Integer(seconds) => seconds.to_string(),
        other => format!("{other:?}"),
    };
    read.ok_or_else(|| format!("{NO_TIME}: {shown}"))
}

/// How an error about a time begins.
pub(super) const NO_TIME: &str = "sample_time is compared with what is no time";

/// Some rows of a chunk.
#[derive(Debug, Clone)]
pub(super) enum Rows {
    /// As many, from the first on.
    All(usize),
    Some(Vec<u32>),
}

impl Rows {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::All(rows) => *rows,
            Self::Some(rows) => rows.len(),
        }
    }

    /// The row at a place.
    pub(super) fn row(&self, place: usize) -> usize {
        match self {
            Self::All(_) => place,
            Self::Some(rows) => rows[place] as usize,
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.len()).map(|place| self.row(place))
    }

    /// Those of them for which this holds.
    #[must_use]
    pub(super) fn only(self, holds: impl Fn(usize) -> bool) -> Self {
        if self.iter().all(&holds) {
            return self;
        }
        Self::Some(self.iter().filter(|row| holds(*row)).map(|row| u32::try_from(row).unwrap_or(u32::MAX)).collect())
    }

    /// Those of them at which a column may equal a value; SQLite looks again.
    #[must_use]
    pub(super) fn equal(self, column: &Column, value: &Value) -> Self {
        match (column, value) {
            (Column::Words(keys, words), Value::Text(text)) => {
                let key = (0..words.len()).find(|place| words.value(*place) == text).and_then(|place| i32::try_from(place).ok());
                match key {
                    Some(key) => self.only(|row| !column.is_null(row) && keys.value(row) == key),
                    None => Self::Some(Vec::new()),
                }
            }
            (Column::Same(Cell::Text(_)), Value::Text(text)) => self.only(|row| column.get(row) == Ref::Text(text)),
            (Column::Long(_) | Column::Int(_) | Column::Count(_) | Column::Bool(_), Value::Integer(number)) => {
                self.only(|row| column.get(row) == Ref::Int(*number))
            }
            (Column::Buckets(..), Value::Text(text)) => self.only(|row| column.get(row).to_sql(|written| written == Sql::Text(text))),
            _ => self,
        }
    }
}
