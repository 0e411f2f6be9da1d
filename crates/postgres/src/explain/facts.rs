//! What a server knows of the tables in a plan: how many rows the planner believes, and how many changed since.

use pgtend_model::plan::TableFacts;
use serde_json::Value;
use std::collections::BTreeSet;
use tokio_postgres::Client;

/// Of several arrays, `unnest` is grammar and takes no schema; the search_path is set for it.
const FACTS: &str = "select n.nspname::text, c.relname::text, greatest(c.reltuples, 0)::float8, coalesce(s.n_live_tup, 0)::float8, \
        coalesce(s.n_mod_since_analyze, 0)::float8, greatest(s.last_analyze, s.last_autoanalyze), \
        c.relpages::float8 * pg_catalog.current_setting('block_size')::float8 \
    from unnest($1::text[], $2::text[]) as wanted (schema, name) \
    join pg_catalog.pg_namespace as n on n.nspname = wanted.schema \
    join pg_catalog.pg_class as c on c.relnamespace = n.oid and c.relname = wanted.name \
    left join pg_catalog.pg_stat_all_tables as s on s.relid = c.oid \
    order by 1, 2";

/// What is known of the tables in a plan; nothing where it cannot be asked for, because the plan says enough without.
pub(super) async fn of(client: &Client, plan: &Value) -> Vec<TableFacts> {
    let mut tables = BTreeSet::new();
    collect(plan, &mut tables);
    if tables.is_empty() {
        return Vec::new();
    }
    let (schemas, names): (Vec<&str>, Vec<&str>) = tables.into_iter().unzip();
    let rows = match ask(client, &schemas, &names).await {
        Ok(rows) => rows,
        Err(error) => {
            tracing::debug!(%error, "what is known of the tables in a plan could not be had");
            return Vec::new();
        }
    };
    let facts = rows.iter().map(|row| TableFacts {
        schema: row.get(0),
        name: row.get(1),
        rows: row.get(2),
        live_rows: row.get(3),
        rows_changed: row.get(4),
        analyzed_at: row.get(5),
        size_bytes: row.get(6),
    });
    facts.collect()
}

/// The session has the role's own search_path, in which operators may be somebody's.
async fn ask(client: &Client, schemas: &[&str], names: &[&str]) -> Result<Vec<tokio_postgres::Row>, tokio_postgres::Error> {
    client.batch_execute("set local search_path = pg_catalog").await?;
    client.query(FACTS, &[&schemas, &names]).await
}

fn collect<'a>(value: &'a Value, tables: &mut BTreeSet<(&'a str, &'a str)>) {
    match value {
        Value::Array(values) => values.iter().for_each(|value| collect(value, tables)),
        Value::Object(step) => {
            let text = |key: &str| step.get(key).and_then(Value::as_str);
            if let (Some(schema), Some(table)) = (text("Schema"), text("Relation Name")) {
                tables.insert((schema, table));
            }
            step.values().filter(|value| value.is_array() || value.is_object()).for_each(|value| collect(value, tables));
        }
        _ => {}
    }
}
