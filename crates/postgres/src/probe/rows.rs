//! A result row seen as the source of a probe's row: columns by name, types as the query files promise them.

use super::texts::Texts;
use jiff::Timestamp;
use pgtend_model::sample::{Column, DecodeError, Reason, RowSource, Text, Unknown};
use serde::Deserialize;
use serde::de::IntoDeserializer;
use serde::de::value::{Error as NoSuchReason, StrDeserializer};
use tokio_postgres::types::{FromSql, Type};
use tokio_postgres::{Row, Statement};

/// Columns that no probe declares: a result row in which they are not null is no row but says what could not be had, and why.
const MISSING: &str = "missing";
const MISSING_REASON: &str = "missing_reason";

/// Where each declared column stands in the result; none for a column that this version's query does not return.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    places: Vec<Option<usize>>,
    missing: Option<(usize, usize)>,
    nulls_are_zero: bool,
}

impl Layout {
    pub(super) fn new(declared: &[Column], statement: &Statement, nulls_are_zero: bool) -> Self {
        let place = |name: &str| statement.columns().iter().position(|found| found.name() == name);
        let places = declared.iter().map(|column| place(column.name)).collect();
        Self { places, missing: place(MISSING_REASON).zip(place(MISSING)), nulls_are_zero }
    }

    /// What this result row says is missing; none where it is an ordinary row.
    pub(super) fn missing(&self, row: &Row) -> Option<Unknown> {
        let (reason, detail) = self.missing?;
        let text = |place| row.try_get::<_, Option<&str>>(place).ok().flatten();
        let reason = text(reason)?;
        let named: StrDeserializer<'_, NoSuchReason> = reason.into_deserializer();
        Some(Unknown::new(Reason::deserialize(named).unwrap_or(Reason::Failed), text(detail).unwrap_or(reason)))
    }
}

pub(super) struct ResultRow<'a> {
    pub(super) row: &'a Row,
    pub(super) layout: &'a Layout,
    pub(super) texts: &'a mut Texts,
}

impl<'a> ResultRow<'a> {
    fn get<T: FromSql<'a>>(&self, column: usize) -> Result<Option<T>, DecodeError> {
        let Some(place) = self.layout.places[column] else { return Ok(None) };
        self.row
            .try_get(place)
            .map_err(|problem| DecodeError { column: self.row.columns()[place].name().to_owned(), problem: problem.to_string() })
    }

    /// A number; a null that the query returned may stand for zero, a column that it did not return never.
    fn number<T: FromSql<'a> + Default>(&self, column: usize) -> Result<Option<T>, DecodeError> {
        let found = self.get(column)?;
        Ok(if self.layout.nulls_are_zero && self.layout.places[column].is_some() { Some(found.unwrap_or_default()) } else { found })
    }

    fn type_of(&self, column: usize) -> Option<&Type> {
        self.layout.places[column].map(|place| self.row.columns()[place].type_())
    }
}

impl RowSource for ResultRow<'_> {
    fn int(&mut self, column: usize) -> Result<Option<i64>, DecodeError> {
        match self.type_of(column) {
            Some(&Type::INT4) => Ok(self.number::<i32>(column)?.map(i64::from)),
            _ => self.number(column),
        }
    }

    fn float(&mut self, column: usize) -> Result<Option<f64>, DecodeError> {
        self.number(column)
    }

    fn bool(&mut self, column: usize) -> Result<Option<bool>, DecodeError> {
        self.get(column)
    }

    fn text(&mut self, column: usize) -> Result<Option<Text>, DecodeError> {
        Ok(self.get::<&str>(column)?.map(|text| self.texts.share(text)))
    }

    fn time(&mut self, column: usize) -> Result<Option<Timestamp>, DecodeError> {
        use tokio_postgres::types::Timestamp as Bounded;
        Ok(match self.get::<Bounded<Timestamp>>(column)? {
            Some(Bounded::Value(at)) => Some(at),
            Some(Bounded::NegInfinity | Bounded::PosInfinity) | None => None,
        })
    }

    fn ints(&mut self, column: usize) -> Result<Option<Vec<i32>>, DecodeError> {
        self.get(column)
    }
}
