//! `pgtend restore --db`: a physical backup of which some databases are brought back.

use crate::harness::{Builder, Cluster};
use crate::restore::Ground;
use crate::wal::{archived, switch};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

/// Everything in a database of pgbench.
const CONTENTS: &str = "select sum(hashtextextended(a::text, 0)) from pgbench_accounts a";

/// A server with pgbench in two databases, which changes them while they are backed up and afterwards.
async fn two_databases() -> Ground {
    let ground = Ground::new(15).await;
    for name in ["shop", "archive"] {
        ground.cluster.psql(&format!("create database {name}")).await;
        ground.cluster.pgbench(&["-i", "-s", "2", "-q", name]).await;
    }
    ground.cluster.psql("create database fleeting").await;
    ground.cluster.psql("drop database fleeting").await;
    let load = |more: &[&str]| ground.cluster.client("pgbench").args(["-n", "-c", "2"]).args(more).stdout(Stdio::null()).spawn().unwrap();
    // Few pages of the one that is left out are to come back by replay, however slow this machine is.
    let mut loads = [load(&["-T", "600", "shop"]), load(&["-R", "10", "-t", "100", "archive"])];
    ground.backup().await;
    let before = in_shop(&ground, "select count(*) from pgbench_history").await;
    let more = format!("select count(*) > {before} + 200 from pgbench_history");
    let deadline = Instant::now() + Duration::from_secs(60);
    while in_shop(&ground, &more).await != "t" {
        assert!(Instant::now() < deadline, "pgbench does nothing: {:?}", loads[0].try_wait());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for load in &mut loads {
        load.kill().await.unwrap();
    }
    ground.cluster.wait_for("select count(*) = 0 from pg_stat_activity where application_name = 'pgbench'").await;
    ground
}

async fn in_shop(ground: &Ground, sql: &str) -> String {
    of(&ground.cluster, "shop", sql).await
}

/// What a database answers.
async fn of(cluster: &Cluster, database: &str, sql: &str) -> String {
    let options = ["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "-c", sql, database];
    let output = cluster.client("psql").args(options).output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Bytes on the disk.
fn on_disk(path: &Path) -> u64 {
    let entries = std::fs::read_dir(path).unwrap().flatten();
    entries.map(|entry| entry.metadata().unwrap().blocks() * 512).sum()
}

#[tokio::test]
async fn one_database_is_brought_back_and_the_others_can_be_dropped() {
    let ground = two_databases().await;
    let contents = in_shop(&ground, CONTENTS).await;
    let oid = |name: &str| format!("select oid from pg_database where datname = '{name}'");
    let (shop, archive) = (ground.cluster.psql(&oid("shop")).await, ground.cluster.psql(&oid("archive")).await);
    let segment = switch(&ground.cluster).await;
    archived(&ground.cluster, &segment).await;

    let (whole, nothing) = ground.restore("nothing", &["--dry-run"]);
    let (part, _) = ground.restore("nothing", &["--dry-run", "--db", "shop"]);
    assert!(!nothing.exists() && part["bytes"].as_u64().unwrap() + 30_000_000 < whole["bytes"].as_u64().unwrap(), "{part:#} {whole:#}");

    let (told, data) = ground.restore("part", &["--db", "shop"]);
    assert!(told["reasons"].to_string().contains("only the files of shop"), "{told:#}");
    let next = told["next"].to_string();
    assert!(next.contains("DROP DATABASE \\\"archive\\\";") && !next.contains("fleeting"), "{next}");
    let (of_shop, of_archive) = (on_disk(&data.join("base").join(shop)), on_disk(&data.join("base").join(archive)));
    assert!(of_archive * 2 < of_shop, "{of_archive} of {of_shop}");
    let mut restored = Cluster::over(15, &data);
    restored.start_again().await;
    restored.psql("drop database archive").await;
    let answer = restored.client("psql").args(["-XAtc", CONTENTS, "shop"]).output().await.unwrap();
    assert_eq!(String::from_utf8_lossy(&answer.stdout).trim(), contents);
    restored.stop().await;
    // Over what is there, the others are emptied again.
    ground.restore("part", &["--db", "shop,postgres", "--delta"]);
    restored.start_again().await;
    let answer = restored.client("psql").args(["-XAtc", CONTENTS, "shop"]).output().await.unwrap();
    assert_eq!(String::from_utf8_lossy(&answer.stdout).trim(), contents);
}

#[tokio::test]
async fn a_left_out_database_lacks_pages_that_wal_has_no_image_of() {
    // Without checksums a page that becomes all-visible has no image in WAL; without full-page writes none has after the backup's end.
    for (major, full_page_writes) in [(15, "on"), (18, "off")] {
        let settings = format!("full_page_writes = {full_page_writes}");
        let describe = |builder: Builder| builder.initdb(&["--no-data-checksums"]).config("autovacuum = off").config(settings);
        let ground = Ground::with(major, describe).await;
        let cluster = &ground.cluster;
        assert_eq!(cluster.psql("show data_checksums").await, "off");
        for name in ["shop", "archive"] {
            cluster.psql(&format!("create database {name}")).await;
            of(cluster, name, "create table t as select n from generate_series(1, 5000) n").await;
        }
        ground.backup().await;
        for name in ["shop", "archive"] {
            of(cluster, name, "vacuum t").await;
            of(cluster, name, "delete from t where n % 100 = 0").await;
        }
        let segment = switch(cluster).await;
        archived(cluster, &segment).await;
        let (_, data) = ground.restore("part", &["--db", "shop"]);
        let mut restored = Cluster::over(major, &data);
        restored.start_again().await;
        assert_eq!(
            of(&restored, "shop", "select count(*), sum(n) from t").await,
            of(cluster, "shop", "select count(*), sum(n) from t").await
        );
        restored.psql("drop database archive").await;
        let (told, _) = ground.restore("files", &["--db", "shop", "--no-recovery"]);
        assert!(told["next"].to_string().contains("-o '-c ignore_invalid_pages=on' start"), "{told:#}");
    }
}

#[tokio::test]
async fn a_database_that_the_backup_does_not_have_is_refused_with_those_that_it_has() {
    let ground = Ground::new(15).await;
    ground.cluster.psql("create database shop").await;
    ground.cluster.psql("create database fleeting").await;
    ground.cluster.psql("drop database fleeting").await;
    ground.backup().await;
    let into = ground.path("refused");
    let refused = |arguments: &[&str]| {
        let output = ground.pgtend(&[&["restore", "--into", into.to_str().unwrap()], arguments].concat());
        assert!(!output.status.success() && !into.exists(), "{arguments:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    for unknown in ["shopp", "shop,nothing", "fleeting"] {
        let text = refused(&["--db", unknown]);
        assert!(text.contains("has no database \"") && text.contains("it has: postgres, shop;"), "{unknown}: {text}");
    }
    assert!(refused(&["--db", "shop", "--as-primary"]).contains("cannot be used with"));
    assert!(refused(&["--db", "shop", "--standby", "host=x"]).contains("cannot be used with"));
    let output = ground.pgtend(&["restore", "--db", "shop,postgres", "--into-db", "x"]);
    assert!(!output.status.success());
}

#[tokio::test]
async fn the_same_option_picks_the_dump_of_a_logical_backup() {
    let ground = Ground::new(15).await;
    ground.cluster.psql("create database shop").await;
    ground.backup().await;
    let logical = ground.json(&["backup", "run", "--logical"])[0].clone();
    let label = logical["label"].as_str().unwrap();
    let into = ground.path("dump");
    ground.json(&["restore", "--backup", label, "--db", "shop", "--into", into.to_str().unwrap()]);
    let mut names = Vec::new();
    let mut open = vec![into.clone()];
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(directory).unwrap().flatten() {
            if entry.path().is_dir() { open.push(entry.path()) } else { names.push(entry.path()) }
        }
    }
    assert!(names.iter().any(|path| path.ends_with("toc.dat")) && !names.iter().any(|path| path.ends_with("globals.sql")), "{names:?}");
    assert_eq!(names.iter().filter(|path| path.ends_with("toc.dat")).count(), 1, "{names:?}");
    let output = ground.pgtend(&["restore", "--backup", label, "--db", "nothing", "--into", ground.path("none").to_str().unwrap()]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("it has: postgres, shop, template1"), "{output:?}");
}
