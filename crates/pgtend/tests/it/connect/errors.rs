//! What is said when a server does not let us in, or a query gives nothing.

use super::{open, target, target_at};
use crate::harness::Cluster;
use pgtend_model::error::{Error, Kind, Retry};
use pgtend_model::sample::Reason;
use pgtend_postgres::connect::{Limits, Session, error};
use rustix::process::Signal;
use std::process::Stdio;
use std::time::Duration;

async fn refusal(cluster: &Cluster, parameters: &str) -> Error {
    let error = open(&target_at(cluster, parameters)).await.unwrap_err();
    assert!(!error.to_string().contains("geheim"), "{error}");
    assert_eq!(error.place, format!("127.0.0.1:{}", cluster.port()));
    error
}

#[tokio::test]
async fn credentials_that_do_not_do_are_told_apart() {
    let hba = "local all all trust\nhost all nobody all trust\nhost all password all scram-sha-256\nhost all postgres all trust\n";
    let cluster = Cluster::builder(15).hba(hba).start().await;
    cluster.psql("create role password login password 'geheim'; create role hidden login").await;
    cluster.psql("create database closed").await;
    cluster.psql("revoke connect on database closed from public; create role nologin").await;

    assert!(open(&target_at(&cluster, "user=password password=geheim dbname=postgres")).await.is_ok());
    let wrong = refusal(&cluster, "user=password password=falsch dbname=postgres").await;
    assert_eq!((wrong.kind, wrong.retry), (Kind::Authentication, Retry::Never));
    assert!(wrong.what.contains("28P01") && wrong.hint.contains("~/.pgpass"), "{wrong}");
    let missing = refusal(&cluster, "user=password dbname=postgres").await;
    assert_eq!(missing.what, "the server asks for a password and none is given");
    let unknown = refusal(&cluster, "user=nobody dbname=postgres").await;
    assert_eq!((unknown.kind, unknown.hint.as_str()), (Kind::Authentication, "the role must exist and have LOGIN"));
    let unlisted = refusal(&cluster, "user=hidden dbname=postgres").await;
    assert_eq!(unlisted.kind, Kind::Authentication);
    assert!(unlisted.hint.contains("pg_hba.conf"), "{unlisted}");
    let database = refusal(&cluster, "dbname=nosuch").await;
    assert_eq!(database.kind, Kind::NotFound);
    let closed = refusal(&cluster, "user=password password=geheim dbname=closed").await;
    assert_eq!(closed.kind, Kind::Privilege);
}

#[tokio::test]
async fn a_password_file_open_to_others_is_named() {
    let cluster = Cluster::builder(15).hba("local all all trust\nhost all all all scram-sha-256\n").start().await;
    cluster.psql("alter role postgres password 'geheim'").await;
    cluster.put_file(".pgpass", b"127.0.0.1:*:postgres:postgres:geheim\n");
    assert!(open(&target_at(&cluster, "dbname=postgres")).await.is_ok());
    let path = cluster.data_directory().join(".pgpass");
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    let error = refusal(&cluster, "dbname=postgres").await;
    assert!(error.hint.contains(&format!("chmod 0600 {}", path.display())), "{error}");
}

#[tokio::test]
async fn a_full_server_rejects() {
    let cluster = Cluster::builder(15).config("max_connections = 5").config("superuser_reserved_connections = 2").start().await;
    cluster.psql("create role app login").await;
    let app = target(&cluster.dsn().replace("user=postgres", "user=app"));
    let mut sessions = Vec::new();
    let error = loop {
        match open(&app).await {
            Ok(session) => sessions.push(session),
            Err(error) => break error,
        }
    };
    // The slot of the psql above may still be on its way back.
    assert!((2..=3).contains(&sessions.len()), "{} sessions", sessions.len());
    assert_eq!((error.kind, error.retry), (Kind::Rejecting, Retry::Later));
    assert!(error.what.contains("53300") && error.hint.contains("max_connections"), "{error}");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_told_from_one_that_is_silent() {
    let mut cluster = Cluster::start(15).await;
    let (socket, tcp) = (target(&cluster.dsn()), target(&cluster.tcp_dsn()));
    let limits = Limits { connect_timeout: Duration::from_millis(500), ..Limits::default() };

    cluster.signal(Signal::STOP);
    let silent = Session::open(&tcp, &limits, "pgtend-test").await.unwrap_err();
    cluster.signal(Signal::CONT);
    assert_eq!(silent.kind, Kind::Timeout);
    assert!(silent.what.contains("says nothing within 500ms"), "{silent}");

    cluster.stop().await;
    let refused = open(&tcp).await.unwrap_err();
    assert_eq!((refused.kind, refused.what.as_str()), (Kind::Unreachable, "nothing listens there"));
    assert!(refused.hint.contains("listen_addresses"), "{refused}");
    let missing = open(&socket).await.unwrap_err();
    assert_eq!((missing.kind, missing.what.as_str()), (Kind::Unreachable, "no server has its socket there"));
    assert_eq!(missing.place, format!("{}/.s.PGSQL.{}", cluster.socket_directory().display(), cluster.port()));

    cluster.start_again().await;
    cluster.kill().await;
    let stale = open(&target(&cluster.dsn())).await.unwrap_err();
    assert_eq!(stale.what, "no server listens on this socket any more");
    let unresolved = open(&target("host=no-such-host.invalid user=x")).await.unwrap_err();
    assert!(unresolved.what.contains("cannot be resolved"), "{unresolved}");
}

#[tokio::test]
async fn queries_that_give_nothing_have_their_reason() {
    let cluster = Cluster::start(15).await;
    cluster.psql("create table public.held (x int); create role app login; grant select on public.held to app").await;
    cluster.psql("create extension pg_stat_statements schema public; grant pg_monitor to app").await;
    let limits = Limits { statement_timeout: Duration::from_millis(300), lock_timeout: Duration::from_millis(100), ..Limits::default() };
    let dsn = cluster.dsn().replace("user=postgres", "user=app");
    let session = Session::open(&target(&dsn), &limits, "pgtend-test").await.unwrap();
    let holder = open(&target(&cluster.dsn())).await.unwrap();
    holder.client().batch_execute("begin read write; lock table public.held in access exclusive mode").await.unwrap();

    let reason = async |sql: &str| {
        let error = session.client().simple_query(sql).await.unwrap_err();
        error::unknown(&error).reason
    };
    assert_eq!(reason("select * from public.held").await, Reason::Lock);
    assert_eq!(reason("select pg_sleep(60)").await, Reason::Timeout);
    assert_eq!(reason("select * from pg_authid").await, Reason::Privilege);
    assert_eq!(reason("select * from public.pg_buffercache").await, Reason::Extension);
    assert_eq!(reason("select * from public.pg_stat_statements").await, Reason::Extension);
    assert_eq!(reason("select 1/0").await, Reason::Failed);
    assert_eq!(reason("select pg_terminate_backend(pg_backend_pid())").await, Reason::Unreachable);
    session.closed().await;
    assert_eq!(reason("select 1").await, Reason::Unreachable);
}

#[tokio::test]
async fn a_pooler_is_recognized() {
    let cluster = Cluster::start(15).await;
    let (socket, data) = (cluster.socket_directory().display(), cluster.data_directory().display());
    let settings = format!(
        "[databases]\n* = host={socket} port={}\n[pgbouncer]\nunix_socket_dir={data}\nlisten_port=6432\nauth_type=any\n",
        cluster.port()
    );
    cluster.put_file("pgbouncer.ini", settings.as_bytes());
    let mut pooler = cluster.client("pgbouncer");
    let mut pooler = pooler.arg(super::file(&cluster, "pgbouncer.ini")).stderr(Stdio::null()).spawn().unwrap();
    // Its socket is there a moment before anybody listens.
    let error = loop {
        let error = open(&target(&format!("host={data} port=6432 user=postgres dbname=postgres"))).await.unwrap_err();
        if error.kind != Kind::Unreachable {
            break error;
        }
        assert_eq!(pooler.try_wait().unwrap(), None, "pgbouncer ended");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    pooler.kill().await.unwrap();
    assert_eq!(error.kind, Kind::Unsupported);
    assert!(error.what.contains("pooler") && error.hint.contains("PostgreSQL itself"), "{error}");
}
