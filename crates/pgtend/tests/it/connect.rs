//! Connecting to real servers: who gets in and how, what a session is bound by, and what is said when it does not work.

mod errors;
mod hosts;
mod pinging;
mod session;
mod tls;

use crate::harness::Cluster;
use pgtend_model::error::Error;
use pgtend_postgres::connect::{Environment, Limits, Session, Target};
use std::path::Path;
use std::time::Duration;

/// A target without anything from the environment of the test run.
fn target(dsn: &str) -> Target {
    Target::resolve(Some(dsn), &Environment::default()).unwrap()
}

/// A target on this cluster over TCP, whose files are in its data directory as if that were the home directory.
fn target_at(cluster: &Cluster, parameters: &str) -> Target {
    let dsn = format!("host=127.0.0.1 port={} user=postgres {parameters}", cluster.port());
    let environment = Environment { home: Some(cluster.data_directory().to_owned()), ..Environment::default() };
    Target::resolve(Some(&dsn), &environment).unwrap()
}

/// Opens a session that waits as long as a busy machine may need.
async fn open_patient(target: &Target) -> Result<Session, Error> {
    let patience = Duration::from_secs(120);
    let limits = Limits { connect_timeout: Duration::from_secs(20), statement_timeout: patience, ..Limits::default() };
    Session::open(target, &limits, "pgtend-test").await
}

async fn open(target: &Target) -> Result<Session, Error> {
    let limits = Limits { connect_timeout: Duration::from_secs(20), ..Limits::default() };
    Session::open(target, &limits, "pgtend-test").await
}

/// The first value of the first row, as text.
async fn value(session: &Session, sql: &str) -> String {
    let messages = session.client().simple_query(sql).await.unwrap();
    let row = messages.iter().find_map(|message| match message {
        tokio_postgres::SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    });
    row.unwrap().get(0).unwrap_or("null").to_owned()
}

/// Cancels a statement that would sleep for a minute, and waits for its end.
async fn cancel_a_sleep(cluster: &Cluster, session: &Session) {
    let sleeping = session.client().simple_query("select pg_sleep(60)");
    let cancelling = async {
        cluster.wait_for("select count(*) = 1 from pg_stat_activity where wait_event = 'PgSleep'").await;
        session.cancel().await.unwrap();
    };
    let (slept, ()) = tokio::join!(sleeping, cancelling);
    assert_eq!(slept.unwrap_err().code().unwrap().code(), "57014");
    assert!(!session.is_closed());
}

/// The path of a file in a cluster's data directory.
fn file(cluster: &Cluster, name: &str) -> String {
    Path::new(cluster.data_directory()).join(name).display().to_string()
}
