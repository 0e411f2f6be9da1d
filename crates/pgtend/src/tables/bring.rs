//! Bringing tables from the scratch server to the live one: what does not come along is taken off in the scratch server, so that what arrives is whole; on
//! the live side everything happens in one transaction.

use super::copy::{Copy, Hanging};
use super::live::Live;
use super::told::{Brought, Left, Told};
use crate::backup::{Phase, Progress};
use crate::psql::{Programs, Talk};
use pgtend_model::error::{Error, Kind, Result};
use pgtend_model::restore_table::statements::{NextSteps, identifier, literal};
use pgtend_model::restore_table::{Destination, Relation};
use std::collections::BTreeSet;

/// How long the live server may keep us waiting for a lock.
const LOCK_TIMEOUT: &str = "15s";
/// How many names a schema is tried under.
const NAMES: u32 = 100;

/// What brings them.
pub(super) struct Bring<'a> {
    pub(super) copy: &'a Programs,
    pub(super) live: &'a Live,
    pub(super) destination: &'a Destination,
    pub(super) progress: &'a Progress,
}

/// A table on its way: what it is in the scratch server, and where it goes.
struct Way {
    table: Relation,
    rows: u64,
    schema: String,
}

impl Way {
    fn to(&self) -> String {
        format!("{}.{}", identifier(&self.schema), identifier(&self.table.name))
    }

    /// A table that has children counts its own rows; a partitioned one has none of its own.
    fn only(&self) -> &'static str {
        if self.table.kind == 'p' { "" } else { "ONLY " }
    }
}

impl Bring<'_> {
    pub(super) fn run(&self, chosen: Copy, told: &mut Told) -> Result<()> {
        self.progress.enter(Phase::Bringing);
        let live = self.live_database(told)?;
        let outcome = self.bring(&live, &chosen, told);
        if outcome.is_err() && told.database_made {
            // Nothing of it was there before.
            if let Destination::Database(name) = self.destination {
                let _ = self.live.programs.rows(&format!("DROP DATABASE IF EXISTS {}", identifier(name)));
            }
        }
        outcome
    }

    fn bring(&self, live: &Programs, chosen: &Copy, told: &mut Told) -> Result<()> {
        if !matches!(self.destination, Destination::Rows { .. }) {
            self.complete(live, chosen)?;
        }
        match self.destination {
            Destination::Schema(name) => {
                let schema = free_schema(live, name, told.schema_is_ours)?;
                self.strip(chosen, told)?;
                let ways = self.ways(chosen, |_| schema.clone())?;
                one_of_each_name(&ways)?;
                not_there(live, &ways)?;
                self.move_into(&schema, chosen)?;
                told.schema = Some(schema.clone());
                self.dump(live, &ways, &format!("CREATE SCHEMA IF NOT EXISTS {};", identifier(&schema)), false, told)?;
                self.next_steps(&ways, &schema, told)
            }
            Destination::Database(_) => {
                self.strip(chosen, told)?;
                let ways = self.ways(chosen, |table| table.schema.clone())?;
                not_there(live, &ways)?;
                self.dump(live, &ways, &schemas(&ways), false, told)
            }
            Destination::Place { aside } => {
                let ways = self.ways(chosen, |table| table.schema.clone())?;
                self.whole(chosen)?;
                nothing_hangs_on(live, &ways)?;
                let aside = free_schema(live, aside, true)?;
                let before = format!("{}\n{}", schemas(&ways), set_aside(live, &ways, &aside)?);
                told.aside = before.contains("SET SCHEMA").then(|| aside.clone());
                self.dump(live, &ways, &before, true, told)
            }
            Destination::Rows { replace } => self.rows(live, chosen, *replace, told),
        }
    }

    /// The database that they go to, made where it is not there.
    fn live_database(&self, told: &mut Told) -> Result<Programs> {
        let Destination::Database(name) = self.destination else { return Ok(self.live.programs.clone()) };
        if !self.live.has_database(name)? {
            let facts = "select pg_catalog.pg_encoding_to_char(encoding), datcollate, datctype from pg_catalog.pg_database where datname = pg_catalog.current_database()";
            let row = self.copy.rows(facts)?.into_iter().next().unwrap_or_default();
            let [encoding, collate, ctype] = row.as_slice() else { return Err(Error::new(Kind::Internal, "a database has no encoding")) };
            let sql = format!(
                "CREATE DATABASE {} TEMPLATE template0 ENCODING {} LC_COLLATE {} LC_CTYPE {}",
                identifier(name),
                literal(encoding),
                literal(collate),
                literal(ctype)
            );
            self.live.programs.rows(&sql)?;
            told.database_made = true;
        }
        Ok(self.live.programs.with_database(name))
    }

    /// Types, functions and sequences that the tables need must be there.
    fn complete(&self, live: &Programs, chosen: &Copy) -> Result<()> {
        let needs = chosen.needs(self.copy)?;
        if needs.is_empty() {
            return Ok(());
        }
        let checks: Vec<String> = needs.iter().map(|(_, ask)| format!("{ask} is not null")).collect();
        let there = live.rows(&format!("select {}", checks.join(", ")))?.into_iter().next().unwrap_or_default();
        let missing: Vec<&str> = needs.iter().zip(&there).filter(|(_, there)| *there != "t").map(|((name, _), _)| name.as_str()).collect();
        if missing.is_empty() {
            return Ok(());
        }
        Err(Error::new(Kind::Conflict, format!("the tables need what this database does not have: {}", missing.join(", ")))
            .hint("create them first (an extension's by CREATE EXTENSION); `pgtend restore --into DIR` brings back the whole server, where their definitions are"))
    }

    /// Takes off what does not come along, and tells it.
    fn strip(&self, chosen: &Copy, told: &mut Told) -> Result<()> {
        for table in chosen.tables.iter().filter(|table| !chosen.has_parent(table)) {
            let Some(parent) = &table.parent else { continue };
            let sql = if table.is_partition {
                format!("ALTER TABLE {parent} DETACH PARTITION {}", table.quoted())
            } else {
                format!("ALTER TABLE {} NO INHERIT {parent}", table.quoted())
            };
            self.copy.rows(&sql)?;
            told.left.push(Left { table: table.quoted(), what: "parent".to_owned(), definition: parent.clone() });
        }
        let left = |what: &str, hanging: &Hanging| Left {
            table: hanging.table.clone(),
            what: what.to_owned(),
            definition: hanging.definition.clone(),
        };
        for key in chosen.foreign_keys(self.copy)? {
            self.copy.rows(&format!("ALTER TABLE {} DROP CONSTRAINT {}", key.table, key.name))?;
            told.left.push(left("foreign key", &key));
        }
        for trigger in chosen.triggers(self.copy)? {
            self.copy.rows(&format!("DROP TRIGGER {} ON {}", trigger.name, trigger.table))?;
            told.left.push(left("trigger", &trigger));
        }
        for policy in chosen.policies(self.copy)? {
            self.copy.rows(&format!(
                "DROP POLICY {} ON {}; ALTER TABLE {} DISABLE ROW LEVEL SECURITY",
                policy.name, policy.table, policy.table
            ))?;
            told.left.push(left("row security", &policy));
        }
        Ok(())
    }

    fn ways(&self, chosen: &Copy, schema: impl Fn(&Relation) -> String) -> Result<Vec<Way>> {
        let count = |table: &Relation| {
            let only = if table.kind == 'p' { "" } else { "only " };
            let rows = self.copy.value(&format!("select count(*) from {only}{}", table.quoted()))?;
            Ok(Way { rows: rows.parse().unwrap_or(0), schema: schema(table), table: table.clone() })
        };
        chosen.tables.iter().map(count).collect()
    }

    fn move_into(&self, schema: &str, chosen: &Copy) -> Result<()> {
        let mut sql = format!("CREATE SCHEMA IF NOT EXISTS {};", identifier(schema));
        for table in chosen.tables.iter().filter(|table| table.schema != schema) {
            sql.push_str(&format!("ALTER TABLE {} SET SCHEMA {};", table.quoted(), identifier(schema)));
        }
        self.copy.rows(&sql).map(drop)
    }

    /// A partition alone cannot take the place of the one that is attached.
    fn whole(&self, chosen: &Copy) -> Result<()> {
        let Some(part) = chosen.tables.iter().find(|table| table.parent.is_some() && !chosen.has_parent(table)) else { return Ok(()) };
        Err(Error::new(
            Kind::Usage,
            format!("{} belongs to {}: it alone cannot be replaced", part.quoted(), part.parent.clone().unwrap_or_default()),
        )
        .hint("restore it beside the original, then DETACH PARTITION the one and ATTACH PARTITION the other; or --data-only --replace"))
    }

    /// Definitions and rows, in one transaction.
    fn dump(&self, live: &Programs, ways: &[Way], before: &str, as_it_was: bool, told: &mut Told) -> Result<()> {
        let mut arguments: Vec<String> = ["--no-publications", "--no-subscriptions", "--strict-names"].map(str::to_owned).to_vec();
        if !as_it_was {
            arguments.extend(["--no-owner", "--no-privileges", "--no-tablespaces"].map(str::to_owned));
        }
        arguments.extend(ways.iter().map(|way| format!("--table={}", way.to())));
        let mut talk = begin(live)?;
        talk.say(before)?;
        let mut dump = self.copy.output("pg_dump", &arguments)?;
        talk.pass(&mut dump, self.progress)?;
        dump.end()?;
        for way in ways {
            talk.say(&proof(way))?;
        }
        talk.say("COMMIT;")?;
        let analyze: Vec<String> = ways.iter().map(Way::to).collect();
        talk.say(&format!("ANALYZE {};", analyze.join(", ")))?;
        talk.end()?;
        told.tables = ways.iter().map(brought).collect();
        Ok(())
    }

    /// Rows only. Partitioned tables get theirs through the topmost of them.
    fn rows(&self, live: &Programs, chosen: &Copy, replace: bool, told: &mut Told) -> Result<()> {
        let topmost =
            Copy { tables: chosen.tables.iter().filter(|table| !(table.is_partition && chosen.has_parent(table))).cloned().collect() };
        let ways = self.ways(&topmost, |table| table.schema.clone())?;
        let mut columns = Vec::new();
        for way in &ways {
            columns.push(self.columns(live, way)?);
        }
        let mut talk = begin(live)?;
        if replace {
            let names: Vec<String> = ways.iter().map(|way| format!("{}{}", way.only(), way.to())).collect();
            talk.say(&format!("TRUNCATE {};", names.join(", ")))?;
        }
        for (way, columns) in ways.iter().zip(&columns) {
            talk.say(&format!("COPY {} ({columns}) FROM STDIN;", way.to()))?;
            let query = format!("COPY (SELECT {columns} FROM {}{}) TO STDOUT", way.only(), way.table.quoted());
            let mut rows = self.copy.output("psql", &["--no-psqlrc", "-q", "-v", "ON_ERROR_STOP=1", "-c", &query].map(str::to_owned))?;
            talk.pass(&mut rows, self.progress)?;
            rows.end()?;
            talk.say("\\.")?;
            if replace {
                talk.say(&proof(way))?;
            }
        }
        talk.say("COMMIT;")?;
        talk.end().map_err(explain_rows)?;
        told.tables = ways.iter().map(brought).collect();
        Ok(())
    }

    /// The columns that are copied: all that the backup has, which must be there.
    fn columns(&self, live: &Programs, way: &Way) -> Result<String> {
        let sql = format!(
            "select attname from pg_catalog.pg_attribute where attrelid = pg_catalog.to_regclass({}) and attnum > 0 and not attisdropped and attgenerated = '' order by attnum",
            literal(&way.to())
        );
        let (there, here): (Vec<String>, Vec<String>) =
            (live.rows(&sql)?.into_iter().flatten().collect(), self.copy.rows(&sql)?.into_iter().flatten().collect());
        if there.is_empty() {
            return Err(Error::new(Kind::NotFound, format!("{} is not there any more: there is no table for the rows", way.to()))
                .hint("leave out --data-only: then the table comes back too"));
        }
        let missing: Vec<&str> = here.iter().filter(|column| !there.contains(column)).map(String::as_str).collect();
        if !missing.is_empty() {
            return Err(Error::new(Kind::Conflict, format!("{} has no column {} any more", way.to(), missing.join(", ")))
                .hint("leave out --data-only: the table comes beside the original, as it was"));
        }
        Ok(here.iter().map(|column| identifier(column)).collect::<Vec<_>>().join(", "))
    }

    /// What somebody may do with each of them.
    fn next_steps(&self, ways: &[Way], restored: &str, told: &mut Told) -> Result<()> {
        let columns = |sql: String| -> Result<Vec<String>> { Ok(self.copy.rows(&sql)?.into_iter().flatten().collect()) };
        for (way, brought) in ways.iter().zip(&mut told.tables) {
            let name = literal(&way.to());
            let key = columns(format!(
                "select a.attname from pg_catalog.pg_index i join pg_catalog.pg_attribute a on a.attrelid = i.indrelid and a.attnum = any (i.indkey) \
                 where i.indisprimary and i.indrelid = pg_catalog.to_regclass({name}) order by pg_catalog.array_position(i.indkey::int2[], a.attnum)"
            ))?;
            let insertable = columns(format!(
                "select attname from pg_catalog.pg_attribute where attrelid = pg_catalog.to_regclass({name}) and attnum > 0 and not attisdropped and attgenerated = '' order by attnum"
            ))?;
            brought.next = Some(NextSteps::new(&way.table.schema, &way.table.name, restored, &key, &insertable));
        }
        Ok(())
    }
}

fn begin(live: &Programs) -> Result<Talk> {
    let mut talk = live.talk()?;
    talk.say("BEGIN;")?;
    talk.say(&format!("SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'; SET LOCAL statement_timeout = 0;"))?;
    Ok(talk)
}

/// The transaction fails unless every row arrived.
fn proof(way: &Way) -> String {
    let (to, only, rows) = (way.to(), way.only(), way.rows);
    let message = literal(&format!("{to} has % rows instead of {rows}"));
    format!(
        "DO $pgtend$ DECLARE there bigint; BEGIN SELECT pg_catalog.count(*) INTO there FROM {only}{to}; IF there <> {rows} THEN RAISE EXCEPTION {message}, there; END IF; END $pgtend$;"
    )
}

fn brought(way: &Way) -> Brought {
    Brought {
        table: format!("{}.{}", way.table.schema, way.table.name),
        into: format!("{}.{}", way.schema, way.table.name),
        rows: way.rows,
        next: None,
    }
}

fn schemas(ways: &[Way]) -> String {
    let names: BTreeSet<&str> = ways.iter().map(|way| way.schema.as_str()).collect();
    names.iter().map(|name| format!("CREATE SCHEMA IF NOT EXISTS {};", identifier(name))).collect()
}

/// A schema that is not there yet; one that somebody named may be.
fn free_schema(live: &Programs, name: &str, is_ours: bool) -> Result<String> {
    if !is_ours {
        return Ok(name.to_owned());
    }
    for number in 1..NAMES {
        let tried = if number == 1 { name.to_owned() } else { format!("{name}_{number}") };
        if live.value(&format!("select true from pg_catalog.pg_namespace where nspname = {}", literal(&tried)))?.is_empty() {
            return Ok(tried);
        }
    }
    Err(Error::new(Kind::Conflict, format!("{NAMES} schemas are called {name} already"))
        .hint("drop those that are no longer needed, or name one with --into-schema"))
}

fn one_of_each_name(ways: &[Way]) -> Result<()> {
    let mut names = BTreeSet::new();
    match ways.iter().find(|way| !names.insert(way.table.name.as_str())) {
        None => Ok(()),
        Some(way) => Err(Error::new(Kind::Usage, format!("two of the tables are called {}: one schema cannot hold both", way.table.name))
            .hint("restore them one after the other, or --into-db, where they keep their schemas")),
    }
}

fn not_there(live: &Programs, ways: &[Way]) -> Result<()> {
    let names: Vec<String> = ways.iter().map(|way| literal(&way.to())).collect();
    let sql = format!("select n from unnest(array[{}]) as n where pg_catalog.to_regclass(n) is not null", names.join(", "));
    match live.value(&sql)?.as_str() {
        "" => Ok(()),
        name => Err(Error::new(Kind::Conflict, format!("{name} is there already: nothing is overwritten"))
            .hint("choose another schema with --into-schema, or drop that table first")),
    }
}

/// What refers to the originals would go on referring to them after they were moved aside.
fn nothing_hangs_on(live: &Programs, ways: &[Way]) -> Result<()> {
    let names: Vec<String> = ways.iter().map(|way| format!("pg_catalog.to_regclass({})", literal(&way.to()))).collect();
    let ours = format!("array[{}]::pg_catalog.oid[]", names.join(", "));
    let sql = format!(
        "select distinct 'view ' || r.ev_class::pg_catalog.regclass::text from pg_catalog.pg_depend d join pg_catalog.pg_rewrite r on r.oid = d.objid \
           where d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass and d.refobjid = any ({ours}) and r.ev_class <> all ({ours}) \
         union select 'foreign key ' || pg_catalog.quote_ident(conname) || ' of ' || conrelid::pg_catalog.regclass::text from pg_catalog.pg_constraint \
           where contype = 'f' and confrelid = any ({ours}) and conrelid <> all ({ours}) \
         union select 'partitioned table ' || inhparent::pg_catalog.regclass::text from pg_catalog.pg_inherits where inhrelid = any ({ours}) and inhparent <> all ({ours}) order by 1"
    );
    let hanging: Vec<String> = live.rows(&sql)?.into_iter().flatten().collect();
    if hanging.is_empty() {
        return Ok(());
    }
    Err(Error::new(Kind::Conflict, format!("these refer to the tables and would go on with the originals: {}", hanging.join(", ")))
        .hint("--data-only --replace keeps the tables and replaces their rows; without --replace the tables come beside the originals"))
}

fn set_aside(live: &Programs, ways: &[Way], aside: &str) -> Result<String> {
    let mut sql = String::new();
    for way in ways {
        if !live.value(&format!("select pg_catalog.to_regclass({})", literal(&way.to())))?.is_empty() {
            sql.push_str(&format!("ALTER TABLE {} SET SCHEMA {};\n", way.to(), identifier(aside)));
        }
    }
    Ok(if sql.is_empty() { sql } else { format!("CREATE SCHEMA {};\n{sql}", identifier(aside)) })
}

fn explain_rows(error: Error) -> Error {
    if error.what.contains("referenced in a foreign key") {
        return error.hint("other tables refer to these rows: name those tables too, or restore beside the original and merge by SQL");
    }
    if error.what.contains("duplicate key") {
        return error.hint(
            "rows with the same key are there: --replace takes them away first; without --data-only the table comes beside the original",
        );
    }
    error
}
