//! Several hosts, and which of them will do.

use super::{open, target};
use crate::harness::Cluster;
use pgtend_model::error::Kind;
use pgtend_postgres::connect::Environment;

/// A primary and a standby of nobody, which is all that the choice looks at.
async fn pair() -> (Cluster, Cluster) {
    let standby = Cluster::builder(15).file("standby.signal", "");
    (Cluster::start(15).await, standby.start().await)
}

fn either(first: &Cluster, second: &Cluster, wanted: &str) -> String {
    format!("postgresql://postgres@127.0.0.1:{},127.0.0.1:{}/postgres?target_session_attrs={wanted}", first.port(), second.port())
}

#[tokio::test]
async fn target_session_attrs_choose_as_libpq_does() {
    let (primary, standby) = pair().await;
    let read_only = Cluster::builder(15).config("default_transaction_read_only = on").start().await;
    let cases = [
        (&primary, &standby, "any"),
        (&standby, &primary, "any"),
        (&standby, &primary, "primary"),
        (&primary, &standby, "standby"),
        (&standby, &primary, "read-write"),
        (&primary, &standby, "read-only"),
        (&primary, &standby, "prefer-standby"),
        (&primary, &read_only, "prefer-standby"),
        (&read_only, &primary, "read-write"),
        (&primary, &read_only, "read-only"),
        (&read_only, &standby, "primary"),
    ];
    for (first, second, wanted) in cases {
        let dsn = either(first, second, wanted);
        let session = open(&target(&dsn)).await.unwrap();
        let sql = "select inet_server_port()";
        let reference = first.client("psql").args(["-XAt", "-c", sql, "-d", &dsn]).output().await.unwrap();
        let expected = String::from_utf8_lossy(&reference.stdout).trim().to_owned();
        assert_eq!(super::value(&session, sql).await, expected, "{wanted}: {}", String::from_utf8_lossy(&reference.stderr));
    }
}

#[tokio::test]
async fn no_server_that_will_do_is_told_with_every_address() {
    let (primary, mut gone) = (Cluster::start(15).await, Cluster::start(15).await);
    gone.stop().await;
    assert!(open(&target(&either(&gone, &primary, "any"))).await.is_ok());
    let error = open(&target(&either(&gone, &primary, "standby"))).await.unwrap_err();
    assert_eq!(error.kind, Kind::Conflict);
    let expected = format!("127.0.0.1:{}: nothing listens there; 127.0.0.1:{}: the server is a primary", gone.port(), primary.port());
    assert!(error.what.contains(&expected), "{error}");
}

#[tokio::test]
async fn a_refusal_ends_the_search() {
    let refusing = Cluster::builder(15).hba("host all all all reject\n").start().await;
    let welcoming = Cluster::start(15).await;
    let error = open(&target(&either(&refusing, &welcoming, "any"))).await.unwrap_err();
    assert_eq!((error.kind, error.place), (Kind::Authentication, format!("127.0.0.1:{}", refusing.port())));
}

#[tokio::test]
async fn a_service_and_a_password_file_are_enough() {
    let cluster = Cluster::builder(15).hba("local all all trust\nhost all all all scram-sha-256\n").start().await;
    cluster.psql("alter role postgres password 'ge:heim'").await;
    cluster.put_file(".pg_service.conf", format!("[main]\nhost=localhost\nport={}\nuser=postgres\n", cluster.port()).as_bytes());
    cluster.put_file(".pgpass", format!("localhost:{}:*:postgres:ge\\:heim\n", cluster.port()).as_bytes());
    let home = Some(cluster.data_directory().to_owned());
    let environment = Environment { home, ..Environment::with_variables(&[("PGSERVICE", "main"), ("PGAPPNAME", "nightly")]) };
    let target = pgtend_postgres::connect::Target::resolve(None, &environment).unwrap();
    let session = open(&target).await.unwrap();
    assert_eq!(super::value(&session, "show application_name").await, "nightly");
}
