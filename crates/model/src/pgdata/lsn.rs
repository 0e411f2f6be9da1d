//! A position in the write-ahead log.

use std::fmt;
use std::str::FromStr;

/// A position in the write-ahead log in bytes since its beginning, printed as PostgreSQL does: `16/B374D848`.
///
/// In JSON it is that text. Zero is "none" in PostgreSQL's files (`InvalidXLogRecPtr`); see [`Lsn::known`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lsn(pub u64);

impl Lsn {
    /// The same, or `None` where it is zero, which stands for "none".
    pub const fn known(self) -> Option<Self> {
        if self.0 == 0 { None } else { Some(self) }
    }
}

impl fmt::Display for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:X}/{:X}", self.0 >> 32, self.0 & 0xFFFF_FFFF)
    }
}

/// The text is no position in the write-ahead log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a position in the write-ahead log is written as two hexadecimal numbers with a slash, for example 16/B374D848")]
pub struct NoLsn;

impl FromStr for Lsn {
    type Err = NoLsn;

    fn from_str(text: &str) -> Result<Self, NoLsn> {
        let (high, low) = text.split_once('/').ok_or(NoLsn)?;
        let part = |text: &str| {
            let digits = (1..=8).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
            if digits { u32::from_str_radix(text, 16).map_err(|_| NoLsn) } else { Err(NoLsn) }
        };
        Ok(Self(u64::from(part(high)?) << 32 | u64::from(part(low)?)))
    }
}

impl serde::Serialize for Lsn {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Lsn {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_written_and_read_as_postgresql_does() {
        for (text, lsn) in [("0/0", Lsn(0)), ("16/B374D848", Lsn(0x16_B374_D848)), ("FFFFFFFF/FFFFFFFF", Lsn(u64::MAX))] {
            assert_eq!(lsn.to_string(), text);
            assert_eq!(text.parse(), Ok(lsn));
        }
        for bad in ["", "/", "1", "1/", "/1", "1/123456789", "+1/1", "1/g", "1/1/1"] {
            assert_eq!(bad.parse::<Lsn>(), Err(NoLsn), "{bad}");
        }
        assert_eq!(serde_json::to_string(&Lsn(0x1_0000_0028)).unwrap(), "\"1/28\"");
    }
}
