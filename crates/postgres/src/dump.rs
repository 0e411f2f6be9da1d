//! What has to be known of a server before its databases are dumped, or a dump is restored into it.

use crate::connect::{Limits, Session, Target, error::classify};
use pgtend_model::backup::logical::{Database, Into};
use pgtend_model::backup::{DumpedDatabase, DumpedExtension};
use pgtend_model::error::{Error, Kind, Result};
use pgtend_model::pgdata::Lsn;
use std::time::Duration;

const GOODBYE: Duration = Duration::from_millis(500);

/// A server that is to be dumped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// As `server_version_num`.
    pub version: u32,
    /// The cluster's identity.
    pub system_identifier: u64,
    /// Whether it is a standby.
    pub in_recovery: bool,
    /// Whether the role may read the passwords of roles.
    pub superuser: bool,
    /// Where its WAL ends.
    pub lsn: Lsn,
    /// All databases that allow connections.
    pub databases: Vec<Database>,
}

impl Facts {
    /// The major version.
    pub fn major(&self) -> u16 {
        u16::try_from(self.version / 10_000).unwrap_or(0)
    }
}

/// A database, and how large its dump will be about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sized {
    /// What the backup says of it.
    pub database: DumpedDatabase,
    /// Bytes of its tables.
    pub table_bytes: u64,
    /// Bytes of its largest tables, as many as are dumped at once.
    pub largest_bytes: u64,
}

async fn open(target: &Target, application_name: &str) -> Result<Session> {
    let limits = Limits {
        connect_timeout: Duration::from_secs(10),
        statement_timeout: Duration::from_secs(60),
        lock_timeout: Duration::from_secs(10),
        ..Limits::default()
    };
    Session::open(target, &limits, application_name).await
}

/// Looks at a server.
///
/// # Errors
/// When it cannot be reached, or the role may not ask.
pub async fn look(target: &Target, application_name: &str) -> Result<Facts> {
    let session = open(target, application_name).await?;
    let facts = facts(&session).await.map_err(|error| error.at(session.address()));
    session.close(GOODBYE).await;
    facts
}

async fn facts(session: &Session) -> Result<Facts> {
    let sql = "select c.system_identifier::pg_catalog.int8, pg_catalog.pg_is_in_recovery(), \
               coalesce((select r.rolsuper from pg_catalog.pg_roles as r where r.rolname = current_user), false), \
               (case when pg_catalog.pg_is_in_recovery() then pg_catalog.pg_last_wal_replay_lsn() \
                else pg_catalog.pg_current_wal_lsn() end)::pg_catalog.text \
               from pg_catalog.pg_control_system() as c";
    let wrong = |error: tokio_postgres::Error| classify(&error);
    let row = session.client().query_one(sql, &[]).await.map_err(wrong)?;
    let identifier: i64 = row.try_get(0).map_err(wrong)?;
    let lsn: Option<String> = row.try_get(3).map_err(wrong)?;
    let sql = "select d.datname::pg_catalog.text, pg_catalog.pg_get_userbyid(d.datdba)::pg_catalog.text, \
               pg_catalog.pg_encoding_to_char(d.encoding)::pg_catalog.text, d.datcollate::pg_catalog.text, d.datctype::pg_catalog.text, \
               pg_catalog.has_database_privilege(d.oid, 'CONNECT') \
               from pg_catalog.pg_database as d where d.datallowconn order by d.datname";
    let rows = session.client().query(sql, &[]).await.map_err(wrong)?;
    let databases = rows.iter().map(|row| {
        let text = |index| row.try_get::<_, Option<String>>(index).map(Option::unwrap_or_default).map_err(wrong);
        let database = DumpedDatabase {
            name: text(0)?,
            owner: text(1)?,
            encoding: text(2)?,
            collate: text(3)?,
            ctype: text(4)?,
            ..DumpedDatabase::default()
        };
        Ok(Database { may_connect: row.try_get(5).map_err(wrong)?, database })
    });
    Ok(Facts {
        version: session.version(),
        system_identifier: identifier.cast_unsigned(),
        in_recovery: row.try_get(1).map_err(wrong)?,
        superuser: row.try_get(2).map_err(wrong)?,
        lsn: lsn.and_then(|lsn| lsn.parse().ok()).unwrap_or_default(),
        databases: databases.collect::<Result<_>>()?,
    })
}

/// Looks into a database: its extensions, and how much there is. `jobs` tables are dumped at once.
///
/// # Errors
/// When it cannot be reached.
pub async fn look_into(target: &Target, database: DumpedDatabase, jobs: usize, application_name: &str) -> Result<Sized> {
    let session = open(&target.with_database(&database.name), application_name).await?;
    let sized = sized(&session, database, jobs).await.map_err(|error| error.at(session.address()));
    session.close(GOODBYE).await;
    sized
}

async fn sized(session: &Session, database: DumpedDatabase, jobs: usize) -> Result<Sized> {
    let wrong = |error: tokio_postgres::Error| classify(&error);
    let sql = "select e.extname::pg_catalog.text, e.extversion from pg_catalog.pg_extension as e order by e.extname";
    let rows = session.client().query(sql, &[]).await.map_err(wrong)?;
    let extensions =
        rows.iter().map(|row| Ok(DumpedExtension { name: row.try_get(0).map_err(wrong)?, version: row.try_get(1).map_err(wrong)? }));
    let extensions = extensions.collect::<Result<_>>()?;
    // From the catalog alone: asking the file system for each of a hundred thousand tables takes minutes.
    let sql = "select coalesce(sum(s.bytes), 0)::pg_catalog.int8, coalesce(sum(s.bytes) filter (where s.place <= $1), 0)::pg_catalog.int8 \
               from (select b.bytes, pg_catalog.row_number() over (order by b.bytes desc) as place from ( \
               select (greatest(c.relpages, 0) + greatest(coalesce(t.relpages, 0), 0))::pg_catalog.int8 \
               * pg_catalog.current_setting('block_size')::pg_catalog.int8 as bytes \
               from pg_catalog.pg_class as c left join pg_catalog.pg_class as t on t.oid = c.reltoastrelid \
               where c.relkind in ('r', 'm') and c.relnamespace <> 'pg_catalog'::pg_catalog.regnamespace) as b) as s";
    let row = session.client().query_one(sql, &[&i64::try_from(jobs).unwrap_or(1)]).await.map_err(wrong)?;
    let bytes = |index| row.try_get::<_, i64>(index).map(|bytes| u64::try_from(bytes).unwrap_or(0)).map_err(wrong);
    let (table_bytes, largest_bytes) = (bytes(0)?, bytes(1)?);
    Ok(Sized { database: DumpedDatabase { extensions, ..database }, table_bytes, largest_bytes })
}

/// Looks at a server that a dump is to be restored into.
///
/// # Errors
/// When it cannot be reached.
pub async fn look_before_restoring(target: &Target, database: &str, application_name: &str) -> Result<Into> {
    let session = open(target, application_name).await?;
    let found = into(&session, database).await.map_err(|error| error.at(session.address()));
    let version = session.version();
    session.close(GOODBYE).await;
    let mut found = Into { version, ..found? };
    if found.exists {
        let session = open(&target.with_database(database), application_name).await?;
        let sql = "select count(*) from pg_catalog.pg_class as c join pg_catalog.pg_namespace as n on n.oid = c.relnamespace \
                   where n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast') and n.nspname not like 'pg\\_temp\\_%'";
        let row = session.client().query_one(sql, &[]).await.map_err(|error| classify(&error))?;
        let objects: i64 = row.try_get(0).map_err(|error| classify(&error))?;
        session.close(GOODBYE).await;
        found.objects = u64::try_from(objects).unwrap_or(0);
    }
    Ok(found)
}

async fn into(session: &Session, database: &str) -> Result<Into> {
    let wrong = |error: tokio_postgres::Error| classify(&error);
    let sql = "select exists (select from pg_catalog.pg_database as d where d.datname = $1), pg_catalog.pg_is_in_recovery(), \
               coalesce((select r.rolsuper or r.rolcreatedb from pg_catalog.pg_roles as r where r.rolname = current_user), false)";
    let row = session.client().query_one(sql, &[&database]).await.map_err(wrong)?;
    let roles = session.client().query("select r.rolname::pg_catalog.text from pg_catalog.pg_roles as r", &[]).await.map_err(wrong)?;
    let sql = "select a.name::pg_catalog.text, a.version from pg_catalog.pg_available_extension_versions as a";
    let available = session.client().query(sql, &[]).await.map_err(wrong)?;
    let extension = |row: &tokio_postgres::Row| Ok((row.try_get(0).map_err(wrong)?, row.try_get(1).map_err(wrong)?));
    Ok(Into {
        version: session.version(),
        exists: row.try_get(0).map_err(wrong)?,
        in_recovery: row.try_get(1).map_err(wrong)?,
        may_create: row.try_get(2).map_err(wrong)?,
        objects: 0,
        roles: roles.iter().map(|row| row.try_get(0).map_err(wrong)).collect::<Result<_>>()?,
        extensions: available.iter().map(extension).collect::<Result<_>>()?,
    })
}

/// Makes an empty database like the one that was dumped.
///
/// # Errors
/// What the server says: a locale that this system does not have, a missing right.
pub async fn create_database(
    target: &Target,
    name: &str,
    like: &DumpedDatabase,
    owner: Option<&str>,
    application_name: &str,
) -> Result<()> {
    let limits = Limits {
        statement_timeout: Duration::from_secs(600),
        lock_timeout: Duration::from_secs(60),
        as_the_role: true,
        ..Limits::default()
    };
    let session = Session::open(target, &limits, application_name).await?;
    let mut sql = format!(
        "create database {} template template0 encoding {} lc_collate {} lc_ctype {}",
        identifier(name),
        literal(&like.encoding),
        literal(&like.collate),
        literal(&like.ctype)
    );
    if let Some(owner) = owner {
        sql.push_str(&format!(" owner {}", identifier(owner)));
    }
    let made = session.client().batch_execute("set default_transaction_read_only = off").await;
    let made = match made {
        Ok(()) => session.client().batch_execute(&sql).await,
        Err(error) => Err(error),
    };
    let made = made.map_err(|error| classify(&error).at(session.address()));
    session.close(GOODBYE).await;
    made.map_err(|error| match error.kind {
        Kind::Privilege => Error { hint: "the role that restores must have CREATEDB: ALTER ROLE <role> CREATEDB".into(), ..error },
        _ => error.hint("make the database yourself, empty, and restore into it: it is taken as it is"),
    })
}

fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
