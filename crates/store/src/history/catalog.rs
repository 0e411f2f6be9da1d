//! The catalog: texts of statements, plans, snapshots and baselines, in one SQLite file beside the history.

mod log_position;
mod plans;

use crate::state::committed;
use jiff::Timestamp;
use pgtend_model::error::{Error, Kind, Result};
use pgtend_model::past::{Baseline, Snapshot, Span};
use pgtend_model::sample::Text;
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, Row, params};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Times are ms since 1970. A text is kept once, however many statements, servers and days have it.
const SCHEMA: &str = "
    create table if not exists text (
        hash blob primary key check (length(hash) = 16),
        body text not null
    ) strict, without rowid;
    create table if not exists statement (
        server text not null,
        query_id integer not null,
        hash blob not null references text (hash),
        origin integer not null,
        seen_ms integer not null,
        primary key (server, query_id)
    ) strict, without rowid;
    create table if not exists snapshot (
        server text not null,
        id integer not null,
        at_ms integer not null,
        reason text not null,
        server_started_ms integer,
        version text,
        missing text not null,
        primary key (server, id)
    ) strict, without rowid;
    create table if not exists baseline (
        server text not null,
        name text not null,
        start_id integer not null,
        end_id integer not null,
        start_ms integer not null,
        end_ms integer not null,
        description text not null,
        created_ms integer not null,
        primary key (server, name)
    ) strict, without rowid;";

/// Where a text came from; a better origin replaces a worse one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// A session was seen executing it: constants are in it.
    Sampled = 0,
    /// The table of statements: constants are replaced.
    Statements = 1,
}

/// The catalog.
#[derive(Debug)]
pub(super) struct Catalog {
    path: PathBuf,
    /// How others attach it to read.
    uri: String,
    connection: Mutex<Connection>,
}

impl Catalog {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let failed = |error: rusqlite::Error| failed(path, &error);
        let connection = Connection::open(path).map_err(failed)?;
        connection.busy_timeout(Duration::from_secs(5)).map_err(failed)?;
        connection.pragma_update(None, "journal_mode", "wal").map_err(failed)?;
        connection.pragma_update(None, "synchronous", "normal").map_err(failed)?;
        make_tables(&connection).map_err(failed)?;
        Ok(Self { path: path.to_owned(), uri: uri(path, "mode=ro"), connection: Mutex::new(connection) })
    }

    /// Opens a catalog that is only read, also where nothing may be written; one that is not there is empty.
    pub(super) fn open_to_read(path: &Path) -> Result<Self> {
        let opened = if path.exists() { to_read(path) } else { empty() };
        let (uri, connection) = opened.map_err(|error| failed(path, &error))?;
        Ok(Self { path: path.to_owned(), uri, connection: Mutex::new(connection) })
    }

    /// The URI under which a connection of SQLite attaches it to read.
    pub(super) fn uri(&self) -> &str {
        &self.uri
    }

    fn connection(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn told<T>(&self, outcome: rusqlite::Result<T>) -> Result<T> {
        outcome.map_err(|error| failed(&self.path, &error))
    }

    /// Keeps texts of statements, and notes when they were seen.
    pub(super) fn keep_texts(&self, server: &str, texts: &[(i64, Text)], origin: Origin, now: Timestamp) -> Result<()> {
        let mut connection = self.connection();
        let kept = committed(&mut connection, |transaction| {
            for (query_id, text) in texts {
                let hash = &blake3::hash(text.as_bytes()).as_bytes()[..16].to_vec();
                transaction.execute("insert into text (hash, body) values (?1, ?2) on conflict do nothing", params![hash, &**text])?;
                transaction.execute(
                    "insert into statement (server, query_id, hash, origin, seen_ms) values (?1, ?2, ?3, ?4, ?5)
                     on conflict (server, query_id) do update set
                         hash = case when excluded.origin >= origin then excluded.hash else hash end,
                         origin = max(origin, excluded.origin), seen_ms = excluded.seen_ms",
                    params![server, query_id, hash, origin as i64, now.as_millisecond()],
                )?;
            }
            Ok(())
        });
        self.told(kept)
    }

    /// The text of a statement.
    pub(super) fn text(&self, server: &str, query_id: i64) -> Result<Option<Text>> {
        let sql = "select body from statement join text using (hash) where server = ?1 and query_id = ?2";
        let found: rusqlite::Result<Option<String>> =
            self.connection().query_row(sql, params![server, query_id], |row| row.get(0)).optional();
        self.told(found).map(|text| text.map(Text::from))
    }

    /// Every text of a server's statements, by identifier.
    pub(super) fn texts(&self, server: &str) -> Result<Vec<(i64, Text)>> {
        let sql = "select query_id, body from statement join text using (hash) where server = ?1 order by query_id";
        let pair = |row: &Row<'_>| Ok((row.get(0)?, Text::from(row.get::<_, String>(1)?)));
        self.all(sql, params![server], pair)
    }

    /// Removes texts that were last seen before an instant.
    pub(super) fn forget_texts(&self, before: Timestamp) -> Result<()> {
        let connection = self.connection();
        let forget = || -> rusqlite::Result<()> {
            connection.execute("delete from statement where seen_ms < ?1", [before.as_millisecond()])?;
            connection.execute("delete from text where hash not in (select hash from statement)", [])?;
            Ok(())
        };
        self.told(forget())
    }

    fn all<T>(&self, sql: &str, params: impl rusqlite::Params, read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>) -> Result<Vec<T>> {
        let connection = self.connection();
        let rows = || connection.prepare_cached(sql)?.query_map(params, read)?.collect::<rusqlite::Result<Vec<T>>>();
        self.told(rows())
    }

    /// Adds a snapshot under the server's next number.
    pub(super) fn add_snapshot(&self, server: &str, new: &Snapshot) -> Result<Snapshot> {
        let missing = new.missing.join(",");
        let sql = "insert into snapshot (server, id, at_ms, reason, server_started_ms, version, missing)
             values (?1, (select coalesce(max(id), 0) + 1 from snapshot where server = ?1), ?2, ?3, ?4, ?5, ?6) returning id";
        let started = new.server_started_at.map(Timestamp::as_millisecond);
        let values = params![server, new.at.as_millisecond(), new.reason, started, new.version, missing];
        let mut connection = self.connection();
        let id = self.told(committed(&mut connection, |transaction| transaction.query_row(sql, values, |row| row.get(0))))?;
        Ok(Snapshot { id, ..new.clone() })
    }

    /// The snapshots of a server, oldest first.
    pub(super) fn snapshots(&self, server: &str) -> Result<Vec<Snapshot>> {
        let sql = "select id, at_ms, reason, server_started_ms, version, missing from snapshot where server = ?1 order by id";
        self.all(sql, params![server], |row| {
            let missing: String = row.get(5)?;
            Ok(Snapshot {
                id: row.get(0)?,
                at: instant(row.get(1)?),
                reason: row.get(2)?,
                server_started_at: row.get::<_, Option<i64>>(3)?.map(instant),
                version: row.get(4)?,
                missing: missing.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect(),
            })
        })
    }

    /// Removes the snapshots from before an instant, but for those within a baseline. The newest stays, so that numbers only grow.
    pub(super) fn forget_snapshots(&self, before: Timestamp) -> Result<()> {
        let sql = "delete from snapshot where at_ms < ?1
             and id < (select max(id) from snapshot as newer where newer.server = snapshot.server)
             and not exists (select 1 from baseline as b
                 where b.server = snapshot.server and snapshot.id between b.start_id and b.end_id)";
        self.told(self.connection().execute(sql, [before.as_millisecond()]).map(|_| ()))
    }

    /// Adds a baseline.
    ///
    /// # Errors
    /// `Conflict` when there is one of that name.
    pub(super) fn add_baseline(&self, server: &str, new: &Baseline) -> Result<()> {
        let sql = "insert into baseline (server, name, start_id, end_id, start_ms, end_ms, description, created_ms)
             values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) on conflict do nothing";
        let (start, end) = (new.span.start.as_millisecond(), new.span.end.as_millisecond());
        let created = new.created_at.as_millisecond();
        let values = params![server, new.name, new.start_snapshot_id, new.end_snapshot_id, start, end, new.description, created];
        match self.told(self.connection().execute(sql, values))? {
            0 => Err(Error::new(Kind::Conflict, format!("there is a baseline named \"{}\"", new.name))
                .hint("choose another name, or remove that one first")),
            _ => Ok(()),
        }
    }

    /// Removes a baseline.
    ///
    /// # Errors
    /// `NotFound` when there is none of that name.
    pub(super) fn remove_baseline(&self, server: &str, name: &str) -> Result<()> {
        let removed = self.connection().execute("delete from baseline where server = ?1 and name = ?2", params![server, name]);
        match self.told(removed)? {
            0 => Err(Error::new(Kind::NotFound, format!("there is no baseline named \"{name}\""))
                .hint("pgtend awr baseline list shows those there are")),
            _ => Ok(()),
        }
    }

    /// Removes the baselines made before an instant.
    pub(super) fn forget_baselines(&self, before: Timestamp) -> Result<()> {
        let removed = self.connection().execute("delete from baseline where created_ms < ?1", [before.as_millisecond()]);
        self.told(removed.map(|_| ()))
    }

    /// The baselines of a server, by name.
    pub(super) fn baselines(&self, server: &str) -> Result<Vec<Baseline>> {
        let sql = "select name, start_id, end_id, start_ms, end_ms, description, created_ms from baseline where server = ?1 order by name";
        self.all(sql, params![server], |row| {
            Ok(Baseline {
                name: row.get(0)?,
                start_snapshot_id: row.get(1)?,
                end_snapshot_id: row.get(2)?,
                span: Span::new(instant(row.get(3)?), instant(row.get(4)?)),
                description: row.get(5)?,
                created_at: instant(row.get(6)?),
            })
        })
    }
}

/// SQLite falls back to reading where it may not write, as long as the write-ahead log can be read or made. Where it can be neither,
/// and there is none, nobody has written since everything went into the file, which is then read as it is.
fn to_read(path: &Path) -> rusqlite::Result<(String, Connection)> {
    // Opened to write where that may be, because only then SQLite removes its log at the end.
    match readable(path, OpenFlags::SQLITE_OPEN_READ_WRITE) {
        Err(error) if would_write(&error) && !path.with_extension("db-wal").exists() => {
            let uri = uri(path, "immutable=1");
            readable(Path::new(&uri), OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI).map(|connection| (uri, connection))
        }
        opened => opened.map(|connection| (uri(path, "mode=ro"), connection)),
    }
}

fn readable(name: &Path, flags: OpenFlags) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(name, flags)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    connection.query_row("select count(*) from sqlite_schema", [], |_| Ok(()))?;
    Ok(connection)
}

/// Whether SQLite refuses to read because it would have to write for it.
fn would_write(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly))
}

/// A catalog in memory, which others can attach as well.
fn empty() -> rusqlite::Result<(String, Connection)> {
    let uri = "file:/pgtend-empty-catalog?vfs=memdb".to_owned();
    let connection = Connection::open(&uri)?;
    make_tables(&connection)?;
    Ok((uri, connection))
}

fn make_tables(connection: &Connection) -> rusqlite::Result<()> {
    [SCHEMA, log_position::SCHEMA, plans::SCHEMA].into_iter().try_for_each(|schema| connection.execute_batch(schema))
}

fn uri(path: &Path, how: &str) -> String {
    let path = path.to_string_lossy().replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    format!("file:{path}?{how}")
}

fn instant(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap_or_default()
}

fn failed(path: &Path, error: &rusqlite::Error) -> Error {
    Error::new(Kind::System, format!("the catalog of the history cannot be read or written: {error}"))
        .at(path.display().to_string())
        .hint("check free space and permissions there; SQLite's `pragma integrity_check` tells whether the file is damaged")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn catalog() -> (tempfile::TempDir, Catalog) {
        let directory = tempfile::tempdir().unwrap();
        let catalog = Catalog::open(&directory.path().join("catalog.db")).unwrap();
        (directory, catalog)
    }

    #[test]
    fn the_text_without_constants_wins_and_texts_are_kept_once() {
        let (_directory, catalog) = catalog();
        let keep = |server, text: &str, origin, second| catalog.keep_texts(server, &[(7, text.into())], origin, at(second)).unwrap();
        keep("main", "select 42", Origin::Sampled, 1);
        keep("main", "select $1", Origin::Statements, 2);
        keep("main", "select 43", Origin::Sampled, 3);
        keep("other", "select $1", Origin::Statements, 2);
        assert_eq!(catalog.text("main", 7).unwrap().as_deref(), Some("select $1"));
        assert_eq!(catalog.text("main", 8).unwrap(), None);
        catalog.forget_texts(at(3)).unwrap();
        assert_eq!((catalog.text("main", 7).unwrap().is_some(), catalog.text("other", 7).unwrap().is_some()), (true, false));
    }

    #[test]
    fn snapshots_are_numbered_for_each_server_and_a_baseline_keeps_its_own() {
        let (_directory, catalog) = catalog();
        let snapshot = |second| Snapshot {
            id: 0,
            at: at(second),
            reason: "manual".to_owned(),
            server_started_at: None,
            version: Some("17.2".to_owned()),
            missing: vec!["tables".to_owned()],
        };
        let ids: Vec<i64> = (1..=5).map(|second| catalog.add_snapshot("main", &snapshot(second)).unwrap().id).collect();
        assert_eq!(ids, [1, 2, 3, 4, 5]);
        assert_eq!(catalog.add_snapshot("other", &snapshot(1)).unwrap().id, 1);
        let baseline = Baseline {
            name: "monday".to_owned(),
            start_snapshot_id: 1,
            end_snapshot_id: 2,
            span: Span::new(at(1), at(2)),
            description: String::new(),
            created_at: at(6),
        };
        catalog.add_baseline("main", &baseline).unwrap();
        assert_eq!(catalog.add_baseline("main", &baseline).unwrap_err().kind, Kind::Conflict);
        catalog.forget_snapshots(at(10)).unwrap();
        let left: Vec<i64> = catalog.snapshots("main").unwrap().iter().map(|snapshot| snapshot.id).collect();
        assert_eq!(left, [1, 2, 5]);
        assert_eq!(catalog.snapshots("other").unwrap()[0].missing, ["tables"]);
        assert_eq!(catalog.baselines("main").unwrap(), [baseline]);
        catalog.remove_baseline("main", "monday").unwrap();
        assert_eq!(catalog.remove_baseline("main", "monday").unwrap_err().kind, Kind::NotFound);
    }
}
