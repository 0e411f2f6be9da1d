//! Plans: what is wrong is found, nothing is changed, nobody is held up, and who may not is told so.

mod problems;
mod profiler;

use crate::api::token;
use crate::cli::{Person, idle, session};
use crate::harness::{Agent, Cluster};
use serde_json::Value;

/// A server with tables that are large, skewed, or have a slow trigger; nothing analyzes them behind the test's back.
pub async fn world(major: u32) -> Cluster {
    let preload = "shared_preload_libraries = 'pg_stat_statements'";
    let cluster = Cluster::builder(major).config("autovacuum = off").config(preload).start().await;
    let tables = "create extension pg_stat_statements; \
        create table customers (id int primary key, name text, region text); \
        insert into customers select g, 'customer ' || g, 'r' || g % 20 from generate_series(1, 2000) g; \
        create table orders (id int primary key, customer_id int, status text, total numeric, placed date) with (fillfactor = 15); \
        insert into orders select g, g % 2000 + 1, case when g % 1000 = 0 then 'open' else 'done' end, g % 97, date '2024-01-01' + g % 700 \
          from generate_series(1, 60000) g; \
        create index orders_placed on orders (placed); create sequence numbers; \
        create table skewed (a int, b int); insert into skewed select g % 100, g % 100 from generate_series(1, 50000) g; \
        create function slow() returns trigger language plpgsql as $$ begin perform pg_sleep(0.002); return new; end $$; \
        create table slowly (id int); create trigger slow before insert on slowly for each row execute function slow()";
    cluster.psql(tables).await;
    // What was inserted is counted when the session ends, and would count as changed since an ANALYZE before that.
    cluster.wait_for("select count(*) = 3 from pg_stat_user_tables where n_mod_since_analyze >= 2000").await;
    analyze(&cluster).await;
    cluster
}

/// Analyzes everything and waits until the server counts that.
pub async fn analyze(cluster: &Cluster) {
    cluster.psql("analyze").await;
    cluster.wait_for("select bool_and(n_mod_since_analyze = 0) from pg_stat_user_tables").await;
}

/// The connection string with these settings for its sessions.
pub fn with_settings(cluster: &Cluster, settings: &str) -> String {
    let options: Vec<String> = settings.split_whitespace().map(|setting| format!("-c {setting}")).collect();
    format!("{} options='{}'", cluster.dsn(), options.join(" "))
}

/// Figures that a statement which is not rolled back would change.
async fn state(cluster: &Cluster) -> String {
    cluster.psql("select (select count(*) from orders), (select count(*) from customers), (select count(*) from slowly), (select sum(id) from orders)").await
}

/// That no session of pgtend is left, and no transaction or lock of one.
async fn nothing_is_left(cluster: &Cluster) {
    cluster.wait_for("select not exists (select from pg_stat_activity where application_name = 'pgtend')").await;
    assert_eq!(cluster.psql("select count(*) from pg_locks where pid <> pg_backend_pid()").await, "0");
    assert_eq!(cluster.psql("select count(*) from pg_prepared_xacts").await, "0");
}

async fn nothing_is_changed_on(major: u32) {
    let cluster = world(major).await;
    let before = state(&cluster).await;
    let person = Person::directly(&cluster.dsn());
    for sql in [
        "insert into customers values (0)",
        "update orders set total = 0",
        "delete from orders",
        "select nextval('numbers')",
        "create table copy as select 1",
        "select 1 as one into copy",
    ] {
        person.run(&["explain", "--analyze", sql]).await.ends(65).says(&["nothing may be written", "--allow-writes"]);
        if !sql.starts_with("select") {
            person.run(&["explain", sql]).await.ends(0).says(&["planned, not executed"]);
        }
        assert_eq!(state(&cluster).await, before, "after {sql}");
    }
    for sql in ["delete from orders where id < 100", "with gone as (delete from customers returning id) select count(*) from gone"] {
        let told = person.run(&["explain", "--analyze", "--allow-writes", sql]).await.ends(0).says(&["rolled back", "sequences"]);
        assert!(told.stdout.contains("Delete on public."), "{told}");
        assert_eq!(state(&cluster).await, before, "after {sql}");
    }
    for (sql, says) in [
        ("select 1; drop table orders", "more than one statement"),
        ("vacuum orders", "no plan for VACUUM"),
        ("explain select 1", "EXPLAIN already"),
        ("", "no statement"),
        ("select 1 from nowhere", "nowhere"),
        ("select * form orders", "line 1, column"),
    ] {
        for analyze in [&[][..], &["--analyze"]] {
            person.run(&[&["explain", sql], analyze].concat()).await.ends(64).says(&[says]);
        }
    }
    assert_eq!(state(&cluster).await, before);
    nothing_is_left(&cluster).await;
}

#[tokio::test]
async fn nothing_is_changed_on_13() {
    nothing_is_changed_on(13).await;
}

#[tokio::test]
async fn nothing_is_changed_on_15() {
    nothing_is_changed_on(15).await;
}

#[tokio::test]
async fn nothing_is_changed_on_18() {
    nothing_is_changed_on(18).await;
}

async fn nobody_is_held_up_on(major: u32) {
    let cluster = world(major).await;
    let person = Person::directly(&cluster.dsn());
    person.run(&["explain", "--analyze", "--timeout", "300ms", "select pg_sleep(60)"]).await.ends(75).says(&["within 300ms", "cancelled"]);
    nothing_is_left(&cluster).await;

    let mut holder = idle(&cluster, "holder", "begin; lock table orders").await;
    person.run(&["explain", "select * from orders"]).await.ends(75).says(&["locked by another session"]);
    holder.kill().await.unwrap();
    nothing_is_left(&cluster).await;
}

#[tokio::test]
async fn nobody_is_held_up_on_13() {
    nobody_is_held_up_on(13).await;
}

#[tokio::test]
async fn nobody_is_held_up_on_18() {
    nobody_is_held_up_on(18).await;
}

#[tokio::test]
async fn parameters_are_planned_without_values() {
    for (major, source) in [(13, "forced_generic"), (15, "forced_generic"), (18, "generic")] {
        let cluster = world(major).await;
        let person = Person::directly(&cluster.dsn());
        let sql = "select * from orders where id = $1 and placed > $2";
        let explained = person.json(&["explain", sql]).await;
        assert_eq!(explained["source"], source, "{explained}");
        assert_eq!(explained["plan"]["root"]["index"], "orders_pkey", "{explained}");
        person.run(&["explain", sql]).await.ends(0).says(&["without regard to the values"]);
        person.run(&["explain", "--analyze", sql]).await.ends(64).says(&["2 parameters", "--analyze"]);
        let generic = person.json(&["explain", "--generic", "select * from orders where id = 7"]).await;
        assert_eq!(generic["source"], source, "{generic}");
        nothing_is_left(&cluster).await;
    }
}

#[tokio::test]
async fn a_role_without_rights_on_the_tables_hears_which() {
    for major in [13, 18] {
        let cluster = world(major).await;
        cluster.psql("create role watcher login in role pg_monitor").await;
        let person = Person::directly(&cluster.dsn().replace("user=postgres", "user=watcher"));
        for analyze in [&[][..], &["--analyze"]] {
            let told = person.run(&[&["explain", "select * from orders"], analyze].concat()).await.ends(77);
            let _ = told.says(&["may not use", "orders", "GRANT SELECT", "pg_read_all_data"]);
        }
        cluster.psql("grant select on orders to watcher").await;
        person.run(&["explain", "--analyze", "select * from orders"]).await.ends(0).shows(&["Seq Scan on public.orders"]);
    }
}

#[tokio::test]
async fn an_agent_explains_for_operators_and_watches_on() {
    let cluster = world(15).await;
    let agent = Agent::beside(&cluster).await;
    agent.wait_until("/api/v1/status", "/state", |state| state == "up").await;
    let viewer = Person::over_network(&agent, &token(&agent, "reader", "viewer").await);
    let operator = Person::over_network(&agent, &token(&agent, "worker", "operator").await);
    let admin = Person::over_socket(&agent);
    viewer.run(&["explain", "select 1"]).await.ends(77).says(&["is viewer, and this needs operator"]);
    let delete = ["explain", "--analyze", "--allow-writes", "delete from orders"];
    operator.run(&delete).await.ends(77).says(&["is operator, and this needs admin"]);
    admin.run(&delete).await.ends(0).says(&["rolled back"]);
    assert_eq!(cluster.psql("select count(*) from orders").await, "60000");
    let sql = "select count(*) from orders where customer_id = 17";
    let direct = Person::directly(&cluster.dsn()).json(&["explain", sql]).await;
    assert_eq!(operator.json(&["explain", sql]).await["plan_hash"], direct["plan_hash"]);
    operator.run(&["explain", "--timeout", "1h", "select 1"]).await.ends(64).says(&["api.request_timeout"]);
    operator.run(&["explain", "--dbname", "nowhere", "select 1"]).await.ends(66).says(&["nowhere"]);

    // A long one is seen by the connection that watches: it is another one.
    let mut long = operator.command(&["explain", "--analyze", "select pg_sleep(300)", "--timeout", "20s"]).spawn().unwrap();
    let seen = |sessions: &Value| {
        sessions.as_array().is_some_and(|all| all.iter().any(|one| one["query"].as_str().is_some_and(|q| q.contains("pg_sleep(300)"))))
    };
    agent.wait_until("/api/v1/sessions", "/sessions", seen).await;
    cluster
        .psql(
            "select pg_terminate_backend(pid) from pg_stat_activity where query like 'explain%pg_sleep(300)%' and pid <> pg_backend_pid()",
        )
        .await;
    assert!(!long.wait().await.unwrap().success());
    let log = agent.log();
    assert!(log.contains("statement executed for its plan") && log.contains("pg_sleep(300)"), "{log}");
}

#[tokio::test]
async fn a_statement_comes_from_wherever_it_is() {
    let cluster = world(15).await;
    let person = Person::directly(&cluster.dsn());
    let file = person.home().join("query.sql");
    std::fs::write(&file, "-- the busiest\nselect region, count(*)\nfrom customers group by 1;\n").unwrap();
    let told = person.run(&["explain", "--file", file.to_str().unwrap()]).await.ends(0);
    let _ = told.shows(&["HashAggregate", "Seq Scan on public.customers", "nothing stands out"]);
    let mut command = person.command(&["explain", "-", "--format", "csv"]);
    let mut child = command.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped()).spawn().unwrap();
    tokio::io::AsyncWriteExt::write_all(child.stdin.as_mut().unwrap(), b"table customers").await.unwrap();
    drop(child.stdin.take());
    let output = child.wait_with_output().await.unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && text.starts_with("step,operation,") && text.contains("Seq Scan on public.customers"), "{text}");
    // The role's own settings count, as in any of its sessions.
    cluster.psql("create schema shop; create table shop.things (id int); alter role postgres set search_path = shop, public").await;
    person.run(&["explain", "table things"]).await.ends(0).shows(&["shop.things"]);
    let busy = session(&cluster, "busy", "select pg_sleep(300)").await;
    assert!(busy.id().is_some(), "and others go on");
}
