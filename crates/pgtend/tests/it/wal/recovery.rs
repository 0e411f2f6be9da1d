//! A server recovers through `pgtend wal get`, fetched ahead.

use super::{Archive, archived, switch};
use crate::harness::Cluster;
use std::fs;
use std::process::Command;

#[tokio::test]
async fn a_copy_recovers_to_the_last_segment() {
    for major in [13, 18] {
        recovers(major).await;
    }
}

async fn recovers(major: u32) {
    let archive = Archive::new();
    let mut cluster = archive.server(major).await;
    let agent = archive.agent(&cluster, "").await;
    let mut copy = Cluster::builder(major).make();
    cluster.stop().await;
    let data = copy.data_directory();
    fs::remove_dir_all(data).unwrap();
    assert!(Command::new("cp").arg("-a").arg(cluster.data_directory()).arg(data).status().unwrap().success());
    cluster.start_again().await;
    cluster.pgbench(&["-i", "-s", "10", "-q"]).await;
    let last = switch(&cluster).await;
    archived(&cluster, &last).await;

    let restore =
        format!("restore_command = '{} wal get --socket {} \"%f\" \"%p\"'", archive.program().display(), archive.socket().display());
    copy.configure(&["archive_mode = off".to_owned(), restore]);
    copy.put_file("recovery.signal", b"");
    copy.start_again().await;
    copy.wait_for("select not pg_is_in_recovery()").await;
    assert_eq!(copy.psql("select count(*) from pgbench_accounts").await, "1000000");
    agent
        .wait_for("the counters", async |agent| {
            agent.get("/api/v1/wal").await["servers"][0]["archiving"]["fetched_files"].as_u64() >= Some(5)
        })
        .await;
    let told = agent.get("/api/v1/wal").await["servers"][0]["archiving"].clone();
    assert!(told["fetched_ahead_files"].as_u64() >= Some(2), "{told}");
}
