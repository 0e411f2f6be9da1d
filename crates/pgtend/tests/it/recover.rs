//! `pgtend recover` over real servers that do not start: what is missing is brought, the directory is only read, and nothing is lost without a word.

use crate::cli::{Person, Told};
use crate::harness::Cluster;
use crate::wal::{Archive, switch};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A server that was killed, with a table of 1,000 rows, and an archive of its WAL beside it.
struct Ground {
    cluster: Cluster,
    archive: tempfile::TempDir,
}

impl Ground {
    async fn new() -> Self {
        let archive = tempfile::Builder::new().prefix("pgtend-recover-").tempdir().unwrap();
        fs::set_permissions(archive.path(), fs::Permissions::from_mode(0o777)).unwrap();
        let command = format!("cp %p {}/%f", archive.path().display());
        let builder = Cluster::builder(15).config("archive_mode = on").config(format!("archive_command = '{command}'"));
        let mut cluster = builder.config("wal_keep_size = 1GB").start().await;
        cluster.psql("create table t as select generate_series(1, 500) as n").await;
        cluster.psql("checkpoint").await;
        switch(&cluster).await;
        cluster.psql("insert into t select generate_series(501, 1000)").await;
        cluster.kill().await;
        Self { cluster, archive }
    }

    fn data(&self) -> &Path {
        self.cluster.data_directory()
    }

    fn archived(&self, name: &str) -> PathBuf {
        self.archive.path().join(name)
    }

    /// The segment where replay begins.
    async fn first_segment(&self) -> String {
        let output = self.cluster.client("pg_controldata").arg(self.data()).output().await.unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let line = text.lines().find(|line| line.starts_with("Latest checkpoint's REDO WAL file")).unwrap();
        line.split_whitespace().last().unwrap().to_owned()
    }

    async fn recover(&self, arguments: &[&str]) -> Told {
        recover(&self.cluster, arguments).await
    }
}

/// Runs it, again while processes of the killed server are still on their way out.
async fn recover(cluster: &Cluster, arguments: &[&str]) -> Told {
    let data = cluster.data_directory().to_str().unwrap();
    let bindir = cluster.bindir().display().to_string();
    let whole = [&["recover", "--data", data, "--bindir", &bindir, "--format", "json"], arguments].concat();
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let told = Person::with(&[]).run(&whole).await;
        if told.code != 65 || Instant::now() > deadline {
            return told;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

fn kinds(report: &Value) -> Vec<&str> {
    report["findings"].as_array().unwrap().iter().map(|finding| finding["kind"].as_str().unwrap()).collect()
}

fn text(value: &Value) -> String {
    value.to_string()
}

#[tokio::test]
async fn missing_wal_is_brought_and_nothing_is_lost() {
    let mut ground = Ground::new().await;
    let first = ground.first_segment().await;
    fs::copy(ground.data().join("pg_wal").join(&first), ground.archived(&first)).unwrap();
    fs::remove_file(ground.data().join("pg_wal").join(&first)).unwrap();
    let listed = || fs::read_dir(ground.data()).unwrap().count();
    let before = listed();

    let planned = ground.recover(&["--dry-run"]).await.ends(0).json();
    assert_eq!(planned["outcome"], "planned", "{planned:#}");
    let report = ground.recover(&[]).await.ends(2).json();
    assert!(kinds(&report).contains(&"wal_missing") && report["copy"].is_null(), "{report:#}");
    assert!(text(&report["next"]).contains("pg_resetwal -f -D") && text(&report["next"]).contains(&first), "{report:#}");
    assert_eq!(listed(), before, "the directory itself is only read");

    let output = ground.archived("report.json");
    let archive = ground.archive.path().to_str().unwrap();
    let report = ground.recover(&["--wal", archive, "--swap", "--output-report", output.to_str().unwrap()]).await.ends(0).json();
    assert_eq!(report["outcome"], "recovered", "{report:#}");
    assert_eq!(report["verification"]["verdict"], "clean", "{report:#}");
    assert_eq!(report, serde_json::from_slice::<Value>(&fs::read(&output).unwrap()).unwrap());
    ground.cluster.start_again().await;
    assert_eq!(ground.cluster.psql("select count(*) from t").await, "1000");
}

#[tokio::test]
async fn what_only_keeps_it_from_starting_is_told_with_its_remedy_and_mended_in_the_copy() {
    let mut ground = Ground::new().await;
    let data = ground.data().to_owned();
    fs::write(data.join("postgresql.auto.conf"), "work_mem = \n").unwrap();
    fs::remove_dir_all(data.join("pg_notify")).unwrap();
    fs::set_permissions(&data, fs::Permissions::from_mode(0o755)).unwrap();
    let report = ground.recover(&["--swap"]).await.ends(0).json();
    for kind in ["mode", "directories", "configuration", "stale_pid", "crashed"] {
        assert!(kinds(&report).contains(&kind), "{kind}: {report:#}");
    }
    assert!(text(&report["findings"]).contains(&format!("chmod 0700 {}", data.display())), "{report:#}");
    ground.cluster.start_again().await;
    assert_eq!(ground.cluster.psql("select count(*) from t").await, "1000");
}

#[tokio::test]
async fn a_damaged_control_file_comes_from_the_repository_with_all_wal_since() {
    let archive = Archive::new();
    let mut cluster = archive.server(15).await;
    let agent = archive.agent(&cluster, "").await;
    cluster.psql("create table t as select generate_series(1, 500) as n").await;
    let person = Person::over_socket(&agent);
    person.run(&["backup", "run"]).await.ends(0);
    switch(&cluster).await;
    cluster.psql("insert into t select generate_series(501, 900)").await;
    cluster.psql("checkpoint").await;
    // What was written last is in pg_wal alone.
    cluster.psql("insert into t select generate_series(901, 1000)").await;
    cluster.kill().await;
    let control = cluster.data_directory().join("global/pg_control");
    let mut bytes = fs::read(&control).unwrap();
    bytes[100] ^= 0xFF;
    fs::write(&control, bytes).unwrap();
    let alone = recover(&cluster, &[]).await.ends(2).json();
    assert!(kinds(&alone).contains(&"control_damaged") && text(&alone["next"]).contains("-x 1048576 -m 65536,1 -O 52352"), "{alone:#}");
    let socket = agent.socket().display().to_string();
    let report = recover(&cluster, &["--wal", "repository", "--socket", &socket, "--swap"]).await.ends(0).json();
    assert_eq!(report["outcome"], "recovered", "{report:#}");
    cluster.start_again().await;
    assert_eq!(cluster.psql("select count(*) from t").await, "1000");
}

#[tokio::test]
async fn what_loses_data_is_done_only_when_that_is_allowed() {
    let ground = Ground::new().await;
    let data = ground.data();
    fs::remove_file(data.join("pg_xact/0000")).unwrap();
    let report = ground.recover(&[]).await.ends(2).json();
    assert!(kinds(&report).contains(&"slru") && text(&report["next"]).contains("--aggressive"), "{report:#}");
    // A page of the table that is damaged is left out of the dump.
    let copy = ground.archive.path().join("copy");
    let report = ground.recover(&["--aggressive", "--copy-to", copy.to_str().unwrap()]).await.ends(1).json();
    assert_eq!(report["outcome"], "recovered_with_loss", "{report:#}");
    let lossy: Vec<&str> =
        report["steps"].as_array().unwrap().iter().filter(|step| step["lossy"] == true).map(|step| step["do"].as_str().unwrap()).collect();
    assert!(lossy.contains(&"fill_slru"), "{report:#}");
    assert!(copy.join("data/global/pg_control").exists() && !data.join("pg_xact/0000").exists());
}

#[tokio::test]
async fn damaged_pages_are_told_and_the_rest_is_dumped() {
    let mut ground = Ground::new().await;
    // Replay would mend what it writes; so the server stops cleanly first.
    ground.cluster.start_again().await;
    let path = ground.data().join(ground.cluster.psql("select pg_relation_filepath('t')").await);
    ground.cluster.stop().await;
    let mut bytes = fs::read(&path).unwrap();
    bytes[8192 + 4000] ^= 0x10;
    fs::write(&path, bytes).unwrap();
    let report = ground.recover(&[]).await.ends(1).json();
    assert!(report["salvage"].is_null() && text(&report["lost"]).contains("1 damaged"), "{report:#}");
    let report = ground.recover(&["--aggressive", "--copy-to", ground.archived("copy").to_str().unwrap()]).await.ends(1).json();
    let dump = PathBuf::from(report["salvage"].as_str().unwrap()).join("postgres.dump");
    let listed = ground.cluster.client("pg_restore").args(["-a", "-f", "-", "-t", "t"]).arg(&dump).output().await.unwrap();
    let rows = String::from_utf8(listed.stdout).unwrap().lines().filter(|line| line.parse::<u32>().is_ok()).count();
    assert!((500..1000).contains(&rows), "{rows} rows are left: {report:#}");
}

#[tokio::test]
async fn it_is_for_servers_that_do_not_run() {
    let cluster = Cluster::start(15).await;
    let data = cluster.data_directory().to_str().unwrap();
    Person::with(&[]).run(&["recover", "--data", data]).await.ends(65).says(&["works in this directory", "pgtend verify"]);
    Person::with(&[]).run(&["recover", "--data", "/nonexistent"]).await.ends(66).says(&["no such directory"]);
    Person::with(&[]).run(&["recover", "--data", "/tmp"]).await.ends(66).says(&["not a PostgreSQL data directory"]);
}
