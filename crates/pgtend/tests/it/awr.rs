//! AWR against real servers: what the report of a minute tells of a load and a lock storm, counted by hand beside it.

use crate::cli::Person;
use crate::harness::chromium::Opened;
use crate::harness::{Agent, Cluster};
use serde_json::Value;
use std::path::Path;
use std::time::Duration;

/// Holds the only branch of a scale 1 pgbench for some seconds, within one statement.
const STORM: &str = "with held as materialized (update pgbench_branches set bbalance = bbalance returning 1) \
                     select count(pg_sleep(4)) as the_storm from held";

async fn server(major: u32) -> Cluster {
    let preload = "shared_preload_libraries = 'pg_stat_statements'";
    let cluster = Cluster::builder(major).config(preload).config("track_io_timing = on").start().await;
    cluster.psql("create extension pg_stat_statements").await;
    cluster.psql("create database shop").await;
    cluster.pgbench(&["-i", "-q", "-s", "1", "shop"]).await;
    cluster
}

/// Calls of pgbench's own statements, and transactions in its database, as the server counts them.
async fn counted(cluster: &Cluster) -> (f64, f64) {
    // Sessions hand in their counters within a second of their last transaction, and at their end at the latest.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let number = async |sql: &str| cluster.psql(sql).await.parse::<f64>().unwrap();
    let calls =
        number("select coalesce(sum(calls), 0) from pg_stat_statements where query like '%pgbench_%' and query not like '%pg_stat%'");
    let calls = calls.await;
    (calls, number("select xact_commit + xact_rollback from pg_stat_database where datname = 'shop'").await)
}

async fn snapshot(person: &Person) -> String {
    person.json(&["awr", "snapshot"]).await["snapshots"][0]["id"].to_string()
}

async fn load_with_a_storm(cluster: &Cluster) {
    let load = cluster.pgbench(&["--no-vacuum", "--client=4", "--time=10", "shop"]);
    let storm = async {
        tokio::time::sleep(Duration::from_secs(3)).await;
        let mut psql = cluster.client("psql");
        psql.env("PGAPPNAME", "nightly").args(["-d", "shop", "-qc", STORM]).stdout(std::process::Stdio::null());
        assert!(psql.status().await.unwrap().success());
    };
    tokio::join!(load, storm);
}

/// That two figures agree within one per cent.
fn agree(told: f64, counted: f64, what: &str) {
    assert!((told - counted).abs() <= counted * 0.01 + 1.0, "{what}: {told} is told, {counted} were counted");
}

fn figure(report: &Value, name: &str) -> f64 {
    let figures = report["load_profile"]["figures"].as_array().unwrap();
    figures.iter().find(|figure| figure["name"] == name).unwrap()["value"].as_f64().unwrap_or_else(|| panic!("{name}: {report}"))
}

async fn the_storm_is_told(major: u32) {
    let cluster = server(major).await;
    let agent = Agent::beside(&cluster).await;
    agent.wait_until("/api/v1/monitoring/history", "/newest_snapshot_id", |id| id.as_i64() == Some(1)).await;
    let person = Person::over_socket(&agent);

    let before = counted(&cluster).await;
    let first = snapshot(&person).await;
    load_with_a_storm(&cluster).await;
    let after = counted(&cluster).await;
    let last = snapshot(&person).await;

    let between = ["awr", "report", "--from", &first, "--to", &last, "--top", "50"];
    let report = person.json(&between).await;
    let statements = report["top_sql"]["statements"].as_array().unwrap();
    let of_pgbench = statements.iter().filter(|row| row["text"].as_str().is_some_and(|text| text.contains("pgbench_")));
    let calls: i64 = of_pgbench.filter_map(|row| row["executions"].as_i64()).sum();
    agree(f64::from(i32::try_from(calls).unwrap()), after.0 - before.0, "calls of pgbench's statements");
    let databases = report["databases"]["databases"].as_array().unwrap();
    let shop = databases.iter().find(|row| row["database"] == "shop").unwrap();
    let transactions = shop["commits"].as_f64().unwrap() + shop["rollbacks"].as_f64().unwrap();
    agree(transactions, after.1 - before.1, "transactions");
    assert!(figure(&report, "queries") >= after.0 - before.0);

    let root = &report["blocking"]["roots"][0];
    let (waited, query) = (root["waited_ms"].as_f64().unwrap() / 1000.0, root["sql_text"].as_str().unwrap());
    assert_eq!(root["program"], "nightly", "{root}");
    assert!(query.contains("the_storm") && (6.0..30.0).contains(&waited), "{root}");
    let pid = root["session_id"].to_string();
    let text = person.run(&[&between[..], &["--format", "text"]].concat()).await.ends(0).shows(&["nightly", &pid, "the_storm"]);
    assert!(text.stdout.lines().all(|line| line.chars().count() <= 120), "{text}");
    let html = person.run(&[&between[..], &["--output", "report.html"]].concat()).await.ends(0).says(&["wrote report.html"]);
    let html = (std::fs::read_to_string(person.home().join("report.html")).unwrap(), html);
    for word in ["<!doctype html>", "nightly", &pid, "the_storm", "<svg"] {
        assert!(html.0.contains(word), "{word} is not in the report");
    }
    let opened = Opened::file(&person.home().join("report.html")).await;
    assert!(opened.document.contains("the_storm") && opened.picture_bytes() > 50_000, "{} bytes of picture", opened.picture_bytes());
    assert_eq!(
        (opened.requests, opened.console),
        (Vec::<String>::new(), Vec::<String>::new()),
        "a report asks nobody and complains of nothing"
    );
    let snapshots = person.json(&["awr", "list"]).await;
    assert!(!snapshots["snapshots"][0]["missing"].to_string().contains("\"io\""), "what {major} has not is no gap: {snapshots}");
    if major == 18 {
        baselines_comparisons_and_trends(&person, &first, &last).await;
    }
}

async fn baselines_comparisons_and_trends(person: &Person, first: &str, last: &str) {
    let made = person.json(&["awr", "baseline", "create", "storm", "--from", first, "--to", last]).await;
    assert_eq!(made["baselines"][0]["name"], "storm");
    person.run(&["awr", "baseline", "create", "storm", "--from", first, "--to", last]).await.ends(65);
    let calm = ["awr", "compare", "--baseline", "storm", "--from", "1", "--to", first];
    let comparison = person.json(&calm).await;
    let locked = comparison["waits"]
        .as_array()
        .unwrap()
        .iter()
        .any(|wait| wait["wait_class"] == "Application" && wait["before"].as_f64() > Some(0.3));
    assert!(locked, "{comparison}");
    person.run(&calm).await.ends(0).shows(&["Periods compared", "What changed most", "the_storm"]);
    person.run(&["awr", "baseline", "delete", "storm"]).await.ends(0).says(&["gone"]);
    person.run(&["awr", "compare", "--baseline", "storm", "--from", "1", "--to", first]).await.ends(66).says(&["there is no baseline"]);

    let trend = person.json(&["awr", "trends", "transactions_per_second", "--days", "1"]).await;
    let points = trend["data_points"].as_array().unwrap();
    assert!(points.len() >= 2 && points.last().unwrap()["snapshot_id"].as_i64() == last.parse().ok(), "{trend}");
    assert!(trend["statistics"]["max"].as_f64() > Some(10.0), "{trend}");
    person.run(&["awr", "trends"]).await.ends(64).says(&["which metric?", "queries_per_second", "xid_age"]);
    person.run(&["awr", "baseline", "delete", "nix"]).await.ends(66).says(&["pgtend awr baseline list"]);
    person.run(&["awr", "report", "--from", first, "--to", first]).await.ends(64).says(&["has no length"]);
    let newest = person.json(&["awr", "report"]).await;
    let ends = ["begin", "end"].map(|end| newest["summary"][end]["snapshot_id"].to_string());
    assert_eq!(ends, [first, last]);
    person.run(&["awr", "trends", "speed"]).await.ends(64).says(&["queries_per_second", "xid_age"]);
    person.run(&["awr", "show", last]).await.ends(0).shows(&["manual", "statements"]);
    person.run(&["awr", "report", "--from", "777"]).await.ends(66).says(&["there is no snapshot 777"]);
}

#[tokio::test]
async fn the_report_of_a_lock_storm_on_13() {
    the_storm_is_told(13).await;
}

#[tokio::test]
async fn the_report_of_a_lock_storm_on_18() {
    the_storm_is_told(18).await;
}

/// That every figure of a report is there, or is null with its reason.
fn assert_reasons(value: &Value, place: &str) {
    match value {
        Value::Object(fields) if fields.contains_key("per_second") && fields.contains_key("unit") => {
            let known = fields["value"].is_number();
            assert!(known || fields.get("unknown").is_some_and(|why| why["reason"].is_string()), "{place}: {value}");
        }
        Value::Object(fields) => fields.iter().for_each(|(name, value)| assert_reasons(value, &format!("{place}.{name}"))),
        Value::Array(values) => values.iter().for_each(|value| assert_reasons(value, place)),
        _ => {}
    }
}

#[tokio::test]
async fn without_an_agent_and_with_pg_monitor_only_what_is_missing_is_named() {
    for major in [13, 18] {
        let cluster = Cluster::start(major).await;
        cluster.psql("create role watcher login; grant pg_monitor to watcher").await;
        let person = Person::directly(&cluster.dsn().replace("user=postgres", "user=watcher"));
        let perf = ["perf", "snapshot", "--duration", "3", "--output", "perf.json"];
        let (done, _) = tokio::join!(person.run(&perf), cluster.psql("select pg_sleep(0.5), count(*) from generate_series(1, 3000000)"));
        done.ends(0).says(&["watching for 3.0 s", "wrote perf.json"]);
        let report: Value = serde_json::from_slice(&std::fs::read(Path::join(person.home(), "perf.json")).unwrap()).unwrap();
        assert_reasons(&report, "report");
        let notes = report["notes"].to_string();
        assert!(notes.contains("pg_stat_statements"), "{major}: {notes}");
        assert_eq!(notes.contains("come with 16"), major == 13, "{major}: {notes}");
        assert!(report["waits"]["classes"].as_array().is_some_and(|classes| !classes.is_empty()), "{report}");
        assert_eq!(report["top_sql"]["unknown"]["statements"]["reason"], "extension", "{report}");
        let nowhere = ["perf", "snapshot", "--duration", "1h", "--output", "nowhere/perf.html"];
        person.run(&nowhere).await.ends(71).says(&["cannot be written", "nowhere/perf.html", "the directory must exist"]);
        assert!(!person.home().join("nowhere").exists());
        person.run(&["awr", "list"]).await.ends(64).says(&["tells nothing of the past"]);
    }
}
