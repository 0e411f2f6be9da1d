//! The tables that SQL sees, and their columns.

use super::super::frame_table::{self, FRAMES};
use super::super::probe_table;
use super::super::session_table::{ASH, TICKS, ash_schema, ticks_schema};
use super::instant::Bucket;
use arrow_schema::{DataType, Schema};
use pgtend_model::past::remembered_every;
use pgtend_model::sample::registry::{SPECS, Spec};
use std::fmt::Write as _;

/// A table.
#[derive(Debug)]
pub(super) struct Relation {
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    pub(super) content: Content,
    pub(super) fields: Vec<Field>,
}

/// Where its rows come from.
#[derive(Debug, Clone, Copy)]
pub(super) enum Content {
    Sessions,
    Ticks,
    Frames,
    Probe(&'static Spec),
    /// Every counter and gauge of every probe, one a row.
    Metrics,
}

/// A column.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) name: &'static str,
    /// SQLite's type.
    pub(super) ty: &'static str,
    pub(super) unit: &'static str,
    pub(super) about: &'static str,
    /// Not shown by `select *`.
    pub(super) hidden: bool,
    pub(super) origin: Origin,
}

/// Where a column comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    Server,
    Time,
    EpochMs,
    Bucket(Bucket),
    /// A column of the files, by its name.
    File(&'static str),
    Probe,
    Labels,
    Metric,
    Value,
}

/// All there are.
pub(super) fn all() -> Vec<Relation> {
    let mut relations = vec![
        Relation {
            name: ASH,
            about: "Active session history: every session that did something, once a second",
            content: Content::Sessions,
            fields: with_time(of_schema(&ash_schema(), session_column)),
        },
        Relation {
            name: TICKS,
            about: "When sessions were sampled, also when none did anything: tells \"idle\" from \"not sampled\"",
            content: Content::Ticks,
            fields: with_time(of_schema(&ticks_schema(), |_| ("sessions", "Sessions that did something."))),
        },
        Relation {
            name: FRAMES,
            about: "When each probe was read and what came of it: tells \"unchanged\" from \"not read\"",
            content: Content::Frames,
            fields: with_time(of_schema(&frame_table::schema(), frame_column)),
        },
        Relation {
            name: "metrics",
            about: "Every counter and gauge of every probe, one a row; written when something in its row changed, and once an hour",
            content: Content::Metrics,
            fields: with_time(long_form()),
        },
    ];
    relations.extend(SPECS.iter().filter(|spec| remembered_every(spec.probe).is_some()).map(of_probe));
    relations
}

fn of_probe(spec: &'static Spec) -> Relation {
    let schema = probe_table::schema(spec);
    let mut fields = vec![field("gone", "INTEGER", "", "1 where the row was there before and is no more: then it has its labels only.")];
    fields.extend(spec.columns.iter().map(|column| {
        let ty = schema.field_with_name(column.name).map_or("TEXT", |field| sql_type(field.data_type()));
        Field { unit: column.unit, about: column.help, ..field(column.name, ty, "", "") }
    }));
    Relation { name: spec.name, about: spec.about, content: Content::Probe(spec), fields: with_time(fields) }
}

fn field(name: &'static str, ty: &'static str, unit: &'static str, about: &'static str) -> Field {
    Field { name, ty, unit, about, hidden: false, origin: Origin::File(name) }
}

/// Server and time before, parts of the time behind.
fn with_time(fields: Vec<Field>) -> Vec<Field> {
    let mut all = vec![
        Field { origin: Origin::Server, ..field("server", "TEXT", "", "The server's name in the configuration.") },
        Field { origin: Origin::Time, ..field("sample_time", "TEXT", "", "When, in UTC: 2026-11-20T10:00:00.000Z.") },
    ];
    all.extend(fields);
    let part = |name, ty, about, origin| Field { hidden: true, origin, ..field(name, ty, "", about) };
    all.extend([
        part("minute", "TEXT", "The minute of sample_time, to group by: 2026-11-20T10:05Z.", Origin::Bucket(Bucket::Minute)),
        part("hour", "TEXT", "The hour of sample_time, to group by: 2026-11-20T10:00Z.", Origin::Bucket(Bucket::Hour)),
        part("day", "TEXT", "The day of sample_time, to group by: 2026-11-20.", Origin::Bucket(Bucket::Day)),
        Field { unit: "ms", ..part("epoch_ms", "INTEGER", "sample_time in ms since 1970, to reckon with.", Origin::EpochMs) },
    ]);
    all
}

fn of_schema(schema: &Schema, about: impl Fn(&str) -> (&'static str, &'static str)) -> Vec<Field> {
    let fields = schema.fields().iter().filter(|field| field.name() != "sample_time");
    fields
        .map(|column| {
            let (name, about) = about(column.name());
            let unit = if name.ends_with("_ms") { "ms" } else { "" };
            field(name, sql_type(column.data_type()), unit, about)
        })
        .collect()
}

fn session_column(name: &str) -> (&'static str, &'static str) {
    const COLUMNS: &[(&str, &str)] = &[
        ("pid", "Process id."),
        ("backend_start", "When the session started."),
        ("database", "Database."),
        ("user", "Role."),
        ("application", "What the client calls itself."),
        ("client", "The client's address; null on a Unix socket."),
        ("backend_type", "Kind of process."),
        ("state", "ACTIVE, WAITING, BLOCKED, or IDLE (in a transaction)."),
        ("wait_class", "Class of what it waits for; CPU where it does not wait."),
        ("wait_event_type", "PostgreSQL's wait event type; null on CPU."),
        ("wait_event", "PostgreSQL's wait event; null on CPU."),
        ("query_id", "Statement; its text is in `texts`."),
        ("query_id_is_native", "1 where query_id is PostgreSQL's own, 0 where it is pgtend's fingerprint of the text."),
        ("query_age_ms", "Age of the statement: below a second to a tenth of one, otherwise to within a fifth."),
        ("xact_age_ms", "Age of the transaction, as precise."),
        ("cpu_ms", "Processor time since the sample before; null where the agent is not on the server's host."),
        ("blocked_by", "Process ids that it waits for, as JSON: [17, 42]; null unless it waits for a lock."),
    ];
    named(COLUMNS, name)
}

fn frame_column(name: &str) -> (&'static str, &'static str) {
    const COLUMNS: &[(&str, &str)] = &[
        ("probe", "The probe."),
        ("took_ms", "How long reading took."),
        ("whole", "1 where all its rows were written, 0 where only those that changed were."),
        ("rows", "Rows that were written; null where it could not be read."),
        ("reason", "Why it could not be read, or what was missing, in one word."),
        ("detail", "The same in a sentence."),
    ];
    named(COLUMNS, name)
}

fn named(columns: &'static [(&'static str, &'static str)], name: &str) -> (&'static str, &'static str) {
    columns.iter().copied().find(|(known, _)| *known == name).unwrap_or(("", ""))
}

fn long_form() -> Vec<Field> {
    let one = |name, ty, about, origin| Field { origin, ..field(name, ty, "", about) };
    vec![
        one("probe", "TEXT", "The probe: the table that has the same row in full.", Origin::Probe),
        one("labels", "TEXT", "What the figure is about, as JSON: {\"datname\":\"shop\"}.", Origin::Labels),
        one("metric", "TEXT", "The column of the probe.", Origin::Metric),
        one("value", "REAL", "The figure.", Origin::Value),
    ]
}

fn sql_type(ty: &DataType) -> &'static str {
    match ty {
        DataType::Int64 | DataType::Int32 | DataType::UInt32 | DataType::Boolean => "INTEGER",
        DataType::Float64 => "REAL",
        _ => "TEXT",
    }
}

impl Relation {
    /// The statement that declares it to SQLite.
    pub(super) fn declaration(&self) -> String {
        let mut sql = format!("create table \"{}\" (", self.name);
        for (place, field) in self.fields.iter().enumerate() {
            let comma = if place == 0 { "" } else { ", " };
            let hidden = if field.hidden { " hidden" } else { "" };
            let collation = if field.origin == Origin::Time { " collate instant" } else { "" };
            let _never_fails = write!(sql, "{comma}\"{}\" {}{hidden}{collation}", field.name, field.ty);
        }
        sql.push(')');
        sql
    }

    /// The place of the column that is the time.
    pub(super) fn time(&self) -> usize {
        self.fields.iter().position(|field| field.origin == Origin::Time).unwrap_or(1)
    }

    /// The column of the files that a column is made of; none where it needs none.
    pub(super) fn needs(&self, field: usize) -> Option<&'static str> {
        match self.fields.get(field)?.origin {
            Origin::File(name) => Some(name),
            Origin::Time | Origin::EpochMs | Origin::Bucket(_) => Some("sample_time"),
            Origin::Server | Origin::Probe | Origin::Labels | Origin::Metric | Origin::Value => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_table_and_column_has_a_name_of_its_own_and_says_what_it_is() {
        let relations = all();
        let names: HashSet<&str> = relations.iter().map(|relation| relation.name).collect();
        assert_eq!(names.len(), relations.len());
        for relation in &relations {
            assert!(!relation.about.is_empty());
            let columns: HashSet<&str> = relation.fields.iter().map(|field| field.name).collect();
            assert_eq!(columns.len(), relation.fields.len(), "{}", relation.name);
            for field in &relation.fields {
                assert!(!field.name.is_empty() && !field.about.is_empty(), "{}.{}", relation.name, field.name);
            }
        }
    }
}
