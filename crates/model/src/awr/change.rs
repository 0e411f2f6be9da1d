//! How much counters grew over a period, row by row.
//!
//! A counter that went back was reset, or its server was started anew, or its row was given up and came back. Then the readings between
//! are added up: what grew before the last reading ahead of the reset is kept, and what is lost is what happened from there to the reset.
//! A growth is therefore never negative and never too large.

mod probed;

pub use probed::Probed;

use super::period::Period;
use crate::past::Frame;
use crate::sample::{Column, DecodeError, Kind, Reason, Row, RowSource, Sample, Text, Unknown, Value};
use jiff::Timestamp;
use std::collections::HashMap;

/// What became of a row over a period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It was there at both ends.
    Kept,
    /// It was not there at the begin: it counts from zero.
    Appeared,
    /// It is not there at the end: what it grew after the last reading with it is not known.
    Vanished,
    /// It began again from zero in between.
    Reset,
}

/// What became of one row.
#[derive(Debug, Clone)]
pub struct Change<T> {
    /// Its counters hold how much they grew; everything else is as it was last.
    pub grown: T,
    /// As it was at the begin.
    pub before: Option<T>,
    /// As it is at the end.
    pub after: Option<T>,
    /// What became of it.
    pub fate: Fate,
}

/// What became of the rows of a probe.
#[derive(Debug, Clone)]
pub struct Changes<T> {
    /// Row by row.
    pub rows: Vec<Change<T>>,
    /// The reading that counts as the begin.
    pub from: Timestamp,
    /// The reading that counts as the end.
    pub to: Timestamp,
    /// When counters were first seen to have begun again.
    pub resets: Vec<Timestamp>,
}

impl<T: Probed> Changes<T> {
    /// What became of a probe's rows over a period.
    ///
    /// # Errors
    /// Why that is not known: there are not two readings in it, for instance.
    pub fn of(period: &Period<'_>) -> Result<Self, Unknown> {
        let mut steps = Steps::<T>::default();
        let newest = T::slot(&period.end.readings).current().map_err(Clone::clone)?;
        let oldest = T::slot(&period.begin.readings).current();
        let needs_all = oldest.map_or(true, |oldest| is_broken(oldest, newest));
        if let Ok(oldest) = oldest {
            steps.begin(oldest.at, &oldest.rows);
        }
        if needs_all {
            let read = period.past.frames(T::PROBE, period.span(), &mut |frame| steps.frame(frame));
            read.map_err(|error| Unknown::new(Reason::Failed, error.what))?;
        }
        steps.last(newest);
        steps.finish()
    }

    /// Seconds between its two readings.
    pub fn seconds(&self) -> f64 {
        self.to.duration_since(self.from).as_secs_f64()
    }

    /// A counter's growth, all rows together.
    pub fn sum(&self, counter: impl Fn(&T) -> i64) -> i64 {
        self.rows.iter().map(|row| counter(&row.grown)).sum()
    }

    /// The same for a fraction.
    pub fn sum_f64(&self, counter: impl Fn(&T) -> f64) -> f64 {
        self.rows.iter().map(|row| counter(&row.grown)).sum()
    }

    /// The same for a counter that only some versions have; none when no row has it.
    pub fn sum_known(&self, counter: impl Fn(&T) -> Option<i64>) -> Option<i64> {
        self.rows.iter().filter_map(|row| counter(&row.grown)).reduce(|a, b| a + b)
    }

    /// The same for a fraction.
    pub fn sum_known_f64(&self, counter: impl Fn(&T) -> Option<f64>) -> Option<f64> {
        self.rows.iter().filter_map(|row| counter(&row.grown)).reduce(|a, b| a + b)
    }

    /// The only row.
    ///
    /// # Errors
    /// When there is none.
    pub fn one(&self) -> Result<&Change<T>, Unknown> {
        self.rows.first().ok_or_else(|| Unknown::new(Reason::Absent, "the server has no such row"))
    }
}

/// Whether the two readings alone do not tell the growth: something began again, came or went.
fn is_broken<T: Row>(oldest: &Sample<T>, newest: &Sample<T>) -> bool {
    let before: HashMap<Key, &T> = oldest.rows.iter().map(|row| (key(row), row)).collect();
    let kept = newest.rows.iter().filter_map(|row| before.get(&key(row)).map(|before| (*before, row)));
    let mut count = 0;
    let broken = kept.inspect(|_| count += 1).any(|(before, row)| went_back(before, row) || since(before) != since(row));
    broken || count < oldest.rows.len()
}

/// The labels of a row, which tell it from others.
pub(super) type Key = Box<str>;

pub(super) fn key<T: Row>(row: &T) -> Key {
    use std::fmt::Write as _;
    let mut key = String::new();
    for (number, _) in T::COLUMNS.iter().enumerate().filter(|(_, column)| column.kind == Kind::Label) {
        let _never_fails = write!(key, "{:?}\u{1f}", row.value(number));
    }
    key.into()
}

fn counters<T: Row>() -> impl Iterator<Item = (usize, &'static Column)> {
    T::COLUMNS.iter().enumerate().filter(|(_, column)| column.kind == Kind::Counter)
}

/// Whether a counter of the row went back.
fn went_back<T: Row>(older: &T, newer: &T) -> bool {
    counters::<T>().any(|(number, _)| match (older.value(number), newer.value(number)) {
        (Value::Int(older), Value::Int(newer)) => newer < older,
        (Value::Float(older), Value::Float(newer)) => newer < older - slack(older),
        _ => false,
    })
}

/// By how much a fraction may go back without having been reset: the kernel corrects its times a little.
fn slack(value: f64) -> f64 {
    (value / 100.0).max(1.0)
}

/// When the row's counters were last reset, as the row itself says.
fn since<T: Row>(row: &T) -> Option<Timestamp> {
    let number = T::COLUMNS.iter().position(|column| column.name == "stats_reset" || column.name == "stats_since")?;
    match row.value(number) {
        Value::Time(at) => Some(at),
        _ => None,
    }
}

/// Whether a row is reset as a whole: views with `stats_reset` may be made of several, which are not reset together.
fn is_reset_whole<T: Row>() -> bool {
    T::COLUMNS.iter().all(|column| column.name != "stats_reset")
}

/// A counter's value or growth.
#[derive(Debug, Clone, Copy)]
enum Number {
    Int(i64),
    Float(f64),
}

impl Number {
    fn of(value: Value<'_>) -> Option<Self> {
        match value {
            Value::Int(value) => Some(Self::Int(value)),
            Value::Float(value) => Some(Self::Float(value)),
            _ => None,
        }
    }

    fn plus(self, other: Self) -> Self {
        match (self, other) {
            (Self::Int(a), Self::Int(b)) => Self::Int(a.saturating_add(b)),
            (Self::Float(a), Self::Float(b)) => Self::Float(a + b),
            (a, _) => a,
        }
    }

    /// How much it grew since; all of it when it went back.
    fn since(self, older: Self) -> Self {
        match (older, self) {
            (Self::Int(older), Self::Int(newer)) => Self::Int(if newer < older { newer } else { newer - older }),
            (Self::Float(older), Self::Float(newer)) if newer < older - slack(older) => Self::Float(newer),
            (Self::Float(older), Self::Float(newer)) => Self::Float((newer - older).max(0.0)),
            (_, newer) => newer,
        }
    }
}

/// One row while readings are gone through.
struct Line<T> {
    before: Option<T>,
    last: T,
    grown: Vec<Option<Number>>,
    is_there: bool,
    was_reset: bool,
}

/// Readings gone through in their order.
struct Steps<T> {
    lines: HashMap<Key, Line<T>>,
    order: Vec<Key>,
    from: Option<Timestamp>,
    to: Option<Timestamp>,
    resets: Vec<Timestamp>,
}

impl<T> Default for Steps<T> {
    fn default() -> Self {
        Self { lines: HashMap::new(), order: Vec::new(), from: None, to: None, resets: Vec::new() }
    }
}

impl<T: Probed> Steps<T> {
    fn begin(&mut self, at: Timestamp, rows: &[T]) {
        (self.from, self.to) = (Some(at), Some(at));
        let zeros = |row: &T| counters::<T>().map(|(number, _)| Number::of(row.value(number)).map(|value| value.since(value))).collect();
        for row in rows {
            let line = Line { before: Some(row.clone()), last: row.clone(), grown: zeros(row), is_there: true, was_reset: false };
            self.insert(key(row), line);
        }
    }

    fn insert(&mut self, key: Key, line: Line<T>) {
        self.order.push(key.clone());
        self.lines.insert(key, line);
    }

    fn frame(&mut self, frame: &Frame) {
        let Some(rows) = frame.rows.as_ref().ok().and_then(T::rows) else { return };
        match self.to {
            None => self.begin(frame.at, rows),
            Some(to) if frame.at > to => self.step(frame.at, rows, frame.whole),
            Some(_) => {}
        }
    }

    fn last(&mut self, newest: &Sample<T>) {
        match self.to {
            None => self.begin(newest.at, &newest.rows),
            Some(to) if newest.at >= to => self.step(newest.at, &newest.rows, true),
            Some(_) => {}
        }
    }

    fn step(&mut self, at: Timestamp, rows: &[T], whole: bool) {
        self.to = Some(at);
        if whole {
            self.lines.values_mut().for_each(|line| line.is_there = false);
        }
        let mut reset = false;
        for row in rows {
            let key = key(row);
            match self.lines.get_mut(&key) {
                Some(line) => reset |= line.step(row),
                None => self.insert(key, Line::new(row)),
            }
        }
        if reset {
            self.resets.push(at);
        }
    }

    fn finish(mut self) -> Result<Changes<T>, Unknown> {
        let (Some(from), Some(to)) = (self.from, self.to) else {
            return Err(Unknown::new(Reason::Absent, "there is no reading in the period"));
        };
        if from >= to {
            return Err(Unknown::new(Reason::Pending, format!("there is only one reading in the period, of {from:.0}")));
        }
        let rows = self.order.iter().filter_map(|key| self.lines.remove(key)).filter_map(Line::finish).collect();
        Ok(Changes { rows, from, to, resets: self.resets })
    }
}

impl<T: Row> Line<T> {
    /// A row that was not there before: it counts from zero.
    fn new(row: &T) -> Self {
        let grown = counters::<T>().map(|(number, _)| Number::of(row.value(number))).collect();
        Self { before: None, last: row.clone(), grown, is_there: true, was_reset: false }
    }

    /// Adds what it grew; says whether it began again.
    fn step(&mut self, row: &T) -> bool {
        let started_anew = T::COLUMNS.iter().any(|column| column.name == "stats_since") && since(&self.last) != since(row);
        let went_back = went_back(&self.last, row);
        let whole = started_anew || (went_back && is_reset_whole::<T>());
        for (grown, (number, _)) in self.grown.iter_mut().zip(counters::<T>()) {
            let Some(newer) = Number::of(row.value(number)) else { continue };
            let more = match Number::of(self.last.value(number)) {
                Some(older) if !whole => newer.since(older),
                _ => newer,
            };
            *grown = Some(grown.map_or(more, |grown| grown.plus(more)));
        }
        self.last = row.clone();
        self.is_there = true;
        let reset = went_back || started_anew;
        self.was_reset |= reset;
        reset
    }

    fn finish(self) -> Option<Change<T>> {
        let mut source = Grown { last: &self.last, grown: self.grown };
        let grown = T::read(&mut source).ok()?;
        let fate = match (self.is_there, self.was_reset, &self.before) {
            (false, ..) => Fate::Vanished,
            (true, true, _) => Fate::Reset,
            (true, false, None) => Fate::Appeared,
            (true, false, Some(_)) => Fate::Kept,
        };
        Some(Change { grown, before: self.before, after: self.is_there.then_some(self.last), fate })
    }
}

/// A row whose counters are growths.
struct Grown<'a, T> {
    last: &'a T,
    grown: Vec<Option<Number>>,
}

impl<T: Row> Grown<'_, T> {
    fn value(&self, column: usize) -> Value<'_> {
        if T::COLUMNS[column].kind != Kind::Counter {
            return self.last.value(column);
        }
        let place = T::COLUMNS[..column].iter().filter(|column| column.kind == Kind::Counter).count();
        match self.grown[place] {
            Some(Number::Int(value)) => Value::Int(value),
            Some(Number::Float(value)) => Value::Float(value),
            None => Value::Null,
        }
    }
}

impl<T: Row> RowSource for Grown<'_, T> {
    fn int(&mut self, column: usize) -> Result<Option<i64>, DecodeError> {
        Ok(if let Value::Int(value) = self.value(column) { Some(value) } else { None })
    }

    fn float(&mut self, column: usize) -> Result<Option<f64>, DecodeError> {
        Ok(if let Value::Float(value) = self.value(column) { Some(value) } else { None })
    }

    fn bool(&mut self, column: usize) -> Result<Option<bool>, DecodeError> {
        Ok(if let Value::Bool(value) = self.value(column) { Some(value) } else { None })
    }

    fn text(&mut self, column: usize) -> Result<Option<Text>, DecodeError> {
        Ok(if let Value::Text(value) = self.value(column) { Some(value.into()) } else { None })
    }

    fn time(&mut self, column: usize) -> Result<Option<Timestamp>, DecodeError> {
        Ok(if let Value::Time(value) = self.value(column) { Some(value) } else { None })
    }

    fn ints(&mut self, column: usize) -> Result<Option<Vec<i32>>, DecodeError> {
        Ok(if let Value::Ints(value) = self.value(column) { Some(value.to_vec()) } else { None })
    }
}

#[cfg(test)]
mod tests;
