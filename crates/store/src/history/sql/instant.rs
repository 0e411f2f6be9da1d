//! Instants in SQL: RFC 3339 in UTC with ms, which sorts as text; what people write for them is read as SQLite's functions write it, too.

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, Unit};
use std::cmp::Ordering;

const MS_OF_DAY: i64 = 86_400_000;

/// A part of an instant by which samples are put together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Bucket {
    Minute,
    Hour,
    Day,
}

impl Bucket {
    /// Its start, in ms.
    pub(super) fn of(self, ms: i64) -> i64 {
        let length = match self {
            Self::Minute => 60_000,
            Self::Hour => 3_600_000,
            Self::Day => MS_OF_DAY,
        };
        ms.div_euclid(length) * length
    }

    /// How it is written: as SQLite's date and time functions read it.
    pub(super) fn write(self, ms: i64) -> String {
        let text = write(ms);
        match self {
            Self::Minute | Self::Hour => format!("{}Z", &text[..16]),
            Self::Day => text[..10].to_owned(),
        }
    }
}

/// `2026-11-20T10:00:00.000Z`.
pub(super) fn write(ms: i64) -> String {
    written(Timestamp::from_millisecond(ms).unwrap_or_default(), Unit::Millisecond)
}

/// `2026-11-20T10:00:00.000000Z`.
pub(super) fn write_us(us: i64) -> String {
    written(Timestamp::from_microsecond(us).unwrap_or_default(), Unit::Microsecond)
}

fn written(at: Timestamp, unit: Unit) -> String {
    let digits = if unit == Unit::Millisecond { 3 } else { 6 };
    format!("{at:.digits$}")
}

/// An instant as somebody wrote it: with an offset, or in UTC; with seconds or without; a date alone is its start; a number is seconds
/// since 1970.
pub(super) fn read(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    if let Ok(at) = text.parse::<Timestamp>() {
        return Some(at);
    }
    let civil = text.parse::<DateTime>().ok().or_else(|| text.parse::<Date>().ok().map(|date| date.at(0, 0, 0, 0)));
    match civil {
        Some(civil) => civil.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp()),
        None => text.parse::<f64>().ok().and_then(read_seconds),
    }
}

/// Seconds since 1970.
pub(super) fn read_seconds(seconds: f64) -> Option<Timestamp> {
    let since = SignedDuration::try_from_secs_f64(seconds).ok()?;
    Timestamp::UNIX_EPOCH.checked_add(since).ok()
}

/// The name under which SQLite compares instants.
pub(super) const COLLATION: &str = "instant";

/// Compares two texts as instants, however they are written; what is none comes last.
pub(super) fn compare(a: &str, b: &str) -> Ordering {
    let written = |text: &str| text.len() == 24 && text.ends_with('Z');
    if written(a) && written(b) {
        return a.cmp(b);
    }
    match (read(a), read(b)) {
        (Some(a), Some(b)) => a.cmp(&b),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => a.cmp(b),
    }
}

/// The first whole ms at or after an instant.
pub(super) fn ceil_ms(at: Timestamp) -> i64 {
    let ns = at.as_nanosecond();
    i64::try_from(-(-ns).div_euclid(1_000_000)).unwrap_or(i64::MAX)
}

/// The last whole ms at or before an instant.
pub(super) fn floor_ms(at: Timestamp) -> i64 {
    i64::try_from(at.as_nanosecond().div_euclid(1_000_000)).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_and_sqlite_write_is_read() {
        let at = 1_795_168_800_000;
        assert_eq!(write(at), "2026-11-20T10:00:00.000Z");
        assert_eq!(write_us(at * 1000 + 7), "2026-11-20T10:00:00.000007Z");
        for text in [
            "2026-11-20T10:00:00.000Z",
            "2026-11-20T10:00:00Z",
            "2026-11-20T10:00Z",
            "2026-11-20 10:00:00",
            "2026-11-20 10:00",
            "2026-11-20T11:00:00+01:00",
            "1795168800",
            "1795168800.0",
        ] {
            assert_eq!(read(text).map(Timestamp::as_millisecond), Some(at), "{text}");
        }
        assert_eq!(read("2026-11-20").map(|at| write(at.as_millisecond())).as_deref(), Some("2026-11-20T00:00:00.000Z"));
        assert_eq!((read("yesterday"), read(""), read("nan")), (None, None, None));
    }

    #[test]
    fn parts_of_ms_round_to_the_side_that_is_meant() {
        let at = read("1970-01-01T00:00:00.0015Z").unwrap();
        assert_eq!((floor_ms(at), ceil_ms(at)), (1, 2));
        let before = read("1969-12-31T23:59:59.9985Z").unwrap();
        assert_eq!((floor_ms(before), ceil_ms(before)), (-2, -1));
    }

    #[test]
    fn buckets_begin_where_clocks_do() {
        let at = 1_795_168_800_000 + 3_723_456;
        let written = [Bucket::Minute, Bucket::Hour, Bucket::Day].map(|bucket| bucket.write(bucket.of(at)));
        assert_eq!(written, ["2026-11-20T11:02Z", "2026-11-20T11:00Z", "2026-11-20"]);
        assert!(written.iter().all(|text| read(text).is_some()));
    }
}
