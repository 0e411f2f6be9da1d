//! Looking after a repository: holding backups, checking that archiving works, adopting a name.

use crate::faults::{Ground, said};
use crate::harness::Cluster;
use serde_json::Value;
use std::process::Command;

#[tokio::test]
async fn what_is_held_is_neither_expired_nor_deleted() {
    let ground = Ground::new("keep_count = 1\nkeep_days = 0\n").await;
    let first = ground.backup();
    let written = ground.json(&["backup", "annotate", &first, "--hold", "ticket=4711", "why=before the upgrade"]);
    assert_eq!((&written[0]["held"], &written[0]["annotations"]["ticket"]), (&Value::from(true), &Value::from("4711")), "{written:#}");
    for _ in 0..2 {
        ground.backup();
    }
    let labels = || -> Vec<String> {
        let list = ground.json(&["backup", "list"]);
        list["backups"].as_array().unwrap().iter().map(|backup| backup["label"].as_str().unwrap().to_owned()).collect()
    };
    assert!(labels().len() == 2 && labels()[0] == first, "{:?}", labels());
    let deleted = ground.pgtend(&["backup", "delete", &first]);
    assert!(!deleted.status.success() && said(&deleted).contains("is held"), "{}", said(&deleted));
    assert!(said(&ground.pgtend(&["backup", "list"])).contains("held"));
    assert!(said(&ground.pgtend(&["backup", "show", &first])).contains("before the upgrade"));
    ground.json(&["backup", "annotate", &first, "--release", "ticket="]);
    ground.json(&["backup", "expire"]);
    assert!(!labels().contains(&first));
    for wrong in [&["backup", "annotate", &first, "--hold"][..], &["backup", "annotate", &first], &["backup", "annotate", &first, "a b=c"]]
    {
        assert!(!ground.pgtend(wrong).status.success(), "{wrong:?}");
    }
}

#[tokio::test]
async fn the_check_sends_a_segment_all_the_way_and_says_what_is_in_the_way() {
    let mut ground = Ground::new("").await;
    let steps = ground.json(&["backup", "check"]);
    assert_eq!(steps.as_array().unwrap().len(), 5, "{steps:#}");
    assert!(steps.as_array().unwrap().iter().all(|step| step["error"].is_null()), "{steps:#}");
    assert!(steps[4]["found"].as_str().unwrap().contains("came after"));

    let failed = |ground: &Ground, arguments: &[&str]| {
        let output = ground.pgtend(&[&["backup", "check"], arguments].concat());
        (output.status.code().unwrap(), said(&output))
    };
    ground.cluster.psql("alter system set archive_command = 'false'").await;
    ground.cluster.psql("select pg_reload_conf()").await;
    ground.cluster.wait_for("select current_setting('archive_command') = 'false'").await;
    let (code, text) = failed(&ground, &[]);
    assert!(code == 78 && text.contains("archive_command does not call pgtend"), "{code} {text}");
    ground.cluster.psql("alter system set archive_command = 'false # pgtend'").await;
    ground.cluster.psql("select pg_reload_conf()").await;
    ground.cluster.wait_for("select current_setting('archive_command') like '%pgtend'").await;
    let (code, text) = failed(&ground, &["--timeout", "2s"]);
    assert!(code == 75 && text.contains("has not come within 2 s"), "{code} {text}");

    let elsewhere = ground.dir.path().join("unmounted");
    std::fs::rename(ground.archive.repository(), &elsewhere).unwrap();
    let (code, text) = failed(&ground, &[]);
    assert!(code != 0 && text.contains("repository"), "{code} {text}");
    std::fs::rename(&elsewhere, ground.archive.repository()).unwrap();
    ground.cluster.stop().await;
    let (code, text) = failed(&ground, &[]);
    assert!(code == 69 && text.contains("FAILED"), "{code} {text}");
}

#[tokio::test]
async fn a_new_cluster_takes_over_a_name_when_somebody_says_so() {
    let mut ground = Ground::new("").await;
    let first = ground.backup();
    let nothing = ground.json(&["repo", "adopt"]);
    assert_eq!(nothing[0]["same"], true, "{nothing:#}");
    // Another cluster in the place of the one that was there, as after an initdb.
    ground.agent.kill();
    ground.cluster.stop().await;
    let data = ground.cluster.data_directory().to_owned();
    let fresh = Cluster::builder(15).initdb(&["--data-checksums"]).make();
    let settings = std::fs::read(data.join("postgresql.conf")).unwrap();
    std::fs::remove_dir_all(&data).unwrap();
    assert!(Command::new("cp").arg("-a").arg(fresh.data_directory()).arg(&data).status().unwrap().success());
    ground.cluster.put_file("postgresql.conf", &settings);
    ground.cluster.start_again().await;
    ground.agent.start_again().await;
    let refused = ground.pgtend(&["backup", "run"]);
    assert!(!refused.status.success() && said(&refused).contains("pgtend repo adopt"), "{}", said(&refused));
    let told = ground.pgtend(&["repo", "adopt"]);
    assert!(told.status.code() == Some(1) && said(&told).contains("cannot write here any more"), "{}", said(&told));
    assert!(!ground.pgtend(&["backup", "run"]).status.success(), "telling changes nothing");
    let done = ground.json(&["repo", "adopt", "--yes"]);
    assert!(done[0]["done"] == true && done[0]["newest"] == first.as_str(), "{done:#}");
    let second = ground.backup();
    // Both can be restored.
    ground.restore("old", &["--backup", &first, "--immediate"]);
    ground.restore("new", &["--backup", &second, "--immediate"]);
}
