//! What a session is bound by, on every major, and that nothing of it stays behind.

use super::{cancel_a_sleep, open, open_patient, target, value};
use crate::harness::Cluster;
use pgtend_model::error::Kind;
use pgtend_postgres::connect::error;
use std::time::Duration;

#[tokio::test]
async fn our_bounds_win_over_the_roles_own_on_every_major() {
    for major in 13..=18 {
        let cluster = Cluster::start(major).await;
        let mut sql = "create role watcher login; alter role watcher set lock_timeout = '1h'; \
                       alter role watcher set idle_in_transaction_session_timeout = '1ms'; alter role watcher set jit = on; \
                       alter role watcher set search_path = public; alter role watcher set \"DateStyle\" = 'SQL, DMY'; \
                       alter database postgres set default_transaction_isolation = 'serializable'; "
            .to_owned();
        if major >= 14 {
            sql.push_str("alter role watcher set idle_session_timeout = '1s'; ");
        }
        cluster.psql(&(sql + "alter role watcher set statement_timeout = '1ms'")).await;

        let session = open(&target(&cluster.dsn().replace("user=postgres", "user=watcher"))).await.unwrap();
        assert_eq!(session.version() / 10_000, major);
        assert_eq!(session.version().to_string(), value(&session, "select current_setting('server_version_num')").await);
        assert_eq!(session.backend_pid().to_string(), value(&session, "select pg_backend_pid()").await);
        let expected = [
            ("application_name", "pgtend-test"),
            ("statement_timeout", "2s"),
            ("lock_timeout", "200ms"),
            ("idle_in_transaction_session_timeout", "10s"),
            ("search_path", "pg_catalog"),
            ("jit", "off"),
            ("DateStyle", "ISO, MDY"),
            ("default_transaction_read_only", "on"),
            ("default_transaction_isolation", "read committed"),
            ("client_encoding", "UTF8"),
        ];
        for (name, wanted) in expected {
            assert_eq!(value(&session, &format!("show \"{name}\"")).await, wanted, "{name} on {major}");
        }
        for (name, since) in [("idle_session_timeout", 14), ("transaction_timeout", 17)] {
            let expected = if major >= since { "0" } else { "null" };
            assert_eq!(value(&session, &format!("select current_setting('{name}', true)")).await, expected, "{name} on {major}");
        }
    }
}

#[tokio::test]
async fn a_session_cannot_write() {
    let cluster = Cluster::start(15).await;
    cluster.psql("create table public.t (x int)").await;
    let session = open(&target(&cluster.dsn())).await.unwrap();
    let error = session.client().execute("insert into public.t values (1)", &[]).await.unwrap_err();
    assert_eq!(error.code().unwrap().code(), "25006");
    assert_eq!(error::classify(&error).kind, Kind::Conflict);
}

#[tokio::test]
async fn dropping_a_session_ends_it_on_the_server() {
    let cluster = Cluster::start(15).await;
    let gone = |pid: i32| format!("select not exists (select from pg_stat_activity where pid = {pid})");
    let session = open(&target(&cluster.dsn())).await.unwrap();
    let pid = session.backend_pid();
    assert_eq!(cluster.psql(&gone(pid)).await, "f");
    drop(session);
    cluster.wait_for(&gone(pid)).await;

    let session = open(&target(&cluster.dsn())).await.unwrap();
    let pid = session.backend_pid();
    session.close(Duration::from_secs(20)).await;
    cluster.wait_for(&gone(pid)).await;
}

#[tokio::test]
async fn a_statement_can_be_cancelled() {
    for major in [13, 18] {
        let cluster = Cluster::start(major).await;
        let session = open_patient(&target(&cluster.dsn())).await.unwrap();
        cancel_a_sleep(&cluster, &session).await;
    }
}

#[tokio::test]
async fn a_session_knows_when_the_server_stops() {
    let mut cluster = Cluster::start(15).await;
    let session = open(&target(&cluster.dsn())).await.unwrap();
    cluster.stop().await;
    let why = session.closed().await;
    assert_eq!(why.kind, Kind::Unreachable);
    assert!(why.what.contains("administrator command"), "{why}");
    assert!(session.is_closed());
    assert_eq!(why.place, session.address());

    cluster.start_again().await;
    let session = open(&target(&cluster.dsn())).await.unwrap();
    cluster.kill().await;
    assert_eq!(session.closed().await.kind, Kind::Unreachable);
}
