//! A server in backup mode: `pg_backup_start` and `pg_backup_stop` in one session, which is held to the end.

use crate::connect::{Limits, Session, Target, error::classify};
use pgtend_model::error::{Error, Kind, Result};
use pgtend_model::pgdata::Lsn;
use std::path::PathBuf;
use std::time::Duration;

/// A checkpoint may take long, also a fast one.
const PATIENCE: Duration = Duration::from_secs(3600);
/// How long a session may take to say goodbye.
const GOODBYE: Duration = Duration::from_millis(500);

/// What has to be known of a server before it is backed up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// As `server_version_num`.
    pub version: u32,
    /// The cluster's identity, decimal.
    pub system_identifier: u64,
    /// Its data directory.
    pub data_directory: PathBuf,
    /// Whether it is a standby.
    pub in_recovery: bool,
    /// `archive_mode`: off, on or always.
    pub archive_mode: String,
    /// `archive_command`, or the library that archives.
    pub archiver: String,
    /// `wal_level`.
    pub wal_level: String,
    /// Whether full pages are written to the WAL: without them a copy cannot be mended by replay, but `pg_backup_start` sees to it on a
    /// primary.
    pub full_page_writes: bool,
    /// `max_wal_senders` and `max_replication_slots`, of which one is used to keep WAL where nobody archives it.
    pub slots_free: bool,
}

/// A session in which a backup is taken.
#[derive(Debug)]
pub struct BackupSession {
    session: Session,
    facts: Facts,
}

/// What `pg_backup_stop` gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stopped {
    /// Where the data is consistent.
    pub stop_lsn: Lsn,
    /// The file `backup_label`, byte for byte.
    pub backup_label: String,
    /// The file `tablespace_map`, byte for byte; empty without tablespaces.
    pub tablespace_map: String,
}

impl Facts {
    /// The major version.
    pub const fn major(&self) -> u32 {
        self.version / 10_000
    }

    /// Whether the server hands over every segment of WAL by itself.
    pub fn archives(&self) -> bool {
        match self.archive_mode.as_str() {
            "always" => true,
            "on" => !self.in_recovery,
            _ => false,
        }
    }
}

impl BackupSession {
    /// Opens the session, and looks at the server.
    ///
    /// # Errors
    /// When the server cannot be reached; `Privilege` when the role may not see what is needed.
    pub async fn open(target: &Target, connect_timeout: Duration, application_name: &str) -> Result<Self> {
        let limits = Limits {
            connect_timeout,
            statement_timeout: PATIENCE,
            lock_timeout: Duration::from_secs(30),
            idle_in_transaction_timeout: PATIENCE,
            as_the_role: false,
        };
        let session = Session::open(target, &limits, application_name).await?;
        let facts = look(&session).await.map_err(|error| error.at(session.address()))?;
        Ok(Self { session, facts })
    }

    /// The server.
    pub const fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Begins the backup; gives the position from which WAL is needed.
    ///
    /// # Errors
    /// `Privilege` when the role may not; what the server says.
    pub async fn start(&self, label: &str, fast: bool) -> Result<Lsn> {
        let sql = if self.facts.major() >= 15 {
            "select pg_catalog.pg_backup_start($1, $2)::pg_catalog.text"
        } else {
            "select pg_catalog.pg_start_backup($1, $2, false)::pg_catalog.text"
        };
        let row = self.session.client().query_one(sql, &[&label, &fast]).await.map_err(|error| self.refused(&error))?;
        lsn(row.try_get(0))
    }

    /// Ends the backup. The server is asked not to wait for its archiver: whether the WAL is durable, the repository says.
    ///
    /// # Errors
    /// What the server says: also when the standby was promoted meanwhile, or ran with `full_page_writes` off.
    pub async fn stop(&self) -> Result<Stopped> {
        let function = if self.facts.major() >= 15 { "pg_backup_stop(false)" } else { "pg_stop_backup(false, false)" };
        let sql = format!("select lsn::pg_catalog.text, labelfile, spcmapfile from pg_catalog.{function}");
        let row = self.session.client().query_one(&sql, &[]).await.map_err(|error| self.refused(&error))?;
        let text = |index| row.try_get::<_, Option<String>>(index).map(Option::unwrap_or_default).map_err(|error| classify(&error));
        Ok(Stopped { stop_lsn: lsn(row.try_get(0))?, backup_label: text(1)?, tablespace_map: text(2)? })
    }

    /// Whether the server is still what it was: a standby that was promoted has another timeline.
    ///
    /// # Errors
    /// `Conflict` when it was promoted; when the session is lost.
    pub async fn check_unchanged(&self) -> Result<()> {
        let sql = "select pg_catalog.pg_is_in_recovery()";
        let row = self.session.client().query_one(sql, &[]).await.map_err(|error| self.refused(&error))?;
        let now: bool = row.try_get(0).map_err(|error| classify(&error))?;
        if now == self.facts.in_recovery {
            return Ok(());
        }
        Err(Error::new(Kind::Conflict, "the standby was promoted while it was backed up: what was copied is worth nothing")
            .at(self.session.address())
            .hint("take the backup again"))
    }

    /// Keeps WAL from now on by a slot that ends with this session, where nobody archives it.
    ///
    /// # Errors
    /// `Privilege` when the role may not make one; what the server says when no slot is free.
    pub async fn keep_wal(&self, name: &str) -> Result<()> {
        let sql = "select from pg_catalog.pg_create_physical_replication_slot($1::text::pg_catalog.name, true, true)";
        self.session.client().query(sql, &[&name]).await.map(|_| ()).map_err(|error| {
            let refused = classify(&error);
            let hint = match refused.kind {
                Kind::Privilege => "nobody archives this server's WAL, so the backup keeps it by a slot: ALTER ROLE <role> REPLICATION; better, archive: archive_mode = on",
                _ => "nobody archives this server's WAL, so the backup keeps it by a slot: raise max_replication_slots; better, archive: archive_mode = on",
            };
            // What is said of privileges in general does not help here.
            Error { hint: hint.to_owned(), ..refused }.at(self.session.address())
        })
    }

    /// Switches to a new segment of WAL, so that the one with the backup's end is finished. Nothing on a standby.
    ///
    /// # Errors
    /// What the server says.
    pub async fn switch_wal(&self) -> Result<()> {
        if self.facts.in_recovery {
            return Ok(());
        }
        let sql = "select pg_catalog.pg_switch_wal()::pg_catalog.text";
        self.session.client().query_one(sql, &[]).await.map(|_| ()).map_err(|error| self.refused(&error))
    }

    /// Writes a record and switches to a new segment of WAL; gives the name of the one that is finished by that.
    ///
    /// # Errors
    /// What the server says.
    pub async fn finish_segment(&self) -> Result<String> {
        let sql = "select pg_catalog.pg_walfile_name(pg_catalog.pg_switch_wal()) \
                   from (select pg_catalog.pg_logical_emit_message(false, 'pgtend', 'check')) as written";
        let row = self.session.client().query_one(sql, &[]).await.map_err(|error| self.refused(&error))?;
        row.try_get(0).map_err(|error| classify(&error))
    }

    /// What the archiver says of itself: the last failure, if it came after the last success.
    ///
    /// # Errors
    /// What the server says.
    pub async fn archiver_failure(&self) -> Result<Option<String>> {
        let sql = "select last_failed_wal from pg_catalog.pg_stat_archiver \
                   where last_failed_time > coalesce(last_archived_time, '-infinity')";
        let row = self.session.client().query_opt(sql, &[]).await.map_err(|error| self.refused(&error))?;
        row.map_or(Ok(None), |row| row.try_get(0).map_err(|error| classify(&error)))
    }

    /// Waits until the connection is gone, and with it the backup, and says why.
    pub async fn closed(&self) -> Error {
        self.session.closed().await
    }

    /// Says goodbye. A backup that was not stopped is aborted by the server.
    pub async fn close(self) {
        self.session.close(GOODBYE).await;
    }

    fn refused(&self, error: &tokio_postgres::Error) -> Error {
        let refused = classify(error).at(self.session.address());
        if refused.kind != Kind::Privilege {
            return refused;
        }
        let grant = if self.facts.major() >= 15 {
            "GRANT EXECUTE ON FUNCTION pg_backup_start(text, boolean), pg_backup_stop(boolean), pg_switch_wal() TO <role>"
        } else {
            "GRANT EXECUTE ON FUNCTION pg_start_backup(text, boolean, boolean), pg_stop_backup(boolean, boolean), pg_switch_wal() TO <role>"
        };
        Error { hint: format!("in the database that the role connects to: {grant}"), ..refused }
    }
}

async fn look(session: &Session) -> Result<Facts> {
    let sql = "select c.system_identifier::pg_catalog.int8, pg_catalog.pg_is_in_recovery(), \
               pg_catalog.current_setting('data_directory'), pg_catalog.current_setting('archive_mode'), \
               coalesce(nullif(pg_catalog.current_setting('archive_library', true), ''), pg_catalog.current_setting('archive_command')), \
               pg_catalog.current_setting('wal_level'), pg_catalog.current_setting('full_page_writes') = 'on', \
               pg_catalog.current_setting('max_replication_slots')::pg_catalog.int4 > 0 \
               from pg_catalog.pg_control_system() as c";
    let row = session
        .client()
        .query_one(sql, &[])
        .await
        .map_err(|error| classify(&error).hint("a role that takes backups is a member of pg_monitor: GRANT pg_monitor TO <role>"))?;
    let wrong = |error: tokio_postgres::Error| classify(&error);
    let identifier: i64 = row.try_get(0).map_err(wrong)?;
    Ok(Facts {
        version: session.version(),
        system_identifier: identifier.cast_unsigned(),
        in_recovery: row.try_get(1).map_err(wrong)?,
        data_directory: row.try_get::<_, String>(2).map_err(wrong)?.into(),
        archive_mode: row.try_get(3).map_err(wrong)?,
        archiver: row.try_get::<_, Option<String>>(4).map_err(wrong)?.unwrap_or_default(),
        wal_level: row.try_get(5).map_err(wrong)?,
        full_page_writes: row.try_get(6).map_err(wrong)?,
        slots_free: row.try_get(7).map_err(wrong)?,
    })
}

fn lsn(text: Result<String, tokio_postgres::Error>) -> Result<Lsn> {
    let text = text.map_err(|error| classify(&error))?;
    text.parse().map_err(|_| Error::new(Kind::Unsupported, format!("the server says that \"{text}\" is a WAL position")))
}
