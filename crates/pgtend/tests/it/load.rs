//! A real load, as pgbench counts it and as pgtend tells it.

use crate::harness::{Agent, Cluster};
use serde_json::Value;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// Transactions that the agent itself commits in a second, at most: its probes.
const OWN_PER_SECOND: f64 = 15.0;

async fn committed(agent: &Agent) -> f64 {
    agent.get("/api/v1/status").await["transactions"]["committed_total"].as_f64().unwrap()
}

fn processed(pgbench: &str) -> f64 {
    let line = pgbench.lines().find(|line| line.starts_with("number of transactions actually processed")).unwrap();
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

/// Sessions of pgbench in each sample.
fn clients_per_sample(samples: &Value) -> Vec<usize> {
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for sample in samples["samples"].as_array().unwrap() {
        if sample["program"] == "pgbench" {
            *counts.entry(sample["sample_time"].as_str().unwrap()).or_default() += 1;
        }
    }
    counts.into_values().collect()
}

#[tokio::test]
async fn what_pgbench_did_is_what_pgtend_tells() {
    let cluster = Cluster::builder(15).config("shared_preload_libraries = 'pg_stat_statements'").start().await;
    cluster.psql("create extension pg_stat_statements").await;
    cluster.pgbench(&["--initialize", "--quiet", "--scale=20"]).await;
    let agent = Agent::beside(&cluster).await;
    agent.wait_until("/api/v1/status", "/state", |state| state == "up").await;
    tokio::time::sleep(Duration::from_secs(2)).await;

    let (before, began) = (committed(&agent).await, Instant::now());
    let told = cluster.pgbench(&["--no-vacuum", "--client=8", "--jobs=2", "--time=15"]).await;
    let load = agent.get("/api/v1/load?seconds=10").await;
    let samples = agent.get("/api/v1/ash/samples?limit=100000").await;
    // Sessions hand in their counters within a second of their last transaction, and at their end at the latest.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let grown = committed(&agent).await - before;

    let (wanted, own) = (processed(&told), OWN_PER_SECOND * began.elapsed().as_secs_f64());
    assert!(grown >= wanted * 0.99 && grown <= wanted * 1.01 + own, "pgbench processed {wanted}, pgtend tells {grown}");
    let clients = clients_per_sample(&samples);
    let average = clients.iter().sum::<usize>() as f64 / clients.len() as f64;
    assert!(clients.contains(&8) && average > 6.0, "8 clients are seen as {clients:?}");
    let mut texts = load["queries"].as_array().unwrap().iter().map(|query| query["query"].as_str().unwrap());
    let top = texts.find(|text| !text.starts_with("END") && !text.starts_with("COMMIT")).unwrap_or_default();
    assert!(top.starts_with("UPDATE"), "{load}");
    let text = "UPDATE pgbench_accounts SET abalance = abalance + $1";
    agent.wait_for("the text of the UPDATE", async |agent| agent.text("/api/v1/stats/queries?limit=5").await.contains(text)).await;
}
