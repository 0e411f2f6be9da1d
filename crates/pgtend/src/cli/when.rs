//! Times as people write them: an instant, a date, a time of day, or how long ago.

use jiff::civil::{Date, DateTime, Time};
use jiff::{Span, Timestamp, ToSpan, Zoned};
use pgtend_model::error::{Error, Kind, Result};

/// What may be written, for help texts.
pub const FORMS: &str = "2026-11-21T03:12:00Z, \"2026-11-21 03:12\", 2026-11-21, 03:12 (today), \"yesterday 03:12\", -1h, -90min, now";

/// An instant, for options: local time where no zone is written.
///
/// # Errors
/// `Usage` when it is none of [`FORMS`].
pub fn when(text: &str) -> Result<Timestamp> {
    parse(text, &Zoned::now())
}

/// The same, at a given time.
///
/// # Errors
/// As [`when`].
pub fn parse(text: &str, now: &Zoned) -> Result<Timestamp> {
    let text = text.trim();
    let instant = text.parse::<Timestamp>().ok().or_else(|| ago(text, now)).or_else(|| civil(text, now));
    instant.ok_or_else(|| Error::new(Kind::Usage, format!("\"{text}\" is no time")).hint(format!("write it as {FORMS}")))
}

/// `now`, or a duration before it.
fn ago(text: &str, now: &Zoned) -> Option<Timestamp> {
    if text == "now" {
        return Some(now.timestamp());
    }
    let written = text.strip_prefix('-')?.trim();
    let span: Span = written.starts_with(|c: char| c.is_ascii_digit()).then(|| written.parse().ok())??;
    // Days are of the calendar: -1d is the same time of day yesterday.
    now.checked_sub(span).ok().map(|then| then.timestamp())
}

fn civil(text: &str, now: &Zoned) -> Option<Timestamp> {
    let datetime = date_and_time(text, now.date()).or_else(|| text.parse::<DateTime>().ok())?;
    now.time_zone().to_timestamp(datetime).ok()
}

/// A day, or a time of day, or both.
fn date_and_time(text: &str, today: Date) -> Option<DateTime> {
    let (day, time) = text.split_once(char::is_whitespace).map_or((text, None), |(day, time)| (day, Some(time.trim())));
    let date = match day {
        "today" => today,
        "yesterday" => today.checked_sub(1.day()).ok()?,
        _ => match day.parse::<Date>() {
            Ok(date) if !day.contains('T') => date,
            _ if time.is_none() => return clock(day).map(|time| today.to_datetime(time)),
            _ => return None,
        },
    };
    time.map_or(Some(Time::midnight()), clock).map(|time| date.to_datetime(time))
}

/// `3:12`, `03:12` or `03:12:30`.
fn clock(text: &str) -> Option<Time> {
    let mut parts = text.split(':').map(|part| part.parse::<i8>().ok());
    let (hour, minute, second) = (parts.next()??, parts.next()??, parts.next().unwrap_or(Some(0))?);
    if parts.next().is_some() || text.contains(['+', '-']) {
        return None;
    }
    Time::new(hour, minute, second, 0).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Result<String> {
        let now: Zoned = "2026-11-21T14:30:00+01:00[Europe/Berlin]".parse().unwrap();
        parse(text, &now).map(|at| at.to_string())
    }

    #[test]
    fn every_form_that_is_promised() {
        for (written, meant) in [
            ("2026-11-21T03:12:00Z", "2026-11-21T03:12:00Z"),
            ("2026-11-21T03:12:00+05:30", "2026-11-20T21:42:00Z"),
            ("2026-11-21 03:12", "2026-11-21T02:12:00Z"),
            ("2026-11-21 03:12:45", "2026-11-21T02:12:45Z"),
            ("2026-11-21T03:12", "2026-11-21T02:12:00Z"),
            ("2026-11-21", "2026-11-20T23:00:00Z"),
            ("03:12", "2026-11-21T02:12:00Z"),
            ("3:12", "2026-11-21T02:12:00Z"),
            ("today", "2026-11-20T23:00:00Z"),
            ("yesterday 03:12", "2026-11-20T02:12:00Z"),
            ("-1h", "2026-11-21T12:30:00Z"),
            ("-90min", "2026-11-21T12:00:00Z"),
            ("-1h30m", "2026-11-21T12:00:00Z"),
            ("-2d", "2026-11-19T13:30:00Z"),
            ("now", "2026-11-21T13:30:00Z"),
        ] {
            assert_eq!(at(written).as_deref(), Ok(meant), "{written}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused_with_the_forms_there_are() {
        for wrong in ["", "noon", "25:00", "12", "03:12:99", "2026-13-01", "yesterday noon", "1h", "03:12:00:00", "--1h"] {
            let error = at(wrong).expect_err(wrong);
            assert!(error.kind == Kind::Usage && error.hint.contains("yesterday 03:12"), "{wrong}: {error}");
        }
    }
}
