//! A primary, a standby and sessions at work, so that every probe has something to tell.

use crate::harness::{Builder, Cluster};
use pgtend_postgres::connect::{Environment, Limits, Session, Target};

const SETTINGS: [&str; 11] = [
    "shared_preload_libraries = 'pg_stat_statements'",
    "track_io_timing = on",
    "track_functions = all",
    "wal_level = logical",
    "hot_standby_feedback = on",
    "max_prepared_transactions = 5",
    "max_worker_processes = 10",
    "autovacuum = off",
    "archive_mode = on",
    "archive_command = 'false'",
    "wal_receiver_status_interval = 1s",
];

/// Each in a transaction of its own.
const OBJECTS: [&str; 5] = [
    "create role watcher login;
     grant pg_monitor to watcher;
     create extension pg_stat_statements;
     create extension pg_buffercache;
     create table slow (id int primary key, pad text);
     insert into slow select n, repeat('x', 500) from generate_series(1, 20000) as n;
     create table held (id int);
     create table wide (id serial primary key, text text);
     alter table wide alter text set storage external;
     insert into wide (text) select repeat('x', 20000) from generate_series(1, 100);
     create function slowly(n int) returns int language plpgsql as 'begin return n; end'",
    "select slowly(nextval('wide_id_seq')::int)",
    "vacuum analyze wide",
    "select pg_create_physical_replication_slot('standby', true), pg_create_logical_replication_slot('consumer', 'pgoutput')",
    "create publication everything for all tables;
     create subscription copy connection 'dbname=elsewhere' publication everything with (connect = false)",
];

/// What the tests look at.
pub struct World {
    pub primary: Cluster,
    pub standby: Cluster,
    _sessions: Vec<Session>,
    _vacuum: tokio::process::Child,
}

/// Starts everything and waits until it is at work.
pub async fn start(major: u32) -> World {
    let primary = settings(Cluster::builder(major)).start().await;
    for sql in OBJECTS {
        primary.psql(sql).await;
    }
    let standby = standby_of(&primary, major).await;
    let sessions = sessions(&primary).await;
    let slowly = ["-c", "set vacuum_cost_delay = 100; set vacuum_cost_limit = 1", "-c", "vacuum (freeze) slow"];
    let vacuum = primary.client("psql").args(slowly).spawn().unwrap();
    wait_for(&primary, "select count(*) from pg_stat_progress_vacuum where phase = 'scanning heap'", "1").await;
    wait_for(&primary, "select count(*) from pg_stat_activity where wait_event_type = 'Lock'", "1").await;
    wait_for(&primary, "select state from pg_stat_replication where replay_lsn is not null", "streaming").await;
    World { primary, standby, _sessions: sessions, _vacuum: vacuum }
}

/// Asks until the answer is this one.
pub async fn wait_for(cluster: &Cluster, sql: &str, answer: &str) {
    let mut found = String::new();
    for _ in 0..300 {
        found = cluster.psql(sql).await;
        if found == answer {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("{sql} gave {found}, never {answer}:\n{}", cluster.log());
}

fn settings(builder: Builder) -> Builder {
    SETTINGS.into_iter().fold(builder, Builder::config)
}

/// All clusters are copies of one template, so that a fresh one can follow another from its very first record.
async fn standby_of(primary: &Cluster, major: u32) -> Cluster {
    let conninfo = format!("host={} port={} user=postgres", primary.socket_directory().display(), primary.port());
    settings(Cluster::builder(major))
        .config(format!("primary_conninfo = '{conninfo} application_name=standby'"))
        .config("primary_slot_name = 'standby'")
        .file("standby.signal", "")
        .start()
        .await
}

/// One session in a transaction that holds a lock, one that waits for it, and a prepared transaction.
async fn sessions(primary: &Cluster) -> Vec<Session> {
    let target = Target::resolve(Some(&primary.dsn()), &Environment::default()).unwrap();
    let open = async || Session::open(&target, &Limits::default(), "application").await.unwrap();
    let (holder, waiter, preparer) = (open().await, open().await, open().await);
    let limits = "set statement_timeout = 0; set lock_timeout = 0; set idle_in_transaction_session_timeout = 0;
                  set default_transaction_read_only = off; set search_path = public";
    for session in [&holder, &waiter, &preparer] {
        session.client().batch_execute(limits).await.unwrap();
    }
    preparer.client().batch_execute("begin; insert into wide values (-1, ''); prepare transaction 'two phases'").await.unwrap();
    holder.client().batch_execute("begin; lock table held in exclusive mode").await.unwrap();
    let blocked = "begin; lock table held in exclusive mode";
    let waiting = waiter.client().simple_query(blocked);
    // The future sends when it is polled first; the answer never comes.
    let _ = tokio::time::timeout(std::time::Duration::from_millis(200), waiting).await;
    vec![holder, waiter, preparer]
}
