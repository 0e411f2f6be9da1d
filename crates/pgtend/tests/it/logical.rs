//! Logical backups as somebody types them: every database comes back as it was, and what stands in the way says so.

use crate::harness::{Agent, Cluster};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

const PGTEND: &str = env!("CARGO_BIN_EXE_pgtend");

/// A name that has everything in it that shells, connection strings and file systems care for.
const ODD: &str = "a=b 'c' \"d\"/../é%";

/// A server, and an agent that backs it up.
pub struct Ground {
    pub cluster: Cluster,
    pub agent: Agent,
    pub dir: tempfile::TempDir,
}

impl Ground {
    /// With these lines in `[backup]`, `[backup.logical]` and beyond.
    pub async fn new(role: &str, logical: &str, more: &str) -> Self {
        let cluster = Cluster::builder(15).start().await;
        let dir = tempfile::Builder::new().prefix("pgtend-logical-").tempdir_in("/tmp").unwrap();
        std::fs::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        if !role.is_empty() {
            cluster.psql(&format!("create role {role} login; grant pg_monitor to {role}")).await;
        }
        let repository = dir.path().join("repository").display().to_string();
        let config = format!(
            "[backup]\nschedule = \"off\"\n[[backup.repository]]\npath = \"{repository}\"\nkeep_days = 0\n[backup.logical]\nkeep_days = 0\n{logical}\n{more}"
        );
        let user = if role.is_empty() { String::new() } else { format!(" user={role}") };
        let agent = Agent::builder().server("main", &format!("{}{user}", cluster.dsn()), "").config(&config).start().await;
        Self { cluster, agent, dir }
    }

    /// Beside the server, whose files are backed up too, with these lines in `[backup]`.
    pub async fn beside(cluster: Cluster, lines: &str) -> Self {
        let dir = tempfile::Builder::new().prefix("pgtend-logical-").tempdir_in("/tmp").unwrap();
        std::fs::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let config = format!("[backup]\n{lines}\n[[backup.repository]]\npath = \"{}\"\n", dir.path().join("repository").display());
        let agent = Agent::builder().beside("main", &cluster, "").config(&config).start().await;
        Self { cluster, agent, dir }
    }

    pub fn pgtend(&self, arguments: &[&str]) -> Output {
        Command::new(PGTEND).arg("--socket").arg(self.agent.socket()).args(arguments).output().unwrap()
    }

    pub fn json(&self, arguments: &[&str]) -> Value {
        let output = self.pgtend(&[arguments, &["--format", "json"]].concat());
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {said}{}", self.agent.log());
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stdout)))
    }

    /// What a command that must fail says.
    pub fn refused(&self, arguments: &[&str]) -> String {
        let output = self.pgtend(arguments);
        assert!(!output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stdout));
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn restore(&self, database: &str, into: &str, more: &[&str]) -> Vec<String> {
        let (dsn, staging) = (self.cluster.dsn(), self.path("staging").display().to_string());
        let fixed = ["restore", "--connection", &dsn, "--staging", &staging, "--db", database, "--into-db", into];
        [&fixed, more].concat().into_iter().map(str::to_owned).collect()
    }

    /// One value out of another database.
    async fn ask(&self, database: &str, sql: &str) -> String {
        let mut psql = self.cluster.client("psql");
        let output = psql.args(["-X", "-A", "-t", "-c", sql]).env("PGDATABASE", database).output().await.unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }
}

fn words(arguments: &[String]) -> Vec<&str> {
    arguments.iter().map(String::as_str).collect()
}

/// Everything in the database, in one number.
const CONTENTS: &str = "select sum(hashtextextended(e::text, 0)) from events e";

#[tokio::test]
async fn every_database_comes_back_as_it_was_and_the_next_dump_costs_what_changed() {
    let ground = Ground::new("", "keep_count = 2", "").await;
    ground.cluster.psql("create role keeper password 'secret'").await;
    ground.cluster.psql("create database shop owner keeper").await;
    ground.cluster.psql(&format!("create database \"{}\"", ODD.replace('"', "\"\""))).await;
    ground.ask("shop", "create extension pg_trgm").await;
    let rows = "create table events as select n as id, md5(n::text) as a, md5((7 * n)::text) as b from generate_series(1, 60000) n";
    ground.ask("shop", rows).await;
    ground.ask("shop", "create index on events using gin (a gin_trgm_ops)").await;
    ground.ask("shop", "select lo_from_bytea(4711, 'a large object')").await;
    ground.ask(ODD, "create table t as select 1 as n").await;

    let first = ground.json(&["backup", "run", "--logical"])[0].clone();
    assert_eq!((&first["kind"], &first["warning_count"]), (&"logical".into(), &0.into()), "{first:#}");
    let names: Vec<&str> = first["dump"]["databases"].as_array().unwrap().iter().filter_map(|one| one["name"].as_str()).collect();
    assert_eq!(names, [ODD, "postgres", "shop", "template1"]);
    let (label, contents) = (first["label"].as_str().unwrap(), ground.ask("shop", CONTENTS).await);
    assert_eq!(std::fs::read_dir(ground.agent.state_directory().join("staging")).unwrap().count(), 0, "nothing plain is left");

    ground.ask("shop", "update events set a = 'changed' where id % 20000 = 1").await;
    let second = ground.json(&["backup", "run", "--logical", "--exclude", "template*"])[0].clone();
    let stored = |backup: &Value| backup["stored_bytes"].as_u64().unwrap();
    assert!(stored(&second) * 5 < stored(&first), "{} of {}", stored(&second), stored(&first));
    assert_eq!(second["dump"]["left_out"], serde_json::json!(["template1"]));

    let told = ground.json(&words(&ground.restore("shop", "copy", &["--backup", label])));
    assert_eq!(told["backup"], label);
    assert_eq!(ground.ask("copy", CONTENTS).await, contents);
    assert_eq!(ground.ask("copy", "select convert_from(lo_get(4711), 'UTF8')").await, "a large object");
    assert_eq!(ground.ask("copy", "select pg_get_userbyid(datdba) from pg_database where datname = 'copy'").await, "keeper");
    ground.json(&words(&ground.restore(ODD, "another 'odd' \"one\"", &[])));
    assert_eq!(ground.ask("another 'odd' \"one\"", "select n from t").await, "1");

    let said = ground.refused(&words(&ground.restore("shop", "copy", &[])));
    assert!(said.contains("is there already") && said.contains("--clean"), "{said}");
    ground.json(&words(&ground.restore("shop", "copy", &["--clean"])));
    assert_eq!(ground.ask("copy", "select count(*) from events where a = 'changed'").await, "3", "the newest backup");

    files_of_a_dump(&ground, label);
    ground.json(&["backup", "run", "--logical"]);
    let left = ground.json(&["backup", "list"]);
    assert_eq!(left["backups"].as_array().unwrap().len(), 2, "{left:#}");
}

/// The files themselves, with everything of roles, in pg_dump's own format.
fn files_of_a_dump(ground: &Ground, label: &str) {
    let into = ground.path("files");
    ground.json(&["restore", "--backup", label, "--into", into.to_str().unwrap()]);
    let globals = std::fs::read_to_string(into.join("globals.sql")).unwrap();
    assert!(globals.contains("CREATE ROLE keeper") && globals.contains("PASSWORD 'SCRAM-SHA-256"), "{globals}");
    let listed = Command::new(ground.cluster.bindir().join("pg_restore")).arg("--list").arg(into.join("databases/shop")).output().unwrap();
    assert!(String::from_utf8_lossy(&listed.stdout).contains("TABLE DATA public events"), "{}", String::from_utf8_lossy(&listed.stderr));
    assert_eq!(mode(&into.join("globals.sql")), 0o600);
}

fn mode(path: &Path) -> u32 {
    std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(path).unwrap().permissions()) & 0o777
}

#[tokio::test]
async fn a_role_that_may_not_read_everything_is_told_which_grant_it_lacks() {
    let ground = Ground::new("keeper", "lock_wait_timeout = \"1s\"", "").await;
    ground.cluster.psql("create table hidden (n int)").await;
    let said = ground.refused(&["backup", "run", "--logical", "--database", "postgres"]);
    assert!(said.contains("permission denied for table hidden") && said.contains("GRANT pg_read_all_data TO"), "{said}");
    ground.cluster.psql("grant pg_read_all_data to keeper").await;
    let taken = ground.json(&["backup", "run", "--logical"])[0].clone();
    assert!(taken["dump"]["role_passwords"] == false && taken["notes"].to_string().contains("no superuser"), "{taken:#}");

    let mut holder = ground.cluster.client("psql").args(["-c", "begin; lock table hidden; select pg_sleep(60)"]).spawn().unwrap();
    ground.cluster.wait_for("select count(*) = 1 from pg_locks where relation = 'hidden'::regclass and mode = 'AccessExclusiveLock'").await;
    let said = ground.refused(&["backup", "run", "--logical"]);
    assert!(said.contains("statement timeout") && said.contains("lock_wait_timeout"), "{said}");
    ground
        .cluster
        .psql("select pg_terminate_backend(pid) from pg_stat_activity where query like '%pg_sleep%' and pid <> pg_backend_pid()")
        .await;
    let _ = holder.wait().await;
    let left = ground.cluster.psql("select count(*) from pg_stat_activity where application_name like '%logical backup%'").await;
    assert_eq!(left.trim(), "0", "nothing of pg_dump is left behind");

    let said = ground.refused(&["backup", "run", "--logical", "--database", "shpo"]);
    assert!(said.contains("no database \"shpo\"") && said.contains("postgres"), "{said}");
    let said = ground.refused(&words(&ground.restore("shop", "copy", &[])));
    assert!(said.contains("no logical backup has a database \"shop\"") && said.contains("template1"), "{said}");
}

#[tokio::test]
async fn without_pg_dump_it_is_told_what_to_install() {
    let ground = Ground::new("", "bindir = \"/nonexistent\"", "").await;
    let said = ground.refused(&["backup", "run", "--logical"]);
    assert!(said.contains("pg_dump is not here, and the server is PostgreSQL 15"), "{said}");
}

#[tokio::test]
async fn one_that_is_stopped_leaves_nothing_behind() {
    let ground = Ground::new("", "", "").await;
    ground.cluster.psql("create table slow (n int)").await;
    let mut holder = ground.cluster.client("psql").args(["-c", "begin; lock table slow; select pg_sleep(60)"]).spawn().unwrap();
    ground.cluster.wait_for("select count(*) = 1 from pg_locks where relation = 'slow'::regclass and mode = 'AccessExclusiveLock'").await;
    ground.json(&["backup", "run", "--logical", "--no-wait"]);
    ground
        .cluster
        .wait_for("select count(*) > 0 from pg_stat_activity where application_name like '%logical backup%' and wait_event_type = 'Lock'")
        .await;
    ground.json(&["backup", "stop"]);
    let ended = ground.agent.wait_until("/api/v1/backups", "/work/1/last/error/what", |what| !what.is_null()).await;
    assert_eq!(ended, "stopped on request");
    tokio::time::sleep(Duration::from_millis(100)).await;
    ground.cluster.wait_for("select count(*) = 0 from pg_stat_activity where application_name like '%logical backup%'").await;
    assert_eq!(std::fs::read_dir(ground.agent.state_directory().join("staging")).unwrap().count(), 0);
    let _ = holder.start_kill();
}
