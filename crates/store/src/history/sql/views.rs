//! What the catalog holds, as tables: texts, plans, snapshots, baselines. Times are written as everywhere.

/// A table that is a view over the catalog.
pub(super) struct View {
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    /// Ends with a table called `s` that has the server, so that a condition can follow.
    pub(super) sql: &'static str,
    /// Name, type and meaning of its columns.
    pub(super) columns: &'static [(&'static str, &'static str, &'static str)],
}

const SERVER: (&str, &str, &str) = ("server", "TEXT", "The server's name in the configuration.");

pub(super) const VIEWS: [View; 4] = [
    View {
        name: "texts",
        about: "Texts of statements, by query_id",
        sql: "select s.server, s.query_id, t.body as text, strftime('%Y-%m-%dT%H:%M:%fZ', s.seen_ms / 1000.0, 'unixepoch') as seen_at
              from catalog.statement as s join catalog.text as t on t.hash = s.hash",
        columns: &[
            SERVER,
            ("query_id", "INTEGER", "The statement, as in `ash` and `statements`."),
            ("text", "TEXT", "Its text, without constants where PostgreSQL's table of statements has it."),
            ("seen_at", "TEXT", "When it was seen last."),
        ],
    },
    View {
        name: "plans",
        about: "Plans that statements were seen with, and from when to when",
        sql: "select s.server, s.query_id, nullif(s.database, '') as database, s.hash as plan_hash, p.one_line as plan, s.origin,
              strftime('%Y-%m-%dT%H:%M:%fZ', s.first_ms / 1000.0, 'unixepoch') as first_seen,
              strftime('%Y-%m-%dT%H:%M:%fZ', s.last_ms / 1000.0, 'unixepoch') as last_seen, s.times as times_seen,
              case when s.timed > 0 then s.duration_ms / s.timed end as mean_duration_ms, p.body as plan_json
              from catalog.plan_seen as s join catalog.plan as p on p.server = s.server and p.query_id = s.query_id and p.hash = s.hash",
        columns: &[
            SERVER,
            ("query_id", "INTEGER", "The statement, as in `ash` and `statements`; its text is in `texts`."),
            ("database", "TEXT", "Database; null where it is not known."),
            ("plan_hash", "TEXT", "What the plan is, without costs, constants and figures."),
            ("plan", "TEXT", "The plan in a line."),
            ("origin", "TEXT", "How it came to be known: auto_explain, generic_plan or explain."),
            ("first_seen", "TEXT", "When it was first seen."),
            ("last_seen", "TEXT", "When it was last seen; a plan that is not seen for an hour begins anew."),
            ("times_seen", "INTEGER", "How often it was seen: of executions, only those that auto_explain logged."),
            ("mean_duration_ms", "REAL", "Mean time of the executions that were seen, in ms; null where it was only planned."),
            ("plan_json", "TEXT", "The whole plan as JSON, as it was seen last; null where it is very large."),
        ],
    },
    View {
        name: "snapshots",
        about: "Snapshots, between which AWR reports lie",
        sql: "select server, id, strftime('%Y-%m-%dT%H:%M:%fZ', at_ms / 1000.0, 'unixepoch') as sample_time, reason,
              strftime('%Y-%m-%dT%H:%M:%fZ', server_started_ms / 1000.0, 'unixepoch') as server_started_at, version, missing
              from catalog.snapshot as s",
        columns: &[
            SERVER,
            ("id", "INTEGER", "Its number; numbers of one server only grow."),
            ("sample_time", "TEXT", "When it was taken."),
            ("reason", "TEXT", "Why: scheduled, manual, perf or connect."),
            ("server_started_at", "TEXT", "When the server had started."),
            ("version", "TEXT", "PostgreSQL's version."),
            ("missing", "TEXT", "Probes that could not be read at it."),
        ],
    },
    View {
        name: "baselines",
        about: "Periods that are kept longer, to compare others with",
        sql: "select server, name, start_id, end_id, strftime('%Y-%m-%dT%H:%M:%fZ', start_ms / 1000.0, 'unixepoch') as start_time,
              strftime('%Y-%m-%dT%H:%M:%fZ', end_ms / 1000.0, 'unixepoch') as end_time, description,
              strftime('%Y-%m-%dT%H:%M:%fZ', created_ms / 1000.0, 'unixepoch') as created_at from catalog.baseline as s",
        columns: &[
            SERVER,
            ("name", "TEXT", "Its name."),
            ("start_id", "INTEGER", "First snapshot."),
            ("end_id", "INTEGER", "Last snapshot."),
            ("start_time", "TEXT", "From when."),
            ("end_time", "TEXT", "To when."),
            ("description", "TEXT", "What it is, in the words of whoever made it."),
            ("created_at", "TEXT", "When it was made."),
        ],
    },
];
