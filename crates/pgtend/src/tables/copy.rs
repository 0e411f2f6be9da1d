//! The tables in the scratch server: which are meant, and what hangs on them.

use crate::psql::Programs;
use pgtend_model::error::{Error, Kind, Result};
use pgtend_model::restore_table::{Relation, pattern};

const RELATIONS: &str = "select c.oid, n.nspname, c.relname, c.relkind, i.inhparent::pg_catalog.regclass, i.inhparent, c.relispartition \
    from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace \
    left join pg_catalog.pg_inherits i on i.inhrelid = c.oid and i.inhseqno = 1 \
    where c.relkind in ('r', 'p', 'v', 'm', 'f', 'S') and n.nspname !~ '^pg_' and n.nspname <> 'information_schema' order by 2, 3";

/// What was chosen.
#[derive(Debug)]
pub(super) struct Copy {
    /// The tables, partitions after those that they are of.
    pub(super) tables: Vec<Relation>,
}

/// A foreign key, a trigger or a policy that does not come along.
#[derive(Debug, Clone)]
pub(super) struct Hanging {
    pub(super) table: String,
    pub(super) name: String,
    pub(super) definition: String,
}

impl Copy {
    /// Finds the tables that are meant, with their partitions.
    pub(super) fn look(copy: &Programs, wanted: &[String]) -> Result<Self> {
        let all: Vec<Relation> = copy.rows(RELATIONS)?.iter().filter_map(|row| relation(row)).collect();
        let mut tables: Vec<Relation> = pattern::choose(wanted, &all)?.into_iter().cloned().collect();
        let oids = listed(&tables);
        let below = format!(
            "select distinct t.relid::pg_catalog.oid from unnest({oids}) as p, pg_catalog.pg_partition_tree(p::pg_catalog.regclass) as t"
        );
        for oid in copy.rows(&below)?.into_iter().flatten().filter_map(|oid| oid.parse::<u32>().ok()) {
            if !tables.iter().any(|table| table.oid == oid) {
                tables.extend(all.iter().find(|relation| relation.oid == oid).cloned());
            }
        }
        if let Some(foreign) = tables.iter().find(|table| table.kind == 'f') {
            return Err(Error::new(
                Kind::Unsupported,
                format!("{} is a foreign table: its rows are elsewhere, and in no backup of this server", foreign.quoted()),
            )
            .hint("name the other partitions one by one"));
        }
        Ok(Self { tables })
    }

    /// Whether a table's parent comes along.
    pub(super) fn has_parent(&self, table: &Relation) -> bool {
        self.tables.iter().any(|other| table.parent_oid == Some(other.oid))
    }

    pub(super) fn oids(&self) -> String {
        listed(&self.tables)
    }

    /// Foreign keys to tables that do not come along.
    pub(super) fn foreign_keys(&self, copy: &Programs) -> Result<Vec<Hanging>> {
        let oids = self.oids();
        hanging(
            copy,
            &format!(
                "select conrelid::pg_catalog.regclass, pg_catalog.quote_ident(conname), pg_catalog.pg_get_constraintdef(oid) from pg_catalog.pg_constraint \
             where contype = 'f' and conparentid = 0 and conrelid = any ({oids}) and not confrelid = any ({oids}) order by 1, 2"
            ),
        )
    }

    /// Triggers of users.
    pub(super) fn triggers(&self, copy: &Programs) -> Result<Vec<Hanging>> {
        hanging(
            copy,
            &format!(
                "select tgrelid::pg_catalog.regclass, pg_catalog.quote_ident(tgname), pg_catalog.pg_get_triggerdef(oid) from pg_catalog.pg_trigger \
             where not tgisinternal and tgparentid = 0 and tgrelid = any ({}) order by 1, 2",
                self.oids()
            ),
        )
    }

    /// Policies of row security.
    pub(super) fn policies(&self, copy: &Programs) -> Result<Vec<Hanging>> {
        hanging(
            copy,
            &format!(
                "select polrelid::pg_catalog.regclass, pg_catalog.quote_ident(polname), 'policy' from pg_catalog.pg_policy where polrelid = any ({}) order by 1, 2",
                self.oids()
            ),
        )
    }

    /// Types, functions and sequences that the tables need and that are neither theirs nor PostgreSQL's own: how they are called, and how to ask whether
    /// they are there.
    pub(super) fn needs(&self, copy: &Programs) -> Result<Vec<(String, String)>> {
        let oids = self.oids();
        let sql = format!(
            "with ours as (\
               select 'pg_catalog.pg_class'::pg_catalog.regclass as class, unnest({oids}) as object \
               union select 'pg_catalog.pg_attrdef'::pg_catalog.regclass, oid from pg_catalog.pg_attrdef where adrelid = any ({oids}) \
               union select 'pg_catalog.pg_constraint'::pg_catalog.regclass, oid from pg_catalog.pg_constraint where conrelid = any ({oids}) \
               union select 'pg_catalog.pg_class'::pg_catalog.regclass, indexrelid from pg_catalog.pg_index where indrelid = any ({oids})), \
             needed as (select distinct d.refclassid, d.refobjid from pg_catalog.pg_depend d join ours on d.classid = ours.class and d.objid = ours.object \
               where d.refobjid >= 16384 and not d.refobjid = any ({oids})) \
             select 'type', t.oid::pg_catalog.regtype::text, 'to_regtype' from needed join pg_catalog.pg_type t on refclassid = 'pg_catalog.pg_type'::pg_catalog.regclass and t.oid = refobjid \
               where not t.typrelid = any ({oids}) \
             union all select 'function', p.oid::pg_catalog.regprocedure::text, 'to_regprocedure' from needed join pg_catalog.pg_proc p on refclassid = 'pg_catalog.pg_proc'::pg_catalog.regclass and p.oid = refobjid \
             union all select 'sequence', s.oid::pg_catalog.regclass::text, 'to_regclass' from needed join pg_catalog.pg_class s on refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass and s.oid = refobjid \
               where s.relkind = 'S' and not exists (select from pg_catalog.pg_depend o where o.objid = s.oid and o.deptype in ('a', 'i') and o.refobjid = any ({oids})) \
             order by 1, 2"
        );
        // Names are told with their schemas: nothing is in the search path.
        let rows = copy.rows(&format!("set search_path = ''; {sql}"))?;
        let rows = rows.into_iter().filter_map(|row| match row.as_slice() {
            [kind, name, how] => {
                Some((format!("{kind} {name}"), format!("pg_catalog.{how}({})", pgtend_model::restore_table::statements::literal(name))))
            }
            _ => None,
        });
        Ok(rows.collect())
    }
}

fn listed(tables: &[Relation]) -> String {
    let oids: Vec<String> = tables.iter().map(|table| table.oid.to_string()).collect();
    format!("'{{{}}}'::pg_catalog.oid[]", oids.join(","))
}

fn relation(row: &[String]) -> Option<Relation> {
    let [oid, schema, name, kind, parent, parent_oid, is_partition] = row else { return None };
    Some(Relation {
        oid: oid.parse().ok()?,
        schema: schema.clone(),
        name: name.clone(),
        kind: kind.chars().next()?,
        parent: Some(parent.clone()).filter(|parent| !parent.is_empty()),
        parent_oid: parent_oid.parse().ok(),
        is_partition: is_partition == "t",
    })
}

fn hanging(copy: &Programs, sql: &str) -> Result<Vec<Hanging>> {
    let rows = copy.rows(sql)?.into_iter();
    Ok(rows
        .filter_map(|row| match row.as_slice() {
            [table, name, definition] => Some(Hanging { table: table.clone(), name: name.clone(), definition: definition.clone() }),
            _ => None,
        })
        .collect())
}
