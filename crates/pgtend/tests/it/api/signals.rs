//! Cancelling and terminating over the API: only what was seen, only what may be touched, and all of it in the log.

use super::{Visitor, token, watched};
use crate::harness::{Agent, Cluster};
use reqwest::StatusCode;
use serde_json::{Value, json};

/// A session that sleeps, as the API shows it.
async fn sleeper(cluster: &Cluster, agent: &Agent, name: &str) -> (tokio::process::Child, Value) {
    let sql = format!("set application_name = '{name}'; select pg_sleep(300)");
    let child = cluster.client("psql").args(["-c", &sql]).stderr(std::process::Stdio::piped()).spawn().unwrap();
    let path = format!("/api/v1/sessions?application={name}");
    agent.wait_until(&path, "/sessions/0/wait_event", |event| event == "PgSleep").await;
    (child, agent.get(&path).await["sessions"][0].clone())
}

async fn is_there(cluster: &Cluster, session: &Value) -> bool {
    let sql = format!("select count(*) from pg_stat_activity where pid = {} and wait_event = 'PgSleep'", session["session_id"]);
    cluster.psql(&sql).await == "1"
}

fn path(session: &Value, verb: &str) -> String {
    format!("/api/v1/sessions/{}/{verb}", session["session_id"])
}

#[tokio::test]
async fn a_running_statement_is_cancelled_only_if_it_is_the_one_that_was_seen() {
    let (cluster, agent) = watched(15).await;
    let operator = Visitor::with_token(&agent, &token(&agent, "op", "operator").await);
    let (child, session) = sleeper(&cluster, &agent, "victim").await;
    let (start, query) = (session["backend_start"].clone(), session["query_start"].clone());
    let cancel = path(&session, "cancel");

    let other_session = json!({"backend_start": "2020-01-01T00:00:00Z", "query_start": query});
    operator.post(&cancel, &other_session).await.assert_failure(StatusCode::CONFLICT, "no longer");
    let other_statement = json!({"backend_start": start, "query_start": "2020-01-01T00:00:00Z"});
    operator.post(&cancel, &other_statement).await.assert_failure(StatusCode::CONFLICT, "no longer");
    operator.post(&cancel, &json!({"backend_start": start})).await.assert_failure(StatusCode::BAD_REQUEST, "which statement");
    let dry = operator.post(&cancel, &json!({"backend_start": start, "query_start": query, "dry_run": true})).await;
    assert_eq!(dry.data(), &json!({"session_id": session["session_id"], "fate": "planned"}));
    assert!(is_there(&cluster, &session).await, "nothing was sent so far");

    let body = json!({"backend_start": start, "query_start": query, "reason": "it is\nin the way"});
    assert_eq!(operator.post(&cancel, &body).await.data()["fate"], "signalled");
    let ended = child.wait_with_output().await.unwrap();
    assert!(String::from_utf8_lossy(&ended.stderr).contains("canceling statement due to user request"), "{ended:?}");
    let log = agent.log();
    let line = log.lines().find(|line| line.contains("session signalled") && line.contains("signalled who=")).unwrap_or_default();
    for part in ["token op", "cancel", "it is\\nin the way", &session["session_id"].to_string()] {
        assert!(log.contains(part), "the log does not say {part}: {line}\n{log}");
    }
}

#[tokio::test]
async fn many_sessions_at_once_each_with_its_fate() {
    let (cluster, agent) = watched(15).await;
    let operator = Visitor::with_token(&agent, &token(&agent, "op", "operator").await);
    let (mut first, one) = sleeper(&cluster, &agent, "one").await;
    let (mut second, two) = sleeper(&cluster, &agent, "two").await;
    let all = agent.get("/api/v1/connections").await;
    let find = |holds: &dyn Fn(&Value) -> bool| all["sessions"].as_array().unwrap().iter().find(|s| holds(s)).unwrap().clone();
    let own = find(&|session| session["application_name"] == "pgtend");
    let background = find(&|session| session["backend_type"] == "checkpointer");
    let target = |session: &Value| json!({"pid": session["session_id"], "backend_start": session["backend_start"], "query_start": null});
    let gone = json!({"pid": two["session_id"], "backend_start": "2020-01-01T00:00:00Z", "query_start": null});
    let targets =
        json!([target(&one), gone, target(&own), target(&background), {"pid": 1_i64 << 40, "backend_start": one["backend_start"]}]);
    let reply = operator.post("/api/v1/sessions/signal", &json!({"signal": "terminate", "targets": targets})).await;
    let fates: Vec<&str> = reply.data()["fates"].as_array().unwrap().iter().map(|fate| fate["fate"].as_str().unwrap()).collect();
    assert_eq!(fates, ["signalled", "changed", "spared", "spared", "changed"], "{}", reply.json);
    assert!(!first.wait().await.unwrap().success(), "its session was ended");
    assert!(is_there(&cluster, &two).await, "another session of the same process id is none of it");
    second.kill().await.unwrap();
}

#[tokio::test]
async fn a_standbys_walsender_is_never_touched() {
    let (cluster, agent) = watched(15).await;
    let operator = Visitor::with_token(&agent, &token(&agent, "op", "operator").await);
    let directory = cluster.socket_directory().join("received");
    std::fs::create_dir(&directory).unwrap();
    std::os::unix::fs::chown(&directory, Some(owner(cluster.data_directory())), None).unwrap();
    let mut receiver = cluster.client("pg_receivewal").arg("-D").arg(&directory).spawn().unwrap();
    agent.wait_until("/api/v1/connections?application=pg_receivewal", "/sessions/0/session_id", Value::is_number).await;
    let sender = agent.get("/api/v1/connections?application=pg_receivewal").await["sessions"][0].clone();
    assert_eq!(sender["backend_type"], "walsender");
    let reply = operator.post(&path(&sender, "terminate"), &json!({"backend_start": sender["backend_start"]})).await;
    assert_eq!(reply.status, StatusCode::FORBIDDEN, "{}", reply.json);
    assert_eq!(cluster.psql("select count(*) from pg_stat_replication").await, "1");
    receiver.kill().await.unwrap();
}

fn owner(path: &std::path::Path) -> u32 {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(path).unwrap().uid()
}
