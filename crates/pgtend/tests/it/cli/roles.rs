//! Roles that may see everything, and one that may see nothing: what it cannot see is told, never shown as nothing.

use super::{Person, session};
use crate::harness::{Agent, Cluster};
use serde_json::Value;

fn as_role(cluster: &Cluster, role: &str) -> String {
    cluster.dsn().replace("user=postgres", &format!("user={role}"))
}

/// That the reason at a place is a privilege that this role lacks, with what would mend it.
fn assert_privilege(document: &Value, place: &str) {
    let why = &document["unknown"][place];
    assert_eq!(why["reason"], "privilege", "{place}: {document}");
    assert!(why["detail"].as_str().unwrap().contains("GRANT pg_monitor TO"), "{place}: {why}");
}

const LOOKS: [&[&str]; 4] = [&["activity"], &["query", "list"], &["connections", "list"], &["top", "--once", "--window", "1s"]];

#[tokio::test]
async fn a_role_without_privileges_hears_what_it_does_not_see() {
    let cluster = Cluster::start(15).await;
    cluster.psql("create role nobody login").await;
    let _busy = session(&cluster, "busy", "select pg_sleep(300)").await;
    let agent = Agent::builder().server("main", &as_role(&cluster, "nobody"), "").start().await;
    agent.wait_until("/api/v1/status", "/unknown/sessions/reason", |reason| reason == "privilege").await;
    let direct = Person::directly(&as_role(&cluster, "nobody"));
    for person in [&direct, &Person::over_socket(&agent)] {
        for look in LOOKS {
            let told = person.run(look).await.ends(0).says(&["note: the role sees only its own sessions; run: GRANT pg_monitor TO"]);
            let (bounded, hidden) = (told.stdout.contains("of this role's own"), told.stdout.contains("hidden"));
            assert!(bounded || hidden, "{told}");
        }
        person.run(&["connections", "list", "--state", "active"]).await.ends(0).says(&["hidden from this role", "GRANT pg_monitor TO"]);
        person.run(&["locks"]).await.ends(0).says(&["GRANT pg_monitor TO"]).shows(&["no session waits for a lock"]);

        let queries = person.json(&["query", "list"]).await;
        assert_eq!(queries["sessions"], serde_json::json!([]), "{queries}");
        assert_privilege(&queries, "sessions.others");
        assert_privilege(&person.json(&["activity"]).await, "sessions.others");
        assert_privilege(&person.json(&["locks"]).await, "sessions.others");
        let top = person.json(&["top", "--once", "--window", "1s"]).await;
        assert_eq!(top["average_active_sessions"], Value::Null, "{top}");
        ["average_active_sessions", "sessions.others"].iter().for_each(|place| assert_privilege(&top, place));
        let status = person.json(&["status"]).await;
        ["sessions", "connections.active"].iter().for_each(|place| assert_privilege(&status, place));
    }
    hosts_figures_need_the_data_directory(&direct).await;
}

async fn hosts_figures_need_the_data_directory(direct: &Person) {
    let status = direct.json(&["status"]).await;
    for place in ["cpu", "memory", "disk"] {
        assert_privilege(&status, place);
        assert!(status["unknown"][place]["detail"].as_str().unwrap().contains("data directory"), "{status}");
    }
    direct.run(&["status"]).await.ends(0).shows(&["host cpu", "unknown", "pg_read_all_settings", "GRANT pg_monitor TO"]);
}

#[tokio::test]
async fn a_role_with_pg_monitor_sees_everything() {
    let cluster = Cluster::start(15).await;
    cluster.psql("create role watcher login in role pg_monitor").await;
    let busy = session(&cluster, "busy", "select pg_sleep(300)").await;
    let watcher = Person::directly(&as_role(&cluster, "watcher"));
    for look in LOOKS {
        let told = watcher.run(look).await.ends(0).says_nothing().shows(&["busy", "select pg_sleep(300)"]);
        assert!(!told.stdout.contains("of this role's own"), "{told}");
    }
    let status = watcher.json(&["status"]).await;
    assert!(status["cpu"]["cores"].is_number() && status["disk"]["path"].is_string() && status["sessions"]["blocked"] == 0, "{status}");
    // It may look, but not end the sessions of a superuser: the server's own words say so.
    let told = watcher.run(&["connections", "terminate", "--app", "busy", "--yes"]).await.ends(1);
    assert!(told.stdout.contains("refused: ") && told.stdout.contains("superuser"), "{told}");
    assert!(busy.id().is_some() && cluster.psql("select count(*) from pg_stat_activity where application_name = 'busy'").await == "1");
}
