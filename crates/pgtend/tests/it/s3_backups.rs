//! Backups, WAL and restores in a bucket, through the agent and the command line, on a good way and on a bad one.

use crate::backup::ask;
use crate::harness::{Agent, Cluster, Fault, Proxy, S3 as Server};
use crate::wal::{Archive, archived, switch};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Output};

const PGTEND: &str = env!("CARGO_BIN_EXE_pgtend");

/// A server under an agent whose repository is a bucket.
pub struct Ground {
    pub cluster: Cluster,
    pub agent: Agent,
    pub proxy: Proxy,
    archive: Archive,
    server: Server,
    dir: tempfile::TempDir,
}

impl Ground {
    pub async fn new() -> Self {
        let server = Server::start().await;
        let proxy = Proxy::before(server.port());
        let dir = tempfile::Builder::new().prefix("pgtend-s3-").tempdir_in("/tmp").unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let secret = dir.path().join("secret");
        fs::write(&secret, "a secret\n").unwrap();
        fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
        let archive = Archive::new();
        let cluster = archive.server(15).await;
        let config = format!(
            "[backup]\nwal_socket = \"{}\"\nschedule = \"off\"\n[[backup.repository]]\nurl = \"s3://history/pg\"\nendpoint = \"{}\"\nregion = \"us-east-1\"\n\
             access_key_id = \"AKIATEST\"\nsecret_access_key_file = \"{}\"\ntimeout = \"2s\"\nretry_for = \"8s\"\nkeep_count = 1\nkeep_days = 0\n",
            archive.socket().display(),
            proxy.endpoint(),
            secret.display()
        );
        let agent = Agent::builder().beside("main", &cluster, "").config(&config).start().await;
        Self { cluster, agent, proxy, archive, server, dir }
    }

    pub fn pgtend(&self, arguments: &[&str]) -> Output {
        Command::new(PGTEND).arg("--socket").arg(self.agent.socket()).args(arguments).output().unwrap()
    }

    fn json(&self, arguments: &[&str]) -> Value {
        let output = self.pgtend(&[arguments, &["--format", "json"]].concat());
        assert!(output.status.success(), "{arguments:?}: {}{}", String::from_utf8_lossy(&output.stderr), self.agent.log());
        serde_json::from_slice(&output.stdout).unwrap()
    }

    fn refused(&self, arguments: &[&str]) -> String {
        let output = self.pgtend(arguments);
        assert!(!output.status.success(), "{arguments:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    /// How many rows a table has in a restored copy.
    fn restored(&self, name: &str, arguments: &[&str]) -> String {
        let (into, bindir) = (self.dir.path().join(name), self.cluster.bindir().display().to_string());
        self.json(&[&["restore", "--into", into.to_str().unwrap(), "--bindir", &bindir], arguments].concat());
        ask(&self.cluster, &into, "select count(*) from t")
    }

    fn backups(&self) -> Vec<String> {
        let list = self.json(&["backup", "list"]);
        assert_eq!(list["damaged"], serde_json::json!([]));
        list["backups"].as_array().unwrap().iter().map(|backup| backup["label"].as_str().unwrap().to_owned()).collect()
    }
}

#[tokio::test]
async fn a_bucket_is_a_repository_like_any_other() {
    let ground = Ground::new().await;
    let cluster = &ground.cluster;
    cluster.psql("create table t (n int)").await;
    let first = ground.json(&["backup", "run"])[0]["label"].as_str().unwrap().to_owned();
    cluster.psql("insert into t select generate_series(1, 3)").await;
    cluster.psql("select pg_create_restore_point('three')").await;
    cluster.psql("insert into t values (4)").await;
    archived(cluster, &switch(cluster).await).await;
    assert_eq!(ground.restored("three", &["--name", "three"]), "3");
    assert_eq!(ground.restored("latest", &[]), "4");

    let before = ground.server.keys().await;
    let second = ground.json(&["backup", "run"])[0]["label"].as_str().unwrap().to_owned();
    assert_eq!(ground.backups(), [second], "the retention took {first} away");
    let after = ground.server.keys().await;
    let gone = before.iter().any(|key| key.starts_with("pg/wal/") && !after.contains(key));
    assert!(gone, "and the WAL that only it needed: {after:?} after {before:?}");
    assert!(after.iter().any(|key| key.starts_with("pg/gc/")) || after.iter().filter(|key| key.starts_with("pg/packs/")).count() > 0);
    assert_eq!(ground.restored("again", &["--immediate"]), "4");
    assert!(ground.refused(&["restore", "--into", "/nonexistent/x", "--name", "three", "--backup", &first]).contains("there is no backup"));
}

#[tokio::test]
async fn a_bad_way_to_the_bucket_delays_a_backup_and_never_spoils_it() {
    let ground = Ground::new().await;
    ground.cluster.psql("create table t as select generate_series(1, 5) as n").await;
    let fail = |method, key, fault, times| ground.proxy.fail(method, key, fault, times);
    fail("PUT", "packs/", Fault::Answer(503, "SlowDown"), 2);
    fail("PUT", "packs/", Fault::LoseAnswer, 1);
    fail("PUT", "index/", Fault::Drop, 1);
    fail("PUT", "/head", Fault::LoseAnswer, 1);
    ground.json(&["backup", "run"]);
    assert!(ground.proxy.faults() >= 4, "{}", ground.proxy.faults());
    fail("GET", "packs/", Fault::CutAnswer, 2);
    fail("GET", "wal/", Fault::Answer(500, "InternalError"), 1);
    fail("GET", "index/", Fault::CutAnswer, 1);
    assert_eq!(ground.restored("cut", &["--immediate"]), "5");

    let before = ground.backups();
    ground.cluster.psql("insert into t select generate_series(6, 9)").await;
    for (key, fault, said) in [
        ("packs/", Fault::Answer(403, "AccessDenied"), "s3:PutObject"),
        ("packs/", Fault::Answer(503, "SlowDown"), "503 SlowDown"),
        ("/head", Fault::Answer(403, "AccessDenied"), "/head"),
    ] {
        fail("PUT", key, fault, 1000);
        let told = ground.refused(&["backup", "run"]);
        assert!(told.contains(said) && told.contains("s3://history/pg"), "{told}");
        ground.proxy.forgive();
        assert_eq!(ground.backups(), before, "what failed is no backup");
    }
    ground.json(&["backup", "run"]);
    assert_eq!(ground.restored("whole", &["--immediate"]), "9");
    fail("GET", "packs/", Fault::SpoilAnswer, 1000);
    let told = ground.refused(&["restore", "--into", ground.dir.path().join("spoilt").to_str().unwrap(), "--immediate"]);
    // Which byte was hit decides whether the pack is called damaged, or its key a stranger's.
    assert!(told.contains("packs/") || told.contains("does not open"), "{told}");
    assert!(!ground.dir.path().join("spoilt/global/pg_control").exists());
}

#[tokio::test]
async fn wal_waits_for_a_bucket_that_does_not_take_it_and_says_why() {
    let ground = Ground::new().await;
    let cluster = &ground.cluster;
    ground.proxy.fail("PUT", "wal/", Fault::Answer(503, "SlowDown"), 1);
    ground.proxy.fail("PUT", "wal/", Fault::Silence, 1);
    ground.proxy.fail("PUT", "wal/", Fault::LoseAnswer, 1);
    let first = switch(cluster).await;
    archived(cluster, &first).await;
    assert_eq!(ground.proxy.faults(), 3);

    ground.proxy.fail("PUT", "wal/", Fault::Answer(403, "AccessDenied"), 1000);
    let second = switch(cluster).await;
    cluster.wait_for("select failed_count > 0 from pg_stat_archiver").await;
    ground
        .agent
        .wait_for("the failure to be told", async |agent| {
            agent.get("/api/v1/wal").await["servers"][0]["archiving"]["failing_since"].is_string()
        })
        .await;
    let status = ground.pgtend(&["wal", "status"]);
    assert_eq!(status.status.code(), Some(1));
    let told = ground.agent.get("/api/v1/wal").await["servers"][0]["archiving"]["error"].to_string();
    assert!(told.contains("AccessDenied") || told.contains("s3:PutObject"), "{told}");
    ground.proxy.forgive();
    archived(cluster, &second).await;
    let keys = ground.server.keys().await;
    assert!([&first, &second].iter().all(|name| keys.iter().any(|key| key.ends_with(name.as_str()))), "{keys:?}");
    drop(ground.archive);
}
