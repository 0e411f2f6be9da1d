//! What the catalog holds, as tables: texts, snapshots, baselines. Times are written as everywhere.

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

pub(super) const VIEWS: [View; 3] = [
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
