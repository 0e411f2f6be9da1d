//! `pgtend verify` over real servers: what is sound is called sound, what is damaged is named, what was not looked at is said.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use pgtend_postgres::files::page::checksum;
use serde_json::Value;

use crate::cli::{Person, Told};
use crate::harness::{Agent, Cluster, servers};

const MAJORS: [u32; 6] = [13, 14, 15, 16, 17, 18];
const PAGE: u64 = 8192;

/// Verifies a cluster's directory; what is not said by the arguments is found out.
async fn verify(cluster: &Cluster, arguments: &[&str]) -> Told {
    let data = cluster.data_directory().to_str().unwrap();
    let asked = [&["verify", "--data", data, "--format", "json"], arguments].concat();
    Person::with(&[]).variable("PGUSER", "postgres").run(&asked).await
}

async fn with_table(major: u32) -> Cluster {
    let cluster = Cluster::start(major).await;
    cluster.psql("create table orders (id int primary key, note text)").await;
    cluster.psql("insert into orders select n, 'order ' || lpad(n::text, 6, '0') from generate_series(1, 20000) as n").await;
    cluster.psql("create index orders_note on orders (note)").await;
    cluster.psql("checkpoint").await;
    cluster
}

async fn path_of(cluster: &Cluster, relation: &str) -> PathBuf {
    cluster.data_directory().join(cluster.psql(&format!("select pg_relation_filepath('{relation}')")).await)
}

fn open(path: &Path) -> File {
    File::options().read(true).write(true).open(path).unwrap()
}

/// Flips a bit in the middle of a page.
fn flip(path: &Path, page: u64) {
    let (file, at) = (open(path), page * PAGE + 5000);
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 0x10], at).unwrap();
}

fn errors(report: &Value) -> &Vec<Value> {
    report["errors"].as_array().unwrap()
}

fn kinds(report: &Value, list: &str) -> Vec<String> {
    let key = if list == "unchecked" { "what" } else { "kind" };
    report[list].as_array().unwrap().iter().map(|entry| entry[key].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn sound_servers_are_clean_running_and_stopped() {
    for major in MAJORS {
        let mut cluster = with_table(major).await;
        let report = verify(&cluster, &["--quick"]).await.ends(0).json();
        assert_eq!((report["verdict"].as_str(), report["server"].as_str()), (Some("clean"), Some("running")), "{report:#}");
        assert!(report["checked"]["pages"].as_u64() > Some(500), "{report:#}");
        cluster.stop().await;
        let report = verify(&cluster, &["--parallel", "2"]).await.ends(0).json();
        assert_eq!((report["server"].as_str(), report["version"].as_u64()), (Some("stopped"), Some(u64::from(major))), "{report:#}");
        assert_eq!(report["checked"]["pages"], report["checked"]["pages_of_all"]);
        verify(&cluster, &["--quick"]).await.ends(0);
    }
}

#[tokio::test]
async fn a_flipped_bit_is_named_while_the_server_runs() {
    let cluster = with_table(15).await;
    let path = path_of(&cluster, "orders").await;
    flip(&path, 3);
    let report = verify(&cluster, &[]).await.ends(1).json();
    let [error] = &errors(&report)[..] else { panic!("{report:#}") };
    for (key, value) in [("type", "checksum_mismatch"), ("database", "postgres"), ("relation", "public.orders"), ("fork", "main")] {
        assert_eq!(error[key], value, "{error:#}");
    }
    assert_eq!((error["block"].as_u64(), error["offset_bytes"].as_u64()), (Some(3), Some(3 * PAGE)));
    assert!(path.ends_with(error["file"].as_str().unwrap()), "{error:#}");
    assert_ne!(error["expected"], error["found"]);

    let only = verify(&cluster, &["--relation", "public.orders"]).await.ends(1).json();
    // The table, its two indexes, its TOAST table and that one's index; the free space map may not be made yet.
    assert!((5..=6).contains(&only["checked"]["files"].as_u64().unwrap()), "{only:#}");
    verify(&cluster, &["--relation", "public.nothing"]).await.ends(66).says(&["public.nothing"]);
    let shown = Person::directly(&cluster.dsn()).run(&["verify"]).await.ends(1);
    shown.shows(&["checksum mismatch", "public.orders", "damaged: 1 errors"]);
}

#[tokio::test]
async fn it_agrees_with_pg_checksums() {
    let mut cluster = with_table(15).await;
    let paths = [path_of(&cluster, "orders").await, path_of(&cluster, "orders_pkey").await];
    cluster.stop().await;
    flip(&paths[0], 3);
    flip(&paths[0], 90);
    flip(&paths[1], 2);
    // A page that was allocated and never used is sound to both.
    let length = fs::metadata(&paths[1]).unwrap().len();
    open(&paths[1]).set_len(length + PAGE).unwrap();

    let output = tempfile::tempdir().unwrap();
    let file = output.path().join("report.json");
    let report = verify(&cluster, &["--output", file.to_str().unwrap()]).await.ends(1).json();
    assert_eq!(report, serde_json::from_slice::<Value>(&fs::read(&file).unwrap()).unwrap());
    assert_eq!(report["checked"]["new_pages"], 1);
    assert!(kinds(&report, "notices").contains(&"names_unknown".to_owned()), "{report:#}");

    let peer = cluster.client("pg_checksums").args(["--check", "-D"]).arg(cluster.data_directory()).output().await.unwrap();
    let told = String::from_utf8(peer.stderr).unwrap();
    assert_eq!(told.lines().filter(|line| line.contains("checksum verification failed")).count(), 3, "{told}");
    for error in errors(&report) {
        let place =
            format!("file \"{}\", block {}", cluster.data_directory().join(error["file"].as_str().unwrap()).display(), error["block"]);
        let sums = format!(
            "calculated checksum {:X} but block contains {:X}",
            error["found"].as_u64().unwrap(),
            error["expected"].as_u64().unwrap()
        );
        assert!(told.lines().any(|line| line.contains(&place) && line.ends_with(&sums)), "{place}: {sums} in {told}");
    }
    let scanned = String::from_utf8(peer.stdout).unwrap();
    let pages = scanned.lines().find_map(|line| line.strip_prefix("Blocks scanned:")).unwrap().trim();
    assert_eq!(report["checked"]["pages"].to_string(), pages);
}

#[tokio::test]
async fn what_is_being_written_is_not_called_damaged() {
    let cluster = Cluster::builder(15)
        .config("shared_buffers = '1MB'")
        .config("bgwriter_delay = '10ms'")
        .config("bgwriter_lru_maxpages = 1000")
        .config("checkpoint_timeout = '30s'")
        .start()
        .await;
    cluster.pgbench(&["-i", "-q", "-s", "5"]).await;
    let mut load =
        cluster.client("pgbench").args(["-n", "-c", "4", "-j", "1", "-T", "60"]).stdout(std::process::Stdio::null()).spawn().unwrap();
    let mut pages = 0;
    for _ in 0..12 {
        let report = verify(&cluster, &[]).await.ends(0).json();
        pages += report["checked"]["pages"].as_u64().unwrap();
    }
    assert!(load.try_wait().unwrap().is_none(), "the load ended early");
    assert!(pages > 12 * 8000, "{pages}");
    load.kill().await.unwrap();
}

#[tokio::test]
async fn missing_and_empty_files_are_told_apart() {
    let mut cluster = with_table(15).await;
    let path = path_of(&cluster, "orders").await;
    cluster.stop().await;
    // A table of more than two gigabytes, most of it never used, whose second file is gone.
    let full = 1 << 30;
    open(&path).set_len(full).unwrap();
    let third = PathBuf::from(format!("{}.2", path.display()));
    fs::write(&third, vec![0; 8192]).unwrap();
    let report = verify(&cluster, &["--quick"]).await.ends(1).json();
    let [error] = &errors(&report)[..] else { panic!("{report:#}") };
    assert_eq!(error["type"], "missing_segment");
    assert!(error["file"].as_str().unwrap().ends_with(".1"), "{error:#}");
    // Empty files may be left after a table was cut.
    fs::write(&third, []).unwrap();
    verify(&cluster, &["--quick"]).await.ends(0);
    open(&path).set_len(100 * PAGE + 10).unwrap();
    let report = verify(&cluster, &["--quick"]).await.ends(1).json();
    assert_eq!(errors(&report)[0]["type"], "partial_page");
}

#[tokio::test]
async fn a_page_that_says_it_is_new_has_to_be_empty() {
    let mut cluster = with_table(15).await;
    let path = path_of(&cluster, "orders").await;
    let file = open(&path);
    let length = file.metadata().unwrap().len();
    file.set_len(length + 2 * PAGE).unwrap();
    cluster.stop().await;
    file.write_all_at(b"x", length + PAGE + 4000).unwrap();
    let report = verify(&cluster, &[]).await.ends(1).json();
    let [error] = &errors(&report)[..] else { panic!("{report:#}") };
    assert_eq!((error["type"].as_str(), error["block"].as_u64()), (Some("new_page_not_zero"), Some(length / PAGE + 1)));
}

#[tokio::test]
async fn amcheck_finds_what_checksums_cannot_and_says_what_it_needs() {
    let mut cluster = with_table(15).await;
    let said = verify(&cluster, &["--full"]).await.ends(2).json();
    assert_eq!(said["verdict"], "incomplete");
    assert!(said["unchecked"][0]["hint"].as_str().unwrap().contains("create extension amcheck"), "{said:#}");
    cluster.psql("create extension amcheck").await;
    cluster.psql("drop database if exists template2").await;
    let good = verify(&cluster, &["--full"]).await.json();
    assert_eq!(errors(&good).len(), 0);
    assert!(good["checked"]["indexes"].as_u64() > Some(50) && good["checked"]["tables"].as_u64() > Some(50), "{good:#}");
    assert_eq!(kinds(&good, "unchecked"), ["indexes and tables of database template1"], "template0 takes no connections");

    let index = path_of(&cluster, "orders_note").await;
    cluster.stop().await;
    wrong_key(&index);
    cluster.start_again().await;
    verify(&cluster, &[]).await.ends(0);
    let report = verify(&cluster, &["--full"]).await.ends(1).json();
    let [error] = &errors(&report)[..] else { panic!("{report:#}") };
    assert_eq!((error["type"].as_str(), error["relation"].as_str()), (Some("index_corrupt"), Some("public.orders_note")));
    assert_eq!(error["relation_kind"], "index");
    let parents = verify(&cluster, &["--full", "--parent-check", "--relation", "public.orders"]).await.ends(1).json();
    assert_eq!(errors(&parents)[0]["type"], "index_corrupt");
    assert_eq!(parents["checked"]["indexes"], 3, "two of the table and one of its long values: {parents:#}");
}

/// Puts a key out of order into a leaf page of the index, with a right checksum: what a broken collation does.
fn wrong_key(index: &Path) {
    let mut bytes = fs::read(index).unwrap();
    let key = b"order 010007";
    let at = bytes.windows(key.len()).position(|window| window == key).unwrap();
    bytes[at] = b'z';
    let block = at / PAGE as usize;
    let page = &mut bytes[block * PAGE as usize..(block + 1) * PAGE as usize];
    let sum = checksum(page, u32::try_from(block).unwrap());
    page[8..10].copy_from_slice(&sum.to_le_bytes());
    let page = page.to_vec();
    open(index).write_all_at(&page, block as u64 * PAGE).unwrap();
}

#[tokio::test]
async fn files_that_belong_to_nothing_are_a_notice() {
    let cluster = with_table(15).await;
    let path = path_of(&cluster, "orders").await;
    let orphan = path.with_file_name("4000000000");
    let status = std::process::Command::new("cp").arg("-a").arg(&path).arg(&orphan).status().unwrap();
    assert!(status.success());
    let old = SystemTime::now() - Duration::from_secs(3600);
    open(&orphan).set_modified(old).unwrap();
    let report = verify(&cluster, &[]).await.ends(0).json();
    let notices: Vec<&str> = report["notices"].as_array().unwrap().iter().map(|notice| notice["text"].as_str().unwrap()).collect();
    assert!(notices.len() == 1 && notices[0].contains("4000000000"), "{notices:?}");
}

#[tokio::test]
async fn what_was_not_checked_is_said_plainly() {
    let mut cluster = with_table(15).await;
    cluster.stop().await;
    let disable = cluster.client("pg_checksums").args(["--disable", "-D"]).arg(cluster.data_directory()).output().await.unwrap();
    assert!(disable.status.success());
    let report = verify(&cluster, &[]).await.ends(2).json();
    assert_eq!((report["checksums"].as_bool(), report["verdict"].as_str()), (Some(false), Some("incomplete")));
    assert_eq!(kinds(&report, "unchecked"), ["page checksums"]);

    let missing = Person::with(&[]).run(&["verify", "--data", "/nonexistent/pgtend"]).await.ends(66);
    missing.says(&["not a PostgreSQL data directory"]);
    Person::with(&[]).run(&["verify"]).await.ends(64).says(&["--data"]);
    Person::with(&[]).run(&["verify", "--data", "/tmp", "--output", "/nonexistent/report.json"]).await.ends(71).says(&["report"]);
}

#[tokio::test]
async fn a_directory_and_another_server_are_not_mixed_up() {
    let here = Cluster::builder(15).initdb(&[]).start().await;
    let there = Cluster::builder(15).initdb(&[]).start().await;
    let told = Person::directly(&there.dsn()).run(&["verify", "--data", here.data_directory().to_str().unwrap()]).await;
    told.ends(65).says(&["is not the one of this data directory"]);
    assert!(servers::tool("psql").exists());
}

#[tokio::test]
async fn a_crash_is_told_apart_from_a_clean_stop() {
    let mut cluster = with_table(15).await;
    cluster.kill().await;
    // The postmaster's children may live a moment longer than it.
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let report = verify(&cluster, &[]).await.json();
        if report["server"] == "needs_recovery" {
            assert!(kinds(&report, "notices").contains(&"needs_recovery".to_owned()), "{report:#}");
            return;
        }
        assert!(report["server"] == "running" && Instant::now() < deadline, "{report:#}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test]
async fn the_agent_verifies_and_remembers_what_it_found() {
    let mut cluster = with_table(15).await;
    let mut agent = Agent::beside(&cluster).await;
    let person = Person::over_socket(&agent);
    let never = agent.get("/api/v1/verify").await;
    assert!(never["last"].is_null() && never["next"].is_string(), "{never:#}");
    person.run(&["verify", "--quick"]).await.ends(0).shows(&["clean: nothing is damaged"]);
    assert!(agent.get("/api/v1/verify").await["last_clean_at"].is_null(), "a sample does not make a server clean");
    person.run(&["verify", "--server", "main"]).await.ends(0);
    let clean_at = agent.get("/api/v1/verify").await["last_clean_at"].clone();
    assert!(clean_at.is_string());

    let path = path_of(&cluster, "orders").await;
    flip(&path, 3);
    let report = person.run(&["verify", "--parallel", "2", "--format", "json"]).await.ends(1).json();
    assert_eq!((errors(&report)[0]["relation"].as_str(), errors(&report)[0]["block"].as_u64()), (Some("public.orders"), Some(3)));
    // What it found outlives it, and a server that does not run is read all the same.
    agent.kill();
    cluster.stop().await;
    agent.start_again().await;
    let kept = agent.get("/api/v1/verify").await;
    assert_eq!((&kept["last"]["report"], &kept["last_clean_at"]), (&report, &clean_at));
    assert!(agent.get("/api/v1/verify?report=false").await["last"]["report"].is_null());
    let report = person.run(&["verify", "--format", "json"]).await.ends(1).json();
    assert_eq!((report["server"].as_str(), errors(&report).len()), (Some("stopped"), 1), "{report:#}");
    person.run(&["verify", "--relation", "nothing/at/all"]).await.ends(64).says(&["no file of a relation"]);
    person.run(&["verify", "--server", "other"]).await.ends(66).says(&["no server is named"]);
}
