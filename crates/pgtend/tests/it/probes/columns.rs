//! What the queries return is what the rows declare: names and types, on every major, rows or no rows.

use super::Watcher;
use crate::harness::Cluster;
use pgtend_model::sample::registry::SPECS;
use pgtend_model::sample::{Column, Origin, Spec};
use pgtend_postgres::probe::{Query, ranges};
use std::collections::BTreeSet;

/// Columns that the runner reads itself.
const RESERVED: [&str; 2] = ["missing", "missing_reason"];

#[tokio::test]
async fn queries_return_what_rows_declare() {
    let mut wrong = Vec::new();
    let mut returned: BTreeSet<(&str, &str)> = BTreeSet::new();
    for major in 13..=18 {
        let cluster = Cluster::builder(major).config("shared_preload_libraries = 'pg_stat_statements'").start().await;
        cluster.psql("create extension pg_stat_statements; create extension pg_buffercache").await;
        let watcher = Watcher::connect(&cluster.dsn()).await;
        for spec in queried() {
            let Some(query) = chosen(&cluster, spec, major).await else { continue };
            let statement = watcher.session.client().prepare(&query.sql.replace("{schema}", "public")).await.unwrap();
            let found: Vec<(&str, &str)> = statement.columns().iter().map(|column| (column.name(), column.type_().name())).collect();
            wrong.extend(differences(spec.columns, &found).into_iter().map(|what| format!("{major}: {}: {what}", spec.name)));
            let declared = spec.columns.iter().map(|column| column.name);
            returned.extend(declared.filter(|name| found.iter().any(|(found, _)| found == name)).map(|name| (spec.name, name)));
        }
    }
    for spec in queried() {
        let never = spec.columns.iter().filter(|column| !returned.contains(&(spec.name, column.name)));
        wrong.extend(never.map(|column| format!("{}: no version's query returns {}", spec.name, column.name)));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn queried() -> impl Iterator<Item = &'static Spec> {
    SPECS.iter().filter(|spec| spec.origin == Origin::Query)
}

/// The query that is meant for this server and for the version of the extension that comes with it.
async fn chosen(cluster: &Cluster, spec: &Spec, major: u32) -> Option<&'static Query> {
    for query in ranges(spec.name).filter(|query| (query.from..=query.to).contains(&major)) {
        let Some(extension) = query.extension else { return Some(query) };
        let installed = cluster.psql(&format!("select extversion from pg_extension where extname = '{}'", extension.name)).await;
        let (low, high) = installed.split_once('.').unwrap();
        if (extension.from..=extension.to).contains(&(low.parse().unwrap(), high.parse().unwrap())) {
            return Some(query);
        }
    }
    None
}

fn differences(declared: &[Column], found: &[(&str, &str)]) -> Vec<String> {
    let mut wrong = Vec::new();
    for (name, of_type) in found {
        match declared.iter().find(|column| column.name == *name) {
            Some(column) if !fits(column.ty, of_type) => wrong.push(format!("{name} is {of_type}, declared is {}", column.ty)),
            None if !RESERVED.contains(name) => wrong.push(format!("{name} is not declared")),
            _ => {}
        }
    }
    let required = declared.iter().filter(|column| !column.ty.starts_with("Option"));
    wrong.extend(
        required
            .filter(|column| !found.iter().any(|(name, _)| *name == column.name))
            .map(|column| format!("{} is required, and not returned", column.name)),
    );
    wrong
}

/// Whether a column of this Rust type reads a result of this PostgreSQL type.
fn fits(declared: &str, found: &str) -> bool {
    let bare = declared.strip_prefix("Option<").and_then(|rest| rest.strip_suffix('>')).unwrap_or(declared);
    let wanted = match bare.rsplit("::").next().unwrap_or(bare) {
        "i64" => "int8",
        "f64" => "float8",
        "bool" => "bool",
        "Text" => "text",
        "Timestamp" => "timestamptz",
        "Vec<i32>" => "_int4",
        other => panic!("no PostgreSQL type is known for {other}"),
    };
    wanted == found
}

#[test]
fn every_major_has_exactly_one_query_a_probe_from_its_first_on() {
    for spec in queried() {
        let first = ranges(spec.name).map(|query| query.from).min().unwrap_or_else(|| panic!("{} has no query", spec.name));
        for major in first.max(13)..=18 {
            let mut versions: Vec<_> = ranges(spec.name)
                .filter(|query| (query.from..=query.to).contains(&major))
                .map(|query| query.extension.map_or(((0, 0), (u16::MAX, u16::MAX)), |extension| (extension.from, extension.to)))
                .collect();
            versions.sort_unstable();
            assert_eq!(versions.last().map(|(_, to)| *to), Some((u16::MAX, u16::MAX)), "{} leaves {major} without a query", spec.name);
            for pair in versions.windows(2) {
                let [((_, _), (major_to, minor_to)), (from, _)] = pair else { unreachable!() };
                assert_eq!(*from, (*major_to, minor_to + 1), "{} on {major}", spec.name);
            }
        }
    }
}
