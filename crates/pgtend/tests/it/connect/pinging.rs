//! `ping` says what `pg_isready` says.

use super::{target, target_at};
use crate::harness::Cluster;
use pgtend_postgres::connect::{Ping, Target, ping};
use rustix::process::Signal;
use std::time::Duration;

/// Pings, and lets `pg_isready` judge too.
async fn ping_both(cluster: &Cluster, target: &Target) -> Ping {
    let answer = ping(target, Duration::from_secs(20)).await;
    let mut reference = cluster.client("pg_isready");
    reference.args(["--quiet", "--host", &target.host(), "--port", &target.port().to_string(), "--username", "nobody"]);
    let code = reference.status().await.unwrap().code();
    assert_eq!(code, Some(i32::from(answer.exit_code())), "{answer:?}");
    answer
}

#[tokio::test]
async fn a_server_that_would_not_let_us_in_accepts_connections() {
    let cluster = Cluster::builder(15).hba("local all all scram-sha-256\nhost all all all reject\n").start().await;
    assert_eq!(ping_both(&cluster, &target(&cluster.dsn())).await, Ping::Accepting);
    assert_eq!(ping_both(&cluster, &target_at(&cluster, "dbname=nosuch")).await, Ping::Accepting);
    assert!(!cluster.log().contains("password authentication failed"), "nobody was to be authenticated:\n{}", cluster.log());
}

#[tokio::test]
async fn a_standby_without_hot_standby_rejects() {
    let cluster = Cluster::builder(15).file("standby.signal", "").config("hot_standby = off").start().await;
    let Ping::Rejecting(why) = ping_both(&cluster, &target(&cluster.dsn())).await else { panic!("it should reject") };
    assert!(why.what.contains("not accepting connections"), "{why}");
    let refused = super::open(&target(&cluster.dsn())).await.unwrap_err();
    assert_eq!(refused.kind, pgtend_model::error::Kind::Rejecting);
}

#[tokio::test]
async fn a_server_that_stands_still_or_is_gone_does_not_respond() {
    let mut cluster = Cluster::start(15).await;
    cluster.signal(Signal::STOP);
    let answer = ping(&target(&cluster.tcp_dsn()), Duration::from_millis(300)).await;
    cluster.signal(Signal::CONT);
    assert_eq!(answer.exit_code(), 2, "{answer:?}");
    cluster.stop().await;
    assert_eq!(ping_both(&cluster, &target(&cluster.dsn())).await.exit_code(), 2);
    assert_eq!(ping_both(&cluster, &target(&cluster.tcp_dsn())).await.exit_code(), 2);
}

#[tokio::test]
async fn parameters_that_cannot_work_are_not_attempted() {
    let identity = crate::harness::certificates::Identity::self_signed("localhost", &["localhost"]);
    let builder = Cluster::builder(15).config("ssl = on").file("server.crt", identity.certificate).file("server.key", identity.key);
    let cluster = builder.start().await;
    let answer = ping(&target_at(&cluster, "sslmode=verify-full sslrootcert=/nonexistent"), Duration::from_secs(20)).await;
    assert!(matches!(&answer, Ping::NotAttempted(why) if why.what.contains("/nonexistent does not exist")), "{answer:?}");
    assert_eq!(ping(&target_at(&cluster, "sslmode=require"), Duration::from_secs(20)).await, Ping::Accepting);
}
