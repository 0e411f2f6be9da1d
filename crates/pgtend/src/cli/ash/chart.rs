//! The chart: active sessions over time as stacked bars, one step beside the other, with a legend beside it.

use super::super::output::Medium;
use super::{tables, time};
use crossterm::style::{Color, Stylize};
use jiff::tz::TimeZone;
use pgtend_model::ash::WaitClass;
use pgtend_model::document::ash::top::{Step, Top};

/// Lines of the bars.
const ROWS: usize = 12;
/// Columns of the scale at the left.
const SCALE: usize = 7;
/// Columns of the legend at the right.
const LEGEND: usize = 34;
/// Columns of a step at most, where there are few.
const WIDEST: usize = 4;
/// Columns where nobody says how many there are.
const USUAL: usize = 100;

/// How many steps fit.
pub(super) fn columns(medium: Medium) -> usize {
    medium.width.map_or(USUAL, usize::from).saturating_sub(SCALE + LEGEND).clamp(20, 240)
}

/// The chart; nothing where nothing was sampled.
pub(super) fn render(top: &Top, medium: Medium) -> String {
    let Some(all) = &top.all else { return String::new() };
    let highest = top.load.iter().filter_map(|step| step.average_active_sessions).fold(0.0, f64::max);
    let scale = round_up(highest);
    let legend = legend(top, medium);
    let wide = (columns(medium) / top.load.len().max(1)).clamp(1, WIDEST);
    let mut text = format!(
        "{} active sessions on average from {} to {}\n",
        tables::average(all.average_active_sessions),
        time(top.time_range.start),
        time(top.time_range.end)
    );
    for row in (0..ROWS).rev() {
        let label = match row {
            _ if row + 1 == ROWS => format!("{scale:.1}"),
            _ if row + 1 == ROWS / 2 => format!("{:.1}", scale / 2.0),
            _ => String::new(),
        };
        let bars: String = top.load.iter().map(|step| cell(step, row, scale, medium).repeat(wide)).collect();
        let beside = legend.get(ROWS - 1 - row).map_or("", String::as_str);
        text.push_str(format!("{label:>5} │{bars}  {beside}").trim_end());
        text.push('\n');
    }
    text.push_str(&axis(top, wide));
    text
}

/// The next of 1, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, … sessions.
fn round_up(highest: f64) -> f64 {
    let mut magnitude = 0.1;
    loop {
        for step in [1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0] {
            if step * magnitude >= highest && step * magnitude >= 1.0 {
                return step * magnitude;
            }
        }
        magnitude *= 10.0;
        if magnitude > 1e12 {
            return highest;
        }
    }
}

/// What a column shows at a height: the class that has most of that piece.
fn cell(step: &Step, row: usize, scale: f64, medium: Medium) -> String {
    if step.samples_taken == 0 {
        return if row == 0 { "·".to_owned() } else { " ".to_owned() };
    }
    #[expect(clippy::cast_precision_loss, reason = "a dozen rows")]
    let (bottom, top) = (scale * row as f64 / ROWS as f64, scale * (row + 1) as f64 / ROWS as f64);
    let (mut level, mut filled, mut largest) = (0.0, 0.0, None::<(WaitClass, f64)>);
    for class in WaitClass::ALL {
        let height = step.wait_classes.get(&class).copied().unwrap_or(0.0);
        let share = (f64::min(level + height, top) - f64::max(level, bottom)).max(0.0);
        if share > 0.0 && largest.is_none_or(|(_, most)| share > most) {
            largest = Some((class, share));
        }
        filled += share;
        level += height;
    }
    let share = filled / (top - bottom);
    match largest {
        // Little is not nothing.
        Some((class, _)) if row == 0 => piece(class, share.max(0.13), medium),
        Some((class, _)) if share >= 0.0625 => piece(class, share, medium),
        _ => " ".to_owned(),
    }
}

fn piece(class: WaitClass, share: f64, medium: Medium) -> String {
    if !medium.colour {
        return if share >= 0.5 { letter(class).to_string() } else { ".".to_owned() };
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "up to eight eighths")]
    let eighths = ((share * 8.0).round() as usize).clamp(1, 8);
    let block = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'][eighths - 1];
    block.to_string().with(colour(class)).to_string()
}

/// The classes, those with the most sessions first.
fn legend(top: &Top, medium: Medium) -> Vec<String> {
    let Some(all) = &top.all else { return Vec::new() };
    let mut classes: Vec<(WaitClass, f64)> = all.wait_classes.iter().map(|(class, sessions)| (*class, *sessions)).collect();
    classes.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    let sum: f64 = classes.iter().map(|(_, sessions)| sessions).sum();
    let line = |(class, sessions): (WaitClass, f64)| {
        let swatch = if medium.colour { "█".with(colour(class)).to_string() } else { letter(class).to_string() };
        let share = if sum > 0.0 { 100.0 * sessions / sum } else { 0.0 };
        format!("{swatch} {:<12}{sessions:>7.2}{:>8}", class.name(), tables::percent(share))
    };
    classes.into_iter().map(line).collect()
}

/// The times below the bars: of the first, the middle and the last step.
fn axis(top: &Top, wide: usize) -> String {
    let width = top.load.len() * wide;
    let clock = |place: usize| {
        let format = if top.time_range.seconds() > 86_400.0 { "%m-%d %H:%M" } else { "%H:%M:%S" };
        top.load.get(place / wide).map(|step| step.start.to_zoned(TimeZone::system()).strftime(format).to_string()).unwrap_or_default()
    };
    let mut times = format!("{:width$}", clock(0));
    for place in [width / 2, width.saturating_sub(1)] {
        let text = clock(place);
        let from = place.min(width.saturating_sub(text.len()));
        if times.get(from.saturating_sub(1)..).is_some_and(|rest| rest.trim().is_empty()) {
            times.truncate(from);
            times.push_str(&text);
            times = format!("{times:width$}");
        }
    }
    let step = top.step_seconds.map(pgtend_model::units::short_seconds).unwrap_or_default();
    let columns = if wide == 1 { "a column is".to_owned() } else { format!("{wide} columns are") };
    let blank = if top.load.iter().any(|step| step.samples_taken == 0) { "; · not sampled" } else { "" };
    format!("{:>5} └{}\n{:7}{}\n{:7}{columns} {step}{blank}\n\n", "0", "─".repeat(width), "", times.trim_end(), "")
}

/// The letter of a class, where there are no colours.
const fn letter(class: WaitClass) -> char {
    match class {
        WaitClass::Cpu => 'C',
        WaitClass::UserIO => 'U',
        WaitClass::SystemIO => 'S',
        WaitClass::Commit => 'W',
        WaitClass::Application => 'L',
        WaitClass::Concurrency => 'X',
        WaitClass::Network => 'N',
        WaitClass::Scheduler => 'P',
        WaitClass::Cluster => 'R',
        WaitClass::Other => 'O',
        WaitClass::Idle => 'I',
    }
}

/// The colour of a class, as the screen of `pgtend top` has it.
const fn colour(class: WaitClass) -> Color {
    match class {
        WaitClass::Cpu => Color::DarkGreen,
        WaitClass::UserIO => Color::DarkBlue,
        WaitClass::SystemIO => Color::DarkCyan,
        WaitClass::Commit => Color::DarkYellow,
        WaitClass::Application => Color::DarkRed,
        WaitClass::Concurrency => Color::DarkMagenta,
        WaitClass::Network => Color::Grey,
        WaitClass::Scheduler => Color::Green,
        WaitClass::Cluster => Color::Cyan,
        WaitClass::Other => Color::Magenta,
        WaitClass::Idle => Color::DarkGrey,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::output::{Format, render as tables_of};
    use serde_json::{Value, json};

    /// Twelve minutes with a lock storm in the middle; the agent did not run in the first two.
    fn storm() -> Top {
        let step = |minute: i64| -> Value {
            let start = format!("2026-11-21T03:{minute:02}:00Z");
            match minute {
                0..2 => json!({"start": start, "samples_taken": 0, "average_active_sessions": null, "wait_classes": {}}),
                5..8 => json!({"start": start, "samples_taken": 60, "average_active_sessions": 8.0,
                               "wait_classes": {"CPU": 1.5, "UserIO": 1.0, "Application": 5.5}}),
                _ => {
                    json!({"start": start, "samples_taken": 60, "average_active_sessions": 2.6, "wait_classes": {"CPU": 1.5, "UserIO": 1.1}})
                }
            }
        };
        let figures = json!({"total_samples": 2520, "average_active_sessions": 4.2, "active_time_ms": 2_520_000.0, "percent_of_total": 100.0,
            "total_cpu_time_ms": 900_000.0, "percent_of_total_cpu": 100.0, "idle_in_transaction_ms": 180_000.0,
            "wait_classes": {"CPU": 1.5, "UserIO": 1.05, "Application": 1.65},
            "top_waits": [{"wait_class": "Application", "event": "Lock:tuple", "samples": 990, "average_active_sessions": 1.65, "time_ms": 990_000.0, "percent": 39.3}]});
        let mut sql = figures.clone();
        for (key, value) in [
            ("sql_id", json!("101")),
            ("sql_text", json!("update stock\n   set left_over = left_over - $1")),
            ("executions", json!(30_000)),
            ("users", json!(["app", "ops"])),
            ("databases", json!(["shop"])),
            ("programs", json!(["web"])),
        ] {
            sql[key] = value;
        }
        let mut session = figures.clone();
        for (key, value) in [
            ("session_id", json!(4711)),
            ("user", json!("app")),
            ("database", json!("shop")),
            ("program", json!("web")),
            ("states_ms", json!({})),
            ("top_sql", json!([])),
        ] {
            session[key] = value;
        }
        serde_json::from_value(json!({
            "time_range": {"start": "2026-11-21T03:00:00Z", "end": "2026-11-21T03:12:00Z"}, "samples_taken": 600, "sample_interval_seconds": 1.0,
            "not_sampled": [{"start": "2026-11-21T03:00:00Z", "end": "2026-11-21T03:02:00Z"}], "all": figures, "cpu_time_from": "host",
            "step_seconds": 60.0, "load": (0..12).map(step).collect::<Vec<_>>(), "top_waits": figures["top_waits"], "top_sql": [sql],
            "top_sessions": [session], "executions_of": null, "by": null, "groups": [], "unknown": {}
        }))
        .unwrap()
    }

    /// Without what depends on the zone of whoever runs the tests.
    fn without_times(text: &str) -> String {
        let digits = |word: &str| word.contains(':') && word.chars().all(|c| c.is_ascii_digit() || ":-".contains(c));
        text.split(' ')
            .map(|word| if digits(word.trim()) { word.replace(|c: char| c.is_ascii_digit(), "0") } else { word.to_owned() })
            .collect::<Vec<_>>()
            .join(" ")
    }

    #[test]
    fn letters_tell_the_classes_without_colour() {
        let medium = Medium { width: None, colour: false };
        let shown = render(&storm(), medium) + &tables_of(&storm(), Format::Table, medium).unwrap();
        insta::assert_snapshot!(without_times(&shown));
    }

    #[test]
    fn colour_fills_the_upper_ends_by_eighths() {
        let shown = render(&storm(), Medium { width: Some(80), colour: true });
        assert!(shown.contains('█') && shown.contains('\u{1b}') && !shown.contains('L'), "{shown}");
    }

    #[test]
    fn the_scale_is_round_and_never_too_low() {
        assert_eq!([0.0, 0.7, 1.2, 7.9, 8.1, 42.0].map(round_up), [1.0, 1.0, 1.5, 8.0, 10.0, 50.0]);
    }
}
