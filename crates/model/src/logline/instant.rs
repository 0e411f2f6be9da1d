//! Times as PostgreSQL writes them into its log.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone};

/// `2026-11-21 05:29:13.123 CET`: the abbreviation names no zone for certain, so `zone` (`log_timezone`) tells what it means.
pub(super) fn read(text: &str, zone: &TimeZone) -> Option<Timestamp> {
    let mut words = text.split_whitespace();
    let (date, time) = (words.next()?, words.next()?);
    let civil: DateTime = format!("{date}T{time}").parse().ok()?;
    let zone = words.next().and_then(fixed).unwrap_or_else(|| zone.clone());
    zone.to_timestamp(civil).ok()
}

/// A zone that its abbreviation tells: UTC, or an offset such as `+03` or `-0330`.
fn fixed(abbreviation: &str) -> Option<TimeZone> {
    if matches!(abbreviation, "UTC" | "GMT") {
        return Some(TimeZone::UTC);
    }
    let digits = abbreviation.strip_prefix(['+', '-'])?.replace(':', "");
    let (hours, minutes): (i32, i32) = match digits.len() {
        2 => (digits.parse().ok()?, 0),
        4 => (digits[..2].parse().ok()?, digits[2..].parse().ok()?),
        _ => return None,
    };
    let sign = if abbreviation.starts_with('-') { -1 } else { 1 };
    Offset::from_seconds(sign * (hours * 3600 + minutes * 60)).ok().map(TimeZone::fixed)
}

/// Seconds since 1970 with a fraction, as `%n` writes them.
pub(super) fn of_epoch(text: &str) -> Option<Timestamp> {
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let ms: i64 = fraction.get(..3).unwrap_or(fraction).parse().ok()?;
    Timestamp::from_millisecond(seconds.parse::<i64>().ok()?.checked_mul(1000)?.checked_add(ms)?).ok()
}
