//! `pgtend backup` and `pgtend restore` as somebody types them, over an agent that archives.

use crate::harness::{Agent, Builder, Cluster};
use crate::wal::{Archive, archived, switch};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

const PGTEND: &str = env!("CARGO_BIN_EXE_pgtend");

/// A server under an agent that archives and backs up.
pub struct Ground {
    archive: Archive,
    pub cluster: Cluster,
    pub agent: Agent,
    dir: tempfile::TempDir,
}

impl Ground {
    pub async fn new(major: u32) -> Self {
        Self::with(major, |builder| builder).await
    }

    /// The same over a server that is described.
    pub async fn with(major: u32, describe: impl FnOnce(Builder) -> Builder) -> Self {
        let archive = Archive::new();
        let cluster = describe(archive.builder(major)).start().await;
        let agent = archive.agent(&cluster, "schedule = \"0 3 * * *\"").await;
        let dir = tempfile::Builder::new().prefix("pgtend-restore-").tempdir_in("/tmp").unwrap();
        std::fs::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        Self { archive, cluster, agent, dir }
    }

    /// Runs a command.
    pub fn pgtend(&self, arguments: &[&str]) -> Output {
        Command::new(PGTEND).arg("--socket").arg(self.agent.socket()).args(arguments).output().unwrap()
    }

    /// What a command prints as JSON.
    pub fn json(&self, arguments: &[&str]) -> Value {
        let output = self.pgtend(&[arguments, &["--format", "json"]].concat());
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {said}{}", self.agent.log());
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stdout)))
    }

    /// A backup; the first one of the agent's own may be on its way.
    pub async fn backup(&self) -> Value {
        self.agent.wait_until("/api/v1/backups", "/work/0/last", |last| !last.is_null()).await;
        self.json(&["backup", "run"])[0].clone()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// What a restore tells, and where it went.
    pub fn restore(&self, name: &str, arguments: &[&str]) -> (Value, PathBuf) {
        let into = self.path(name);
        let bindir = self.cluster.bindir().display().to_string();
        let fixed = ["restore", "--into", into.to_str().unwrap(), "--bindir", &bindir];
        (self.json(&[&fixed, arguments].concat()), into)
    }

    /// One value out of a restored cluster.
    pub fn ask(&self, data: &Path, sql: &str) -> String {
        crate::backup::ask(&self.cluster, data, sql)
    }
}

#[tokio::test]
async fn recovery_ends_exactly_at_each_kind_of_target() {
    let ground = Ground::new(15).await;
    let cluster = &ground.cluster;
    cluster.psql("create table t (n int)").await;
    ground.backup().await;
    cluster.psql("insert into t values (1)").await;
    cluster.psql("select pg_create_restore_point('one')").await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    let time = cluster.psql("select now()").await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    cluster.psql("insert into t values (2)").await;
    let lsn = cluster.psql("select pg_current_wal_insert_lsn()").await;
    cluster.psql("insert into t values (3)").await;
    let xid = cluster.psql("insert into t values (4) returning pg_current_xact_id()").await;
    cluster.psql("insert into t values (5)").await;
    let segment = switch(cluster).await;
    archived(cluster, &segment).await;
    let xid = xid.lines().next().unwrap().trim();
    let cases: [(&str, &[&str], &str); 7] = [
        ("immediate", &["--immediate"], "0"),
        ("name", &["--name", "one"], "1"),
        ("time", &["--to", time.trim()], "1"),
        ("lsn", &["--lsn", lsn.trim()], "2"),
        ("xid", &["--xid", xid], "4"),
        ("before", &["--xid", xid, "--exclusive"], "3"),
        ("latest", &[], "5"),
    ];
    for (name, arguments, count) in cases {
        let (told, data) = ground.restore(name, arguments);
        assert_eq!(ground.ask(&data, "select count(*) from t"), count, "{name}: {told:#}");
        assert_eq!(told["recovered"]["timeline"], 2, "{told:#}");
    }
}

#[tokio::test]
async fn what_cannot_be_reached_is_refused_before_a_byte_is_written() {
    let ground = Ground::new(15).await;
    ground.backup().await;
    let refused = |arguments: &[&str]| {
        let into = ground.path("nothing");
        let output = ground.pgtend(&[&["restore", "--into", into.to_str().unwrap()], arguments].concat());
        assert!(!output.status.success() && !into.exists(), "{arguments:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    assert!(refused(&["--to", "2020-01-01T00:00:00Z"]).contains("is before backup"));
    assert!(refused(&["--to", "2099-01-01T00:00:00Z"]).contains("cannot be reached"));
    assert!(refused(&["--lsn", "FFFF/0"]).contains("cannot be reached"));
    assert!(refused(&["--backup", "20200101T000000Z"]).contains("there is no backup 20200101T000000Z"));
    assert!(refused(&["--timeline", "7"]).contains("no history of timeline 7"));
    assert!(refused(&["--tablespace-map", "99=/tmp/x"]).contains("has no tablespace"));
    let running = ground.cluster.data_directory().display().to_string();
    let output = ground.pgtend(&["restore", "--into", &running, "--delta"]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("runs in this directory"));
}

#[tokio::test]
async fn tablespaces_unlogged_tables_and_what_changes_meanwhile_come_back() {
    let ground = Ground::new(15).await;
    let cluster = &ground.cluster;
    let elsewhere = ground.path("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    crate::harness::account::Account::for_servers().own(&elsewhere);
    cluster.psql(&format!("create tablespace far location '{}'", elsewhere.display())).await;
    cluster.psql("create table far_away tablespace far as select n from generate_series(1, 20000) n").await;
    cluster.psql("create unlogged table fleeting as select n from generate_series(1, 100) n").await;
    cluster.pgbench(&["-i", "-s", "3", "-q"]).await;
    let mut load = cluster.client("pgbench").args(["-c", "4", "-T", "8"]).stdout(std::process::Stdio::null()).spawn().unwrap();
    let changes = [
        "drop table if exists gone",
        "create table gone (x int)",
        "truncate pgbench_history",
        "create index on pgbench_accounts (abalance)",
    ];
    for change in changes {
        cluster.psql(change).await;
    }
    let (backup, ()) = tokio::join!(ground.backup(), async {
        for change in changes.iter().cycle().take(12) {
            cluster.psql(change).await;
            cluster.psql("checkpoint").await;
        }
    });
    load.wait().await.unwrap();
    assert_eq!(backup["tablespaces"].as_array().unwrap().len(), 1, "{backup:#}");
    let contents = "select (select sum(abalance) from pgbench_accounts)::text || (select count(*) from far_away)";
    let expected = cluster.psql(contents).await;
    let segment = switch(cluster).await;
    archived(cluster, &segment).await;
    let (told, data) = ground.restore("whole", &[]);
    assert_eq!(ground.ask(&data, contents), expected.trim(), "{told:#}");
    assert_eq!(ground.ask(&data, "select count(*) from fleeting"), "0");
    let moved = told["tablespaces"].as_object().unwrap().values().next().unwrap().as_str().unwrap().to_owned();
    assert!(Path::new(&moved).exists() && moved != elsewhere.display().to_string());
    // Over the copy, which somebody damaged: what differs is mended, what does not belong goes.
    std::fs::write(data.join("base/stray"), "x").unwrap();
    let victim = data.join("PG_VERSION");
    std::fs::write(&victim, "99").unwrap();
    let oid = told["tablespaces"].as_object().unwrap().keys().next().unwrap().clone();
    let map = format!("{oid}={moved}");
    let (_, data) = ground.restore("whole", &["--delta", "--tablespace-map", &map]);
    assert_eq!(ground.ask(&data, contents), expected.trim());
    assert!(!data.join("base/stray").exists() && std::fs::read_to_string(victim).unwrap().trim() == "15");
}

#[tokio::test]
async fn without_an_agent_the_directory_and_its_key_are_enough_and_damage_is_told() {
    let mut ground = Ground::new(15).await;
    ground.cluster.psql("create table t as select n from generate_series(1, 1000) n").await;
    ground.backup().await;
    let key = ground.agent.state_directory().join("repository-main.key");
    ground.agent.kill();
    let repository = ground.archive.repository();
    let restore = |name: &str, key: &Path| {
        let (into, bindir) = (ground.path(name), ground.cluster.bindir());
        let mut command = Command::new(PGTEND);
        command.args(["restore", "--format", "json", "--immediate", "--into"]).arg(into).arg("--bindir").arg(bindir);
        command.arg("--from").arg(&repository).arg("--key-file").arg(key).output().unwrap()
    };
    let whole = restore("whole", &key);
    assert!(whole.status.success(), "{}", String::from_utf8_lossy(&whole.stderr));
    assert_eq!(ground.ask(&ground.path("whole"), "select count(*) from t"), "1000");

    let wrong = ground.path("wrong.key");
    std::fs::write(&wrong, pgtend_store::repo::keys::Identity::generate().key_file()).unwrap();
    let output = restore("wrong", &wrong);
    assert!(String::from_utf8_lossy(&output.stderr).contains("does not open this repository"));

    flip_a_bit_in_the_largest_pack(&repository);
    let output = restore("damaged", &key);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("damaged") && said.contains("packs/"), "{said}");
    assert!(ground.path("damaged").join("pgtend-restore-unfinished").exists());
    assert!(!ground.path("damaged").join("global/pg_control").metadata().is_ok_and(|metadata| metadata.len() == 0));
}

fn flip_a_bit_in_the_largest_pack(repository: &Path) {
    let mut packs: Vec<PathBuf> = std::fs::read_dir(repository.join("packs"))
        .unwrap()
        .flatten()
        .flat_map(|folder| std::fs::read_dir(folder.path()).unwrap().flatten().map(|entry| entry.path()))
        .collect();
    packs.sort_by_key(|path| std::fs::metadata(path).unwrap().len());
    let path = packs.pop().unwrap();
    let mut content = std::fs::read(&path).unwrap();
    let middle = content.len() / 2;
    content[middle] ^= 1;
    std::fs::write(path, content).unwrap();
}

#[tokio::test]
async fn backups_are_listed_expired_and_the_last_one_stays() {
    let ground = Ground::new(15).await;
    let first = ground.backup().await;
    let second = ground.backup().await;
    let list = ground.json(&["backup", "list"]);
    assert_eq!(list["backups"].as_array().unwrap().len(), 3, "{list:#}");
    assert!(second["stored_bytes"].as_u64() < first["bytes"].as_u64());
    let plan = ground.json(&["backup", "expire", "--dry-run"]);
    assert_eq!(plan[0]["removed"].as_array().unwrap().len(), 0, "{plan:#}");
    for backup in [&list["backups"][0], &first] {
        ground.json(&["backup", "delete", backup["label"].as_str().unwrap()]);
    }
    let last = second["label"].as_str().unwrap();
    let output = ground.pgtend(&["backup", "delete", last]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("is the only backup"), "{output:?}");
    let shown = ground.json(&["backup", "show", last]);
    assert_eq!(shown[0]["label"], last);
    let (_, data) = ground.restore("kept", &["--immediate"]);
    assert_eq!(ground.ask(&data, "select 1"), "1");
}

#[test]
fn a_repository_with_a_passphrase_is_made_by_hand() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).display().to_string();
    std::fs::write(path("passphrase"), "correct horse\n").unwrap();
    let config = format!(
        "[[server]]\nname = \"main\"\ndsn = \"\"\n[agent]\nstate_directory = \"{}\"\n[[backup.repository]]\npath = \"{}\"\nencryption = \"passphrase\"\npassphrase_file = \"{}\"\n",
        path("state"),
        path("repository"),
        path("passphrase")
    );
    std::fs::write(path("pgtend.toml"), config).unwrap();
    let init = || Command::new(PGTEND).args(["repo", "init", "--format", "json", "--config", &path("pgtend.toml")]).output().unwrap();
    let (first, second) = (init(), init());
    assert!(first.status.success() && first.stdout == second.stdout, "{first:?} {second:?}");
    std::fs::write(path("passphrase"), "wrong horse\n").unwrap();
    assert!(String::from_utf8_lossy(&init().stderr).contains("the passphrase does not open this repository"));
}
