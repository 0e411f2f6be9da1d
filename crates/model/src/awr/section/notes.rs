//! What to know before reading: whatever makes a figure mean something else than it seems to.

use crate::awr::change::{Changes, Probed};
use crate::awr::known::Known;
use crate::awr::page::{Cell, Section, Table, Tone, when};
use crate::awr::period::PROBES;
use crate::sample::{Probe, Reason, Unknown};
use crate::units::show_seconds;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How much a note changes what figures mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = AwrSeverity)]
pub enum Severity {
    /// Figures are wrong without it.
    Warning,
    /// Figures are missing.
    Missing,
    /// Good to know.
    Info,
}

/// What to know before reading.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = AwrNote)]
pub struct Note {
    /// How much it changes.
    pub severity: Severity,
    /// What it is.
    pub text: String,
    /// The sections that it touches; empty for the whole report.
    pub sections: Vec<String>,
}

/// All notes of a period, the gravest first.
pub fn build(known: &Known<'_>) -> Vec<Note> {
    let mut notes = Vec::new();
    identity(known, &mut notes);
    resets(known, &mut notes);
    statements(known, &mut notes);
    sampling(known, &mut notes);
    missing(known, &mut notes);
    readings(known, &mut notes);
    notes.sort_by_key(|note| note.severity);
    notes
}

/// How the notes are laid out.
pub fn section(notes: &[Note]) -> Section {
    let row = |note: &Note| {
        let severity = match note.severity {
            Severity::Warning => Cell::from("warning").tone(Tone::Bad),
            Severity::Missing => Cell::from("missing").tone(Tone::Warn),
            Severity::Info => Cell::from("note"),
        };
        let sections = note.sections.iter().map(|section| section.replace('_', " ")).collect::<Vec<_>>().join(", ");
        [severity, note.text.as_str().into(), if sections.is_empty() { "everything".into() } else { Cell::from(sections) }]
    };
    let table =
        Table::new("", &["", "*what", "touches"]).rows(notes.iter().map(row)).or("nothing: all was read, and nothing was reset").wrapping();
    Section::new("notes", "Before reading", "").with(table)
}

fn note(notes: &mut Vec<Note>, severity: Severity, sections: &[&str], text: String) {
    notes.push(Note { severity, text, sections: sections.iter().map(ToString::to_string).collect() });
}

fn identity(known: &Known<'_>, notes: &mut Vec<Note>) {
    let (Some(before), Some(after)) = (known.server_before(), known.server_now()) else { return };
    if before.system_identifier != after.system_identifier {
        let text = "Begin and end are of different servers: the system identifier changed. Growth over the period means nothing.";
        note(notes, Severity::Warning, &[], text.to_owned());
    }
    if before.started_at != after.started_at {
        let text = format!(
            "The server was started anew at {} UTC. Counters that a crash sets back count from there; what happened between their last \
             reading and the stop is lost.",
            when(after.started_at)
        );
        note(notes, Severity::Warning, &[], text);
    }
    if before.version != after.version {
        note(notes, Severity::Info, &[], format!("PostgreSQL was {} at the begin and is {} at the end.", before.version, after.version));
    }
    if before.timeline != after.timeline || before.in_recovery != after.in_recovery {
        let role = |in_recovery: bool| if in_recovery { "standby" } else { "primary" };
        let text = format!(
            "A failover or switchover happened: from {} on timeline {} to {} on timeline {}.",
            role(before.in_recovery),
            before.timeline,
            role(after.in_recovery),
            after.timeline
        );
        note(notes, Severity::Warning, &["wal", "replication", "checkpoints"], text);
    }
}

/// Counters that went back, all in one note: what resets one kind mostly resets others as well.
fn resets(known: &Known<'_>, notes: &mut Vec<Note>) {
    let kinds = [
        reset(&known.databases, "databases", &["load_profile", "efficiency", "time_model", "buffer_pool", "databases"]),
        reset(&known.io, "I/O (pg_stat_io)", &["io", "buffer_pool"]),
        reset(&known.bgwriter, "the background writer", &["checkpoints"]),
        reset(&known.checkpointer, "checkpoints", &["checkpoints"]),
        reset(&known.wal, "WAL (pg_stat_wal)", &["wal", "load_profile"]),
        reset(&known.archiver, "the archiver", &["wal"]),
        reset(&known.tables, "tables", &["tables", "vacuum"]),
        reset(&known.indexes, "indexes", &["indexes"]),
    ];
    let (seen, touched): (Vec<String>, Vec<&[&str]>) = kinds.into_iter().flatten().unzip();
    if seen.is_empty() {
        return;
    }
    let mut sections: Vec<&str> = Vec::new();
    touched.into_iter().flatten().for_each(|section| {
        if !sections.contains(section) {
            sections.push(section);
        }
    });
    let text = format!(
        "Counters went back, because they were reset: those of {} (UTC). What was read before and after is added up; what happened \
         between the last reading before and the reset is lost.",
        seen.join(", ")
    );
    note(notes, Severity::Warning, &sections, text);
}

/// Counters of a kind that went back, when that was seen, and the sections that it touches.
fn reset<'a, T: Probed>(changes: &Result<Changes<T>, Unknown>, what: &str, sections: &'a [&'a str]) -> Option<(String, &'a [&'a str])> {
    let resets = &changes.as_ref().ok()?.resets;
    let more = if resets.len() > 1 { format!(" and {} more times", resets.len() - 1) } else { String::new() };
    Some((format!("{what}, seen at {}{more}", when(*resets.first()?)), sections))
}

fn statements(known: &Known<'_>, notes: &mut Vec<Note>) {
    let sections = ["top_sql", "load_profile", "time_model"];
    if let Ok(changes) = &known.statements
        && let Some(first) = changes.resets.first()
    {
        let count = changes.rows.iter().filter(|row| row.fate == crate::awr::change::Fate::Reset).count();
        let text = format!(
            "{count} statements were counted anew, first seen at {} UTC: pg_stat_statements was reset, or gave them up.",
            when(*first)
        );
        note(notes, Severity::Warning, &sections, text);
    }
    let given_up = known.statements_info.as_ref().ok().map(|changes| changes.sum(|row| row.dealloc));
    if let Some(times) = given_up.filter(|times| *times > 0) {
        let text = format!(
            "pg_stat_statements gave up its least used statements {times} times, because there were more than pg_stat_statements.max: what \
             rare statements did is not complete. A larger value costs shared memory only."
        );
        note(notes, Severity::Warning, &sections, text);
    }
}

fn sampling(known: &Known<'_>, notes: &mut Vec<Note>) {
    let Ok(active) = &known.active else { return };
    let sections = ["activity", "waits", "time_model", "sessions", "blocking", "load_profile"];
    let silent: f64 = active.sampled.gaps.iter().map(|gap| gap.seconds()).sum();
    if let Some(longest) = active.sampled.gaps.iter().max_by(|a, b| a.seconds().total_cmp(&b.seconds())) {
        let text = format!(
            "Sessions were not sampled for {} of the {}, the longest stretch from {} to {} UTC: averages are those of the rest, times of the \
             samples are too short by as much.",
            show_seconds(silent),
            show_seconds(known.period.span().seconds()),
            when(longest.start),
            when(longest.end)
        );
        note(notes, Severity::Warning, &sections, text);
    }
    if active.sampled.pace_seconds > 5.0 {
        let text =
            format!("Sessions were sampled every {}: what is shorter is seen by chance only.", show_seconds(active.sampled.pace_seconds));
        note(notes, Severity::Info, &sections, text);
    }
    if known.server_now().is_some_and(|row| !row.sees_all_sessions) {
        let text = "pgtend's role does not see the sessions of other roles: grant it pg_monitor.".to_owned();
        note(notes, Severity::Missing, &sections, text);
    }
}

/// Probes that were not readable at the end, the same reason in one note.
fn missing(known: &Known<'_>, notes: &mut Vec<Note>) {
    let mut reasons: Vec<(Unknown, Vec<&str>)> = Vec::new();
    for probe in PROBES {
        let (_, _, unknown) = known.period.end.readings.state(*probe);
        // What has no meaning here is no gap: replay on a primary, for instance.
        let Some(unknown) = unknown.filter(|unknown| unknown.reason != Reason::Absent || is_forgotten(unknown)) else { continue };
        match reasons.iter_mut().find(|(known, _)| known == unknown) {
            Some((_, names)) => names.push(probe.spec().name),
            None => reasons.push((unknown.clone(), vec![probe.spec().name])),
        }
    }
    for (unknown, names) in reasons {
        let names = names.iter().map(|name| name.replace('_', " ")).collect::<Vec<_>>().join(", ");
        note(notes, Severity::Missing, &[], format!("Not read: {names} ({}).", unknown.detail.trim_end_matches('.')));
    }
}

fn is_forgotten(unknown: &Unknown) -> bool {
    unknown.detail.contains("remembered")
}

/// Readings that are not from the ends of the period.
fn readings(known: &Known<'_>, notes: &mut Vec<Note>) {
    let late = [
        (Probe::Statements, known.statements.as_ref().ok().map(|changes| (changes.from, changes.to))),
        (Probe::Database, known.databases.as_ref().ok().map(|changes| (changes.from, changes.to))),
    ];
    let span = known.period.span();
    for (probe, read) in late {
        let Some((from, to)) = read else { continue };
        let off = |at: jiff::Timestamp, wanted: jiff::Timestamp| at.duration_since(wanted).abs().as_secs_f64();
        let worst = off(from, span.start).max(off(to, span.end));
        if worst > (span.seconds() / 50.0).max(15.0) {
            let text = format!(
                "The counters of {} were read at {} and {} UTC: their rates are of that time, not exactly of the period.",
                probe.spec().name,
                when(from),
                when(to)
            );
            note(notes, Severity::Info, &["load_profile", "top_sql"], text);
        }
    }
}
