//! Tables and indexes say the same as PostgreSQL's own views, which cost several times as much.

use super::Watcher;
use crate::harness::Cluster;
use pgtend_model::sample::{Probe, Taken, Value};
use std::collections::BTreeMap;

const OBJECTS: [&str; 4] = [
    "create table big (id serial primary key, t text);
     alter table big alter t set storage external;
     insert into big (t) select repeat('x', 20000) from generate_series(1, 200);
     create index on big (t) where false;
     create materialized view seen as select 1 as a;
     create table parted (id int primary key) partition by range (id);
     create table part partition of parted for values from (0) to (10) with (autovacuum_enabled = off);
     create unlogged table light (a int);
     insert into parted values (1)",
    "select sum(length(t)) from big where id > 0; update big set t = t where id < 20; delete from big where id > 190; set enable_seqscan = off; select count(*) from big where id = 3",
    "vacuum analyze big",
    "create temporary table gone (a int)",
];

/// Rows by object identifier, each value as text, as the views have them.
type Rows = BTreeMap<i64, BTreeMap<String, String>>;

async fn as_views(cluster: &Cluster, views: [&str; 2], key: &str) -> Rows {
    let mut rows = Rows::new();
    for view in views {
        let sql = format!("select v.{key}, e.key, e.value from {view} as v, jsonb_each_text(to_jsonb(v)) as e where schemaname = 'public'");
        for line in cluster.psql(&sql).await.lines() {
            let [oid, column, value] = line.splitn(3, '|').collect::<Vec<_>>()[..] else { unreachable!() };
            rows.entry(oid.parse().unwrap()).or_default().insert(column.to_owned(), value.to_owned());
        }
    }
    rows
}

fn as_probe(taken: &Taken, key: &str) -> Rows {
    let columns = taken.probe().spec().columns;
    let place = columns.iter().position(|column| column.name == key).unwrap();
    let text = |value: Value<'_>| match value {
        Value::Null => String::new(),
        Value::Time(_) => "a time".to_owned(),
        other => other.json().as_str().map_or_else(|| other.json().to_string(), str::to_owned),
    };
    let row =
        |row: usize| columns.iter().enumerate().map(move |(at, column)| (column.name.to_owned(), text(taken.value(row, at)))).collect();
    (0..taken.len()).filter_map(|at| if let Value::Int(oid) = taken.value(at, place) { Some((oid, row(at))) } else { None }).collect()
}

async fn the_same_as_views(major: u32) {
    let cluster = Cluster::builder(major).config("autovacuum = off").start().await;
    for sql in OBJECTS {
        cluster.psql(sql).await;
    }
    // Up to 14 statistics reach their readers half a second late.
    tokio::time::sleep(std::time::Duration::from_millis(1200)).await;
    let mut watcher = Watcher::connect(&cluster.dsn()).await;
    for (probe, key, views) in [
        (Probe::Tables, "relid", ["pg_stat_user_tables", "pg_statio_user_tables"]),
        (Probe::Indexes, "indexrelid", ["pg_stat_user_indexes", "pg_statio_user_indexes"]),
    ] {
        let expected = as_views(&cluster, views, key).await;
        let found = as_probe(&watcher.run(probe).await.unwrap(), key);
        assert!(expected.len() >= 3, "{major}: the views show {} rows", expected.len());
        for (oid, columns) in &expected {
            let ours = &found[oid];
            for (name, value) in columns {
                let same = &ours[name] == value
                    || (ours[name] == "a time" && !value.is_empty())
                    || ours[name].parse::<f64>().ok() == value.parse().ok();
                assert!(same, "{major}: {} of {}: {} is not {value}", name, ours["relname"], ours[name]);
            }
        }
        let extra: Vec<_> = found.iter().filter(|(oid, _)| !expected.contains_key(oid)).map(|(_, row)| &row["relname"]).collect();
        // pg_stat_user_tables shows partitioned tables from 14 on, pg_stat_user_indexes never shows their indexes.
        let partitioned: &[&str] = if probe == Probe::Tables && major >= 14 { &[] } else { &["parted"] };
        assert_eq!(extra, partitioned, "{major}: only partitioned ones are shown beyond the views");
    }
}

#[tokio::test]
async fn tables_and_indexes_say_what_the_views_say() {
    for major in 13..=18 {
        the_same_as_views(major).await;
    }
}
