//! Identifiers of statements as the outside sees them: text, because JSON readers that know only doubles would round a number.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;

/// PostgreSQL's query id, or pgtend's fingerprint of the text where there is none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct QueryId(pub i64);

impl fmt::Display for QueryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for QueryId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for QueryId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Self).map_err(|_| de::Error::custom(format!("\"{text}\" is not the identifier of a statement")))
    }
}

impl utoipa::PartialSchema for QueryId {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
        utoipa::openapi::ObjectBuilder::new()
            .schema_type(utoipa::openapi::schema::Type::String)
            .pattern(Some("^-?[0-9]+$"))
            .description(Some("The identifier of a statement: a 64-bit number, as text."))
            .into()
    }
}

impl utoipa::ToSchema for QueryId {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_digit_is_lost() {
        let id = QueryId(-8_123_456_789_012_345_677);
        let text = serde_json::to_string(&id).unwrap();
        assert_eq!(text, "\"-8123456789012345677\"");
        assert_eq!(serde_json::from_str::<QueryId>(&text).unwrap(), id);
        assert!(serde_json::from_str::<QueryId>("\"x\"").is_err());
    }
}
