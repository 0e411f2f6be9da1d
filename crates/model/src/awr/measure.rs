//! Single figures of a report: each with its unit, and the reason where it is not known.

use super::page::Cell;
use crate::sample::Unknown;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a figure counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = AwrUnit)]
pub enum Unit {
    /// Things: transactions, blocks, rows, calls.
    Count,
    /// Bytes.
    Bytes,
    /// Seconds.
    Seconds,
    /// Per cent.
    Percent,
    /// Average active sessions, or a plain ratio.
    Number,
}

impl Unit {
    /// A whole amount.
    pub fn total(self, value: f64) -> Cell {
        match self {
            #[expect(clippy::cast_possible_truncation, reason = "counters are whole numbers")]
            Self::Count => Cell::count(value.round() as i64),
            other => other.rate(value),
        }
    }

    /// A mean or a rate.
    pub fn rate(self, value: f64) -> Cell {
        match self {
            Self::Count | Self::Number => Cell::number(value),
            Self::Bytes => Cell::bytes(value),
            Self::Seconds => Cell::seconds(value),
            Self::Percent => Cell::percent(value),
        }
    }
}

/// One figure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = AwrMeasure)]
pub struct Measure {
    /// Its name.
    pub name: String,
    /// What it says, in a few words.
    pub label: String,
    /// Its unit.
    pub unit: Unit,
    /// The figure over the whole period.
    pub value: Option<f64>,
    /// The same a second, for what accumulates.
    pub per_second: Option<f64>,
    /// The same a transaction, for what accumulates.
    pub per_transaction: Option<f64>,
    /// Why it is not known.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub unknown: Option<Unknown>,
}

impl Measure {
    /// A figure that does not accumulate.
    pub fn single(name: &str, label: &str, unit: Unit, value: Result<f64, Unknown>) -> Self {
        let (value, unknown) = split(value);
        Self { name: name.to_owned(), label: label.to_owned(), unit, value, per_second: None, per_transaction: None, unknown }
    }

    /// A figure that accumulates: what it came to, and over how many seconds.
    pub fn sum(name: &str, label: &str, unit: Unit, value: Result<(f64, f64), Unknown>) -> Self {
        let (value, unknown) = split(value);
        let per_second = value.filter(|(_, seconds)| *seconds > 0.0).map(|(sum, seconds)| sum / seconds);
        let value = value.map(|(sum, _)| sum);
        Self { name: name.to_owned(), label: label.to_owned(), unit, value, per_second, per_transaction: None, unknown }
    }

    /// The same, with how much of it fell on a transaction.
    #[must_use]
    pub fn per_transaction(mut self, transactions_per_second: Option<f64>) -> Self {
        let transactions = transactions_per_second.filter(|rate| *rate > 0.0);
        self.per_transaction = self.per_second.zip(transactions).map(|(mine, all)| mine / all);
        self
    }

    fn show(&self, value: Option<f64>, show: impl FnOnce(f64) -> Cell) -> Cell {
        match (value, &self.unknown) {
            (Some(value), _) => show(value),
            (None, Some(unknown)) => Cell::unknown(&unknown.detail),
            (None, None) => Cell::default(),
        }
    }

    /// The whole amount, as it is shown.
    pub fn shown(&self) -> Cell {
        self.show(self.value, |value| self.unit.total(value))
    }

    /// The amount a second, as it is shown.
    pub fn shown_per_second(&self) -> Cell {
        self.show(self.per_second, |value| self.unit.rate(value))
    }

    /// The amount a transaction, as it is shown.
    pub fn shown_per_transaction(&self) -> Cell {
        self.show(self.per_transaction, |value| self.unit.rate(value))
    }
}

fn split<T>(value: Result<T, Unknown>) -> (Option<T>, Option<Unknown>) {
    match value {
        Ok(value) => (Some(value), None),
        Err(unknown) => (None, Some(unknown)),
    }
}

/// Why figures of these are not known, each reason once with the names that it explains.
pub fn reasons<'a>(measures: impl IntoIterator<Item = &'a Measure>) -> Vec<String> {
    let mut reasons: Vec<(&Unknown, Vec<&str>)> = Vec::new();
    for measure in measures {
        let Some(unknown) = &measure.unknown else { continue };
        match reasons.iter_mut().find(|(known, _)| *known == unknown) {
            Some((_, names)) => names.push(&measure.label),
            None => reasons.push((unknown, vec![&measure.label])),
        }
    }
    let told =
        |(unknown, names): &(&Unknown, Vec<&str>)| format!("Not known: {} ({}).", names.join(", "), unknown.detail.trim_end_matches('.'));
    reasons.iter().map(told).collect()
}
