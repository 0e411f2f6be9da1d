//! Ending sessions from the command line: only who is meant, only after it was shown, never replication and never pgtend itself.

use super::super::api::token;
use super::{Person, idle, session};
use crate::harness::{Agent, Cluster, Terminal};
use serde_json::Value;
use std::process::Output;
use std::time::Duration;

async fn is_there(cluster: &Cluster, name: &str) -> bool {
    cluster.psql(&format!("select count(*) from pg_stat_activity where application_name = '{name}'")).await == "1"
}

async fn words_at_the_end(child: tokio::process::Child) -> String {
    let Output { stderr, .. } = child.wait_with_output().await.unwrap();
    String::from_utf8(stderr).unwrap()
}

#[tokio::test]
async fn nothing_is_ended_before_it_was_shown() {
    let cluster = Cluster::start(15).await;
    let _victim = session(&cluster, "victim", "select pg_sleep(300)").await;
    let person = Person::directly(&cluster.dsn());
    let terminate = ["connections", "terminate", "--app", "victim"];
    person.run(&[&terminate[..], &["--dry-run"]].concat()).await.ends(0).shows(&["victim", "to terminate"]);
    let plan = person.json(&[&terminate[..], &["--dry-run"]].concat()).await;
    assert_eq!((&plan["signal"], &plan["sessions"][0]["outcome"]), (&"terminate".into(), &Value::Null), "{plan}");
    person.run(&["query", "list", "--app", "victim", "--kill", "--dry-run"]).await.ends(0).shows(&["to terminate"]);
    person.run(&["query", "list", "--app", "victim", "--cancel", "--dry-run"]).await.ends(0).shows(&["to cancel"]);
    person.run(&["query", "list", "--app", "victim", "--yes"]).await.ends(0).says(&["neither --cancel nor --kill", "nothing is ended"]);
    person.run(&terminate).await.ends(64).says(&["nobody is there to ask", "--dry-run", "--yes"]);
    for everybody in [&["connections", "terminate", "--yes"][..], &["query", "list", "--kill", "--yes"], &["query", "cancel", "--yes"]] {
        person.run(everybody).await.ends(64).says(&["which sessions?", "--all"]);
    }
    for nobody in [["--user", "nobody"], ["--state", "idle"], ["--duration", "1h"]] {
        let nothing = person.run(&[&terminate[..], &nobody, &["--yes"]].concat()).await.ends(0);
        nothing.shows(&["no session meets the conditions: nothing to do"]);
    }
    assert!(is_there(&cluster, "victim").await);
}

#[tokio::test]
async fn who_is_meant_is_ended_and_nobody_else() {
    let cluster = Cluster::start(15).await;
    let agent = Agent::beside(&cluster).await;
    agent.wait_until("/api/v1/status", "/state", |state| state == "up").await;
    let (operator, viewer) = (token(&agent, "op", "operator").await, token(&agent, "eye", "viewer").await);
    let _bystander = idle(&cluster, "bystander", "begin; select 'open'").await;
    for person in [Person::directly(&cluster.dsn()), Person::over_socket(&agent), Person::over_network(&agent, &operator)] {
        let (idles, sleeps) = (idle(&cluster, "victim 1", "select 1").await, session(&cluster, "victim 2", "select pg_sleep(300)").await);
        // An agent's list is up to a second old.
        tokio::time::sleep(Duration::from_millis(1200)).await;
        let by_state = ["connections", "terminate", "--app", "victim*", "--state", "idle", "--duration", "1ms", "--yes"];
        person.run(&by_state).await.ends(0).says_nothing().shows(&["victim 1", "terminated"]);
        assert!(!is_there(&cluster, "victim 1").await && is_there(&cluster, "victim 2").await);
        let cancelled = person.json(&["query", "cancel", "--app", "victim 2", "--yes"]).await;
        assert_eq!(cancelled["sessions"][0]["outcome"]["fate"], "signalled", "{cancelled}");
        assert!(words_at_the_end(sleeps).await.contains("canceling statement due to user request"));
        drop(idles);

        let busy = session(&cluster, "busy", "do $$ begin loop perform 1; end loop; end $$").await;
        let sleeper = session(&cluster, "sleeper", "select pg_sleep(300)").await;
        let kill = ["query", "list", "--min-cpu", "20", "--min-duration", "100ms", "--kill", "--yes", "--reason", "too hot"];
        tokio::time::sleep(Duration::from_secs(2)).await;
        person.run(&kill).await.ends(0).shows(&["busy", "terminated"]);
        assert!(words_at_the_end(busy).await.contains("terminating connection due to administrator command"));
        assert!(is_there(&cluster, "sleeper").await, "it uses no processor");
        person.run(&["connections", "terminate", "--user", "postgres", "--app", "sleeper", "--yes"]).await.ends(0);
        drop(sleeper);
    }
    let refused = Person::over_network(&agent, &viewer).run(&["connections", "terminate", "--app", "bystander", "--yes"]).await;
    refused.ends(77).says(&["operator"]);
    assert!(is_there(&cluster, "bystander").await && agent.log().contains("too hot"));
}

#[tokio::test]
async fn who_does_something_else_since_the_plan_is_left_alone() {
    let cluster = Cluster::start(15).await;
    let person = Person::directly(&cluster.dsn());
    let mut fickle = idle(&cluster, "fickle", "select 'before'").await;
    let terminate = ["connections", "terminate", "--app", "fickle"];

    let mut terminal = Terminal::start(person.command(&terminate).as_std());
    terminal.shows(&["select 'before'", "End this session? Its transaction is rolled back. [y/N]"]).await;
    terminal.press("n\n");
    let left = terminal.left().await;
    assert!(left.code == 1 && left.text.contains("nothing was done"), "{}: {}", left.code, left.text);

    let mut terminal = Terminal::start(person.command(&terminate).as_std());
    terminal.shows(&["[y/N]"]).await;
    super::say(&mut fickle, "select 'after'").await;
    cluster.wait_for("select query like '%after%' from pg_stat_activity where application_name = 'fickle'").await;
    terminal.press("y\n");
    let left = terminal.left().await;
    assert!(left.code == 1 && left.text.contains("no longer doing what was seen"), "{}: {}", left.code, left.text);
    assert!(is_there(&cluster, "fickle").await);

    let mut terminal = Terminal::start(person.command(&terminate).as_std());
    terminal.shows(&["[y/N]"]).await;
    terminal.press("y\n");
    let left = terminal.left().await;
    assert!(left.code == 0 && left.text.contains("terminated"), "{}: {}", left.code, left.text);
    assert!(!is_there(&cluster, "fickle").await);
}

#[tokio::test]
async fn replication_and_pgtend_itself_are_never_touched() {
    let cluster = Cluster::start(15).await;
    let agent = Agent::beside(&cluster).await;
    agent.wait_until("/api/v1/status", "/state", |state| state == "up").await;
    let directory = cluster.socket_directory().join("received");
    std::fs::create_dir(&directory).unwrap();
    std::os::unix::fs::chown(&directory, Some(std::os::unix::fs::MetadataExt::uid(&cluster.data_directory().metadata().unwrap())), None)
        .unwrap();
    let _receiver = cluster.client("pg_receivewal").arg("-D").arg(&directory).spawn().unwrap();
    cluster.wait_for("select count(*) = 1 from pg_stat_replication where state = 'streaming'").await;
    let pid_of = async |condition: &str| cluster.psql(&format!("select pid from pg_stat_activity where {condition}")).await;
    let (sender, own) = (pid_of("backend_type = 'walsender'").await, pid_of("application_name = 'pgtend'").await);
    let checkpointer = pid_of("backend_type = 'checkpointer'").await;
    for person in [Person::directly(&cluster.dsn()), Person::over_socket(&agent)] {
        let _client = idle(&cluster, "client", "select 1").await;
        for (pid, why) in [(&sender, "sends WAL to a standby"), (&own, "pgtend's own"), (&checkpointer, "a process of the server itself")] {
            person.run(&["connections", "terminate", "--pid", pid, "--yes"]).await.ends(1).shows(&["left alone", why]);
        }
        person.run(&["connections", "terminate", "--all", "--yes"]).await.ends(0).shows(&["client", "terminated"]);
        assert!(!is_there(&cluster, "client").await);
        assert_eq!(
            (pid_of("backend_type = 'walsender'").await, pid_of("application_name = 'pgtend'").await),
            (sender.clone(), own.clone())
        );
    }
}
