//! The agent in trouble: it stays responsive, piles nothing up, and says why it does not know.

use crate::harness::{Agent, Cluster};
use serde_json::Value;
use std::time::Duration;

const STATUS: &str = "/api/v1/status";
const SESSIONS: &str = "/api/v1/sessions";

async fn agents_connections(cluster: &Cluster) -> i64 {
    cluster.psql("select count(*) from pg_stat_activity where application_name like 'pgtend%'").await.trim().parse().unwrap()
}

fn signal(name: &str, pids: &[u32]) {
    let status = std::process::Command::new("kill").arg(format!("-{name}")).args(pids.iter().map(u32::to_string)).status().unwrap();
    assert!(status.success(), "kill -{name} {pids:?}");
}

fn children(parent: u32) -> Vec<u32> {
    let output = std::process::Command::new("pgrep").arg("-P").arg(parent.to_string()).output().unwrap();
    String::from_utf8_lossy(&output.stdout).split_whitespace().map(|pid| pid.parse().unwrap()).collect()
}

#[tokio::test]
async fn a_killed_postmaster_is_told_at_once_and_its_return_is_noticed() {
    let mut cluster = Cluster::start(15).await;
    let agent = Agent::beside(&cluster).await;
    agent.wait_until(STATUS, "/state", |state| state == "up").await;
    cluster.kill().await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let status = agent.get(STATUS).await;
    assert_eq!(status["state"], "down", "two seconds after the kill: {status}");
    assert!(agent.log().contains("the postmaster is gone"), "{}", agent.log());
    cluster.start_again().await;
    agent.wait_until(STATUS, "/state", |state| state == "up").await;
    agent.wait_until(STATUS, "/uptime", |uptime| uptime.as_f64().is_some_and(|seconds| seconds < 60.0)).await;
}

#[tokio::test]
async fn a_killed_agent_leaves_the_server_alone_and_its_successor_goes_on() {
    let cluster = Cluster::start(15).await;
    let mut agent = Agent::beside(&cluster).await;
    agent.wait_until(STATUS, "/state", |state| state == "up").await;
    agent.kill();
    assert_eq!(cluster.psql("select 1").await.trim(), "1");
    agent.start_again().await;
    agent.wait_until(STATUS, "/state", |state| state == "up").await;
    agent.wait_for("one connection", async |_| agents_connections(&cluster).await == 1).await;
}

#[tokio::test]
async fn a_table_under_access_exclusive_holds_up_nobody() {
    let cluster = Cluster::start(15).await;
    cluster.psql("create table held (id int); insert into held values (1)").await;
    let agent = Agent::builder().beside("main", &cluster, "").config("[probes.tables]\nevery = \"1s\"").start().await;
    let mut holder = cluster
        .client("psql")
        .args(["-qAtX", "-c", "begin; lock table held in access exclusive mode; select pg_sleep(20)"])
        .spawn()
        .unwrap();
    agent.wait_until(SESSIONS, "/sessions", |sessions| sessions.to_string().contains("lock table held")).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let sessions = agent.get(SESSIONS).await;
    assert!(sessions["unknown"].as_object().unwrap().is_empty(), "{sessions}");
    let own =
        cluster.psql("select count(*) from pg_stat_activity where application_name like 'pgtend%' and wait_event_type = 'Lock'").await;
    assert_eq!(own.trim(), "0", "pgtend waits for the lock");
    assert_eq!(agents_connections(&cluster).await, 1);
    holder.kill().await.unwrap();
}

#[tokio::test]
async fn full_slots_are_named_and_connections_do_not_pile_up() {
    let cluster = Cluster::builder(15).config("max_connections = 8").config("superuser_reserved_connections = 3").start().await;
    cluster.psql("create role watcher login in role pg_monitor").await;
    let dsn = cluster.dsn().replace("user=postgres", "user=watcher");
    // A look at the sessions takes a slot itself for a moment, so a taker may be refused: then another one tries.
    let mut takers = Vec::new();
    while cluster.psql("select count(*) from pg_stat_activity where usename = 'watcher'").await.trim() != "5" {
        assert!(takers.len() < 50, "the slots cannot be filled");
        let mut taker = cluster.client("psql");
        takers.push(taker.args(["-qAtX", "-U", "watcher", "-c", "select pg_sleep(60)"]).spawn().unwrap());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let agent = Agent::builder().server("main", &dsn, "").start().await;
    let error = agent.wait_until(STATUS, "/error", Value::is_string).await;
    assert!(error.as_str().unwrap().contains("slots") || error.as_str().unwrap().contains("too many"), "{error}");
    let status = agent.get(STATUS).await;
    assert_eq!(status["unknown"]["version"]["reason"], "unreachable", "{status}");
    cluster.psql("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'watcher'").await;
    agent.wait_until(STATUS, "/state", |state| state == "up").await;
    assert_eq!(agents_connections(&cluster).await, 1);
}

#[tokio::test]
async fn a_role_with_a_statement_timeout_of_a_millisecond_can_still_watch() {
    let cluster = Cluster::start(15).await;
    cluster.psql("create role hurried login in role pg_monitor; alter role hurried set statement_timeout = '1ms'").await;
    let agent = Agent::builder().server("main", &cluster.dsn().replace("user=postgres", "user=hurried"), "").start().await;
    agent.wait_until(STATUS, "/state", |state| state == "up").await;
    agent.wait_until(STATUS, "/transactions/committed_total", Value::is_i64).await;
    let status = agent.get(STATUS).await;
    let timeouts = status["unknown"].as_object().unwrap().values().filter(|unknown| unknown["reason"] == "timeout").count();
    assert_eq!(timeouts, 0, "{status}");
}

#[tokio::test]
async fn a_stopped_server_is_unknown_with_the_reason_and_comes_back() {
    let cluster = Cluster::start(15).await;
    let agent = Agent::beside(&cluster).await;
    agent.wait_until(STATUS, "/state", |state| state == "up").await;
    let mut all = children(cluster.postmaster_pid());
    all.push(cluster.postmaster_pid());
    signal("STOP", &all);
    let error = agent.wait_until(STATUS, "/error", Value::is_string).await;
    assert!(error.as_str().unwrap().contains("stopped") || error.as_str().unwrap().contains("did not answer"), "{error}");
    let unknown = agent.get(SESSIONS).await["unknown"]["sessions"].clone();
    assert_eq!(unknown["reason"], "unreachable", "{unknown}");
    tokio::time::sleep(Duration::from_secs(5)).await;
    signal("CONT", &all);
    agent.wait_until(STATUS, "/state", |state| state == "up").await;
    agent.wait_for("one connection", async |_| agents_connections(&cluster).await == 1).await;
}

#[tokio::test]
async fn a_reload_touches_only_what_changed_and_a_mistake_changes_nothing() {
    let (first, second) = (Cluster::start(15).await, Cluster::start(15).await);
    let agent = Agent::builder().beside("first", &first, "").start().await;
    agent.wait_until(STATUS, "/state", |state| state == "up").await;
    let since = agent.get(STATUS).await["since"].clone();
    agent.write_config(&format!("[[server]]\nname = \"second\"\ndsn = \"{}\"", second.dsn()));
    agent.signal("HUP");
    agent.wait_for("the second server", async |agent| agent.text("/api/v1/status?server=second").await.contains("\"up\"")).await;
    assert_eq!(agent.get("/api/v1/status?server=first").await["since"], since, "the first connection was touched");
    agent.write_config("[[sevrer]]");
    agent.signal("HUP");
    agent.wait_for("the complaint", async |agent| agent.log().contains("stays as it was")).await;
    assert!(agent.log().contains("sevrer"), "{}", agent.log());
    assert_eq!(agent.get("/api/v1/status?server=first").await["since"], since);
}

#[tokio::test]
async fn a_reload_changes_the_thresholds_at_once() {
    let cluster = Cluster::start(15).await;
    let agent = Agent::beside(&cluster).await;
    let level = agent.wait_until(STATUS, "/connections/level", |level| level != "UNKNOWN").await;
    assert_eq!(level, "UP");
    agent.write_config(
        "[health_checks.connection_pool]\nwarning_threshold_percent = 0.1\ncritical_threshold_percent = 0.2\n\
         [health_checks.disk_space]\nwarning_threshold_percent = 99.98\ncritical_threshold_percent = 99.99",
    );
    agent.signal("HUP");
    agent.wait_until(STATUS, "/connections/level", |level| level == "DOWN").await;
    let health = agent.get("/api/v1/admin/health").await;
    assert_eq!((&health["status"], &health["components"]["connections"]["status"]), (&"UNHEALTHY".into(), &"DOWN".into()), "{health}");
    agent.write_config("[health_checks]\nenabled = false");
    agent.signal("HUP");
    agent.wait_until(STATUS, "/connections/level", |level| level == "UP").await;
}

#[tokio::test]
async fn totals_go_on_over_a_reload_that_starts_the_watch_anew() {
    const COMMITTED: &str = "/transactions/committed_total";
    let cluster = Cluster::start(15).await;
    let agent = Agent::builder().beside("main", &cluster, "").config("[probes.database]\nevery = \"200ms\"").start().await;
    cluster.pgbench(&["--initialize", "--quiet"]).await;
    cluster.pgbench(&["--no-vacuum", "--select-only", "--transactions=2000"]).await;
    let before = agent.wait_until("/api/v1/metrics", COMMITTED, |total| total.as_i64() > Some(2000)).await;
    cluster.psql("select pg_stat_reset()").await;
    let since = agent.get(STATUS).await["since"].clone();
    agent.write_config("[ash]\nsample_interval_seconds = 0.5");
    agent.signal("HUP");
    agent.wait_until(STATUS, "/since", |now| !now.is_null() && *now != since).await;
    let after = agent.wait_until("/api/v1/metrics", COMMITTED, Value::is_i64).await;
    assert!(after.as_i64() >= before.as_i64(), "{before} became {after}");
}

#[tokio::test]
async fn a_server_without_a_free_connection_is_not_ready() {
    const READY: &str = "/api/v1/health/ready";
    let cluster = Cluster::builder(15).config("max_connections = 8").config("superuser_reserved_connections = 3").start().await;
    let agent = Agent::beside(&cluster).await;
    agent.wait_for("readiness", async |agent| agent.text(READY).await.contains("\"status\":\"ready\"")).await;
    let mut takers = Vec::new();
    for _ in 0..5 {
        takers.push(cluster.client("psql").args(["-qAtX", "-c", "select pg_sleep(60)"]).spawn().unwrap());
    }
    agent.wait_for("no readiness", async |agent| agent.text(READY).await.contains("\"connections_available\":false")).await;
    let ready: Value = serde_json::from_str(&agent.text(READY).await).unwrap();
    assert_eq!((&ready["status"], &ready["checks"]["database"]), (&"not ready".into(), &true.into()), "{ready}");
    cluster.psql("select pg_terminate_backend(pid) from pg_stat_activity where query like 'select pg_sleep%'").await;
    agent.wait_for("readiness", async |agent| agent.text(READY).await.contains("\"status\":\"ready\"")).await;
    for mut taker in takers {
        taker.wait().await.unwrap();
    }
}

#[tokio::test]
async fn an_agent_whose_address_is_taken_says_so_and_ends() {
    let cluster = Cluster::start(15).await;
    let agent = Agent::beside(&cluster).await;
    let taken = crate::api::address(&agent, "api");
    let place = tempfile::tempdir().unwrap();
    let config = place.path().join("pgtend.toml");
    let (here, data) = (place.path().display(), cluster.data_directory().display());
    let server = format!("[[server]]\nname = \"main\"\ndsn = \"{}\"\ndata_directory = \"{data}\"", cluster.dsn());
    let rest = format!("[agent]\nstate_directory = \"{here}\"\nruntime_directory = \"{here}\"\n[api]\nlisten = \"{taken}\"");
    std::fs::write(&config, format!("{server}\n{rest}\n[metrics]\nlisten = \"off\"\n")).unwrap();
    let mut second = tokio::process::Command::new(env!("CARGO_BIN_EXE_pgtend"));
    second.arg("agent").arg("--config").arg(&config).kill_on_drop(true);
    let output = tokio::time::timeout(Duration::from_secs(20), second.output()).await.expect("it ends").unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && told.contains("cannot listen") && told.contains(&taken.to_string()), "{told}");
}
