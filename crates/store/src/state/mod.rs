//! What the agent must not forget, in one SQLite file beside it: tokens, and metrics of the user's own.
//!
//! The file is private to the agent's user and in WAL mode, and every commit is synced: a token that was revoked stays revoked after
//! a power failure. Calls block for as long as a small commit takes; async code makes them on a thread for blocking work.

mod metrics;
mod schema;
pub mod secret;
pub mod tokens;

use pgtend_model::error::{Error, Kind, Result};
use rusqlite::Connection;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The state file's name in the agent's state directory.
pub const FILE_NAME: &str = "state.db";

/// The agent's state.
#[derive(Debug)]
pub struct StateStore {
    path: PathBuf,
    connection: Mutex<Connection>,
}

impl StateStore {
    /// Opens the state, and makes file and directory where they are missing.
    ///
    /// # Errors
    /// `System` when the file cannot be made, read or written; `Unsupported` when a newer pgtend wrote it.
    pub fn open(path: &Path) -> Result<Self> {
        make_private(path).map_err(|error| {
            Error::new(Kind::System, format!("the state cannot be opened: {error}"))
                .at(path.display().to_string())
                .hint("its directory is agent.state_directory of the configuration, and must belong to the user that runs the agent")
        })?;
        let failed = |error: rusqlite::Error| failed(path, &error);
        let mut connection = Connection::open(path).map_err(failed)?;
        connection.busy_timeout(Duration::from_secs(5)).map_err(failed)?;
        connection.pragma_update(None, "journal_mode", "wal").map_err(failed)?;
        connection.pragma_update(None, "synchronous", "full").map_err(failed)?;
        connection.pragma_update(None, "foreign_keys", true).map_err(failed)?;
        schema::migrate(&mut connection, path)?;
        Ok(Self { path: path.to_owned(), connection: Mutex::new(connection) })
    }

    /// The connection. A thread that panicked in the middle left a transaction that SQLite rolled back, so the lock may be taken over.
    fn connection(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a change, and returns once it is durable. A statement that returns rows hands them out before its own commit, whose
    /// failure (a full disk) nobody would hear of: so every change is a transaction that is committed by name.
    fn change<T>(&self, change: impl FnOnce(&rusqlite::Transaction<'_>) -> rusqlite::Result<T>) -> Result<T> {
        let mut connection = self.connection();
        committed(&mut connection, change).map_err(|error| self.failed(&error))
    }

    fn failed(&self, error: &rusqlite::Error) -> Error {
        failed(&self.path, error)
    }
}

/// Makes a change and commits it.
pub(crate) fn committed<T>(
    connection: &mut Connection,
    change: impl FnOnce(&rusqlite::Transaction<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let changed = change(&transaction)?;
    transaction.commit()?;
    Ok(changed)
}

fn failed(path: &Path, error: &rusqlite::Error) -> Error {
    Error::new(Kind::System, format!("the state cannot be read or written: {error}"))
        .at(path.display().to_string())
        .hint("check free space and permissions there; SQLite's `pragma integrity_check` tells whether the file is damaged")
}

/// Makes the directory (0700) and the file (0600), and takes away what others may do with a file that is there. SQLite gives its
/// journal the permissions of the file.
fn make_private(path: &Path) -> std::io::Result<()> {
    if let Some(directory) = path.parent() {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    }
    let file = std::fs::OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
    if file.metadata()?.permissions().mode() & 0o077 != 0 {
        file.set_permissions(std::fs::Permissions::from_mode(0o600))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn only_the_agents_user_can_read_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lib/pgtend/state.db");
        drop(StateStore::open(&path).unwrap());
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let state = StateStore::open(&path).unwrap();
        assert_eq!((mode(path.parent().unwrap()), mode(&path)), (0o700, 0o600));
        assert_eq!(mode(&path.with_extension("db-wal")), 0o600);
        drop(state);
    }

    #[test]
    fn a_newer_schema_and_a_damaged_file_are_errors_that_say_so() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state.db");
        StateStore::open(&path).unwrap().connection().pragma_update(None, "user_version", 1000).unwrap();
        let error = StateStore::open(&path).unwrap_err();
        assert_eq!(error.kind, Kind::Unsupported);
        assert!(error.what.contains("newer pgtend"), "{error}");

        fs::write(&path, vec![b'x'; 8192]).unwrap();
        let error = StateStore::open(&path).unwrap_err();
        assert!(error.what.contains("not a database") && error.place.ends_with("state.db"), "{error}");
    }

    #[test]
    fn a_change_whose_commit_fails_is_an_error_although_it_returned_rows() {
        let mut connection = Connection::open_in_memory().unwrap();
        connection
            .execute_batch(
                "pragma foreign_keys = on;
                 create table parent (id integer primary key);
                 create table child (id integer primary key, parent integer references parent deferrable initially deferred);",
            )
            .unwrap();
        let orphan = |transaction: &rusqlite::Transaction<'_>| {
            transaction.query_row("insert into child (parent) values (7) returning id", [], |row| row.get::<_, i64>(0))
        };
        assert!(committed(&mut connection, orphan).is_err());
        let left: i64 = connection.query_row("select count(*) from child", [], |row| row.get(0)).unwrap();
        assert_eq!(left, 0);
    }
}
