//! `pgtend repair`: what a verification found is mended, the way that loses nothing first.

use crate::cli::{Person, Told};
use crate::harness::Cluster;
use crate::page_restore::{Ground, damage};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// Verifies and writes the report.
async fn verified(data: &str, file: &Path, code: i32) -> Value {
    let arguments = ["verify", "--data", data, "--output", file.to_str().unwrap(), "--format", "json"];
    Person::with(&[]).variable("PGUSER", "postgres").run(&arguments).await.ends(code).json()
}

async fn repair(ground: &Ground, report: &Path, arguments: &[&str]) -> Told {
    let (bindir, scratch) = (ground.cluster.bindir().display().to_string(), ground.dir.path().display().to_string());
    let fixed = ["repair", "--corruption-report", report.to_str().unwrap(), "--bindir", &bindir, "--scratch", &scratch, "--format", "json"];
    ground.person().variable("PGUSER", "postgres").run(&[&fixed, arguments].concat()).await
}

fn done<'a>(repaired: &'a Value, what: &str) -> &'a Value {
    let steps = repaired["steps"].as_array().unwrap();
    steps.iter().find(|step| step["do"] == what).unwrap_or_else(|| panic!("no step {what}: {repaired:#}"))
}

#[tokio::test]
async fn index_maps_and_table_are_mended_without_loss() {
    let mut ground = Ground::new().await;
    let sum = ground.sum().await;
    ground.cluster.psql("vacuum t").await;
    ground.cluster.psql("checkpoint").await;
    let (table, index) = (ground.path_of("t").await, ground.path_of("t_n").await);
    let map = |fork: &str| PathBuf::from(format!("{}_{fork}", table.display()));
    ground.cluster.stop().await;
    damage(&table, 3);
    damage(&index, 1);
    damage(&map("vm"), 0);
    damage(&map("fsm"), 0);
    ground.cluster.start_again().await;
    let file = ground.dir.path().join("report.json");
    let report = verified(ground.data(), &file, 1).await;
    assert_eq!(report["errors"].as_array().unwrap().len(), 4, "{report:#}");

    let planned = repair(&ground, &file, &["--dry-run"]).await.ends(0).json();
    // Without the table's lock its pages wait, and everything that has to read them.
    for what in ["restore_pages", "reindex", "rebuild_visibility_map", "rebuild_free_space_map"] {
        assert!(done(&planned, what)["waits"].is_string(), "{planned:#}");
    }
    repair(&ground, &file, &[]).await.ends(1);
    let planned = repair(&ground, &file, &["--dry-run", "--online"]).await.ends(0).json();
    assert!(planned["steps"].as_array().unwrap().iter().all(|step| step["waits"].is_null()), "{planned:#}");
    let second = repair(&ground, &file, &["--online", "--backup-first"]).await.ends(0).json();
    assert!(second["backup"].is_string() && done(&second, "restore_pages")["good"] == true, "{second:#}");
    verified(ground.data(), &file, 0).await;
    assert_eq!(ground.sum().await, sum);
    assert_eq!(ground.cluster.psql("set enable_seqscan = off; select n from t where n = 500").await, "500");
    repair(&ground, &file, &[]).await.ends(0).says(&["nothing to mend"]);
}

#[tokio::test]
async fn a_stopped_server_gets_its_pages_back_by_the_report_alone() {
    let mut ground = Ground::new().await;
    let (sum, table) = (ground.sum().await, ground.path_of("t").await);
    ground.cluster.stop().await;
    damage(&table, 2);
    damage(&table, 5);
    let file = ground.dir.path().join("report.json");
    verified(ground.data(), &file, 1).await;
    let repaired = repair(&ground, &file, &[]).await.ends(0).json();
    assert_eq!(repaired["verification"]["verdict"], "clean", "{repaired:#}");
    ground.cluster.start_again().await;
    assert_eq!(ground.sum().await, sum);
}

#[tokio::test]
async fn without_a_backup_rows_are_given_up_only_when_that_was_asked_for() {
    let mut cluster = Cluster::start(15).await;
    cluster.psql("create table t as select n, repeat('x', 100) as x from generate_series(1, 1000) as n").await;
    cluster.psql("create index t_n on t (n)").await;
    cluster.psql("checkpoint").await;
    let on_page = cluster.psql("select count(*) from t where (ctid::text::point)[0] = 3").await;
    let path = cluster.data_directory().join(cluster.psql("select pg_relation_filepath('t')").await);
    cluster.stop().await;
    damage(&path, 3);
    cluster.start_again().await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("report.json");
    let data = cluster.data_directory().to_str().unwrap().to_owned();
    verified(&data, &file, 1).await;
    let repair = async |arguments: &[&str]| {
        let fixed = ["repair", "--corruption-report", file.to_str().unwrap(), "--format", "json"];
        Person::with(&[]).variable("PGUSER", "postgres").run(&[&fixed, arguments].concat()).await
    };
    let told = repair(&[]).await.ends(1).json();
    assert!(done(&told, "by_hand")["why"].to_string().contains("--salvage"), "{told:#}");
    assert_eq!(cluster.psql("select count(*) from pg_class where relname like 't_salvaged%'").await, "0");
    let salvaged = repair(&["--salvage"]).await.ends(1).json();
    assert_eq!(done(&salvaged, "salvage")["good"], true, "{salvaged:#}");
    let into = cluster.psql("select relname from pg_class where relname like 't_salvaged%'").await;
    let left = (1000 - on_page.parse::<u32>().unwrap()).to_string();
    assert_eq!(cluster.psql(&format!("select count(*) from {into}")).await, left);
    let zeroed = repair(&["--zero-pages"]).await.ends(0).json();
    assert!(done(&zeroed, "zero_pages")["risk"].to_string().contains("ARE LOST"), "{zeroed:#}");
    assert_eq!(cluster.psql("select count(x) from t").await, left);
    verified(&data, &file, 0).await;
    Person::with(&[]).run(&["repair", "--corruption-report", "/nonexistent"]).await.ends(66).says(&["the report cannot be read"]);
}
