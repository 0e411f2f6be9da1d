//! The server's log: plans, errors and messages of real servers in every format, over rotation and without secrets.

use crate::api::address;
use crate::cli::Person;
use crate::harness::{Agent, Cluster};
use serde_json::{Value, json};

const COLLECTED: &[&str] = &["logging_collector = on", "log_rotation_age = 0", "log_filename = 'first.log'"];

/// A server that logs every plan, in this way.
async fn logging(major: u32, format: &str, settings: &[&str]) -> Cluster {
    let preload = "shared_preload_libraries = 'pg_stat_statements, auto_explain'";
    let mut builder = Cluster::builder(major).config("autovacuum = off").config(preload).config("auto_explain.log_min_duration = 0");
    builder = builder.config(format!("auto_explain.log_format = {format}")).config("auto_explain.log_analyze = on");
    for line in settings {
        builder = builder.config(*line);
    }
    let cluster = builder.start().await;
    let tables = "create extension pg_stat_statements; create table orders (id int primary key, customer int, total numeric); \
        insert into orders select g, g % 5000, g from generate_series(1, 50000) g; create index orders_customer on orders (customer); analyze";
    cluster.psql(tables).await;
    // 13 names no statement in its log: its text has to be known.
    cluster.psql(QUERY).await;
    cluster
}

/// What SQL over the history answers.
async fn sql(agent: &Agent, query: &str) -> Vec<Value> {
    let query: String = query.bytes().map(|byte| format!("%{byte:02x}")).collect();
    agent.get(&format!("/api/v1/sql?query={query}")).await["rows"].as_array().unwrap().clone()
}

/// Waits until SQL over the history answers one figure.
async fn counts(agent: &Agent, query: &str, expected: i64) {
    agent.wait_for(query, async |agent| sql(agent, query).await[0][0].as_i64() >= Some(expected)).await;
    assert_eq!(sql(agent, query).await[0][0], json!(expected), "{query}\n{}", agent.log());
}

/// An agent beside a server whose log it reads.
async fn reading(cluster: &Cluster) -> Agent {
    let agent = Agent::beside(cluster).await;
    agent.wait_until("/api/v1/status", "/state", |state| state == "up").await;
    agent.wait_until("/api/v1/status", "/errors/rate_per_minute", Value::is_number).await;
    agent
}

async fn snapshot(person: &Person) -> String {
    person.json(&["awr", "snapshot"]).await["snapshots"][0]["at"].as_str().unwrap().to_owned()
}

const QUERY: &str = "select * from orders where customer = 7";

async fn three_times(cluster: &Cluster) {
    for _ in 0..3 {
        cluster.psql(QUERY).await;
    }
}

async fn a_plan_change_is_told(cluster: &Cluster) {
    let agent = reading(cluster).await;
    let person = Person::over_socket(&agent);
    let from = snapshot(&person).await;
    three_times(cluster).await;
    snapshot(&person).await;
    cluster.psql("drop index orders_customer").await;
    three_times(cluster).await;
    let to = snapshot(&person).await;
    counts(&agent, "select count(*) from plans where origin = 'auto_explain' and plan like '%orders%' and times_seen = 3", 2).await;

    let report = person.json(&["awr", "report", "--from", &from, "--to", &to]).await;
    let changes = report["plans"]["changes"].as_array().unwrap();
    let change = changes.iter().find(|change| change["after"] == "Seq Scan on orders").unwrap_or_else(|| panic!("{}", report["plans"]));
    assert!(change["before"].as_str().unwrap().contains("orders_customer") && change["both_in_use"] == false, "{change}");
    assert_eq!((&change["origin"], &change["database"]), (&json!("auto_explain"), &json!("postgres")), "{change}");
    let mean = |name: &str| change[name].as_f64().unwrap_or_else(|| panic!("{name}: {change}"));
    assert!(mean("mean_before_ms") > 0.0 && mean("mean_after_ms") > mean("mean_before_ms"), "{change}");
    person
        .run(&["awr", "report", "--from", &from, "--to", &to, "--format", "text"])
        .await
        .ends(0)
        .shows(&["Plan changes", "orders_customer"]);

    let id = change["query_id"].as_str().unwrap();
    assert_eq!(cluster.psql(&format!("select count(*) from pg_stat_statements where queryid = {id}")).await, "1");
    let profile = person.json(&["profile", "--id", id]).await;
    assert_eq!(profile["plan_changes"][0]["after_hash"], change["after_hash"], "{profile}");
    let executed: Vec<&Value> = profile["plans"].as_array().unwrap().iter().filter(|plan| plan["origin"] == "auto_explain").collect();
    assert!(executed.len() == 2 && executed[0]["mean_duration_ms"].as_f64() > Some(0.0), "{profile}");
    let captured = &profile["captured_plan"];
    assert_eq!((&captured["plan_hash"], &captured["root"]["title"]), (&change["after_hash"], &json!("Seq Scan")), "{profile}");
    assert!((captured["root"]["rows_returned"].as_f64().unwrap() - 10.0).abs() < 0.1, "{captured}");
    person.run(&["profile", "--id", id]).await.ends(0).shows(&["Plans that it was seen with", "Plan changes", "auto_explain"]);

    // What is asked for is remembered beside it, and is the same plan.
    let asked = person.json(&["explain", QUERY]).await;
    assert_eq!(asked["plan_hash"], change["after_hash"]);
    counts(&agent, &format!("select count(*) from plans where query_id = {id} and origin = 'explain'"), 1).await;
}

async fn errors_are_told(cluster: &Cluster) {
    let agent = reading(cluster).await;
    for wrong in
        ["select 1/0", "select 2/0", "alter role nobody_there password 'top''secret'", "do $$ begin raise warning 'look out'; end $$"]
    {
        let mut psql = cluster.client("psql");
        psql.args(["-c", wrong]).output().await.unwrap();
    }
    counts(&agent, "select count(*) from log where message = 'division by zero'", 2).await;
    counts(&agent, "select count(*) from log where severity = 'WARNING' and message = 'look out'", 1).await;
    let rows =
        sql(&agent, "select severity, user, database, pid > 0, at > '2026', query from log where message like 'division%' order by at")
            .await;
    assert_eq!(rows[0], json!(["ERROR", "postgres", "postgres", 1, 1, "select 1/0"]));
    let role = sql(&agent, "select query from log where message like '%nobody_there%'").await;
    assert_eq!(role, [json!(["alter role nobody_there password '***'"])]);
    counts(&agent, "select count(*) from log where message || coalesce(query, '') || coalesce(detail, '') like '%secret%'", 0).await;
    assert!(!agent.log().contains("secret"));
    assert!(agent.get("/api/v1/status").await["errors"]["rate_per_minute"].as_f64() >= Some(3.0));
    let metrics = reqwest::get(format!("http://{}/metrics", address(&agent, "metrics"))).await.unwrap().text().await.unwrap();
    let line = metrics.lines().find(|line| line.starts_with("pgtend_log_messages_written_total") && line.contains("severity=\"ERROR\""));
    assert!(line.is_some(), "{metrics}");
}

#[tokio::test]
async fn csvlog_of_13_is_read() {
    let cluster = logging(13, "json", &[COLLECTED, &["log_destination = csvlog"]].concat()).await;
    a_plan_change_is_told(&cluster).await;
    errors_are_told(&cluster).await;
}

#[tokio::test]
async fn standard_error_of_15_is_read() {
    let cluster = logging(15, "text", &["log_line_prefix = '%m [%p] %q%u@%d %e %Q '", "log_timezone = 'Asia/Kolkata'"]).await;
    a_plan_change_is_told(&cluster).await;
    errors_are_told(&cluster).await;
}

#[tokio::test]
async fn jsonlog_of_18_is_read() {
    let cluster = logging(18, "text", &[COLLECTED, &["log_destination = jsonlog", "auto_explain.log_verbose = on"]].concat()).await;
    a_plan_change_is_told(&cluster).await;
    errors_are_told(&cluster).await;
}

async fn fails(cluster: &Cluster, times: usize) {
    let sql = format!("do $$ begin perform 1; end $$; {}", "select 1/0; ".repeat(times));
    let mut psql = cluster.client("psql");
    psql.arg("-f").arg("-").stdin(std::process::Stdio::piped());
    let mut child = psql.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn().unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut child.stdin.take().unwrap(), sql.as_bytes()).await.unwrap();
    child.wait().await.unwrap();
}

/// The server goes over to another file.
async fn rotates(cluster: &Cluster, name: &str) {
    cluster.psql(&format!("alter system set log_filename = '{name}'")).await;
    cluster.psql("select pg_reload_conf()").await;
    cluster.wait_for(&format!("select current_setting('log_filename') = '{name}'")).await;
    cluster.psql("select pg_rotate_logfile()").await;
    cluster.wait_for(&format!("select pg_current_logfile() like '%{}%'", name.trim_end_matches(".log"))).await;
}

#[tokio::test]
async fn nothing_is_lost_or_read_twice_over_rotation_and_restart() {
    let cluster = logging(17, "json", &[COLLECTED, &["log_destination = 'csvlog, jsonlog'"]].concat()).await;
    let mut agent = reading(&cluster).await;
    let failed = "select count(*) from log where message = 'division by zero'";
    fails(&cluster, 20).await;
    rotates(&cluster, "second.log").await;
    fails(&cluster, 30).await;
    counts(&agent, failed, 50).await;
    assert_eq!(sql(&agent, "select distinct format from log_reading").await, [json!(["jsonlog"])]);
    agent.signal("TERM");
    agent.ended().await;
    fails(&cluster, 7).await;
    agent.start_again().await;
    counts(&agent, failed, 57).await;
    agent.signal("TERM");
    agent.ended().await;
    rotates(&cluster, "third.log").await;
    fails(&cluster, 5).await;
    agent.start_again().await;
    counts(&agent, failed, 62).await;
}

#[tokio::test]
async fn a_log_that_cannot_be_read_says_why() {
    let cluster = Cluster::builder(16).config("log_destination = syslog").start().await;
    let agent = Agent::beside(&cluster).await;
    let why = agent.wait_until("/api/v1/status", "/unknown/errors.rate_per_minute/reason", |reason| reason == "disabled").await;
    assert_eq!(why, "disabled");
    let remote = Agent::builder().server("main", &cluster.dsn(), "").start().await;
    let why = remote.get("/api/v1/status").await["unknown"]["errors.rate_per_minute"].clone();
    assert_eq!(why["reason"], "remote", "{why}");
    person_directly(&cluster).await;
}

async fn person_directly(cluster: &Cluster) {
    let status = Person::directly(&cluster.dsn()).json(&["status"]).await;
    let why = &status["unknown"]["errors.rate_per_minute"];
    assert!(why["detail"].as_str().unwrap().contains("agent"), "{why}");
}
