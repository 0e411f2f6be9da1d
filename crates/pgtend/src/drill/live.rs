//! The live server when a drill began, and its rows afterwards.

use pgtend_model::error::{Error, Result};
use pgtend_model::pgdata::Lsn;
use pgtend_model::signal::APPLICATION_NAME;
use pgtend_postgres::connect::error::classify;
use pgtend_postgres::connect::{Limits, Session, Target};
use std::collections::BTreeMap;
use std::time::Duration;

/// How long one table may be counted there.
const COUNT_TIMEOUT: Duration = Duration::from_secs(60);
const GOODBYE: Duration = Duration::from_millis(300);

const DATABASES: &str = "select datname::text from pg_catalog.pg_database where datallowconn and not datistemplate order by 1";
const TABLES: &str = "select pg_catalog.format('%I.%I', schemaname, relname), (n_tup_ins + n_tup_del)::bigint, n_live_tup::bigint, \
    pg_catalog.pg_relation_size(relid)::bigint, pg_catalog.has_table_privilege(relid, 'select') from pg_catalog.pg_stat_user_tables";

/// A table there.
#[derive(Debug, Clone)]
pub(super) struct Table {
    /// Rows that were ever inserted or deleted.
    pub(super) written: i64,
    /// Rows, as the server estimates.
    pub(super) estimate: i64,
    /// Its size.
    pub(super) bytes: i64,
    /// Whether the role may count.
    pub(super) readable: bool,
}

/// Its tables, by their names with schema.
pub(super) type Tables = BTreeMap<String, Table>;

/// It, when the drill began.
#[derive(Debug)]
pub(super) struct Live {
    target: Target,
    /// Up to where it had written WAL.
    pub(super) lsn: Option<Lsn>,
    /// Its tables, by database.
    pub(super) databases: BTreeMap<String, Tables>,
    /// Why it could not be asked.
    pub(super) silence: Option<Error>,
}

impl Live {
    /// Looks at it. Where it does not answer, that is told later: a drill is worth most then.
    pub(super) async fn look(target: &Target) -> Self {
        let mut live = Self { target: target.clone(), lsn: None, databases: BTreeMap::new(), silence: None };
        if let Err(error) = live.ask().await {
            live.silence = Some(error);
        }
        live
    }

    async fn ask(&mut self) -> Result<()> {
        let session = open(&self.target).await?;
        let sql = "select (case when pg_catalog.pg_is_in_recovery() then pg_catalog.pg_last_wal_replay_lsn() else pg_catalog.pg_current_wal_insert_lsn() end)::text";
        let lsn: Option<String> =
            session.client().query_one(sql, &[]).await.map_err(|error| classify(&error).at(session.address()))?.get(0);
        self.lsn = lsn.and_then(|lsn| lsn.parse().ok());
        let names: Vec<String> = session
            .client()
            .query(DATABASES, &[])
            .await
            .map_err(|error| classify(&error).at(session.address()))?
            .iter()
            .map(|row| row.get(0))
            .collect();
        session.close(GOODBYE).await;
        for name in names {
            match self.tables(&name).await {
                Ok(tables) => {
                    self.databases.insert(name, tables);
                }
                Err(error) => tracing::debug!(%error, database = name, "a database cannot be looked at for a drill"),
            }
        }
        Ok(())
    }

    /// The tables of a database, now.
    pub(super) async fn tables(&self, database: &str) -> Result<Tables> {
        let session = open(&self.target.with_database(database)).await?;
        let rows = session.client().query(TABLES, &[]).await.map_err(|error| classify(&error).at(session.address()))?;
        let tables = rows.iter().map(|row| {
            let table = Table {
                written: row.get(1),
                estimate: row.get(2),
                bytes: row.get::<_, Option<i64>>(3).unwrap_or(0),
                readable: row.get::<_, Option<bool>>(4).unwrap_or(false),
            };
            (row.get(0), table)
        });
        let tables = tables.collect();
        session.close(GOODBYE).await;
        Ok(tables)
    }

    /// Counts tables there; those that cannot be counted are left out.
    pub(super) async fn count(&self, database: &str, tables: &[String]) -> BTreeMap<String, u64> {
        let mut counted = BTreeMap::new();
        let Ok(session) = open(&self.target.with_database(database)).await else { return counted };
        for table in tables {
            if let Ok(row) = session.client().query_one(&format!("select pg_catalog.count(*) from only {table}"), &[]).await {
                counted.insert(table.clone(), row.get::<_, i64>(0).unsigned_abs());
            }
        }
        session.close(GOODBYE).await;
        counted
    }
}

async fn open(target: &Target) -> Result<Session> {
    let limits = Limits { statement_timeout: COUNT_TIMEOUT, lock_timeout: Duration::from_secs(1), ..Limits::default() };
    Session::open(target, &limits, &format!("{APPLICATION_NAME} drill")).await
}
