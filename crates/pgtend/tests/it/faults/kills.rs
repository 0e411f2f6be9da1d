//! kill -9 at random moments: of backups, WAL on its way, expiring, and restores. A failure prints its seed; `PGTEND_SEED` repeats it.

use super::{Ground, files_of, said, verify};
use crate::harness::account::Account;
use crate::wal::{acknowledged, archived, switch};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

/// Numbers by chance that can be had again.
struct Chance(u64);

impl Chance {
    #[expect(clippy::print_stderr, reason = "a test that fails shows what it printed")]
    fn new(what: &str) -> Self {
        let now = || u64::from(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().subsec_nanos());
        let seed: u64 = std::env::var("PGTEND_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(now);
        eprintln!("{what}: PGTEND_SEED={seed}");
        Self(seed | 1)
    }

    fn below(&mut self, most: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % most
    }
}

/// Lets the grace period of named garbage be over.
fn age_garbage(ground: &Ground) {
    let then = SystemTime::now() - Duration::from_secs(26 * 3600);
    for path in files_of(&ground.archive.repository().join("gc"), "") {
        std::fs::File::options().write(true).open(path).unwrap().set_modified(then).unwrap();
    }
}

#[tokio::test]
async fn an_agent_that_is_killed_at_any_moment_loses_and_breaks_nothing() {
    let mut chance = Chance::new("kills of the agent");
    let mut ground = Ground::new("keep_count = 1\nkeep_days = 0\n").await;
    ground.cluster.pgbench(&["-i", "-s", "2", "-q"]).await;
    ground.backup();
    let mut load = ground.cluster.client("pgbench");
    let mut load = load.args(["-n", "-c", "2", "-T", "600", "-R", "200"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    for round in 0..30 {
        let socket = ground.agent.socket();
        let pgtend = |arguments: &[&str]| {
            let mut command = Command::new(super::PGTEND);
            command.arg("--socket").arg(&socket).args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
        };
        age_garbage(&ground);
        let mut asked = pgtend(if round % 3 == 2 { &["backup", "expire"] } else { &["backup", "run"] });
        ground.cluster.psql("select pg_switch_wal()").await;
        tokio::time::sleep(Duration::from_millis(chance.below(900))).await;
        ground.agent.kill();
        let there = ground.archive.segments();
        let lost: Vec<String> =
            acknowledged(&ground.cluster).into_iter().filter(|name| *name >= there[0] && !there.contains(name)).collect();
        assert!(lost.is_empty(), "round {round}: acknowledged, and not there: {lost:?}");
        let _ = (asked.kill(), asked.wait());
        ground.agent.start_again().await;
    }
    load.kill().await.unwrap();
    let label = ground.backup();
    let last = switch(&ground.cluster).await;
    archived(&ground.cluster, &last).await;
    let (code, report) = verify(&ground.archive.repository(), &[]);
    assert_eq!(code, 0, "{report:#}");
    assert!(report["backups"].as_array().unwrap().iter().any(|backup| backup["label"] == label.as_str() && backup["state"] == "whole"));
    for backup in report["backups"].as_array().unwrap() {
        let label = backup["label"].as_str().unwrap();
        let data = ground.restore(label, &["--backup", label]);
        ground.books_are_right(&data);
        std::fs::remove_dir_all(data).unwrap();
    }
    // What was left of backups that were cut short is gone, too.
    ground.json(&["backup", "expire"]);
    let heads = files_of(&ground.archive.repository().join("backups"), "/head").len();
    assert_eq!(files_of(&ground.archive.repository().join("backups"), "/files").len(), heads);
}

#[tokio::test]
async fn a_restore_that_is_killed_never_looks_like_a_cluster_and_can_be_taken_up() {
    let mut chance = Chance::new("kills of restores");
    let ground = Ground::new("").await;
    ground.cluster.pgbench(&["-i", "-s", "2", "-q"]).await;
    ground.backup();
    let into = ground.dir.path().join("restored");
    let mut unfinished = 0;
    for round in 0..20 {
        let mut command = Command::new(ground.archive.program());
        command.arg("--socket").arg(ground.agent.socket()).args(["restore", "--no-recovery", "--immediate", "--into"]).arg(&into);
        command.arg("--bindir").arg(ground.cluster.bindir()).stdout(Stdio::null()).stderr(Stdio::null());
        if into.exists() {
            command.arg("--delta");
        }
        let mut restore = command.spawn().unwrap();
        tokio::time::sleep(Duration::from_millis(chance.below(700))).await;
        let _ = (restore.kill(), restore.wait());
        let marked = into.join("pgtend-restore-unfinished").exists();
        let has_control = into.join("global/pg_control").metadata().is_ok_and(|control| control.len() > 0);
        if marked && has_control {
            // Everything is there but the last word. Without it PostgreSQL finds no WAL to make it consistent with.
            let mut postgres = Account::for_servers().command(&ground.cluster.bindir().join("postgres"), Path::new("/"));
            let ended = postgres.args(["--single", "-D"]).arg(&into).arg("postgres").stdin(Stdio::null()).output().unwrap();
            let is_set_up = into.join("recovery.signal").exists() || into.join("recovery.done").exists();
            assert!(!ended.status.success() || is_set_up, "round {round}: half a cluster starts: {}", said(&ended));
        }
        unfinished += u64::from(marked);
        if has_control {
            std::fs::remove_dir_all(&into).unwrap();
        }
    }
    assert!(unfinished > 2, "the kills came too early or too late to show anything: {unfinished}");
    let arguments: &[&str] = if into.exists() { &["--immediate", "--delta"] } else { &["--immediate"] };
    let data = ground.restore("restored", arguments);
    ground.books_are_right(&data);
    // Into a directory that has something else, nothing is restored.
    let other = ground.dir.path().join("other");
    std::fs::create_dir(&other).unwrap();
    std::fs::write(other.join("precious"), "x").unwrap();
    let refused = ground.pgtend(&["restore", "--into", other.to_str().unwrap()]);
    assert!(!refused.status.success() && other.join("precious").exists(), "{}", said(&refused));
}
