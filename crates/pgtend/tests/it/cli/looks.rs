//! Every command that looks, by each way to the server and in every format; they agree with one another and with the API.

use super::super::api::token;
use super::{Person, idle, session};
use crate::harness::{Agent, Cluster};
use futures_util::future::join_all;
use serde_json::Value;

/// Each command with words that all its formats show.
const LOOKS: [(&[&str], &[&str]); 7] = [
    (&["ping"], &["accepting"]),
    (&["status"], &["up", "primary"]),
    (&["activity"], &["holder", "waiter", "open", "lock table held"]),
    (&["query", "list"], &["holder", "waiter", "select * from held"]),
    (&["connections", "list"], &["holder", "waiter", "open", "quiet"]),
    (&["locks"], &["holder", "waiter", "public.held"]),
    (&["top", "--once", "--window", "2s"], &["select * from held"]),
];

/// A session that holds a lock, one that waits for it, one idle in a transaction and an idle one.
async fn world(cluster: &Cluster) -> [tokio::process::Child; 4] {
    cluster.psql("create table held (id int)").await;
    let holder = session(cluster, "holder", "begin; lock table held; select pg_sleep(300)").await;
    let waiter = session(cluster, "waiter", "select * from held").await;
    cluster.wait_for("select count(*) = 1 from pg_stat_activity where wait_event_type = 'Lock'").await;
    [holder, waiter, idle(cluster, "open", "begin; select 'open'").await, idle(cluster, "quiet", "select 'quiet'").await]
}

/// Each of three formats reads back; the fourth is for people.
async fn every_format(person: &Person, look: &[&str], words: &[&str]) {
    for format in ["json", "yaml", "csv", "table"] {
        let told = person.run(&[look, &["--format", format]].concat()).await.ends(0).says_nothing().shows(words);
        match format {
            "json" => assert!(told.json().is_object() || told.json().is_array(), "{told}"),
            "yaml" => {
                let read: Value = serde_yaml_ng::from_str(&told.stdout).unwrap_or_else(|error| panic!("{error}: {told}"));
                assert!(read.is_object() || read.is_array(), "{told}");
            }
            "csv" => {
                let mut reader = csv::Reader::from_reader(told.stdout.as_bytes());
                assert!(reader.headers().unwrap().len() > 3, "{told}");
                assert!(reader.records().inspect(|row| assert!(row.is_ok(), "{row:?}: {told}")).count() > 0, "{told}");
            }
            _ => assert!(!told.stdout.contains('\x1b'), "a pipe gets no colour: {told}"),
        }
    }
}

#[tokio::test]
async fn every_command_by_every_way_in_every_format() {
    let cluster = Cluster::start(15).await;
    let _sessions = world(&cluster).await;
    let agent = Agent::beside(&cluster).await;
    agent.wait_until("/api/v1/load?seconds=60", "/samples", |samples| samples.as_u64() > Some(2)).await;
    agent.wait_until("/api/v1/status", "/cache_hit_ratio", Value::is_number).await;
    let bearer = token(&agent, "reader", "viewer").await;
    let people = [Person::directly(&cluster.dsn()), Person::over_socket(&agent), Person::over_network(&agent, &bearer)];
    for person in &people {
        join_all(LOOKS.iter().map(|(look, words)| every_format(person, look, words))).await;
    }
    for person in &people {
        they_tell_the_truth(&cluster, person).await;
    }
    top_agrees_with_the_samples(&people[1]).await;
}

async fn they_tell_the_truth(cluster: &Cluster, person: &Person) {
    let status = person.json(&["status"]).await;
    assert_eq!((&status["sessions"]["blocked"], &status["sessions"]["idle_in_transaction"]), (&1.into(), &1.into()), "{status}");
    assert!(status["cpu"]["used_percent"].is_number() && status["disk"]["used_percent"].is_number(), "{status}");

    let holder = cluster.psql("select pid from pg_stat_activity where application_name = 'holder'").await;
    let locks = person.json(&["locks"]).await;
    assert_eq!((&locks["roots"][0]["pid"].to_string(), &locks["blocked"]), (&holder, &1.into()), "{locks}");
    person.run(&["locks", "--show-blocking"]).await.ends(0).shows(&["holds up 1 session: its statement has run for", "└─ "]);

    let names = async |arguments: &[&str]| {
        let listed = person.json(&[&["connections", "list"], arguments].concat()).await;
        let mut names: Vec<_> = listed.as_array().unwrap().iter().map(|s| s["application_name"].as_str().unwrap().to_owned()).collect();
        names.retain(|name| name != "pgtend");
        names.sort();
        names.join(" ")
    };
    assert_eq!(names(&[]).await, "holder open quiet waiter");
    assert_eq!(names(&["--state", "idle"]).await, "quiet");
    assert_eq!(names(&["--state", "idle-in-transaction"]).await, "open");
    assert_eq!(names(&["--state", "blocked"]).await, "waiter");
    assert_eq!(names(&["--app", "*ol*"]).await, "holder");
    assert_eq!(names(&["--user", "postgres", "--database", "postgres", "--client", "local"]).await, "holder open quiet waiter");
    assert_eq!(names(&["--user", "nobody"]).await, "");
    assert_eq!(names(&["--duration", "1h"]).await, "");
    assert_eq!(names(&["--min-transaction", "10ms", "--pid", &holder]).await, "holder");
    person.run(&["connections", "list", "--format", "summary"]).await.ends(0).shows(&["idle in transaction", "quiet"]);
    person.run(&["connections", "list", "--background"]).await.ends(0).shows(&["(checkpointer)"]);
    person.run(&["activity", "--user", "nobody"]).await.ends(0).shows(&["no session does anything"]);
}

/// The samples between the first and the last one that `top` counted give its averages.
async fn top_agrees_with_the_samples(person: &Person) {
    let top = person.json(&["top", "--once", "--window", "3s"]).await;
    let all = get(person, &format!("start={}&end={}&limit=100000", top["from"].as_str().unwrap(), top["to"].as_str().unwrap())).await;
    let active: Vec<&Value> = all["samples"].as_array().unwrap().iter().filter(|sample| sample["wait_class"] != "Idle").collect();
    let times: std::collections::BTreeSet<_> = active.iter().map(|sample| sample["sample_time"].as_str()).collect();
    let samples = top["samples"].as_u64().unwrap();
    assert!(samples >= 2 && times.len() as u64 == samples, "{samples} samples, {times:?}");
    let close = |average: &Value, count: usize| (average.as_f64().unwrap() - count as f64 / samples as f64).abs() < 1e-9;
    assert!(close(&top["average_active_sessions"], active.len()), "{} of {samples}: {top}", active.len());
    for query in top["queries"].as_array().unwrap() {
        let count = active.iter().filter(|sample| sample["sql_id"] == query["query_id"]).count();
        assert!(count > 0 && close(&query["average"], count), "{count} of {samples}: {query}");
    }
}

async fn get(person: &Person, query: &str) -> Value {
    let http = reqwest::Client::builder().unix_socket(person.socket()).build().unwrap();
    let answer = http.get(format!("http://pgtend/api/v1/ash/samples?{query}")).send().await.unwrap().text().await.unwrap();
    serde_json::from_str::<Value>(&answer).unwrap()["data"].take()
}
