//! The name of a backup.

use crate::error::{Error, Kind, Result};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use std::fmt;
use std::str::FromStr;

/// When a backup began, in UTC, to the second: `20261121T053000Z`. Labels sort by time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Label(Timestamp);

const FORMAT: &str = "%Y%m%dT%H%M%SZ";

impl Label {
    /// The label of a backup that begins at this instant.
    pub fn at(started: Timestamp) -> Self {
        Self(Timestamp::from_second(started.as_second()).unwrap_or_default())
    }

    /// The instant it names.
    pub const fn timestamp(self) -> Timestamp {
        self.0
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.to_zoned(TimeZone::UTC).strftime(FORMAT))
    }
}

impl FromStr for Label {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        jiff::civil::DateTime::strptime(FORMAT, text)
            .ok()
            .filter(|_| text.len() == 16)
            .and_then(|time| time.to_zoned(TimeZone::UTC).ok())
            .map(|time| Self(time.timestamp()))
            .ok_or_else(|| {
                Error::new(Kind::Usage, format!("\"{text}\" is no backup"))
                    .hint("a backup is called like 20261121T053000Z: see `pgtend backup list`")
            })
    }
}

impl serde::Serialize for Label {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Label {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_the_second_in_utc() {
        let label = Label::at("2026-11-21T06:30:00.75+01:00".parse().unwrap());
        assert_eq!(label.to_string(), "20261121T053000Z");
        assert_eq!("20261121T053000Z".parse::<Label>().unwrap(), label);
        assert!("20261121T053000".parse::<Label>().is_err());
        assert!("latest".parse::<Label>().is_err());
    }
}
