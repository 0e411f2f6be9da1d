//! How a row is declared, read and shown generically.

use jiff::Timestamp;
use std::sync::Arc;

/// Text in a row. Sources hand out the same allocation for the same text.
pub type Text = Arc<str>;

/// What a column is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Part of what the row is about; together the labels identify a row.
    Label,
    /// A figure that only grows until it is reset.
    Counter,
    /// A figure that goes up and down.
    Gauge,
    /// Anything else: text, times, lists.
    Info,
}

/// One column of a row: its definition, from which metrics, history and reference are made.
#[derive(Debug, Clone, Copy, serde::Serialize)]
pub struct Column {
    /// Name, as PostgreSQL calls it where it has a name, with the unit as suffix otherwise.
    pub name: &'static str,
    /// What it is for.
    pub kind: Kind,
    /// Rust type as declared; `Option` means that it may be unknown in a single row.
    pub ty: &'static str,
    /// Unit: `bytes`, `ms`, `blocks`, `transactions`, …; empty for text.
    pub unit: &'static str,
    /// What it says, one paragraph.
    pub help: &'static str,
}

/// A column's content without its type.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'a> {
    /// Not known, or none.
    Null,
    /// A whole number.
    Int(i64),
    /// A fraction.
    Float(f64),
    /// Yes or no.
    Bool(bool),
    /// Text.
    Text(&'a str),
    /// An instant.
    Time(Timestamp),
    /// A list of numbers (process ids).
    Ints(&'a [i32]),
}

impl Value<'_> {
    /// The value as a number, where it is one (true is 1, an instant is seconds since 1970).
    #[expect(clippy::cast_precision_loss, reason = "metrics are doubles by definition")]
    pub fn number(self) -> Option<f64> {
        match self {
            Self::Int(v) => Some(v as f64),
            Self::Float(v) => Some(v),
            Self::Bool(v) => Some(f64::from(u8::from(v))),
            Self::Time(v) => Some(v.as_microsecond() as f64 / 1e6),
            Self::Null | Self::Text(_) | Self::Ints(_) => None,
        }
    }

    /// The value as JSON.
    pub fn json(self) -> serde_json::Value {
        match self {
            Self::Null => serde_json::Value::Null,
            Self::Int(v) => v.into(),
            Self::Float(v) => v.into(),
            Self::Bool(v) => v.into(),
            Self::Text(v) => v.into(),
            Self::Time(v) => v.to_string().into(),
            Self::Ints(v) => v.into(),
        }
    }
}

/// Where rows come from, one at a time: a query's result, or values made by hand. Columns are numbered as the row declares them.
pub trait RowSource {
    /// A whole number.
    ///
    /// # Errors
    /// When the column holds something else.
    fn int(&mut self, column: usize) -> Result<Option<i64>, DecodeError>;
    /// A fraction.
    ///
    /// # Errors
    /// When the column holds something else.
    fn float(&mut self, column: usize) -> Result<Option<f64>, DecodeError>;
    /// Yes or no.
    ///
    /// # Errors
    /// When the column holds something else.
    fn bool(&mut self, column: usize) -> Result<Option<bool>, DecodeError>;
    /// Text.
    ///
    /// # Errors
    /// When the column holds something else.
    fn text(&mut self, column: usize) -> Result<Option<Text>, DecodeError>;
    /// An instant.
    ///
    /// # Errors
    /// When the column holds something else.
    fn time(&mut self, column: usize) -> Result<Option<Timestamp>, DecodeError>;
    /// A list of numbers.
    ///
    /// # Errors
    /// When the column holds something else.
    fn ints(&mut self, column: usize) -> Result<Option<Vec<i32>>, DecodeError>;
}

/// A result that does not have the shape the row declares: a defect of a query file, told with the column.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("column {column}: {problem}")]
pub struct DecodeError {
    /// The column's name or number.
    pub column: String,
    /// What is wrong with it.
    pub problem: String,
}

/// A type that a column can have.
pub trait Field: Sized {
    /// Reads it from a source.
    ///
    /// # Errors
    /// When the source holds something else, or nothing where something is required.
    fn read(source: &mut dyn RowSource, column: usize) -> Result<Self, DecodeError>;
    /// Its content without its type.
    fn value(&self) -> Value<'_>;
}

fn required<T>(value: Option<T>, column: usize) -> Result<T, DecodeError> {
    value.ok_or_else(|| DecodeError { column: column.to_string(), problem: "is null, and must not be".to_owned() })
}

macro_rules! fields {
    ($($ty:ty, $read:ident, |$v:ident| $value:expr;)+) => {$(
        impl Field for $ty {
            fn read(source: &mut dyn RowSource, column: usize) -> Result<Self, DecodeError> {
                source.$read(column).and_then(|value| required(value, column))
            }
            fn value(&self) -> Value<'_> {
                let $v = self;
                $value
            }
        }
        impl Field for Option<$ty> {
            fn read(source: &mut dyn RowSource, column: usize) -> Result<Self, DecodeError> {
                source.$read(column)
            }
            fn value(&self) -> Value<'_> {
                self.as_ref().map_or(Value::Null, Field::value)
            }
        }
    )+};
}

fields! {
    i64, int, |v| Value::Int(*v);
    f64, float, |v| Value::Float(*v);
    bool, bool, |v| Value::Bool(*v);
    Text, text, |v| Value::Text(v);
    Timestamp, time, |v| Value::Time(*v);
    Vec<i32>, ints, |v| Value::Ints(v);
}

/// A row of a probe.
pub trait Row: Sized + Clone + Send + Sync + 'static {
    /// Its columns, in the order of declaration.
    const COLUMNS: &'static [Column];
    /// Reads one row.
    ///
    /// # Errors
    /// When the source has not the declared shape.
    fn read(source: &mut dyn RowSource) -> Result<Self, DecodeError>;
    /// A column's content by its number.
    fn value(&self, column: usize) -> Value<'_>;
}

/// Declares a row. Each field is `kind name: type "unit",` under its documentation, which becomes the column's help.
macro_rules! rows {
    ($(
        $(#[doc = $about:literal])+
        pub struct $name:ident {
            $($(#[doc = $help:literal])+ $kind:ident $field:ident: $ty:ty $(, $unit:literal)?;)+
        }
    )+) => {$(
        $(#[doc = $about])+
        #[derive(Debug, Clone, PartialEq)]
        pub struct $name {
            $($(#[doc = $help])+ pub $field: $ty,)+
        }

        impl $crate::sample::Row for $name {
            const COLUMNS: &'static [$crate::sample::Column] = &[$($crate::sample::Column {
                name: stringify!($field),
                kind: $crate::sample::row::kind!($kind),
                ty: stringify!($ty),
                unit: $crate::sample::row::unit!($($unit)?),
                help: concat!($($help),+).trim_ascii(),
            }),+];

            fn read(source: &mut dyn $crate::sample::RowSource) -> Result<Self, $crate::sample::DecodeError> {
                let mut column = 0;
                $(
                    let $field = <$ty as $crate::sample::Field>::read(source, column)?;
                    column += 1;
                )+
                debug_assert_eq!(column, Self::COLUMNS.len());
                Ok(Self { $($field),+ })
            }

            fn value(&self, column: usize) -> $crate::sample::Value<'_> {
                let mut at = 0;
                $(
                    if column == at {
                        return $crate::sample::Field::value(&self.$field);
                    }
                    at += 1;
                )+
                debug_assert!(column < at, "no such column");
                $crate::sample::Value::Null
            }
        }
    )+};
}

macro_rules! kind {
    (label) => {
        $crate::sample::Kind::Label
    };
    (counter) => {
        $crate::sample::Kind::Counter
    };
    (gauge) => {
        $crate::sample::Kind::Gauge
    };
    (info) => {
        $crate::sample::Kind::Info
    };
}

macro_rules! unit {
    () => {
        ""
    };
    ($unit:literal) => {
        $unit
    };
}

pub(crate) use {kind, rows, unit};
