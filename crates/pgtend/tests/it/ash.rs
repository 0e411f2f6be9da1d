//! The session history of a real server under load: a lock storm, and an agent that is killed again and again.

mod killed;

use crate::cli::{Person, idle, say};
use crate::harness::{Agent, Cluster};
use jiff::Timestamp;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Child;

const CLIENTS: usize = 6;

/// pgbench in the background.
fn load(cluster: &Cluster, clients: usize, seconds: u64) -> Child {
    let mut pgbench = cluster.client("pgbench");
    pgbench.args(["--no-vacuum", &format!("--client={clients}"), "--jobs=2", &format!("--time={seconds}")]);
    pgbench.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true).spawn().unwrap()
}

async fn busy_cluster() -> Cluster {
    let cluster = Cluster::builder(15).config("shared_preload_libraries = 'pg_stat_statements'").start().await;
    cluster.psql("create extension pg_stat_statements").await;
    cluster.pgbench(&["--initialize", "--quiet", "--scale=5"]).await;
    cluster
}

fn list<'a>(document: &'a Value, pointer: &str) -> &'a [Value] {
    document.pointer(pointer).and_then(Value::as_array).unwrap_or_else(|| panic!("no {pointer} in {document}"))
}

fn number(value: &Value, name: &str) -> f64 {
    value[name].as_f64().unwrap_or_else(|| panic!("no {name} in {value}"))
}

/// The process id of a session, by its application name.
async fn pid_of(cluster: &Cluster, name: &str) -> i64 {
    cluster.psql(&format!("select pid from pg_stat_activity where application_name = '{name}'")).await.trim().parse().unwrap()
}

/// A load of fifteen seconds in which a session of `batch` holds a lock that everybody needs, for `held` of them.
async fn storm(cluster: &Cluster, held: Duration) -> (i64, Timestamp, Timestamp) {
    let begin = Timestamp::now();
    let mut pgbench = load(cluster, CLIENTS, 15);
    tokio::time::sleep(Duration::from_secs(4)).await;
    let mut batch = idle(cluster, "batch", "begin").await;
    say(&mut batch, "update pgbench_branches set bbalance = bbalance").await;
    cluster.wait_for(&format!("select count(*) >= {CLIENTS} from pg_stat_activity where wait_event_type = 'Lock'")).await;
    let root = pid_of(cluster, "batch").await;
    tokio::time::sleep(held).await;
    say(&mut batch, "commit").await;
    pgbench.wait().await.unwrap();
    batch.kill().await.unwrap();
    (root, begin, Timestamp::now())
}

#[tokio::test]
async fn a_lock_storm_is_told_with_its_root_and_everybody_who_waited() {
    const HELD: Duration = Duration::from_secs(6);
    let cluster = busy_cluster().await;
    let agent = Agent::beside(&cluster).await;
    agent.wait_until("/api/v1/status", "/state", |state| state == "up").await;
    let (root, begin, end) = storm(&cluster, HELD).await;
    let period = format!("start={begin}&end={end}");

    let report = agent.get(&format!("/api/v1/ash/report?report_type=blocking&limit=100&{period}")).await;
    let blocker = &list(&report, "/blocking/roots")[0];
    assert_eq!(
        (blocker["session_id"].as_i64(), &blocker["program"], &blocker["session_state"]),
        (Some(root), &"batch".into(), &"IDLE".into())
    );
    assert!(blocker["sql_text"].as_str().unwrap().contains("update pgbench_branches set bbalance = bbalance"), "{blocker}");
    let lasted = number(blocker, "duration_ms") / 1000.0;
    assert!((5.0..11.0).contains(&lasted), "it held the lock for {HELD:?} and a little, not {lasted} s");
    assert_eq!(blocker["sessions_held_up"], CLIENTS, "{blocker}");
    let behind: Vec<&Value> = list(&report, "/blocking/waits").iter().filter(|wait| wait["root_session_id"] == root).collect();
    let waiters: BTreeSet<i64> = behind.iter().filter_map(|wait| wait["waiter"]["session_id"].as_i64()).collect();
    assert_eq!(waiters.len(), CLIENTS, "{report}");
    for wait in behind {
        assert!((4.0..11.0).contains(&(number(wait, "duration_ms") / 1000.0)), "{wait}");
        assert!(wait["waiter"]["sql_text"].as_str().unwrap().starts_with("UPDATE pgbench_"), "{wait}");
    }

    let person = Person::over_socket(&agent);
    let told = person.run(&["ash", "blocking", "--from", &begin.to_string()]).await.ends(0);
    told.shows(&[&root.to_string(), "batch", "idle in transaction", "update pgbench_branches"]);
    figures_agree_with_the_samples(&agent, &period).await;
    every_command_tells_of_it(&person, &begin.to_string()).await;
}

/// Statements, waits and load are counted from the samples that one can see.
async fn figures_agree_with_the_samples(agent: &Agent, period: &str) {
    let samples = agent.get(&format!("/api/v1/ash/samples?limit=100000&{period}")).await;
    let active: Vec<&Value> = list(&samples, "/samples")
        .iter()
        .filter(|sample| sample["backend_type"] == "client backend" && sample["wait_class"] != "Idle")
        .collect();
    let clients = active.len();
    let (mut by_sql, mut by_class) = (BTreeMap::<String, u64>::new(), BTreeMap::<String, u64>::new());
    for sample in active {
        *by_sql.entry(sample["sql_id"].as_str().unwrap_or_default().to_owned()).or_default() += 1;
        *by_class.entry(sample["wait_class"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    assert!(by_class.get("Application").is_some_and(|samples| *samples >= 5 * CLIENTS as u64), "{by_class:?}");
    let stats = agent.get(&format!("/api/v1/ash/sql-stats?limit=1000&{period}")).await;
    for statement in list(&stats, "/statements") {
        let id = statement["sql_id"].as_str().unwrap_or_default();
        assert_eq!(by_sql.remove(id), statement["total_samples"].as_u64(), "{statement}");
    }
    assert!(by_sql.is_empty(), "not told of: {by_sql:?}");
    let waits = agent.get(&format!("/api/v1/ash/report?report_type=wait_events&{period}")).await;
    for class in list(&waits, "/wait_classes") {
        assert_eq!(by_class.remove(class["wait_class"].as_str().unwrap()), class["wait_count"].as_u64(), "{class}");
    }
    assert!(by_class.is_empty(), "not told of: {by_class:?}");
    let top = agent.get(&format!("/api/v1/ash/top?{period}")).await;
    let (average, taken) = (number(&top["all"], "average_active_sessions"), number(&top, "samples_taken"));
    assert!((average * taken - clients as f64).abs() < 0.5, "{clients} samples at {taken} instants are not {average} sessions on average");
    assert_eq!(list(&top, "/load").iter().map(|step| number(step, "samples_taken")).sum::<f64>(), taken);
}

async fn every_command_tells_of_it(person: &Person, begin: &str) {
    let top = person.run(&["ash", "top", "--from", begin]).await.ends(0);
    top.shows(&["active sessions on average", "LL", "Top waits", "Lock:", "Top SQL", "UPDATE pgbench_", "Top sessions"]);
    let by = person.run(&["ash", "report", "--by", "program", "--from", begin]).await.ends(0);
    by.shows(&["Activity by program", "pgbench"]);
    person.run(&["ash", "report", "--type", "wait-events", "--from", "-1h"]).await.ends(0).shows(&["Application", "Lock:"]);
    let samples = person.json(&["ash", "samples", "--state", "blocked", "--limit", "3", "--from", begin]).await;
    assert!(list(&samples, "/samples").iter().all(|sample| sample["session_state"] == "BLOCKED"), "{samples}");
    let csv = person.run(&["ash", "top", "--from", begin, "--format", "csv"]).await.ends(0).stdout;
    assert!(csv.starts_with("start,samples_taken,average_active_sessions,CPU,"), "{csv}");
    person.run(&["ash", "top", "--from", "yesterday noon"]).await.ends(64).says(&["is no time", "yesterday 03:12"]);
}

#[tokio::test]
async fn without_an_agent_it_is_sampled_first() {
    let cluster = Cluster::start(15).await;
    let mut sleeper = crate::cli::session(&cluster, "busy", "select count(*) from generate_series(1, 2000000000)").await;
    let person = Person::directly(&cluster.dsn());
    person.run(&["ash", "top", "--window", "1s"]).await.ends(0).shows(&["active sessions on average", "generate_series", "busy"]);
    person.run(&["ash", "samples", "--window", "1s"]).await.ends(0).shows(&["busy", "generate_series"]);
    person.run(&["ash", "blocking", "--from", "-1h"]).await.ends(64).says(&["tells nothing of the past", "pgtend agent"]);
    sleeper.kill().await.unwrap();
}

#[tokio::test]
async fn statements_of_any_period_come_from_the_history() {
    let cluster = busy_cluster().await;
    let agent = Agent::beside(&cluster).await;
    agent.wait_until("/api/v1/monitoring/history", "/newest_snapshot_id", |id| id.as_i64() == Some(1)).await;
    let begin = Timestamp::now();
    for n in 0..7 {
        cluster.psql(&format!("select {n} as counted_by_hand")).await;
    }
    // A snapshot by hand reads everything anew.
    Person::over_socket(&agent).run(&["awr", "snapshot"]).await.ends(0);
    let queries = agent.get(&format!("/api/v1/stats/queries?limit=1000&start={begin}")).await;
    assert_eq!(queries["period"], "between");
    // Its text is fetched later.
    let mine = |query: &&Value| query["calls"] == 7 && query["rows_total"] == 7 && query["min_time_ms"].is_number();
    assert_eq!(list(&queries, "/top_queries_by_calls").iter().filter(mine).count(), 1, "{queries}");
}
