//! Profiles agree with what the server counted, taken by hand.

use super::world;
use crate::cli::Person;
use crate::harness::{Agent, Cluster};
use serde_json::{Value, json};

const COUNTED: &str = "select calls || ' ' || total_exec_time || ' ' || rows || ' ' || shared_blks_hit || ' ' || queryid from pg_stat_statements \
    where query like 'UPDATE pgbench_accounts%'";

/// Executions, time, rows, blocks found, and the identifier, as the server counts them.
async fn counted(cluster: &Cluster) -> (Vec<f64>, String) {
    let row = cluster.psql(COUNTED).await;
    let mut words: Vec<&str> = row.split_whitespace().collect();
    let id = words.pop().unwrap().to_owned();
    (words.iter().map(|word| word.parse().unwrap()).collect(), id)
}

fn figures(stats: &Value) -> Vec<f64> {
    let of = |name: &str| stats[name].as_f64().unwrap_or_else(|| panic!("{name}: {stats}"));
    ["calls", "total_execution_time_ms", "rows_returned", "cache_hits"].map(of).to_vec()
}

fn agree(told: &[f64], expected: &[f64]) {
    for (told, expected) in told.iter().zip(expected) {
        assert!((told - expected).abs() <= expected * 0.01 + 0.01, "{told} is not {expected}");
    }
}

/// Takes a snapshot by hand, so that the counters of this instant are remembered.
async fn snapshot(person: &Person) -> String {
    person.json(&["awr", "snapshot"]).await["snapshots"][0]["at"].as_str().unwrap().to_owned()
}

async fn a_profile_agrees_on(major: u32) {
    let cluster = world(major).await;
    cluster.pgbench(&["--initialize", "--quiet", "--scale=1"]).await;
    let run = ["--no-vacuum", "--client=2", "--transactions=400", "--protocol=extended"];
    cluster.pgbench(&run).await;
    let agent = Agent::beside(&cluster).await;
    agent.wait_until("/api/v1/status", "/state", |state| state == "up").await;
    let person = Person::over_socket(&agent);
    let (before, from) = (counted(&cluster).await.0, snapshot(&person).await);
    cluster.pgbench(&run).await;
    let ((after, id), to) = (counted(&cluster).await, snapshot(&person).await);
    let grown: Vec<f64> = after.iter().zip(&before).map(|(after, before)| after - before).collect();
    assert!(grown[0] >= 800.0, "{grown:?}");

    let by_id = person.json(&["profile", "--id", &id, "--from", &from, "--to", &to]).await;
    agree(&figures(&by_id["execution_stats"]), &grown);
    agree(&figures(&by_id["overall"]), &after);
    let series: f64 = by_id["series"].as_array().unwrap().iter().map(|point| point["calls"].as_f64().unwrap()).sum();
    assert!((series - grown[0]).abs() < 0.5, "the series adds up: {series}, {grown:?}");
    assert_eq!(
        (by_id["query_id"].as_str(), by_id["database"].as_str(), by_id["users"][0]["user"].as_str()),
        (Some(&*id), Some("postgres"), Some("postgres"))
    );
    let plan = &by_id["execution_plan"];
    let source = if major >= 16 { "generic" } else { "forced_generic" };
    assert_eq!((&plan["source"], &plan["children"][0]["index"]), (&json!(source), &json!("pgbench_accounts_pkey")), "{by_id}");
    assert!(plan["estimated_cost"].is_number() && plan["actual_cost"].is_null() && plan["operator"] == "ModifyTable", "{plan}");
    let seen = &by_id["plans"][0];
    assert_eq!((&seen["origin"], &seen["plan_hash"], &by_id["plan_changes"]), (&json!("generic_plan"), &plan["plan_hash"], &json!([])));
    assert!(by_id["captured_plan"].is_null(), "auto_explain is not loaded: {by_id}");

    // By its text, whatever its constants.
    let sql = "UPDATE pgbench_accounts SET abalance = abalance + 5 WHERE aid = 17";
    let by_text = person.json(&["profile", "--query", sql]).await;
    assert_eq!(by_text["query_id"], by_id["query_id"], "{by_text}");
    agree(&figures(&by_text["overall"]), &after);
    person.run(&["profile", "--query", sql, "--detailed"]).await.ends(0).shows(&[
        "executions",
        "Who runs it",
        "Index Scan using pgbench_accounts_pkey",
    ]);
    person.run(&["profile", "--query", sql, "--analyze"]).await.ends(65).says(&["nothing may be written"]);
    let direct = Person::directly(&cluster.dsn());
    for arguments in [["--query", sql], ["--id", id.as_str()]] {
        let told = direct.json(&[&["profile"], &arguments[..]].concat()).await;
        assert_eq!(told["query_id"], by_id["query_id"], "{told}");
        agree(&figures(&told["overall"]), &after);
        assert!(told["execution_stats"].is_null() && told["unknown"]["execution_stats"].is_object(), "{told}");
    }
    direct.run(&["profile", "--id", "12345"]).await.ends(66).says(&["nothing is known of a statement 12345"]);
    person.run(&["profile", "--id", "12345"]).await.ends(66).says(&["nothing is known of a statement 12345"]);
}

#[tokio::test]
async fn a_profile_agrees_on_13() {
    a_profile_agrees_on(13).await;
}

#[tokio::test]
async fn a_profile_agrees_on_15() {
    a_profile_agrees_on(15).await;
}

#[tokio::test]
async fn a_profile_agrees_on_18() {
    a_profile_agrees_on(18).await;
}

#[tokio::test]
async fn waits_of_a_statement_come_from_its_sessions() {
    let cluster = world(15).await;
    let agent = Agent::beside(&cluster).await;
    agent.wait_until("/api/v1/status", "/state", |state| state == "up").await;
    cluster.psql("select pg_sleep(4)").await;
    let person = Person::over_socket(&agent);
    let profile = person.json(&["profile", "--query", "select pg_sleep(1)", "--analyze"]).await;
    assert_eq!(profile["wait_events"][0]["event"], "Timeout:PgSleep", "{profile}");
    let waited = profile["wait_events"][0]["wait_time_ms"].as_f64().unwrap();
    assert!((1_000.0..8_000.0).contains(&waited), "{profile}");
    assert_eq!(
        (&profile["run_by"][0]["user"], &profile["execution_plan"]["source"]),
        (&json!("postgres"), &json!("executed")),
        "{profile}"
    );
    assert!(profile["execution_plan"]["execution_time_ms"].as_f64().unwrap() >= 1_000.0, "{profile}");
}
