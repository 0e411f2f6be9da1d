//! The doctor of backups on real servers: what it finds is so, and what it advises helps.

use crate::harness::{Cluster, Fault};
use crate::logical::Ground;
use crate::s3_backups::Ground as Bucket;
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

/// The report, and the exit code.
fn doctor(ground: &Ground) -> (Value, i32) {
    let output = ground.pgtend(&["backup", "doctor", "--format", "json"]);
    let said = String::from_utf8_lossy(&output.stderr);
    let report = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {said}{}", ground.agent.log()));
    (report, output.status.code().unwrap())
}

/// The worst check of this name.
fn check(report: &Value, id: &str) -> Value {
    let rank = |check: &Value| ["ok", "unknown", "warn", "fail"].iter().position(|state| check["state"] == *state);
    let found = report["checks"].as_array().unwrap().iter().filter(|check| check["id"] == id).max_by_key(|check| rank(check));
    found.unwrap_or_else(|| panic!("no check {id}: {report:#}")).clone()
}

fn state(report: &Value, id: &str) -> String {
    check(report, id)["state"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_server_that_is_backed_up_is_sound_and_what_goes_wrong_is_found() {
    let cluster = Cluster::builder(15).config("wal_level = replica").config("archive_mode = off").start().await;
    let ground = Ground::beside(cluster, "schedule = \"0 3 * * *\"").await;
    ground.agent.wait_until("/api/v1/backups", "/work/0/last/backup/label", |label| !label.is_null()).await;
    let (report, code) = doctor(&ground);
    for id in [
        "connection",
        "credentials",
        "privileges",
        "data_directory",
        "storage",
        "key_file",
        "backups",
        "age",
        "sample",
        "locks",
        "server_clock",
        "storage_clock",
    ] {
        assert_eq!(state(&report, id), "ok", "{:#}", check(&report, id));
    }
    assert_eq!((state(&report, "archiving"), code), ("warn".into(), 1), "nobody archives: {report:#}");

    let key = ground.agent.state_directory().join("repository-main.key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let repository = ground.path("repository");
    let head = Command::new("find").arg(&repository).args(["-name", "head"]).output().unwrap();
    let head = String::from_utf8_lossy(&head.stdout).trim().to_owned();
    fs::set_permissions(&head, fs::Permissions::from_mode(0o600)).unwrap();
    let mut content = fs::read(&head).unwrap();
    let middle = content.len() / 2;
    content[middle] ^= 1;
    fs::write(&head, content).unwrap();
    let (report, code) = doctor(&ground);
    assert_eq!(code, 2);
    assert!(check(&report, "key_file")["fix"].as_str().unwrap().starts_with("chmod 0600"), "{report:#}");
    assert!(check(&report, "backups")["found"].as_str().unwrap().contains("1 of 1 backups cannot be read"), "{report:#}");
    let text = String::from_utf8_lossy(&ground.pgtend(&["backup", "doctor", "--quiet"]).stdout).into_owned();
    assert!(text.contains("FAIL") && text.contains("chmod 0600") && !text.contains(" ok "), "{text}");
}

#[tokio::test]
async fn the_grant_that_is_advised_is_the_one_that_helps() {
    let ground = Ground::new("keeper", "schedule = \"0 1 * * SUN\"", "").await;
    ground.cluster.psql("alter role keeper valid until 'tomorrow'; revoke pg_monitor from keeper").await;
    let (report, code) = doctor(&ground);
    assert_eq!((code, state(&report, "credentials")), (2, "warn".into()), "{report:#}");
    for _ in 0..2 {
        let (report, _) = doctor(&ground);
        for id in ["privileges", "logical_privileges"] {
            let fix = check(&report, id)["fix"].as_str().unwrap().to_owned();
            if !fix.is_empty() {
                ground.cluster.psql(&fix[fix.find("GRANT").unwrap()..]).await;
            }
        }
    }
    ground.cluster.psql("alter role keeper valid until 'infinity'").await;
    let (report, _) = doctor(&ground);
    for id in ["privileges", "logical_privileges", "credentials"] {
        assert_eq!(state(&report, id), "ok", "{:#}", check(&report, id));
    }
    assert_eq!(state(&report, "data_directory"), "unknown", "the server's files are not told to be here");
    assert!(check(&report, "age")["found"].as_str().unwrap().contains("no logical backup"), "{report:#}");
    ground.json(&["backup", "run", "--logical"]);
    assert_eq!(state(&doctor(&ground).0, "age"), "ok");
}

#[tokio::test]
async fn a_server_that_is_down_and_a_storage_that_refuses_are_told_with_their_reasons() {
    let mut bucket = Bucket::new().await;
    bucket.cluster.stop().await;
    bucket.proxy.fail("PUT", "probe/", Fault::Answer(403, "AccessDenied"), 1000);
    let output = bucket.pgtend(&["backup", "doctor", "--format", "json"]);
    assert_eq!(output.status.code(), Some(2));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((state(&report, "connection"), state(&report, "privileges")), ("fail".into(), "unknown".into()), "{report:#}");
    let storage = check(&report, "storage").to_string();
    assert!(storage.contains("fail") && storage.contains("s3:PutObject"), "{storage}");
    assert!(!output.stdout.windows(8).any(|part| part == b"a secret"));
}
