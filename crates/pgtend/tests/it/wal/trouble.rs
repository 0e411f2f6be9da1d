//! A repository that is full, or away: what PostgreSQL, the status and the metrics say meanwhile, and how it goes on.

use super::{Archive, archived, switch};
use crate::harness::{Agent, Cluster};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Command;

/// A small file system, gone with the test.
pub struct Small<'a>(&'a Path);

impl<'a> Small<'a> {
    pub fn mount(path: &'a Path, size: &str) -> Self {
        fs::create_dir_all(path).unwrap();
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &format!("size={size}"), "none"]).arg(path).status().unwrap();
        assert!(mounted.success(), "this test mounts a small file system, and so needs root");
        Self(path)
    }
}

impl Drop for Small<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0).status();
    }
}

async fn archiving(agent: &Agent) -> Value {
    agent.get("/api/v1/wal").await["servers"][0]["archiving"].clone()
}

async fn repository(agent: &Agent) -> Value {
    agent.get("/api/v1/wal").await["servers"][0]["repositories"][0].clone()
}

async fn metric(agent: &Agent, name: &str) -> String {
    let text = agent.text("/api/v1/metrics/prometheus").await;
    let line = text.lines().find(|line| line.split([' ', '{']).next() == Some(name));
    line.and_then(|line| line.rsplit(' ').next()).unwrap_or("none").to_owned()
}

#[tokio::test]
async fn a_full_repository_holds_archiving_up_and_loses_nothing() {
    let archive = Archive::new();
    let place = archive.repository();
    let _small = Small::mount(&place, "12m");
    let cluster = archive.server(15).await;
    let agent = archive.agent(&cluster, "").await;
    let first = switch(&cluster).await;
    archived(&cluster, &first).await;

    let filler = place.join("filler");
    let full = fs::write(&filler, vec![1; 12 << 20]);
    assert!(full.is_err(), "the file system is full");
    let kept = switch(&cluster).await;
    cluster.wait_for("select failed_count > 0 from pg_stat_archiver").await;
    agent.wait_for("the failure to be told", async |agent| archiving(agent).await["failing_since"].is_string()).await;
    let told = archiving(&agent).await;
    assert!(told["error"]["what"].as_str().unwrap().contains("No space left"), "{told}");
    assert!(told["waiting_segments"].as_u64() >= Some(1), "{told}");
    assert_eq!(metric(&agent, "pgtend_wal_archive_failing").await, "1");
    let status = Command::new(super::PGTEND).args(["wal", "status", "--socket"]).arg(agent.socket()).output().unwrap();
    assert_eq!(status.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&status.stdout).contains("failing since"), "{status:?}");

    fs::remove_file(&filler).unwrap();
    let last = switch(&cluster).await;
    archived(&cluster, &last).await;
    assert!(archive.get(&kept).is_ok() && archive.get(&last).is_ok());
    agent.wait_for("the end of the failure", async |agent| archiving(agent).await["failing_since"].is_null()).await;
    assert_eq!(repository(&agent).await["timelines"][0]["gaps"], serde_json::json!([]));
}

#[tokio::test]
async fn what_is_dropped_is_a_gap_that_everybody_can_see() {
    let archive = Archive::new();
    let cluster = archive.server(15).await;
    let agent = archive.agent(&cluster, "max_wal_waiting_bytes = 1048576\ndrop_wal_beyond_limits = true").await;
    let first = switch(&cluster).await;
    archived(&cluster, &first).await;

    let elsewhere = archive.directory.path().join("unmounted");
    fs::rename(archive.repository(), &elsewhere).unwrap();
    fs::create_dir(archive.repository()).unwrap();
    let dropped = switch(&cluster).await;
    archived(&cluster, &dropped).await;
    assert_eq!(fs::read_dir(archive.repository()).unwrap().count(), 0, "nothing is written where the repository is not");
    assert!(agent.log().contains("WAL is DROPPED"), "{}", agent.log());
    fs::remove_dir(archive.repository()).unwrap();
    fs::rename(&elsewhere, archive.repository()).unwrap();
    let last = switch(&cluster).await;
    archived(&cluster, &last).await;

    agent.wait_for("the gap in the repository", async |agent| repository(agent).await["dropped"][0] == dropped).await;
    let told = repository(&agent).await;
    assert_eq!(told["timelines"][0]["gaps"][0]["first"], dropped, "{told}");
    assert_eq!(archive.get(&dropped), Err(1));
    agent.wait_for("the metric", async |agent| metric(agent, "pgtend_wal_dropped_total").await == "1").await;
}

#[tokio::test]
async fn a_repository_that_need_not_have_it_gets_it_later() {
    let archive = Archive::new();
    let cluster = archive.server(15).await;
    let second = archive.directory.path().join("second");
    let more = format!("[[backup.repository]]\nname = \"second\"\npath = \"{}\"\nrequired = false\n", second.display());
    let agent = archive.agent_with(&cluster, "", &more).await;
    let name = switch(&cluster).await;
    archived(&cluster, &name).await;
    let newest = async |agent: &Agent| agent.get("/api/v1/wal").await["servers"][0]["repositories"][1]["newest"].clone();
    agent.wait_for_long("the other repository", async |agent| newest(agent).await == name).await;
}

#[tokio::test]
async fn calls_find_the_work_done() {
    let archive = Archive::new();
    let cluster = archive.server(15).await;
    // Nobody takes the WAL yet: PostgreSQL has a heap of it when the agent comes.
    for _ in 0..8 {
        switch(&cluster).await;
    }
    let last = switch(&cluster).await;
    let agent = archive.agent(&cluster, "").await;
    cluster.psql("select pg_switch_wal() from (select pg_logical_emit_message(false, 'test', 'x')) as written").await;
    wait_for_archiver(&cluster, &last).await;
    agent.wait_for("the counters", async |agent| archiving(agent).await["archived_files"].as_u64() >= Some(9)).await;
    assert!(archiving(&agent).await["ahead_files"].as_u64() >= Some(4), "{}", archiving(&agent).await);
}

/// PostgreSQL pauses for a minute after three failures.
async fn wait_for_archiver(cluster: &Cluster, name: &str) {
    cluster.psql("select pg_terminate_backend(pid) from pg_stat_activity where backend_type = 'archiver'").await;
    archived(cluster, name).await;
}
