//! The harness itself: clusters start, answer, stop, come back, and leave nothing behind.

use std::path::Path;

use super::Cluster;

#[tokio::test]
async fn every_major_starts() {
    for major in 13..=18 {
        let cluster = Cluster::start(major).await;
        assert!(cluster.psql("show server_version").await.starts_with(&major.to_string()));
        assert!(cluster.bindir().join("pg_ctl").exists());
    }
}

#[tokio::test]
async fn a_cluster_says_where_it_is() {
    let cluster = Cluster::builder(15).file("password.txt", "secret").hba("local all all trust\nhost all all all trust").start().await;
    let sql = "select inet_server_port(), current_setting('data_directory')";
    for dsn in [cluster.dsn(), cluster.tcp_dsn()] {
        let answer = cluster.client("psql").args(["-XAt", "-c", sql]).arg(&dsn).output().await.unwrap();
        let port = if dsn == cluster.dsn() { String::new() } else { cluster.port().to_string() };
        let expected = format!("{port}|{}\n", cluster.data_directory().display());
        assert_eq!(String::from_utf8_lossy(&answer.stdout), expected);
    }
    assert_eq!(cluster.psql("select pg_read_file('password.txt')").await, "secret");
}

#[tokio::test]
async fn a_cluster_leaves_nothing_behind() {
    let cluster = Cluster::builder(15).config("work_mem = '5MB'").start().await;
    assert_eq!(cluster.psql("show work_mem").await, "5MB");
    let (directory, postmaster) = (cluster.socket_directory().to_owned(), cluster.postmaster_pid());
    drop(cluster);
    assert!(!directory.exists());
    assert!(!Path::new(&format!("/proc/{postmaster}")).exists());
}

#[tokio::test]
async fn a_cluster_comes_back_with_its_data() {
    let mut cluster = Cluster::start(15).await;
    cluster.pgbench(&["--initialize", "--quiet", "--scale=1"]).await;
    let first = cluster.postmaster_pid();
    cluster.stop().await;
    cluster.start_again().await;
    assert_ne!(cluster.postmaster_pid(), first);
    cluster.kill().await;
    cluster.start_again().await;
    assert_eq!(cluster.psql("select count(*) from pgbench_accounts").await, "100000");
    assert!(cluster.log().contains("automatic recovery"), "it was killed, so it recovered:\n{}", cluster.log());
}

#[tokio::test]
async fn clusters_of_their_own_initdb_have_their_own_identity() {
    let sql = "select system_identifier from pg_control_system()";
    let first = Cluster::builder(15).initdb(&["--wal-segsize=1"]).start().await;
    let second = Cluster::builder(15).initdb(&["--wal-segsize=1"]).start().await;
    assert_ne!(first.psql(sql).await, second.psql(sql).await);
    assert_eq!(first.psql("show wal_segment_size").await, "1MB");
}
