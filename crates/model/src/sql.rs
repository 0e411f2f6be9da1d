//! SQL over history: what is asked and what is answered.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::ToSchema;

/// A question in SQL.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = SqlQuery)]
#[serde(deny_unknown_fields)]
pub struct Query {
    /// One statement that reads: `select …`, `with … select …`, `explain query plan …`.
    pub query: String,
    /// Most rows of the answer: 10,000 unless said otherwise.
    #[serde(default = "limit")]
    pub limit: usize,
    /// How long it may take, in ms: 30,000 unless said otherwise.
    #[serde(default = "timeout_ms")]
    pub timeout_ms: u64,
}

fn limit() -> usize {
    10_000
}

fn timeout_ms() -> u64 {
    30_000
}

impl Query {
    /// With the usual limits.
    pub fn new(query: impl Into<String>) -> Self {
        Self { query: query.into(), limit: limit(), timeout_ms: timeout_ms() }
    }
}

/// The answer, row by row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = SqlAnswer)]
pub struct Answer {
    /// Names of the columns.
    pub columns: Vec<String>,
    /// The rows: null, numbers and texts. Whole numbers that JavaScript cannot hold are texts.
    #[schema(value_type = Vec<Vec<serde_json::Value>>)]
    pub rows: Vec<Vec<Cell>>,
    /// Whether there would be more rows than the limit.
    pub truncated: bool,
    /// How long it took, in ms.
    pub took_ms: u64,
}

/// What is in a row at a column.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// Nothing.
    Null,
    /// A whole number.
    Int(i64),
    /// A fraction.
    Real(f64),
    /// A text.
    Text(String),
}

/// The greatest whole number that a JSON reader with floats only reads right.
const MOST_EXACT: u64 = 1 << 53;

impl Serialize for Cell {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Int(v) if v.unsigned_abs() > MOST_EXACT => serializer.collect_str(v),
            Self::Int(v) => serializer.serialize_i64(*v),
            Self::Real(v) => serializer.serialize_f64(*v),
            Self::Text(v) => serializer.serialize_str(v),
        }
    }
}

impl<'de> Deserialize<'de> for Cell {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match serde_json::Value::deserialize(deserializer)? {
            serde_json::Value::Null => Self::Null,
            serde_json::Value::Number(number) => number.as_i64().map_or_else(|| Self::Real(number.as_f64().unwrap_or(f64::NAN)), Self::Int),
            serde_json::Value::String(text) => Self::Text(text),
            other => Self::Text(other.to_string()),
        })
    }
}

impl std::fmt::Display for Cell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Null => Ok(()),
            Self::Int(v) => v.fmt(f),
            Self::Real(v) => v.fmt(f),
            Self::Text(v) => v.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_id_goes_through_json_unharmed() {
        let row = vec![Cell::Null, Cell::Int(7), Cell::Int(-4_611_686_018_427_387_904), Cell::Real(0.5), Cell::Text("x".to_owned())];
        let json = serde_json::to_string(&row).unwrap();
        assert_eq!(json, r#"[null,7,"-4611686018427387904",0.5,"x"]"#);
        let back: Vec<Cell> = serde_json::from_str(&json).unwrap();
        assert_eq!(back[2].to_string(), row[2].to_string());
        assert_eq!((&back[..2], &back[3..]), (&row[..2], &row[3..]));
    }

    #[test]
    fn limits_need_not_be_said() {
        assert_eq!(serde_json::from_str::<Query>(r#"{"query": "select 1"}"#).unwrap(), Query::new("select 1"));
    }
}
