//! Indexes and tables checked by the server itself, with the extension amcheck.
//!
//! `bt_index_check` and `verify_heapam` take the same lock as a query that reads (AccessShare): they hold nobody up. The stricter
//! `bt_index_parent_check` keeps writers out (Share), so it is done only where that was asked for.

use super::{GOODBYE, open, said};
use crate::connect::{Session, Target};
use pgtend_model::error::Result;
use pgtend_model::pgdata::Fork;
use pgtend_model::sample::{Reason, Unknown};
use pgtend_model::verify::{Damage, DamageKind, RelationKind, Unchecked};
use std::time::Duration;
use tokio_postgres::Row;
use tokio_postgres::error::SqlState;

const EXTENSION: &str = "select pg_catalog.quote_ident(n.nspname), \
        pg_catalog.to_regprocedure(pg_catalog.quote_ident(n.nspname) || '.verify_heapam(regclass,boolean,boolean,text,bigint,bigint)') is not null, \
        pg_catalog.to_regprocedure(pg_catalog.quote_ident(n.nspname) || '.gin_index_check(regclass)') is not null \
    from pg_catalog.pg_extension as e join pg_catalog.pg_namespace as n on n.oid = e.extnamespace where e.extname = 'amcheck'";
/// Temporary relations belong to their sessions, and a standby has nothing in unlogged ones. The small ones first.
const RELATIONS: &str = "select c.oid, pg_catalog.format('%I.%I', n.nspname, c.relname), c.relkind::text, am.amname::text, \
        c.oid < 16384, pg_catalog.pg_relation_filenode(c.oid), c.reltablespace \
    from pg_catalog.pg_class as c join pg_catalog.pg_namespace as n on n.oid = c.relnamespace \
    join pg_catalog.pg_am as am on am.oid = c.relam left join pg_catalog.pg_index as i on i.indexrelid = c.oid \
    where c.relpersistence <> 't' and (c.relpersistence = 'p' or not pg_catalog.pg_is_in_recovery()) \
        and (c.relkind = 'i' and am.amname in ('btree', 'gin') and i.indisvalid and i.indisready \
            or c.relkind in ('r', 't', 'm') and am.amname = 'heap') \
        and (pg_catalog.cardinality($1::oid[]) = 0 or pg_catalog.pg_relation_filenode(c.oid) = any ($1::oid[])) \
    order by c.relpages, c.oid";
/// Findings of one table that are told.
const FINDINGS_AT_MOST: usize = 100;

/// How amcheck is to be used.
#[derive(Debug, Clone, Copy)]
pub struct Manner<'a> {
    /// Check B-tree indexes from the root down too, which keeps writers out.
    pub parents: bool,
    /// How long one relation may take.
    pub timeout: Duration,
    /// Only relations with these numbers in their files' names; all when empty.
    pub only: &'a [u32],
}

/// What amcheck found in a database.
#[derive(Debug, Default)]
pub struct Amcheck {
    /// Indexes that were checked.
    pub indexes: u64,
    /// Tables that were checked.
    pub tables: u64,
    /// What is damaged.
    pub damage: Vec<Damage>,
    /// What could not be checked.
    pub unchecked: Vec<Unchecked>,
}

/// The extension, as it is in a database.
struct Extension {
    schema: String,
    has_heap: bool,
    has_gin: bool,
}

/// A relation to check.
struct Relation {
    oid: u32,
    name: String,
    kind: RelationKind,
    method: String,
    is_catalog: bool,
    relfilenode: Option<u32>,
    tablespace: u32,
}

/// Checks the indexes and tables of the target's database. `database_oid` goes into what is found.
///
/// # Errors
/// As for connecting. That a relation cannot be checked is in the answer.
pub async fn amcheck(target: &Target, database_oid: u32, manner: Manner<'_>, application_name: &str) -> Result<Amcheck> {
    let session = open(target, manner.timeout, application_name).await?;
    let mut check = Check { session: &session, database: target.database(), database_oid, manner, found: Amcheck::default() };
    let outcome = check.all().await;
    let found = check.found;
    let outcome = outcome.map_err(|error| said(&error, &session));
    session.close(GOODBYE).await;
    outcome.map(|()| found)
}

struct Check<'a> {
    session: &'a Session,
    database: &'a str,
    database_oid: u32,
    manner: Manner<'a>,
    found: Amcheck,
}

impl Check<'_> {
    async fn all(&mut self) -> Result<(), tokio_postgres::Error> {
        let client = self.session.client();
        let Some(extension) = client.query_opt(EXTENSION, &[]).await? else {
            self.missing();
            return Ok(());
        };
        let extension = Extension { schema: extension.get(0), has_heap: extension.get(1), has_gin: extension.get(2) };
        if !extension.has_heap {
            self.no_heap();
        }
        for row in client.query(RELATIONS, &[&self.manner.only]).await? {
            let relation = relation(&row);
            let checked = match (relation.kind, relation.method.as_str()) {
                (RelationKind::Index, "gin") if !extension.has_gin => continue,
                (RelationKind::Index, _) => self.index(&extension, &relation).await,
                _ if !extension.has_heap => continue,
                _ => self.table(&extension, &relation).await,
            };
            if let Err(error) = checked
                && self.refused(&relation, &error)
            {
                return Ok(());
            }
        }
        Ok(())
    }

    async fn index(&mut self, extension: &Extension, relation: &Relation) -> Result<(), tokio_postgres::Error> {
        let schema = &extension.schema;
        let call = match (relation.method.as_str(), self.manner.parents) {
            ("gin", _) => format!("{schema}.gin_index_check($1::oid)"),
            (_, true) => format!("{schema}.bt_index_parent_check($1::oid, true, true)"),
            (_, false) => format!("{schema}.bt_index_check($1::oid, true)"),
        };
        self.found.indexes += 1;
        self.session.client().query(&format!("select {call}"), &[&relation.oid]).await.map(drop)
    }

    async fn table(&mut self, extension: &Extension, relation: &Relation) -> Result<(), tokio_postgres::Error> {
        let sql = format!(
            "select blkno, offnum, attnum, msg from {}.verify_heapam($1::oid, false, true, 'none', null, null) limit {FINDINGS_AT_MOST}",
            extension.schema
        );
        let rows = self.session.client().query(&sql, &[&relation.oid]).await?;
        self.found.tables += 1;
        for row in rows {
            let (offset, attribute): (Option<i32>, Option<i32>) = (row.get(1), row.get(2));
            let place = [offset.map(|offset| format!("item {offset}")), attribute.map(|attribute| format!("column {attribute}"))];
            let place: Vec<String> = place.into_iter().flatten().collect();
            let message: String = row.get(3);
            let detail = if place.is_empty() { message } else { format!("{}: {message}", place.join(", ")) };
            let mut damage = self.damage(DamageKind::TableCorrupt, relation, detail);
            damage.block = row.get::<_, Option<i64>>(0).and_then(|block| u32::try_from(block).ok());
            self.found.damage.push(damage);
        }
        Ok(())
    }

    /// Notes why a relation could not be checked, or what the error says of its state. Whether no other one can be checked either.
    fn refused(&mut self, relation: &Relation, error: &tokio_postgres::Error) -> bool {
        let Some(said) = error.as_db_error() else {
            self.unchecked(relation, Reason::Unreachable, format!("the connection was lost: {error}"), "");
            return true;
        };
        let code = said.code();
        if *code == SqlState::INDEX_CORRUPTED || *code == SqlState::DATA_CORRUPTED {
            let kind = if relation.kind == RelationKind::Index { DamageKind::IndexCorrupt } else { DamageKind::TableCorrupt };
            let detail = said.detail().map_or_else(|| said.message().to_owned(), |detail| format!("{}: {detail}", said.message()));
            let damage = self.damage(kind, relation, detail);
            self.found.damage.push(damage);
            return false;
        }
        // What is not there any more was dropped meanwhile.
        if [SqlState::UNDEFINED_TABLE, SqlState::UNDEFINED_OBJECT].contains(code)
            || said.message().starts_with("could not open relation with OID")
        {
            return false;
        }
        if *code == SqlState::INSUFFICIENT_PRIVILEGE {
            let hint = format!(
                "connect as a superuser, or: grant execute on all functions in schema … to the role, in database {}",
                self.database
            );
            self.whole(Reason::Privilege, format!("the role may not use amcheck: {}", said.message()), &hint);
            return true;
        }
        let (reason, hint) = match code {
            code if *code == SqlState::LOCK_NOT_AVAILABLE => (Reason::Lock, "try again when nobody holds a lock on it"),
            code if *code == SqlState::QUERY_CANCELED => (Reason::Timeout, "give it more time: --timeout"),
            _ => (Reason::Failed, ""),
        };
        self.unchecked(relation, reason, said.message().to_owned(), hint);
        false
    }

    fn missing(&mut self) {
        let hint = format!("psql -d {} -c 'create extension amcheck'", self.database);
        self.whole(Reason::Extension, "the extension amcheck is not installed in it".to_owned(), &hint);
    }

    fn no_heap(&mut self) {
        let detail = if self.session.version() < 140_000 {
            "tables are checked by amcheck from PostgreSQL 14 on; its indexes were checked"
        } else {
            "the extension amcheck is too old to check tables"
        };
        let hint = if self.session.version() < 140_000 { "" } else { "alter extension amcheck update" };
        let what = format!("tables of database {}", self.database);
        self.found.unchecked.push(Unchecked { what, why: Unknown::new(Reason::Version, detail), hint: hint.to_owned() });
    }

    fn whole(&mut self, reason: Reason, detail: String, hint: &str) {
        let what = format!("indexes and tables of database {}", self.database);
        self.found.unchecked.push(Unchecked { what, why: Unknown::new(reason, detail), hint: hint.to_owned() });
    }

    fn unchecked(&mut self, relation: &Relation, reason: Reason, detail: String, hint: &str) {
        let what = format!("{} of database {}", relation.name, self.database);
        self.found.unchecked.push(Unchecked { what, why: Unknown::new(reason, detail), hint: hint.to_owned() });
    }

    fn damage(&self, kind: DamageKind, relation: &Relation, detail: String) -> Damage {
        Damage {
            kind,
            database: Some(self.database.to_owned()),
            database_oid: self.database_oid,
            relation: Some(relation.name.clone()),
            relation_oid: Some(relation.oid),
            relation_kind: Some(relation.kind),
            is_catalog: Some(relation.is_catalog),
            tablespace_oid: relation.tablespace,
            relfilenode: relation.relfilenode.unwrap_or_default(),
            fork: Fork::Main,
            block: None,
            expected: None,
            found: None,
            file: String::new(),
            offset_bytes: None,
            lsn: None,
            detail,
        }
    }
}

fn relation(row: &Row) -> Relation {
    let relkind: String = row.get(2);
    Relation {
        oid: row.get(0),
        name: row.get(1),
        kind: RelationKind::of_relkind(relkind.chars().next().unwrap_or('?')),
        method: row.get(3),
        is_catalog: row.get(4),
        relfilenode: row.get(5),
        tablespace: row.get(6),
    }
}
