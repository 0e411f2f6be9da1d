//! `pgtend ping`: the exit codes of `pg_isready`, directly and through an agent.

use super::super::api::token;
use super::Person;
use crate::harness::{Agent, Cluster};
use std::net::TcpListener;
use std::time::{Duration, Instant};

const ACCEPTING: i32 = 0;
const REJECTING: i32 = 1;
const NO_RESPONSE: i32 = 2;
const NO_ATTEMPT: i32 = 3;

/// Where nobody listens.
const NOWHERE: &str = "host=127.0.0.1 port=1 user=postgres dbname=postgres";

/// A standby that takes no connections.
async fn closed() -> Cluster {
    Cluster::builder(15).config("hot_standby = off").file("standby.signal", "").start().await
}

#[tokio::test]
async fn it_ends_as_pg_isready_does() {
    let (cluster, closed) = (Cluster::start(15).await, closed().await);
    let open = Person::directly(&cluster.dsn());
    open.run(&["ping"]).await.ends(ACCEPTING).says_nothing().shows(&["accepting connections", " ms"]);
    let answer = open.json(&["ping"]).await;
    assert!(answer["state"] == "accepting" && answer["latency_ms"].as_f64().unwrap() > 0.0 && answer["error"].is_null(), "{answer}");
    let summary = open.run(&["ping", "--format", "summary"]).await.ends(ACCEPTING).shows(&["accepting connections"]);
    assert_eq!(summary.stdout.lines().count(), 1, "{summary}");
    open.run(&["ping", "--format", "html"]).await.ends(NO_ATTEMPT).says(&["only reports", "--format table, json, yaml or csv"]);
    Person::directly(&cluster.dsn().replace("user=postgres", "user=unheard_of")).run(&["ping"]).await.ends(ACCEPTING);
    let told = Person::directly(&closed.dsn()).run(&["ping"]).await.ends(REJECTING);
    told.shows(&["rejecting connections", "not accepting connections"]);
    Person::directly(NOWHERE).run(&["ping"]).await.ends(NO_RESPONSE).shows(&["no response", "nothing listens there"]);
    for senseless in [&["ping", "--timeout", "soon"][..], &["ping", "--tiemout", "1s"]] {
        open.run(senseless).await.ends(NO_ATTEMPT).says(&["--t"]);
    }
    Person::directly("host=/tmp port=many").run(&["ping"]).await.ends(NO_ATTEMPT).shows(&["no attempt", "port"]);
    let answer = Person::directly("sslmode=perhaps").run(&["ping", "--format", "json"]).await.ends(NO_ATTEMPT).json();
    assert!(answer["state"] == "not_attempted" && answer["error"].as_str().unwrap().contains("sslmode"), "{answer}");
}

#[tokio::test]
async fn without_an_agent_the_pg_variables_name_the_server() {
    let cluster = Cluster::start(15).await;
    let socket = cluster.socket_directory().display().to_string();
    let person = Person::with(&[]).variable("PGHOST", &socket).variable("PGPORT", &cluster.port().to_string());
    person.run(&["ping"]).await.ends(ACCEPTING).shows(&[&socket]);
}

#[tokio::test]
async fn who_never_answers_is_waited_for_no_longer_than_asked() {
    let silent = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = silent.local_addr().unwrap().port();
    let began = Instant::now();
    let person = Person::directly(&format!("host=127.0.0.1 port={port} sslmode=disable"));
    person.run(&["ping", "--timeout", "300ms"]).await.ends(NO_RESPONSE);
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

#[tokio::test]
async fn through_an_agent_it_tells_what_the_agent_knows() {
    let (cluster, closed) = (Cluster::start(15).await, closed().await);
    let mut agent = Agent::builder().beside("main", &cluster, "").beside("closed", &closed, "").server("gone", NOWHERE, "").start().await;
    for (server, state) in [("main", "up"), ("closed", "down"), ("gone", "down")] {
        agent.wait_until(&format!("/api/v1/status?server={server}"), "/state", |found| found == state).await;
    }
    let bearer = token(&agent, "pinger", "viewer").await;
    for person in [Person::over_socket(&agent), Person::over_network(&agent, &bearer)] {
        person.run(&["ping", "--server", "main"]).await.ends(ACCEPTING).shows(&["main at ", "accepting connections"]);
        person.run(&["ping", "--server", "closed"]).await.ends(REJECTING).shows(&["closed at ", "rejecting connections"]);
        person.run(&["ping", "--server", "gone"]).await.ends(NO_RESPONSE).shows(&["gone at ", "no response", "nothing listens there"]);
        person.run(&["ping", "--server", "elsewhere"]).await.ends(NO_ATTEMPT).shows(&["no attempt", "elsewhere"]);
        person.run(&["ping"]).await.ends(NO_ATTEMPT).shows(&["no attempt", "main", "closed", "gone"]);
    }
    let person = Person::over_socket(&agent);
    agent.kill();
    person.run(&["ping", "--server", "main"]).await.ends(NO_RESPONSE).shows(&["agent", "no response"]);
}
