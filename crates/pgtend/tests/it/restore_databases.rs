//! `pgtend restore --db`: a physical backup of which some databases are brought back.

use crate::harness::Cluster;
use crate::restore::Ground;
use crate::wal::{archived, switch};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Stdio;

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
    let load = |more: &[&str]| {
        ground.cluster.client("pgbench").args(["-n", "-c", "2", "-T", "600"]).args(more).stdout(Stdio::null()).spawn().unwrap()
    };
    // Few pages of the one that is left out are to come back by replay.
    let mut loads = [load(&["shop"]), load(&["-R", "10", "archive"])];
    ground.backup().await;
    let before = in_shop(&ground, "select count(*) from pgbench_history").await;
    let more = format!("select count(*) > {before} + 200 from pgbench_history");
    while in_shop(&ground, &more).await != "t" {}
    for load in &mut loads {
        load.kill().await.unwrap();
    }
    ground.cluster.wait_for("select count(*) = 0 from pg_stat_activity where application_name = 'pgbench'").await;
    ground
}

async fn in_shop(ground: &Ground, sql: &str) -> String {
    let options = ["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "-c", sql, "shop"];
    let output = ground.cluster.client("psql").args(options).output().await.unwrap();
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
