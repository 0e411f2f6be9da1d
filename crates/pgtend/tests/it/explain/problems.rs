//! Every problem of a plan provoked for real.

use super::{analyze, with_settings, world};
use crate::cli::Person;
use crate::harness::Cluster;
use serde_json::Value;

const ALONE: &str = "max_parallel_workers_per_gather=0 jit=off ";

/// Settings, statement, and the problem that it must have at a step.
const PROBLEMS: &[(&str, &str, &str, &str)] = &[
    ("", "select * from orders where status = 'open' and customer_id < 1500", "sequential_scan", "Seq Scan on public.orders"),
    ("", "select * from orders where status = 'open' and customer_id < 1500", "index_candidate", "Seq Scan on public.orders"),
    ("", "select * from skewed where a = 5 and b = 5 and a + b = 10", "row_estimate", "Seq Scan on public.skewed"),
    ("work_mem=64kB", "select * from orders order by total", "sort_on_disk", "Sort"),
    (
        "work_mem=64kB enable_mergejoin=off enable_nestloop=off",
        "select * from orders o join orders p on p.id = o.customer_id",
        "hash_on_disk",
        "Hash",
    ),
    ("work_mem=64kB enable_sort=off", "select id % 20000, count(*) from orders group by 1", "hash_on_disk", "HashAggregate"),
    ("work_mem=64kB", "with o as materialized (select * from orders) select count(*) from o, generate_series(1, 2)", "temporary_file", ""),
    (
        "enable_hashjoin=off enable_mergejoin=off",
        "select count(*) from orders o join customers c on c.id = o.customer_id",
        "nested_loop",
        "Nested Loop",
    ),
    (
        "enable_seqscan=off enable_bitmapscan=off",
        "select * from orders where placed > '2024-02-01' and status = 'open'",
        "index_filter",
        "orders_placed",
    ),
    (
        "work_mem=64kB enable_seqscan=off enable_indexscan=off",
        "select * from orders where placed > '2024-02-01'",
        "lossy_bitmap",
        "Bitmap Heap Scan",
    ),
    (
        "enable_seqscan=off enable_bitmapscan=off",
        "select placed from orders where placed > '2024-09-01'",
        "heap_fetches",
        "Index Only Scan",
    ),
    (
        "",
        "select c.id, (select count(*) from orders o where o.id between c.id and c.id + 5) from customers c",
        "repeated_subplan",
        "Aggregate",
    ),
    (
        "max_parallel_workers_per_gather=2 max_parallel_workers=0 parallel_setup_cost=0 parallel_tuple_cost=0 min_parallel_table_scan_size=0",
        "select count(*) from orders",
        "workers_missing",
        "Gather",
    ),
];

async fn findings(cluster: &Cluster, settings: &str, arguments: &[&str]) -> Vec<Value> {
    let person = Person::directly(&with_settings(cluster, &format!("{ALONE}{settings}")));
    let explained = person.json(&[&["explain", "--analyze", "--settings"], arguments].concat()).await;
    assert_eq!(explained["source"], "executed", "{explained}");
    explained["findings"].as_array().unwrap().clone()
}

fn has(found: &[Value], problem: &str, place: &str) -> bool {
    found.iter().any(|one| one["problem"] == problem && one["place"].as_str().unwrap_or_default().contains(place))
}

async fn every_problem_on(major: u32) {
    let cluster = world(major).await;
    for (settings, sql, problem, place) in PROBLEMS {
        let found = findings(&cluster, settings, &[sql]).await;
        assert!(has(&found, problem, place), "{problem} at {place} is not found on {major} in {sql}: {found:#?}");
        assert!(found.iter().all(|one| !one["advice"].as_str().unwrap().is_empty()), "{found:#?}");
    }
    let found = findings(&cluster, "", &["insert into slowly select generate_series(1, 20)", "--allow-writes"]).await;
    assert!(has(&found, "trigger_dominates", ""), "{found:#?}");
    let found = findings(&cluster, "", &["select * from customers where id = 5"]).await;
    assert!(found.iter().all(|one| one["severity"] == "note"), "a good plan is left in peace: {found:#?}");
    // Old statistics are told with the estimate that they spoil.
    cluster.psql("delete from skewed; insert into skewed select 1000 + g, g from generate_series(1, 40000) g").await;
    cluster.wait_for("select n_mod_since_analyze > 50000 from pg_stat_user_tables where relname = 'skewed'").await;
    let found = findings(&cluster, "", &["select * from skewed where a > 500"]).await;
    assert!(has(&found, "stale_statistics", "skewed") && has(&found, "row_estimate", "skewed"), "{found:#?}");
    analyze(&cluster).await;
    let found = findings(&cluster, "", &["select * from skewed where a > 500"]).await;
    assert!(!has(&found, "stale_statistics", "") && !has(&found, "row_estimate", ""), "the advice helps: {found:#?}");
}

#[tokio::test]
async fn every_problem_on_13() {
    every_problem_on(13).await;
}

#[tokio::test]
async fn every_problem_on_15() {
    every_problem_on(15).await;
}

#[tokio::test]
async fn every_problem_on_18() {
    every_problem_on(18).await;
}

/// Of the test servers only the distribution's compiles.
#[tokio::test]
async fn compilation_that_costs_more_than_it_gives() {
    let cluster = world(15).await;
    let settings = "jit=on jit_above_cost=0 jit_inline_above_cost=0 jit_optimize_above_cost=0";
    let found = findings(&cluster, settings, &["select sum(total * 2), status from orders where id < 3000 group by status"]).await;
    assert!(has(&found, "jit_dominates", ""), "{found:#?}");
}
