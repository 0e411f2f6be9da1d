//! The API's description of itself, held against what it answers.

use super::{over_socket, watched};
use crate::harness::{Agent, Cluster};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

/// A schema of the description, with everything that it refers to.
fn schema(description: &Value, path: &str) -> Option<Value> {
    let content = &description["paths"][path]["get"]["responses"]["200"]["content"]["application/json"];
    let schema = content.get("schema")?;
    Some(json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "components": description["components"],
        "allOf": [schema],
        "unevaluatedProperties": false
    }))
}

/// Everything that can be read without naming something in the path.
fn readable(description: &Value) -> Vec<String> {
    let paths = description["paths"].as_object().unwrap().iter();
    paths.filter(|(path, item)| item.get("get").is_some() && !path.contains('{')).map(|(path, _)| path.clone()).collect()
}

/// What is asked of endpoints that say nothing unasked, or say different things.
const ASKED: [(&str, &str); 8] = [
    ("/api/v1/sql", "?query=select%20count(*)%20from%20ticks"),
    ("/api/v1/awr/trends", "?metric=active_sessions"),
    ("/api/v1/ash/report", ""),
    ("/api/v1/ash/report", "?report_type=blocking"),
    ("/api/v1/ash/report", "?report_type=wait_events"),
    ("/api/v1/ash/report", "?report_type=session_activity&session_id=1"),
    ("/api/v1/ash/report", "?by=user"),
    ("/api/v1/ash/top", "?by=query"),
];

async fn assert_as_described(agent: &Agent) {
    let description = over_socket(agent, Method::GET, "/api/v1/openapi.json", None).await.json;
    let mut checked = Vec::new();
    for path in readable(&description) {
        let asked: Vec<&str> = ASKED.iter().filter(|(of, _)| *of == path).map(|(_, asked)| *asked).collect();
        for asked in if asked.is_empty() { vec![""] } else { asked } {
            let reply = over_socket(agent, Method::GET, &format!("{path}{asked}"), None).await;
            assert_eq!(reply.status, StatusCode::OK, "{path}{asked}: {}", reply.json);
            let Some(schema) = schema(&description, &path) else { continue };
            let validator = jsonschema::validator_for(&schema).unwrap_or_else(|error| panic!("{path}: {error}"));
            let problems: Vec<String> =
                validator.iter_errors(&reply.json).map(|error| format!("{}: {error}", error.instance_path())).collect();
            assert!(problems.is_empty(), "{path}{asked} is not as described:\n{}\n{}", problems.join("\n"), reply.json);
            checked.push(path.clone());
        }
    }
    for path in ["/api/v1/status", "/api/v1/ash/samples", "/api/v1/stats/transactions", "/api/v1/monitoring/stats", "/api/v1/health/ready"]
    {
        assert!(checked.iter().any(|checked| checked == path), "{path} was not checked: {checked:?}");
    }
}

#[tokio::test]
async fn every_answer_is_as_described() {
    let (cluster, agent) = watched(15).await;
    cluster.psql("create table t (n int); insert into t values (1)").await;
    let mut blocker = cluster.client("psql").args(["-c", "begin; update t set n = 2; select pg_sleep(300)"]).spawn().unwrap();
    agent.wait_until("/api/v1/sessions", "/sessions/0/doing", |doing| doing == "waiting").await;
    let mut blocked = cluster.client("psql").args(["-c", "update t set n = 3"]).spawn().unwrap();
    agent.wait_until("/api/v1/ash/samples?state=BLOCKED", "/samples/0/blocking_session", Value::is_number).await;
    let transactions = agent.get("/api/v1/stats/transactions?min_seconds=0").await;
    assert!(transactions["long_running_transactions"][0]["locks_held"].as_i64() > Some(0), "{transactions}");
    assert_as_described(&agent).await;
    blocked.kill().await.unwrap();
    blocker.kill().await.unwrap();
}

#[tokio::test]
async fn the_newest_major_with_extensions_too() {
    let preload = "shared_preload_libraries = pg_stat_statements";
    let cluster = Cluster::builder(18).config(preload).config("track_io_timing = on").start().await;
    cluster.psql("create extension pg_stat_statements; create extension pg_buffercache").await;
    let agent = Agent::beside(&cluster).await;
    cluster.pgbench(&["--initialize", "--quiet", "--scale=1"]).await;
    agent.wait_until("/api/v1/stats/queries?min_ms=0", "/slow_queries/0/sql", Value::is_string).await;
    agent.wait_until("/api/v1/stats/buffer-pool", "/used_bytes", |bytes| bytes.as_i64() > Some(0)).await;
    agent.wait_until("/api/v1/stats/io", "/io_by_file_type/wal_files/writes", |writes| writes.as_i64() > Some(0)).await;
    assert_as_described(&agent).await;
    let health = agent.get("/api/v1/admin/health").await;
    assert_eq!(health["components"]["database"]["status"], "UP", "{health}");
}
