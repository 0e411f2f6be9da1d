//! The server log: complete enough to explain an incident, in a form that programs read, within a week's room.

use super::{Machine, Section, Setting};

pub(super) fn settings(machine: &Machine) -> Vec<Setting> {
    let mut settings = destination(machine.major);
    settings.extend(contents(machine.major));
    settings
}

fn set(name: &'static str, value: &str, reason: &str) -> Setting {
    Section::Logging.set(name, value, reason)
}

fn destination(major: u16) -> Vec<Setting> {
    vec![
        if major >= 15 {
            set("log_destination", "jsonlog", "one JSON object a message, with every field; nothing is lost to line breaks in a statement")
        } else {
            set(
                "log_destination",
                "csvlog",
                "every field of a message, quoted; nothing is lost to line breaks in a statement. JSON comes with 15",
            )
        },
        set("logging_collector", "on", "a process of its own writes the files, and goes on when the terminal or the agent is gone"),
        set("log_directory", "../log", "beside the data directory, not inside: a copy of the data does not carry the logs along"),
        set("log_filename", "postgresql-%a.log", "one file a weekday"),
        set("log_rotation_age", "1d", "a new file every midnight"),
        set("log_rotation_size", "0", "a second file of the same day would have the same name"),
        set(
            "log_truncate_on_rotation",
            "on",
            "last week's file of the same day is written over: the log cannot fill the disk unnoticed for longer than a week",
        ),
        set(
            "log_line_prefix",
            "%m [%p] %q%u@%d/%a ",
            "for the lines before the collector starts: time, process, user, database, application",
        ),
        set("log_timezone", "UTC", "abbreviations of local time are ambiguous, and an hour a year happens twice"),
    ]
}

fn contents(major: u16) -> Vec<Setting> {
    let mut settings = vec![
        set("log_min_duration_statement", "1s", "statements that took this long, those that have no plan (DDL, COPY) too"),
        set("log_lock_waits", "on", "who waited for whom longer than deadlock_timeout"),
        set("log_temp_files", "10MB", "sorts and hashes that did not fit into work_mem; smaller ones are counted in pg_stat_database"),
        set("log_autovacuum_min_duration", "1s", "what autovacuum did, and what it could not remove"),
        if major >= 18 {
            set(
                "log_connections",
                "authentication,authorization,setup_durations",
                "who came in how, and how long it took; bare receipts would be health checks",
            )
        } else {
            set(
                "log_connections",
                "on",
                "who came in how; with an application that connects for every query this is much, and a pooler is due",
            )
        },
        set("log_disconnections", "on", "how long a session lasted"),
    ];
    if major < 15 {
        settings.push(set("log_checkpoints", "on", "why a checkpoint came and what it wrote; 15 and later do so by themselves"));
    }
    if major >= 14 {
        settings.push(set("log_recovery_conflict_waits", "on", "on a standby: replay that waited for a query"));
    }
    settings
}
