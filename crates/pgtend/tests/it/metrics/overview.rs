//! The overview's figures against what pgbench says, as Prometheus and as JSON get them; the user's own metrics.

use super::prometheus::Text;
use super::{PATH, tried};
use crate::harness::{Agent, Cluster};

const EVERY_SECOND: &str = "[probes.database]\nevery = \"1s\"\n[probes.statements]\nevery = \"1s\"\n[probes.host_disk]\nevery = \"1s\"\n";
const OWN_METRIC: &str = "[[metrics.custom]]\nname = \"shop\"\nquery = \"select 'a\\\"b' as kind, 2.5 as size, 7 as sold\"\nevery = \"1s\"\n\
    columns.kind = { usage = \"LABEL\" }\ncolumns.size = { usage = \"GAUGE\", help = \"How big.\" }\ncolumns.sold = { usage = \"COUNTER\" }\n";

#[tokio::test]
async fn what_pgbench_executed_is_counted_once_by_every_figure() {
    let cluster = Cluster::builder(15).config("shared_preload_libraries = 'pg_stat_statements'").start().await;
    cluster.psql("create extension pg_stat_statements").await;
    cluster.pgbench(&["-i", "-q"]).await;
    let agent = Agent::builder().beside("main", &cluster, "").config(&format!("{EVERY_SECOND}{OWN_METRIC}")).start().await;
    agent.wait_for("all probes", async |agent| tried(&Text::parse(&agent.text(PATH).await))).await;
    let before = Text::parse(&agent.text(PATH).await);

    cluster.pgbench(&["-n", "-S", "-t", "2000", "-c", "2"]).await;
    cluster.psql("select pg_stat_reset()").await;
    cluster.pgbench(&["-n", "-S", "-t", "1000", "-c", "2"]).await;
    let grown = |now: &Text, name: &str, labels: &[(&str, &str)]| now.sum(name, labels) - before.sum(name, labels);
    let committed = [("status", "committed")];
    let all = async |agent: &Agent| {
        let now = Text::parse(&agent.text(PATH).await);
        // The reset takes with it what was counted since the last reading, at most the first run.
        grown(&now, "pgtend_queries_total", &[]) >= 6000.0 && grown(&now, "pgtend_transactions_total", &committed) >= 2000.0
    };
    agent.wait_for("all executions", all).await;
    let now = Text::parse(&agent.text(PATH).await);

    let queries = grown(&now, "pgtend_queries_total", &[]);
    assert!((6000.0..6600.0).contains(&queries), "6000 statements and pgtend's own are {queries}");
    let bucket = |le: &str| grown(&now, "pgtend_query_duration_ms", &[("__name__", "pgtend_query_duration_ms_bucket"), ("le", le)]);
    let histogram = |suffix: &str| grown(&now, "pgtend_query_duration_ms", &[("__name__", &format!("pgtend_query_duration_ms_{suffix}"))]);
    assert_eq!((histogram("count"), bucket("+Inf")), (queries, queries));
    assert!(histogram("sum") > 0.0 && bucket("1000") <= queries && bucket("0.1") <= bucket("1000"));
    assert!(now.sum("pgtend_host_cpu_cores", &[]) >= 1.0 && now.sum("pgtend_cpu_usage_percent", &[]) <= 100.0);
    assert!(now.sum("pgtend_disk_reads_total", &[]) >= before.sum("pgtend_disk_reads_total", &[]));
    assert_eq!((now.sum("shop_size", &[("kind", "a\"b")]), now.sum("shop_sold", &[])), (2.5, 7.0));
    assert_eq!((&*now.0["shop_sold"].kind, now.sum("pgtend_custom_up", &[("name", "shop")])), ("counter", 1.0));

    let json = agent.get("/api/v1/metrics").await;
    assert!(json["transactions"]["committed_total"].as_f64().unwrap() >= now.sum("pgtend_transactions_total", &committed));
    assert_eq!(json["storage"]["buffer_pool_size_bytes"].as_f64().unwrap(), now.sum("pgtend_buffer_pool_size_bytes", &[]));
    assert!(json["database"]["uptime_seconds"].as_f64().unwrap() >= now.sum("pgtend_uptime_seconds", &[]));
    assert_eq!(json["unknown"]["storage.buffer_pool_used_bytes"]["reason"], "version", "{json}");
}
