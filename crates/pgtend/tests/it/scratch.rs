//! Scratch servers: restored copies that can be asked, and leave nothing.

use crate::backup::Ground;
use crate::harness::Cluster;
use pgtend::backup::Progress;
use pgtend::scratch::{Request, Scratch};
use pgtend_model::backup::restore_plan::{Target, Timeline, Wanted};
use pgtend_postgres::connect::{Limits, Session, Target as Server};
use pgtend_postgres::process::os_user::OsUser;
use std::collections::BTreeSet;
use std::time::Duration;

fn request(ground: &Ground, cluster: &Cluster, databases: &[&str]) -> Request {
    Request {
        repository: ground.repository(),
        server: "main".into(),
        wanted: Wanted { target: Target::Latest, backup: None, timeline: Timeline::Latest },
        exclusive: false,
        databases: databases.iter().map(ToString::to_string).collect::<BTreeSet<String>>(),
        directory: ground.path("scratch"),
        user: OsUser::choose(None).unwrap(),
        bindir: Some(cluster.bindir().to_owned()),
        workers: 2,
        preload: String::new(),
        client: Some(ground.client()),
        purpose: "test",
    }
}

async fn ask(server: &Server, sql: &str) -> Result<String, String> {
    let limits = Limits { statement_timeout: Duration::from_secs(60), as_the_role: true, ..Limits::default() };
    let session = Session::open(server, &limits, "test").await.map_err(|error| error.to_string())?;
    let rows = session.client().simple_query(sql).await.map_err(|error| format!("{error:?}"))?;
    let value = rows.iter().find_map(|message| match message {
        tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        _ => None,
    });
    Ok(value.unwrap_or_default())
}

async fn bring(request: Request) -> Scratch {
    request.prepare().unwrap().bring(&Progress::new(0)).await.unwrap()
}

fn left(ground: &Ground) -> usize {
    std::fs::read_dir(ground.path("scratch")).map_or(0, Iterator::count)
}

/// Two databases under load while the backup is taken, so that there is WAL to replay for both.
async fn loaded(ground: &Ground, cluster: &Cluster) {
    cluster.psql("create database shop").await;
    cluster.psql("create database other").await;
    cluster.pgbench(&["-i", "-s", "2", "-q", "shop"]).await;
    cluster.pgbench(&["-i", "-s", "2", "-q", "other"]).await;
    let load = |database: &'static str| {
        let mut command = cluster.client("pgbench");
        command.args(["-n", "-c", "2", "-T", "4", database]).stdout(std::process::Stdio::null());
        command.spawn().unwrap()
    };
    let (mut one, mut two) = (load("shop"), load("other"));
    ground.take(cluster).await;
    one.wait().await.unwrap();
    two.wait().await.unwrap();
}

#[tokio::test]
async fn a_copy_of_one_database_can_be_asked_and_leaves_nothing() {
    let cluster = Cluster::builder(15).config("archive_mode = off").config("max_connections = 150").start().await;
    let ground = Ground::new();
    loaded(&ground, &cluster).await;
    let whole = request(&ground, &cluster, &[]).prepare().unwrap();
    let planned = request(&ground, &cluster, &["other"]).prepare().unwrap();
    assert!(planned.bytes() + 20_000_000 < whole.bytes(), "{} of {}", planned.bytes(), whole.bytes());
    let scratch = planned.bring(&Progress::new(0)).await.unwrap();
    let balanced = "select (select sum(abalance) from pgbench_accounts) = (select sum(tbalance) from pgbench_tellers)";
    assert_eq!(ask(&scratch.target("other"), balanced).await.unwrap(), "t");
    let settings = "select string_agg(name || '=' || setting, ' ' order by name) from pg_settings where name in ('archive_mode', 'listen_addresses', 'primary_conninfo', 'fsync')";
    assert_eq!(ask(&scratch.target("other"), settings).await.unwrap(), "archive_mode=off fsync=off listen_addresses= primary_conninfo=");
    assert_eq!(ask(&scratch.target("postgres"), "select 1").await.unwrap(), "1");
    // Nobody can take the database that was left out for a sound one.
    assert!(ask(&scratch.target("shop"), "select count(*) from pgbench_accounts").await.is_err());
    assert!(scratch.took().copy_seconds > 0.0 && scratch.recovered().replayed_to.is_some(), "{scratch:?}");
    let (pid, run) = (scratch.pid().unwrap(), scratch.socket_directory());
    assert_eq!(left(&ground), 1);
    drop(scratch);
    assert!(left(&ground) == 0 && !run.exists() && !std::path::Path::new(&format!("/proc/{pid}")).exists());
}

#[tokio::test]
async fn a_cluster_without_a_role_postgres_is_asked_too_and_one_that_is_not_waited_for_leaves_nothing() {
    let cluster = Cluster::builder(15).config("archive_mode = off").start().await;
    let ground = Ground::new();
    cluster.psql("create role admin superuser login").await;
    cluster.psql("alter role postgres nologin").await;
    let dsn = cluster.dsn().replace("user=postgres", "user=admin");
    ground.take_over(&dsn).await;
    let scratch = bring(request(&ground, &cluster, &[])).await;
    assert_eq!(ask(&scratch.target("postgres"), "select rolcanlogin from pg_roles where rolname = 'postgres'").await.unwrap(), "f");
    drop(scratch);
    let planned = request(&ground, &cluster, &[]).prepare().unwrap();
    let given_up = tokio::time::timeout(Duration::from_millis(150), planned.bring(&Progress::new(0))).await;
    assert!(given_up.is_err(), "it should take longer");
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    while left(&ground) > 0 {
        assert!(std::time::Instant::now() < deadline, "it was left behind");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn what_is_missing_is_said_before_anything_is_written() {
    let cluster = Cluster::builder(15).config("archive_mode = off").start().await;
    let ground = Ground::new();
    ground.take(&cluster).await;
    let elsewhere = Request { bindir: Some("/nonexistent".into()), ..request(&ground, &cluster, &[]) };
    let error = elsewhere.prepare().unwrap_err();
    assert!(error.what.contains("PostgreSQL 15 is not installed here") && error.hint.contains("install"), "{error}");
    let closed = ground.path("closed");
    std::fs::create_dir(&closed).unwrap();
    std::fs::set_permissions(&closed, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    let closed = Request { directory: closed, ..request(&ground, &cluster, &[]) };
    let error = closed.prepare().unwrap_err();
    assert!(error.what.contains("cannot reach"), "{error}");
    assert_eq!(left(&ground), 0);
}
