//! Durations and sizes as people write them: `90s`, `5min`, `>1h`, `64MB`.

use crate::error::{Error, Kind, Result};
use std::time::Duration;

const DURATIONS: &[(&str, f64)] =
    &[("us", 1e-6), ("ms", 1e-3), ("s", 1.0), ("sec", 1.0), ("min", 60.0), ("m", 60.0), ("h", 3600.0), ("d", 86_400.0), ("w", 604_800.0)];
const SIZES: &[(&str, f64)] = &[
    ("B", 1.0),
    ("kB", 1024.0),
    ("KB", 1024.0),
    ("MB", 1_048_576.0),
    ("GB", 1_073_741_824.0),
    ("TB", 1_099_511_627_776.0),
    ("KiB", 1024.0),
    ("MiB", 1_048_576.0),
    ("GiB", 1_073_741_824.0),
    ("TiB", 1_099_511_627_776.0),
];

/// Reads a duration such as `500ms`, `1.5h` or `30`, a bare number being seconds.
///
/// # Errors
/// `Usage` when the text is no number with one of the units us, ms, s, min, h, d, w.
pub fn duration(text: &str) -> Result<Duration> {
    let seconds = scaled(text, DURATIONS, 1.0).ok_or_else(|| {
        Error::new(Kind::Usage, format!("\"{text}\" is not a duration"))
            .hint("write a number with ms, s, min, h or d, for example 30s or 1.5h")
    })?;
    Duration::try_from_secs_f64(seconds)
        .map_err(|_| Error::new(Kind::Usage, format!("the duration \"{text}\" is out of range")).hint("durations are zero or more"))
}

/// Reads a size such as `64MB` into bytes, a bare number being bytes. Units are powers of 1024, as in PostgreSQL.
///
/// # Errors
/// `Usage` when the text is no number with one of the units B, kB, MB, GB, TB.
pub fn bytes(text: &str) -> Result<u64> {
    let bytes = scaled(text, SIZES, 1.0).filter(|bytes| (0.0..1e18).contains(bytes)).ok_or_else(|| {
        Error::new(Kind::Usage, format!("\"{text}\" is not a size")).hint("write a number with B, kB, MB, GB or TB, for example 64MB")
    })?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range was checked above")]
    Ok(bytes as u64)
}

/// A lower bound as guide 1 writes it: `>1h` and `1h` mean the same, "at least an hour".
///
/// # Errors
/// As [`duration`].
pub fn at_least(text: &str) -> Result<Duration> {
    duration(text.trim().trim_start_matches(['>', '=']))
}

fn scaled(text: &str, units: &[(&str, f64)], bare: f64) -> Option<f64> {
    let text = text.trim();
    let split = text.find(|c: char| c.is_alphabetic()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let factor = if unit.is_empty() { bare } else { units.iter().find(|(name, _)| *name == unit)?.1 };
    let number: f64 = number.trim().parse().ok()?;
    number.is_finite().then_some(number * factor)
}

/// Bytes for people: `1.5 GiB`.
pub fn show_bytes(bytes: f64) -> String {
    let mut value = bytes;
    for unit in ["B", "KiB", "MiB", "GiB", "TiB"] {
        if value.abs() < 1024.0 || unit == "TiB" {
            return if unit == "B" { format!("{value:.0} B") } else { format!("{value:.1} {unit}") };
        }
        value /= 1024.0;
    }
    unreachable!("the last unit returns")
}

/// Seconds for people: `830 ms`, `12.3 s`, `4 min 05 s`, `3 h 20 min`, `5 d 3 h`.
pub fn show_seconds(seconds: f64) -> String {
    #[expect(clippy::cast_possible_truncation, reason = "whole seconds are far below 2^63")]
    let whole = seconds as i64;
    match seconds {
        s if s < 1.0 => format!("{:.0} ms", s * 1000.0),
        s if s < 60.0 => format!("{s:.1} s"),
        s if s < 3600.0 => format!("{} min {:02} s", whole / 60, whole % 60),
        s if s < 86_400.0 => format!("{} h {:02} min", whole / 3600, whole % 3600 / 60),
        _ => format!("{} d {} h", whole / 86_400, whole % 86_400 / 3600),
    }
}

/// A duration in the largest unit that divides it, to the millisecond, such that [`duration`] reads it back: `90s`, `5min`.
pub fn exact_duration(duration: Duration) -> String {
    let ms = duration.as_millis();
    let units: [(u128, &str); 4] = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "min"), (1000, "s")];
    match units.iter().find(|(unit, _)| ms > 0 && ms.is_multiple_of(*unit)) {
        Some((unit, name)) => format!("{}{name}", ms / unit),
        None if ms == 0 => "0s".to_owned(),
        None => format!("{ms}ms"),
    }
}

/// A count for people: `1,234,567`.
pub fn show_count(count: i64) -> String {
    let digits = count.unsigned_abs().to_string();
    let mut shown = String::with_capacity(digits.len() * 4 / 3 + 1);
    if count < 0 {
        shown.push('-');
    }
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown
}

/// Seconds in a few characters: `830ms`, `12.3s`, `4m05s`, `3h20m`, `5d3h`.
pub fn short_seconds(seconds: f64) -> String {
    #[expect(clippy::cast_possible_truncation, reason = "whole seconds are far below 2^63")]
    let whole = seconds as i64;
    match seconds {
        s if s < 1.0 => format!("{:.0}ms", s * 1000.0),
        s if s < 60.0 => format!("{s:.1}s"),
        s if s < 3600.0 => format!("{}m{:02}s", whole / 60, whole % 60),
        s if s < 86_400.0 => format!("{}h{:02}m", whole / 3600, whole % 3600 / 60),
        _ => format!("{}d{}h", whole / 86_400, whole % 86_400 / 3600),
    }
}

/// Bytes in a few characters: `512B`, `64M`, `1.5G`.
pub fn short_bytes(bytes: f64) -> String {
    let mut value = bytes;
    for unit in ["B", "K", "M", "G", "T"] {
        if value.abs() < 999.5 || unit == "T" {
            return if value < 9.95 && unit != "B" { format!("{value:.1}{unit}") } else { format!("{value:.0}{unit}") };
        }
        value /= 1024.0;
    }
    unreachable!("the last unit returns")
}

/// Text of any origin with nothing in it that would steer a terminal.
pub fn harmless(text: &str) -> String {
    text.chars()
        .map(|c| {
            if matches!(c, '\n' | '\r' | '\t') {
                ' '
            } else if steers(c) {
                '·'
            } else {
                c
            }
        })
        .collect()
}

/// Text of any origin on one line: white space runs together, and characters that would steer a terminal (or turn the reading direction)
/// are shown as `·`.
pub fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        if !line.is_empty() {
            line.push(' ');
        }
        line.extend(word.chars().map(|c| if steers(c) { '·' } else { c }));
    }
    line
}

/// Whether a terminal would do something else with the character than show it.
pub fn steers(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_any_origin_on_one_line() {
        assert_eq!(one_line("  select\n\t1 "), "select 1");
        assert_eq!(one_line("a\x1b[2Jb\u{9b}31m \u{202e}c"), "a·[2Jb·31m ·c");
    }

    #[test]
    fn durations_as_people_write_them() {
        assert_eq!(duration("500ms").ok(), Some(Duration::from_millis(500)));
        assert_eq!(duration("1.5h").ok(), Some(Duration::from_secs(5400)));
        assert_eq!(duration("30").ok(), Some(Duration::from_secs(30)));
        assert_eq!(at_least(">1h").ok(), Some(Duration::from_secs(3600)));
        for wrong in ["", "h", "-1s", "1 fortnight", "1e400s", "nan"] {
            assert!(duration(wrong).is_err(), "{wrong} was taken for a duration");
        }
    }

    #[test]
    fn an_exact_duration_reads_back() {
        for ms in [0, 1, 500, 1000, 1500, 90_000, 300_000, 3_600_000, 86_400_000] {
            let shown = exact_duration(Duration::from_millis(ms));
            assert_eq!(duration(&shown).ok(), Some(Duration::from_millis(ms)), "{shown}");
        }
        assert_eq!(exact_duration(Duration::from_secs(90)), "90s");
        assert_eq!(exact_duration(Duration::from_secs(300)), "5min");
    }

    #[test]
    fn figures_in_a_few_characters() {
        assert_eq!([0, 999, 1000, -1_234_567].map(show_count), ["0", "999", "1,000", "-1,234,567"]);
        assert_eq!([0.02, 12.34, 245.0, 12_000.0, 270_000.0].map(short_seconds), ["20ms", "12.3s", "4m05s", "3h20m", "3d3h"]);
        assert_eq!([512.0, 1024.0, 67_108_864.0, 1_610_612_736.0, 1e15].map(short_bytes), ["512B", "1.0K", "64M", "1.5G", "909T"]);
    }

    #[test]
    fn sizes_are_powers_of_1024() {
        assert_eq!(bytes("64MB").ok(), Some(64 << 20));
        assert_eq!(bytes("1GB").ok(), Some(1 << 30));
        assert!(bytes("-1").is_err());
        assert_eq!(show_bytes(1_610_612_736.0), "1.5 GiB");
    }
}
