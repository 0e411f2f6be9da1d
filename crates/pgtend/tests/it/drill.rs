//! Drills as an agent does them: what they prove, what they find, and that they leave nothing.

use crate::harness::{Agent, Cluster};
use crate::wal::{Archive, archived, switch};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

const PGTEND: &str = env!("CARGO_BIN_EXE_pgtend");

/// A server that is backed up, and an agent that does drills.
struct Ground {
    archive: Archive,
    cluster: Cluster,
    agent: Agent,
    scratch: tempfile::TempDir,
}

const CHECKS: &str = "[[drill.check]]\nname = \"the branches balance\"\nsql = \"select sum(bbalance) = (select sum(tbalance) from pgbench_tellers) from pgbench_branches\"\n\
    [[drill.check]]\nname = \"accounts\"\nsql = \"select count(*) from pgbench_accounts\"\nexpect = \"100000\"\n";

impl Ground {
    async fn new(drill: &str) -> Self {
        let archive = Archive::new();
        let cluster = archive.server(15).await;
        cluster.pgbench(&["-i", "-s", "1", "-q"]).await;
        let scratch = tempfile::Builder::new().prefix("pgtend-drill-").tempdir_in("/tmp").unwrap();
        std::fs::set_permissions(scratch.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let path = scratch.path().display();
        let sections =
            format!("[drill]\nschedule = \"off\"\nscratch_directory = \"{path}/scratch\"\nfull_directory = \"{path}/elsewhere\"\n{drill}");
        let agent = archive.agent_with(&cluster, "schedule = \"0 3 * * *\"", &sections).await;
        let ground = Self { archive, cluster, agent, scratch };
        ground.agent.wait_until("/api/v1/backups", "/work/0/last", |last| !last.is_null()).await;
        ground
    }

    fn pgtend(&self, arguments: &[&str]) -> Output {
        Command::new(PGTEND).arg("--socket").arg(self.agent.socket()).args(arguments).output().unwrap()
    }

    /// The report of a drill, and how the command ended.
    fn drill(&self, arguments: &[&str]) -> (Value, Option<i32>) {
        let output = self.pgtend(&[&["drill", "run", "--format", "json"], arguments].concat());
        let said = String::from_utf8_lossy(&output.stderr);
        let report = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {said}{}", self.agent.log()));
        assert_eq!(self.left(), 0, "something was left");
        (report, output.status.code())
    }

    fn left(&self) -> usize {
        ["scratch", "elsewhere"].iter().map(|name| std::fs::read_dir(self.path(name)).map_or(0, Iterator::count)).sum()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    fn backup(&self) {
        let output = self.pgtend(&["backup", "run"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

fn check<'a>(report: &'a Value, name: &str) -> &'a Value {
    let found = report["checks"].as_array().unwrap().iter().find(|check| check["name"] == name);
    found.unwrap_or_else(|| panic!("{name}: {report:#}"))
}

#[tokio::test]
async fn a_drill_under_load_measures_the_way_back_and_proves_what_came_back() {
    let ground = Ground::new(CHECKS).await;
    let cluster = &ground.cluster;
    cluster.psql("create table quiet as select n from generate_series(1, 5000) n").await;
    let mut load = cluster.client("pgbench").args(["-n", "-c", "2", "-T", "25"]).stdout(Stdio::null()).spawn().unwrap();
    ground.backup();
    let segment = switch(cluster).await;
    archived(cluster, &segment).await;
    let (report, code) = ground.drill(&[]);
    load.kill().await.unwrap();
    assert_eq!((report["verdict"].as_str(), code), (Some("passed"), Some(0)), "{report:#}");
    assert!(report["rto_seconds"].as_f64().unwrap() > 0.0 && report["phases"].as_array().unwrap().len() == 4, "{report:#}");
    let rpo = &report["rpo"];
    assert!(rpo["seconds"].as_f64().is_some_and(|seconds| (0.0..600.0).contains(&seconds)), "{rpo:#}");
    assert!(rpo["lost_wal_bytes"].as_u64().is_some(), "{rpo:#}");
    for name in ["the branches balance", "accounts", "dump of postgres", "roles and tablespaces", "pages, tables and indexes", "row counts"]
    {
        assert_eq!(check(&report, name)["outcome"], "ok", "{report:#}");
    }
    assert!(check(&report, "pages, tables and indexes")["detail"].as_str().unwrap().contains("indexes were checked"), "{report:#}");

    // The oldest backup is another one, and its report is kept as text, HTML and JSON.
    let (oldest, _) = ground.drill(&["--backup", "oldest"]);
    assert!(oldest["verdict"] == "passed" && oldest["backup"].as_str() < report["backup"].as_str(), "{oldest:#}");
    let list: Value = serde_json::from_slice(&ground.pgtend(&["drill", "list", "--format", "json"]).stdout).unwrap();
    assert!(list["drills"].as_array().unwrap().len() == 2 && list["last_passed_at"].is_string() && list["running"].is_null(), "{list:#}");
    let id = report["id"].as_str().unwrap();
    let html = ground.path("report.html");
    let shown = ground.pgtend(&["drill", "show", id, "--output", html.to_str().unwrap()]);
    assert!(shown.status.success(), "{}", String::from_utf8_lossy(&shown.stderr));
    let html = std::fs::read_to_string(html).unwrap();
    assert!(html.contains("Restore drill") && html.contains("the branches balance") && !html.contains("<script"), "{html}");
    let text = ground.pgtend(&["drill", "show", id]);
    assert!(String::from_utf8_lossy(&text.stdout).contains("Time to be back (RTO)"));
}

#[tokio::test]
async fn what_is_wrong_is_found_and_told_with_what_it_means() {
    let ground = Ground::new(&CHECKS.replace("100000", "99999")).await;
    let cluster = &ground.cluster;
    ground.backup();
    let segment = switch(cluster).await;
    archived(cluster, &segment).await;
    let (report, code) = ground.drill(&[]);
    assert_eq!((report["verdict"].as_str(), code), (Some("failed"), Some(1)), "{report:#}");
    let failed = check(&report, "accounts");
    assert!(failed["detail"].as_str().unwrap().contains("100000") && !failed["meaning"].as_str().unwrap().is_empty(), "{failed:#}");
    assert!(report["conclusion"].as_str().unwrap().contains("accounts"), "{report:#}");

    let (early, code) = ground.drill(&["--to", "2020-01-01T00:00:00Z"]);
    assert!(code == Some(1) && early["error"]["what"].as_str().unwrap().contains("is before backup"), "{early:#}");

    damage_the_largest_pack(&ground.archive.repository());
    let (broken, code) = ground.drill(&[]);
    assert!(code == Some(1) && broken["error"]["what"].is_string() && broken["rto_seconds"].is_null(), "{broken:#}");
    assert!(broken["conclusion"].as_str().unwrap().contains("could not be brought back"), "{broken:#}");
}

#[tokio::test]
async fn a_full_drill_goes_elsewhere_and_one_at_a_time_is_done() {
    let ground = Ground::new("").await;
    let (report, _) = ground.drill(&["--full"]);
    assert!(report["kind"] == "full" && report["verdict"] == "passed", "{report:#}");
    let begun = ground.pgtend(&["drill", "run", "--no-wait"]);
    assert!(begun.status.success(), "{}", String::from_utf8_lossy(&begun.stderr));
    let second = ground.pgtend(&["drill", "run"]);
    assert!(String::from_utf8_lossy(&second.stderr).contains("goes on already"), "{second:?}");
    let stopped = ground.pgtend(&["drill", "stop"]);
    assert!(stopped.status.success(), "{}", String::from_utf8_lossy(&stopped.stderr));
    ground.agent.wait_until("/api/v1/drills", "/running", Value::is_null).await;
    assert_eq!(ground.left(), 0);
    let known = ground.agent.get("/api/v1/drills").await["drills"].clone();
    for (arguments, said) in [
        (&["drill", "run", "--backup", "20200101T000000Z"][..], "has no backup 20200101T000000Z"),
        (&["drill", "run", "--backup", "nix"], "\"nix\" is no backup"),
        (&["drill", "show", "20200101T000000Z"], "there is no report of a drill"),
        (&["drill", "show", "nix"], "`pgtend drill list` shows"),
    ] {
        let output = ground.pgtend(arguments);
        let words = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(!output.status.success() && words.contains(said), "{words}");
    }
    assert_eq!(ground.agent.get("/api/v1/drills").await["drills"], known, "what is refused is no drill");
}

fn damage_the_largest_pack(repository: &Path) {
    let folders = std::fs::read_dir(repository.join("packs")).unwrap().flatten();
    let packs = folders.flat_map(|folder| std::fs::read_dir(folder.path()).unwrap().flatten().map(|entry| entry.path()));
    let path = packs.max_by_key(|path| std::fs::metadata(path).unwrap().len()).unwrap();
    let mut content = std::fs::read(&path).unwrap();
    let middle = content.len() / 2;
    content[middle] ^= 1;
    std::fs::write(path, content).unwrap();
}
