//! A table that nobody else uses while its pages are brought back.
//!
//! Why this is safe: behind ACCESS EXCLUSIVE nobody reads or changes the table, autovacuum included. A CHECKPOINT then writes every page of it that
//! was changed in memory; a page that is still damaged on disk after that is in memory either not at all (what is damaged does not get there), or
//! unchanged and sound, with the very contents that the log gives. So nobody writes the page before the lock is let go, and what is in
//! memory later is what was put in place.

use pgtend_model::error::{Error, Kind, Result};
use pgtend_model::pgdata::Lsn;
use pgtend_postgres::connect::Target;
use pgtend_postgres::writing::{Writing, literal};
use std::time::Duration;

/// How long the lock is waited for: others queue behind it.
const LOCK: Duration = Duration::from_secs(10);

/// A table that is locked. Dropping it lets go.
#[derive(Debug)]
pub(super) struct Locked {
    session: Writing,
    name: String,
}

impl Locked {
    /// Locks a table, and writes what was changed of it.
    ///
    /// # Errors
    /// `Unsupported` for what cannot be locked or where it would not be safe; `Timeout` when the lock is not had soon.
    pub async fn table(target: &Target, relation: &str) -> Result<Self> {
        let session = Writing::open(target, LOCK).await?;
        let name = check(&session, relation).await?;
        session
            .run(&format!("begin; lock table {name} in access exclusive mode"))
            .await
            .map_err(|error| error.hint("somebody uses the table: pgtend locks show; try again, or stop the server"))?;
        session
            .run("checkpoint")
            .await
            .map_err(|error| error.hint("--online needs a superuser, or pg_checkpoint and the table's owner"))?;
        Ok(Self { session, name })
    }

    /// Begins a new segment, so that the one before is archived; the position at its end.
    pub async fn switch(&self) -> Result<Lsn> {
        // A segment without anything in it is not switched.
        self.session.run("select pg_catalog.pg_logical_emit_message(false, 'pgtend', 'page-restore')").await?;
        self.lsn("select pg_catalog.pg_switch_wal()").await
    }

    /// Where the log ends.
    pub async fn end(&self) -> Result<Lsn> {
        self.lsn("select pg_catalog.pg_current_wal_insert_lsn()").await
    }

    async fn lsn(&self, sql: &str) -> Result<Lsn> {
        let text = self.session.ask(sql).await?.unwrap_or_default();
        text.parse().map_err(|_| Error::new(Kind::Internal, format!("\"{text}\" is no position in the log")))
    }

    /// Has the server read pages, and lets go.
    pub async fn read_and_release(self, blocks: &[u32]) -> Result<()> {
        let mut outcome = Ok(());
        for block in blocks {
            let next = u64::from(*block) + 1;
            let sql = format!("select pg_catalog.count(*) from {} where ctid >= '({block},0)' and ctid < '({next},0)'", self.name);
            outcome = outcome.and(self.session.run(&sql).await);
        }
        let ended = self.session.run("rollback").await;
        self.session.close().await;
        outcome.and(ended)
    }
}

/// Whether the table may be mended under a lock; its name.
async fn check(session: &Writing, relation: &str) -> Result<String> {
    let sql = format!(
        "select pg_catalog.format('%I.%I', n.nspname, c.relname), c.relkind::text, (c.oid < 16384)::text, c.relpersistence::text, \
            pg_catalog.pg_is_in_recovery()::text, pg_catalog.current_setting('data_checksums'), \
            pg_catalog.current_setting('ignore_checksum_failure', true), pg_catalog.current_setting('zero_damaged_pages', true) \
         from pg_catalog.pg_class as c join pg_catalog.pg_namespace as n on n.oid = c.relnamespace \
         where c.oid = pg_catalog.to_regclass({})",
        literal(relation)
    );
    let row = session.row(&sql).await?;
    let value = |index: usize| row.get(index).and_then(Option::as_deref).unwrap_or_default();
    if row.is_empty() {
        return Err(
            Error::new(Kind::NotFound, format!("there is no relation \"{relation}\" in this database")).hint("name the database with --db")
        );
    }
    let refused = match (value(1), value(2), value(3), value(4), value(5), value(6), value(7)) {
        (.., "true", _, _, _) => "a standby's tables cannot be locked",
        (_, "true", ..) => "a system catalog must not be locked",
        (kind, ..) if !matches!(kind, "r" | "m") => {
            "only a table is locked; an index is built anew (pgtend repair), the pages of long values (TOAST) need a stopped server"
        }
        (_, _, persistence, ..) if persistence != "p" => "an unlogged table has no log to come back from",
        (_, _, _, _, checksums, ..) if checksums != "on" => "without page checksums a damaged page may be in the server's memory",
        (.., "on", _) | (.., "on") => "ignore_checksum_failure or zero_damaged_pages is on: a damaged page may be in the server's memory",
        _ => return Ok(value(0).to_owned()),
    };
    Err(Error::new(Kind::Unsupported, format!("pages of {relation} cannot be put in place while the server runs: {refused}"))
        .hint("stop the server, and run it without --online"))
}
