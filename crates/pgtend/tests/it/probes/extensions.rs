//! Extensions may be missing, elsewhere, or older than the server.

use super::Watcher;
use crate::harness::Cluster;
use pgtend_model::sample::{Probe, Reason, Taken};

async fn with_library(major: u32) -> Cluster {
    Cluster::builder(major).config("shared_preload_libraries = 'pg_stat_statements'").start().await
}

#[tokio::test]
async fn an_extension_that_is_not_there_is_said_to_be_missing() {
    let cluster = Cluster::start(15).await;
    let mut watcher = Watcher::connect(&cluster.dsn()).await;
    let unknown = watcher.run(Probe::Statements).await.unwrap_err();
    assert_eq!(unknown.reason, Reason::Extension);
    assert!(unknown.detail.contains("CREATE EXTENSION pg_stat_statements"), "{unknown}");

    cluster.psql("create extension pg_stat_statements").await;
    watcher.prober.refresh();
    let unknown = watcher.run(Probe::Statements).await.unwrap_err();
    assert_eq!(unknown.reason, Reason::Extension, "{unknown}");
    assert!(unknown.detail.contains("shared_preload_libraries"), "{unknown}");
}

#[tokio::test]
async fn an_extension_may_be_in_any_schema() {
    let cluster = with_library(15).await;
    cluster.psql(r#"create schema "My ""schema"; create extension pg_stat_statements schema "My ""schema""#).await;
    let mut watcher = Watcher::connect(&cluster.dsn()).await;
    for probe in [Probe::Statements, Probe::StatementsInfo, Probe::StatementTexts] {
        assert!(!watcher.run(probe).await.unwrap().is_empty(), "{probe:?}");
    }
}

#[tokio::test]
async fn an_extension_may_be_older_than_the_server() {
    let cluster = with_library(17).await;
    let mut watcher = Watcher::connect(&cluster.dsn()).await;
    cluster.psql("create extension pg_stat_statements version '1.7'").await;
    let unknown = watcher.run(Probe::Statements).await.unwrap_err();
    assert_eq!(unknown.reason, Reason::Extension);
    assert!(unknown.detail.contains("ALTER EXTENSION pg_stat_statements UPDATE"), "{unknown}");

    for (version, has_toplevel, has_jit, has_since) in
        [("1.8", false, false, false), ("1.9", true, false, false), ("1.10", true, true, false), ("1.11", true, true, true)]
    {
        cluster.psql(&format!("alter extension pg_stat_statements update to '{version}'")).await;
        watcher.prober.refresh();
        let Taken::Statements(sample) = watcher.run(Probe::Statements).await.unwrap() else { unreachable!() };
        let row = sample.rows.first().unwrap();
        let found = (row.toplevel.is_some(), row.jit_time.is_some(), row.stats_since.is_some());
        assert_eq!(found, (has_toplevel, has_jit, has_since), "{version}");
    }
}

#[tokio::test]
async fn texts_come_for_the_statements_that_are_asked_for() {
    let cluster = with_library(16).await;
    cluster.psql("create extension pg_stat_statements").await;
    cluster.psql("select 1 as the_one_that_is_wanted").await;
    cluster.psql("select 1, 2 as another").await;
    let mut watcher = Watcher::connect(&cluster.dsn()).await;
    let Taken::StatementTexts(all) = watcher.run(Probe::StatementTexts).await.unwrap() else { unreachable!() };
    let wanted = all.rows.iter().find(|row| row.query.contains("the_one_that_is_wanted")).unwrap();
    let Taken::StatementTexts(one) = watcher.ask(Probe::StatementTexts, Some(vec![wanted.queryid])).await.unwrap() else { unreachable!() };
    assert_eq!(one.rows.iter().map(|row| &*row.query).collect::<Vec<_>>(), ["select $1 as the_one_that_is_wanted"]);
}
