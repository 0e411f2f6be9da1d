//! Backups of a standby: with what its primary archives, under load, and what stands in the way.

use crate::backup::{CONTENTS, ask, verify};
use crate::harness::{Agent, Cluster};
use crate::wal::{Archive, archived, switch};
use serde_json::Value;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

const PGTEND: &str = env!("CARGO_BIN_EXE_pgtend");

/// How both nodes are called in the repository; backups are by hand.
pub const NODE: &str = "cluster = \"main\"\nbackup_schedule = \"off\"";

/// A primary that archives, and its standby.
pub struct Pair {
    pub archive: Archive,
    pub primary: Cluster,
    pub standby: Cluster,
    dir: tempfile::TempDir,
}

impl Pair {
    pub async fn new(major: u32) -> Self {
        Self::with(major, &[], &[]).await
    }

    /// With further settings of the primary and of the standby.
    async fn with(major: u32, primary: &[&str], standby: &[&str]) -> Self {
        let archive = Archive::new();
        let command =
            format!("archive_command = '{} wal push --socket {} \"%p\"'", archive.program().display(), archive.socket().display());
        let usual = ["archive_mode = on", &command, "max_wal_size = 64MB", "wal_keep_size = 4GB"];
        let builder = |more: &[&str]| usual.iter().chain(more).fold(Cluster::builder(major), |builder, line| builder.config(*line));
        let primary = builder(primary).start().await;
        let standby = builder(standby).following(&primary).start().await;
        let dir = tempfile::Builder::new().prefix("pgtend-standby-").tempdir_in("/tmp").unwrap();
        std::fs::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        Self { archive, primary, standby, dir }
    }

    /// An agent beside both, which calls them `first` and `second`.
    pub async fn agent(&self, lines: &str) -> Agent {
        let both = Agent::builder().beside("first", &self.primary, NODE).beside("second", &self.standby, NODE);
        both.config(&self.config(lines)).start().await
    }

    fn config(&self, lines: &str) -> String {
        format!(
            "[backup]\nwal_socket = \"{}\"\n{lines}\n[[backup.repository]]\npath = \"{}\"\nkey_file = \"{}\"\n",
            self.archive.socket().display(),
            self.archive.repository().display(),
            self.path("key").display()
        )
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// WAL that the next backup of the standby needs and that is not archived yet.
    async fn has_unarchived_wal(&self) {
        let segment = switch(&self.primary).await;
        self.primary.psql("create table if not exists later (n int)").await;
        self.primary.psql("insert into later values (1)").await;
        self.primary.psql("checkpoint").await;
        self.standby.caught_up(&self.primary).await;
        assert!(self.primary.psql("select pg_walfile_name(pg_current_wal_lsn())").await > segment);
    }

    /// Restores and gives the directory.
    pub fn restore(&self, agent: &Agent, name: &str, arguments: &[&str]) -> (Value, PathBuf) {
        let into = self.path(name);
        let bindir = self.primary.bindir().display().to_string();
        let fixed = ["restore", "--into", into.to_str().unwrap(), "--bindir", &bindir];
        (json(agent, &[&fixed, arguments].concat()), into)
    }
}

/// Commands of a `pgtend` that PostgreSQL's user can run, too.
fn reachable(pair: &Pair, agent: &Agent, arguments: &[&str]) -> Output {
    Command::new(pair.archive.program()).arg("--socket").arg(agent.socket()).args(arguments).output().unwrap()
}

pub fn run(agent: &Agent, arguments: &[&str]) -> Output {
    Command::new(PGTEND).arg("--socket").arg(agent.socket()).args(arguments).output().unwrap()
}

pub fn json(agent: &Agent, arguments: &[&str]) -> Value {
    let output = run(agent, &[arguments, &["--format", "json"]].concat());
    assert!(output.status.success(), "{arguments:?}: {}{}", said(&output), agent.log());
    serde_json::from_slice(&output.stdout).unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn backup(agent: &Agent) -> Value {
    json(agent, &["--server", "second", "backup", "run"])[0].clone()
}

/// What a backup is refused with; nothing is published.
fn refused(agent: &Agent) -> String {
    let output = run(agent, &["--server", "second", "backup", "run"]);
    assert!(!output.status.success());
    assert_eq!(json(agent, &["--server", "second", "backup", "list"])["backups"], Value::Array(Vec::new()));
    said(&output)
}

#[tokio::test]
async fn a_standby_under_load_is_backed_up_and_restores_to_what_the_primary_had() {
    for major in [13, 15, 18] {
        let pair = Pair::new(major).await;
        let agent = pair.agent("").await;
        let primary = &pair.primary;
        primary.pgbench(&["-i", "-s", "1", "-q"]).await;
        let mut load = primary.client("pgbench").args(["-n", "-c", "2", "-T", "600"]).stdout(Stdio::null()).spawn().unwrap();
        primary.wait_for("select count(*) > 50 from pgbench_history").await;
        let head = backup(&agent);
        let files = pair.restore(&agent, "files", &["--immediate", "--no-recovery"]).1;
        // The tool is of 15, and reads no manifest of 17 and later.
        if major < 17 {
            verify(&files);
        }
        let label = std::fs::read_to_string(files.join("backup_label")).unwrap();
        assert!(label.contains("BACKUP FROM: standby"), "{label}");
        assert!(head["from_standby"] == true && head["server"] == "main" && head["checksums"]["wrong_pages"] == 0, "{head:#}");
        assert!(head["checksums"]["checked_pages"].as_u64() > Some(1500), "{head:#}");
        // What the backup needs is all it takes.
        let immediate = pair.restore(&agent, "immediate", &["--immediate"]).1;
        assert_ne!(ask(primary, &immediate, "select count(*) from pgbench_history"), "0");
        load.kill().await.unwrap();
        primary
            .wait_for("select count(*) = 1 from pg_stat_activity where backend_type = 'client backend' and application_name <> 'pgtend'")
            .await;
        let contents = primary.psql(CONTENTS).await;
        primary.psql("select pg_create_restore_point('here')").await;
        primary.psql("delete from pgbench_accounts where aid % 2 = 0").await;
        let segment = switch(primary).await;
        archived(primary, &segment).await;
        let (told, data) = pair.restore(&agent, "restored", &["--name", "here"]);
        assert_eq!(ask(primary, &data, CONTENTS), contents, "PostgreSQL {major}: {told:#}");
    }
}

#[tokio::test]
async fn the_wal_of_a_quiet_primary_is_asked_for_and_otherwise_waited_for() {
    let pair = Pair::new(15).await;
    // Nobody watches the primary but its archiver.
    let alone = Agent::builder().beside("second", &pair.standby, NODE).config(&pair.config("wal_timeout = \"2s\"")).start().await;
    let text = refused(&alone);
    assert!(text.contains("nobody has brought any of this cluster yet") && text.contains("archive_mode = always"), "{text}");
    drop(alone);
    // It is to be refused nothing, and the archiver waits up to a minute after it failed.
    let mut agent = pair.agent("wal_timeout = \"3min\"").await;
    let segment = switch(&pair.primary).await;
    archived(&pair.primary, &segment).await;
    agent.kill();
    pair.has_unarchived_wal().await;
    let alone = Agent::builder().beside("second", &pair.standby, NODE).config(&pair.config("wal_timeout = \"2s\"")).start().await;
    let text = refused(&alone);
    assert!(text.contains("is not in the repository after 2 s") && text.contains("archive_timeout"), "{text}");
    drop(alone);
    agent.start_again().await;
    pair.has_unarchived_wal().await;
    assert_eq!(backup(&agent)["from_standby"], true);
}

#[tokio::test]
async fn what_is_asked_of_a_node_finds_what_is_filed_under_the_cluster() {
    let pair = Pair::new(15).await;
    let agent = pair.agent(&format!("scratch_directory = \"{}\"", pair.path("scratch").display())).await;
    pair.primary.psql("create table t as select 1 as n").await;
    let head = json(&agent, &["--server", "first", "backup", "run"])[0].clone();
    let segment = switch(&pair.primary).await;
    archived(&pair.primary, &segment).await;
    let drill = json(&agent, &["--server", "first", "drill", "run", "--backup", head["label"].as_str().unwrap()]);
    assert!(drill["verdict"] == "passed" && drill["backup"] == head["label"], "{drill:#}");
    let (from, key) = (pair.archive.repository().display().to_string(), pair.path("key").display().to_string());
    let config = agent.config_file().display().to_string();
    for place in [&[][..], &["--config", &config], &["--from", &from, "--key-file", &key, "--server", "main"]] {
        let named = if place.contains(&"--server") { &[][..] } else { &["--server", "second"] };
        let report = json(&agent, &[&["repo", "verify"], place, named].concat());
        assert!(report[0]["verdict"] == "clean" && report[0]["checked"]["packs"].as_u64() > Some(0), "{report:#}");
    }
    // Nobody but who asks knows which node takes writes.
    let bindir = pair.primary.bindir().display().to_string();
    let restore = ["restore-table", "t", "--dry-run", "--db", "postgres", "--bindir", &bindir];
    let refused = said(&run(&agent, &restore));
    assert!(refused.contains("into which server of \"main\"?") && refused.contains("--server: first, second"), "{refused}");
    assert_eq!(json(&agent, &[&restore[..], &["--server", "first"]].concat())["database"], "postgres");
}

#[tokio::test]
async fn a_standby_that_archives_by_itself_needs_no_archiving_primary() {
    let pair = Pair::with(15, &["archive_mode = off"], &["archive_mode = always"]).await;
    let agent = pair.agent("").await;
    pair.primary.pgbench(&["-i", "-s", "1", "-q"]).await;
    let contents = pair.primary.psql(CONTENTS).await;
    pair.has_unarchived_wal().await;
    backup(&agent);
    let data = pair.restore(&agent, "restored", &["--immediate"]).1;
    assert_eq!(ask(&pair.primary, &data, CONTENTS), contents);
}

#[tokio::test]
async fn a_standby_that_is_promoted_meanwhile_gives_no_backup() {
    let pair = Pair::new(15).await;
    let agent = pair.agent("max_read_bytes_per_second = \"8MB\"").await;
    pair.primary.pgbench(&["-i", "-s", "8", "-q"]).await;
    pair.standby.caught_up(&pair.primary).await;
    let mut command = Command::new(PGTEND);
    command.arg("--socket").arg(agent.socket()).args(["--server", "second", "backup", "run"]);
    let going = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let copying = |running: &Value| running["phase"] == "copying" && running["done_bytes"].as_u64() > Some(0);
    agent.wait_until("/api/v1/backups?server=second", "/work/0/running", copying).await;
    pair.standby.psql("select pg_promote()").await;
    let output = going.wait_with_output().unwrap();
    assert!(!output.status.success() && said(&output).contains("the standby was promoted while it was backed up"), "{}", said(&output));
    assert_eq!(json(&agent, &["--server", "second", "backup", "list"])["backups"], Value::Array(Vec::new()));
}

#[tokio::test]
async fn what_makes_a_standbys_backup_worthless_is_said_before_it_is_taken() {
    let pair = Pair::with(15, &["full_page_writes = off"], &[]).await;
    let mut agent = pair.agent("").await;
    let segment = switch(&pair.primary).await;
    archived(&pair.primary, &segment).await;
    pair.primary.psql("checkpoint").await;
    pair.standby.caught_up(&pair.primary).await;
    let text = refused(&agent);
    assert!(text.contains("full_page_writes=off") && text.contains("Enable full_page_writes and run CHECKPOINT on the primary"), "{text}");
    // Filed under a name of its own it would wait for WAL that goes elsewhere.
    agent.kill();
    let stranger = Agent::builder().beside("second", &pair.standby, "backup_schedule = \"off\"").config(&pair.config("")).start().await;
    let text = refused(&stranger);
    assert!(text.contains("a standby of \"main\" of this repository") && text.contains("cluster = \"main\""), "{text}");
}

#[tokio::test]
async fn a_restored_standby_follows_and_takes_over() {
    for major in [13, 15, 18] {
        follows_and_takes_over(major).await;
    }
}

async fn follows_and_takes_over(major: u32) {
    let mut pair = Pair::new(major).await;
    let mut agent = pair.agent("").await;
    pair.primary.psql("create table t as select 1 as n").await;
    json(&agent, &["--server", "first", "backup", "run"]);
    pair.primary.psql("insert into t values (2)").await;
    let segment = switch(&pair.primary).await;
    archived(&pair.primary, &segment).await;
    let mut third = Cluster::without_data(major);
    let data = third.data_directory().to_owned();
    let conninfo =
        format!("host={} port={} user=postgres application_name=third", pair.primary.socket_directory().display(), pair.primary.port());
    let restore = ["--server", "first", "restore", "--into", data.to_str().unwrap(), "--standby", &conninfo];
    let output = reachable(&pair, &agent, &restore);
    assert!(output.status.success() && String::from_utf8_lossy(&output.stdout).contains("pg_ctl -D"), "{}", said(&output));
    assert!(data.join("standby.signal").exists() && !data.join("recovery.signal").exists());
    third.start_again().await;
    third.wait_for("select pg_is_in_recovery() and count(*) = 2 from t").await;
    pair.primary.wait_for("select exists (select from pg_stat_replication where application_name = 'third' and state = 'streaming')").await;
    // What is told of it is counted every few seconds.
    let fetched = |count: &Value| count.as_u64() >= Some(1);
    agent.wait_until("/api/v1/wal?server=first", "/servers/0/archiving/fetched_files", fetched).await;
    pair.primary.psql("insert into t values (3)").await;
    third.wait_for("select count(*) = 3 from t").await;

    // It takes over: what it writes goes to the same place, on a timeline of its own.
    pair.primary.stop().await;
    third.psql("select pg_promote()").await;
    third.wait_for("select not pg_is_in_recovery()").await;
    agent.kill();
    let agent = Agent::builder().beside("third", &third, NODE).config(&pair.config("")).start().await;
    third.psql("insert into t values (4)").await;
    let segment = switch(&third).await;
    archived(&third, &segment).await;
    assert!(segment.starts_with("00000002"), "{segment}");
    let over = json(&agent, &["restore", "--into", pair.path("over").to_str().unwrap(), "--bindir", third.bindir().to_str().unwrap()]);
    assert_eq!(ask(&third, &pair.path("over"), "select count(*) from t"), "4", "{over:#}");
    let head = json(&agent, &["backup", "run"])[0].clone();
    assert!(head["timeline"] == 2 && head["from_standby"] == false && head["server"] == "main", "{head:#}");
    pair.restore(&agent, "after", &["--immediate"]);
    assert_eq!(ask(&third, &pair.path("after"), "select count(*) from t"), "4");
}

#[tokio::test]
async fn a_standby_of_another_cluster_or_without_an_agent_is_refused() {
    let pair = Pair::new(15).await;
    let agent = pair.agent("").await;
    json(&agent, &["--server", "first", "backup", "run"]);
    let stranger = Cluster::builder(15).initdb(&[]).start().await;
    let into = pair.path("refused");
    let refused = |conninfo: &str, more: &[&str]| {
        let fixed = ["--server", "first", "restore", "--into", into.to_str().unwrap(), "--standby", conninfo];
        let output = reachable(&pair, &agent, &[&fixed, more].concat());
        assert!(!output.status.success() && !into.exists(), "{conninfo}");
        said(&output)
    };
    assert!(refused(&stranger.dsn(), &[]).contains("the primary is another cluster"));
    assert!(refused("host=/tmp sslmode=nonsense", &[]).contains("--standby: "));
    let (from, key) = (pair.archive.repository().display().to_string(), pair.path("key").display().to_string());
    let text = refused(&pair.primary.dsn(), &["--from", &from, "--key-file", &key, "--server", "main"]);
    assert!(text.contains("nobody would bring the WAL"), "{text}");
    let told = reachable(
        &pair,
        &agent,
        &["restore", "--into", into.to_str().unwrap(), "--standby", "host=/nowhere", "--dry-run", "--server", "first"],
    );
    assert!(told.status.success() && String::from_utf8_lossy(&told.stdout).contains("could not be looked at"), "{}", said(&told));
}
