//! Passwords in the server's configuration never leave it, and what may not be read is said to be missing.

use super::{Watcher, as_role};
use crate::harness::Cluster;
use pgtend_model::sample::{Probe, Reason, Taken, Value};

#[tokio::test]
async fn secrets_in_the_configuration_are_masked() {
    let cluster = Cluster::builder(15)
        .config("primary_conninfo = 'host=elsewhere user=repl password=hunter2 application_name=me'")
        .config(r#"archive_command = 'AWS_SECRET_ACCESS_KEY=hunter2 PGPASSWORD="hunter2 and hunter2" copy %p s3://bucket'"#)
        .config("restore_command = 'fetch https://joe:hunter2@example.com/%f'")
        .config("app.jwt_secret = 'hunter2'")
        .config("ssl_passphrase_command = 'echo hunter2'")
        .hba("local all all trust\nhost all joe 127.0.0.1/32 ldap ldapserver=elsewhere ldapbindpasswd=hunter2 ldapbasedn=\"dc=x\"")
        .start()
        .await;
    let mut watcher = Watcher::connect(&cluster.dsn()).await;
    for probe in [Probe::Settings, Probe::FileSettings, Probe::Hba] {
        let taken = watcher.run(probe).await.unwrap();
        let texts: Vec<&str> = (0..taken.len())
            .flat_map(|row| (0..probe.spec().columns.len()).map(move |column| (row, column)))
            .filter_map(|(row, column)| if let Value::Text(text) = taken.value(row, column) { Some(text) } else { None })
            .collect();
        let leaks: Vec<_> = texts.iter().filter(|text| text.contains("hunter2")).collect();
        assert!(leaks.is_empty(), "{probe:?}: {leaks:?}");
        let kept = if probe == Probe::Hba { "ldapbasedn=dc=x" } else { "application_name=me" };
        assert!(texts.iter().any(|text| text.contains(kept) && text.contains("******")), "{probe:?} masks too much");
        let encryption = texts.iter().position(|text| *text == "password_encryption");
        assert!(probe != Probe::Settings || texts[encryption.unwrap() + 1] != "******", "the name alone makes no secret");
    }
}

#[tokio::test]
async fn what_a_role_may_not_read_is_missing_with_the_reason() {
    let cluster = Cluster::start(15).await;
    cluster.psql("create role nobody login; create role watcher login; grant pg_monitor to watcher").await;
    cluster.psql("create database closed").await;
    cluster
        .psql("revoke connect on database closed from public; create sequence mine; create sequence yours; grant select on mine to watcher")
        .await;

    let mut nobody = Watcher::connect(&as_role(&cluster.dsn(), "nobody")).await;
    let Taken::DatabaseSize(sizes) = nobody.run(Probe::DatabaseSize).await.unwrap() else { unreachable!() };
    assert!(sizes.rows.iter().all(|row| &*row.datname != "closed") && sizes.rows.len() == 3, "{:?}", sizes.rows);
    assert_eq!(sizes.missing.iter().map(|unknown| unknown.reason).collect::<Vec<_>>(), [Reason::Privilege]);
    let Taken::Server(server) = nobody.run(Probe::Server).await.unwrap() else { unreachable!() };
    assert!(!server.rows[0].sees_all_sessions);

    let mut watcher = Watcher::connect(&as_role(&cluster.dsn(), "watcher")).await;
    let Taken::Sequences(sequences) = watcher.run(Probe::Sequences).await.unwrap() else { unreachable!() };
    assert_eq!(sequences.rows.iter().map(|row| &*row.sequencename).collect::<Vec<_>>(), ["mine"]);
    assert!(sequences.missing[0].detail.contains("1 sequences"), "{:?}", sequences.missing);

    let unknown = watcher.run(Probe::Hba).await.unwrap_err();
    assert_eq!(unknown.reason, Reason::Privilege);
    assert!(unknown.detail.contains("GRANT EXECUTE ON FUNCTION pg_catalog.pg_hba_file_rules()"), "{unknown}");
}

#[tokio::test]
async fn many_sequences_cost_a_bounded_number_of_locks() {
    let cluster = Cluster::start(15).await;
    cluster.psql("do $$ begin for n in 1..600 loop execute 'create sequence s' || n; end loop; end $$").await;
    cluster.psql("create sequence small as smallint; select setval('small', 32767)").await;
    let mut watcher = Watcher::connect(&cluster.dsn()).await;
    let Taken::Sequences(sample) = watcher.run(Probe::Sequences).await.unwrap() else { unreachable!() };
    assert_eq!(sample.rows.len(), 500);
    assert_eq!(sample.missing.iter().map(|unknown| unknown.reason).collect::<Vec<_>>(), [Reason::Budget]);
    let small = sample.rows.iter().find(|row| &*row.sequencename == "small").unwrap();
    assert_eq!((small.last_value, small.used_ratio), (Some(32767), 1.0));
}
