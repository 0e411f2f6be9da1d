//! What makes the server's work visible: statement statistics, plans, I/O times.

use super::{GIB, Machine, Section, Setting};

const STATEMENTS: &str = "pg_stat_statements";
const EXPLAIN: &str = "auto_explain";

pub(super) fn settings(machine: &Machine) -> Vec<Setting> {
    let mut settings = preloaded(machine);
    settings.extend(timing(machine));
    if machine.major >= 14 {
        settings.push(set(
            "compute_query_id",
            "on",
            "ties a session in pg_stat_activity, a line in the log and an entry in pg_stat_statements to the same statement",
        ));
    }
    settings.push(set(
        "track_activity_query_size",
        "4kB",
        "the default keeps 1 kB of a running statement, which cuts long ones off before their WHERE; costs 4 kB a connection",
    ));
    settings
}

fn set(name: &'static str, value: impl Into<String>, reason: &str) -> Setting {
    Section::Watching.set(name, value, reason)
}

/// A library that is named here and missing keeps PostgreSQL from starting, so only those that were found are.
fn preloaded(machine: &Machine) -> Vec<Setting> {
    let libraries: Vec<&str> = [STATEMENTS, EXPLAIN].into_iter().filter(|library| machine.has(library)).collect();
    if libraries.is_empty() {
        return Vec::new();
    }
    let mut settings = vec![set(
        "shared_preload_libraries",
        libraries.join(","),
        "counts of every statement and plans of slow ones; they can only be loaded when the server starts",
    )];
    if machine.has(STATEMENTS) {
        let most = if machine.memory_bytes < 4 * GIB { "5000" } else { "10000" };
        settings.push(set(
            "pg_stat_statements.max",
            most,
            "different statements kept; when more come, the rarest are dropped and their counts are lost",
        ));
        settings.push(set(
            "pg_stat_statements.track",
            "top",
            "statements as clients send them; those inside functions too (all) cost more and count the same time twice",
        ));
    }
    if machine.has(EXPLAIN) {
        settings.push(set(
            "auto_explain.log_min_duration",
            "1s",
            "the plan of a statement that took this long goes to the log; without log_analyze, planning is all it costs",
        ));
        settings.push(set("auto_explain.log_format", "json", "read by programs without guessing at indentation"));
        settings.push(set(
            "auto_explain.log_settings",
            "on",
            "a plan is only understood with the planner settings that were changed for it",
        ));
    }
    settings
}

fn timing(machine: &Machine) -> Vec<Setting> {
    let (value, reason) = match machine.fast_clock {
        Some(false) => {
            ("off", "the clock of this machine is slow to read (see pg_test_timing), and every read and write would wait for it twice")
        }
        Some(true) => ("on", "how long reads and writes take; reading the clock of this machine costs some tens of nanoseconds"),
        None => ("on", "how long reads and writes take; if pg_test_timing shows more than 100 ns a call here, switch it off"),
    };
    let mut settings = vec![set("track_io_timing", value, reason)];
    if machine.major >= 14 {
        settings.push(set("track_wal_io_timing", value, "the same for the WAL: whether commits wait for the disk"));
    }
    settings
}
