//! Metrics of a running agent: against the real postgres_exporter, and by promtool.

mod exporter;
mod overview;
mod prometheus;
mod replication;

use crate::api::address;
use crate::harness::{Agent, Cluster, servers};
use prometheus::{Family, Text};
use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Instant;

const PATH: &str = "/api/v1/metrics/prometheus";
/// Families that tell of the exporter's own process and runtime.
const OF_THE_EXPORTER: [&str; 4] = ["go_", "promhttp_", "postgres_exporter_build_info", "process_"];

/// Names that promtool would have otherwise, and that are as pgtend's guides have them.
const UNUSUAL: [&str; 6] = [
    "pgtend_buffer_pool_hits",
    "pgtend_buffer_pool_misses",
    "pgtend_queries_errors",
    "pgtend_query_duration_ms",
    "pgtend_disk_read_latency_ms",
    "pgtend_disk_write_latency_ms",
];
/// Probes whose figures move while the test looks.
const EVERY_SECOND: [&str; 6] = ["database", "database_size", "bgwriter", "checkpointer", "archiver", "connections"];

/// A server with something in it.
async fn server() -> Cluster {
    let preload = "shared_preload_libraries = 'pg_stat_statements'";
    let cluster = Cluster::builder(15).config(preload).config("statement_timeout = '1h'").config("track_io_timing = on").start().await;
    cluster.psql("create extension pg_stat_statements").await;
    cluster.psql("create database \"we\\ird \"\"one\"\"\"").await;
    cluster.psql("create database shop").await;
    cluster.pgbench(&["-i", "-q", "-s", "1", "shop"]).await;
    cluster.pgbench(&["-n", "-t", "50", "-c", "2", "shop"]).await;
    cluster
}

/// An agent over TCP, so that it calls the server as the exporter does, once every probe has been tried.
async fn agent(cluster: &Cluster, more: &str) -> Agent {
    // It looks into no database but its own, so that the figures of the others stand still.
    let agent = Agent::builder().server("main", &cluster.tcp_dsn(), "databases = [\"postgres\"]").config(more).start().await;
    agent.wait_for("all probes", async |agent| tried(&Text::parse(&agent.text(PATH).await))).await;
    agent
}

/// Whether every probe of every server has been tried.
fn tried(text: &Text) -> bool {
    let unknown = text.0.get("pgtend_probe_unknown").filter(|unknown| count(unknown, "reason", "pending") == 0);
    unknown.is_some() && text.0["pg_up"].series.values().all(|up| *up == 1.0)
}

fn count(family: &Family, label: &str, value: &str) -> usize {
    family.series.keys().filter(|labels| labels.get(label).is_some_and(|found| found == value)).count()
}

#[tokio::test]
async fn every_family_of_postgres_exporter_is_there_with_its_type_labels_and_values() {
    let cluster = server().await;
    let agent = agent(&cluster, &EVERY_SECOND.map(|probe| format!("[probes.{probe}]\nevery = \"1s\"")).join("\n")).await;
    let theirs = exporter::scrape(&cluster).await;
    let scraped = Instant::now();
    agent
        .wait_for("newer readings", async |agent| {
            let since = scraped.elapsed().as_secs_f64();
            let text = Text::parse(&agent.text(PATH).await);
            EVERY_SECOND.iter().all(|probe| text.sum("pgtend_probe_age_seconds", &[("probe", probe)]) < since)
        })
        .await;
    let ours = Text::parse(&agent.text(PATH).await);
    assert!(theirs.0.len() > 250, "the exporter shows the server: {}", theirs.0.len());
    assert!(theirs.sum("pg_stat_database_tup_inserted", &[("datname", "shop")]) > 100_000.0, "pgbench filled its tables");
    let mut wrong = Vec::new();
    for (name, family) in theirs.0.iter().filter(|(name, _)| !OF_THE_EXPORTER.iter().any(|prefix| name.starts_with(prefix))) {
        match ours.0.get(name) {
            None => wrong.push(format!("{name} is missing")),
            Some(own) => wrong.extend(differences(name, family, own)),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for name in ["process_cpu_seconds_total", "process_resident_memory_bytes", "process_open_fds", "process_start_time_seconds"] {
        assert_eq!(ours.0[name].kind, theirs.0[name].kind, "{name}");
    }
}

fn differences(name: &str, theirs: &Family, ours: &Family) -> Vec<String> {
    let mut wrong = Vec::new();
    if theirs.kind != ours.kind {
        wrong.push(format!("{name} is a {}, not a {}", theirs.kind, ours.kind));
    }
    // The collectors of later releases are there too.
    let only_more = name.starts_with("pg_scrape_collector_");
    if theirs.label_names() != ours.label_names() {
        wrong.push(format!("{name} has the labels {:?}, not {:?}", theirs.label_names(), ours.label_names()));
    }
    if theirs.series.keys().ne(ours.series.keys()) && !only_more {
        wrong.push(format!("{name} has the series {:?}, not {:?}", theirs.series.keys(), ours.series.keys()));
    }
    for (labels, value) in &theirs.series {
        let own = ours.series.get(labels).copied().unwrap_or(f64::NAN);
        if !close(name, &theirs.kind, labels, *value, own) {
            wrong.push(format!("{name}{labels:?} is {value}, not {own}"));
        }
    }
    wrong
}

/// What does not move is the same to the digit. What moves does so by what the two watchers do themselves, and ours is the later look.
fn close(name: &str, kind: &str, labels: &BTreeMap<String, String>, theirs: f64, ours: f64) -> bool {
    if name.starts_with("pg_scrape_") || name.starts_with("pg_exporter_") {
        return ours >= 0.0;
    }
    // The exporter sets it for its own session, and shows that.
    if name == "pg_settings_extra_float_digits" {
        return ours == 1.0;
    }
    let is_still = ["pg_settings_", "pg_static", "pg_up"].iter().any(|fixed| name.starts_with(fixed))
        || labels.get("datname").is_some_and(|datname| datname != "postgres" && !datname.is_empty());
    match (is_still, kind) {
        _ if theirs.is_nan() => ours.is_nan(),
        (true, _) => theirs == ours,
        (false, "counter") => ours >= theirs && ours <= theirs + 50_000.0,
        (false, _) => (theirs - ours).abs() <= 0.1 * theirs + 50_000.0,
    }
}

#[tokio::test]
async fn promtool_takes_the_text_and_finds_fault_with_inherited_names_only() {
    let cluster = server().await;
    let agent = agent(&cluster, "[metrics]\nlisten = \"127.0.0.1:0\"\nmax_statements = 20").await;
    let text = agent.text(PATH).await;
    assert!(text.contains("\npg_stat_statements_calls_total{"), "statements have series when they are asked for");
    check_with_promtool(&text);
}

fn check_with_promtool(text: &str) {
    let mut promtool = Command::new(servers::tool("promtool"))
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    promtool.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    let faults = String::from_utf8_lossy(&output.stderr).into_owned();
    // 1 is a syntax error, 3 says that there are lints.
    assert_ne!(output.status.code(), Some(1), "{faults}");
    let name = |fault: &str| fault.split(' ').next().unwrap_or_default().to_owned();
    let own: Vec<&str> = faults.lines().filter(|fault| !fault.starts_with("pg_") && !UNUSUAL.contains(&name(fault).as_str())).collect();
    assert!(own.is_empty(), "{own:#?}");
}

#[tokio::test]
async fn every_major_gives_a_text_without_contradictions() {
    let mut clusters = Vec::new();
    let mut agent = Agent::builder();
    for major in 13..=18 {
        let cluster = Cluster::start(major).await;
        agent = agent.beside(&format!("v{major}"), &cluster, "");
        clusters.push(cluster);
    }
    let agent = agent.config("[metrics]\nlisten = \"127.0.0.1:0\"\nmax_statements = 10").start().await;
    agent.wait_for("all probes", async |agent| tried(&Text::parse(&agent.text(PATH).await))).await;
    let text = agent.text(PATH).await;
    check_with_promtool(&text);
    let text = Text::parse(&text);
    let failing: Vec<_> = text.0["pgtend_probe_up"].series.iter().filter(|(_, up)| **up == 0.0).collect();
    assert!(failing.is_empty(), "{failing:?}");
    for major in 13..=18 {
        let server = [("server", &*format!("v{major}"))];
        for name in
            ["pg_up", "pgtend_uptime_seconds", "pgtend_host_memory_total_bytes", "pg_settings_shared_buffers_bytes", "pg_wal_segments"]
        {
            assert!(text.sum(name, &server) > 0.0, "{name} of {major}");
        }
        // PostgreSQL counts sessions from 14 on, and has pg_stat_io from 16 on.
        // A server of a test may not have counted one yet.
        assert!(major >= 14 || text.sum("pgtend_connections_total", &server) == 0.0, "{major}");
        assert_eq!(text.sum("pgtend_io_reads_total", &server) > 0.0, major >= 16, "{major}");
    }
}

#[tokio::test]
async fn a_second_server_puts_its_name_on_every_series_unless_one_is_asked_for() {
    let (one, two) = (Cluster::start(15).await, Cluster::start(16).await);
    let agent = Agent::builder().server("one", &one.tcp_dsn(), "").server("two", &two.tcp_dsn(), "").start().await;
    agent
        .wait_for("both servers", async |agent| {
            Text::parse(&agent.text(PATH).await)
                .0
                .get("pg_stat_database_xact_commit")
                .is_some_and(|family| count(family, "datname", "postgres") == 2)
        })
        .await;
    let both = Text::parse(&agent.text(PATH).await);
    let of_agent = |name: &str| name.starts_with("process_") || ["pgtend_build_info", "pgtend_scrapes_total"].contains(&name);
    for (name, family) in both.0.iter().filter(|(name, _)| !of_agent(name)) {
        for labels in family.series.keys() {
            assert!(labels.get("server").is_some_and(|server| server == "one" || server == "two"), "{name}{labels:?}");
        }
    }
    let alone = Text::parse(&agent.text(&format!("{PATH}?server=two")).await);
    assert_eq!(alone.0["pg_up"].label_names(), [vec![]].into());
    let target = format!("127.0.0.1:{}", two.port());
    assert!(alone.sum("pg_stat_database_numbackends", &[("server", &target), ("datname", "postgres")]) >= 1.0);
    assert!(agent.text(&format!("{PATH}?server=three")).await.contains("no server is named"));
}

/// What an address answers to somebody who takes gzip, unpacked.
async fn unpacked(url: &str) -> String {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let response = client.get(url).header("accept-encoding", "gzip").send().await.unwrap();
    assert_eq!(response.headers()["content-encoding"], "gzip", "{url}");
    let packed = response.bytes().await.unwrap();
    let mut gzip = Command::new("gzip").arg("-dc").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = gzip.stdin.take().unwrap();
    let sent = packed.clone();
    let writer = std::thread::spawn(move || stdin.write_all(&sent).unwrap());
    let output = gzip.wait_with_output().unwrap();
    writer.join().unwrap();
    assert!(output.status.success(), "{url} ends too early");
    assert!(packed.len() * 5 < output.stdout.len(), "{} of {} bytes", packed.len(), output.stdout.len());
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn whoever_takes_gzip_gets_it_at_both_addresses() {
    let cluster = Cluster::start(15).await;
    let agent = agent(&cluster, "").await;
    for url in [format!("http://{}/metrics", address(&agent, "metrics")), format!("http://{}{PATH}", address(&agent, "api"))] {
        assert!(Text::parse(&unpacked(&url).await).0.contains_key("pg_up"), "{url}");
        let plain = reqwest::Client::builder().no_proxy().build().unwrap().get(&url).send().await.unwrap();
        assert!(!plain.headers().contains_key("content-encoding"), "{url}");
        Text::parse(&plain.text().await.unwrap());
    }
}

/// Whoever watches with pg_monitor alone sees the server's settings, not those with which pgtend bounds itself.
#[tokio::test]
async fn settings_are_those_that_any_session_of_the_role_gets() {
    let cluster = Cluster::builder(18).config("idle_in_transaction_session_timeout = '2h'").start().await;
    cluster.psql("create role mon login in role pg_monitor; alter role mon set statement_timeout = '7s'").await;
    cluster.psql("alter database postgres set lock_timeout = '9s'").await;
    let dsn = cluster.dsn().replace("user=postgres", "user=mon");
    let agent = Agent::builder().server("main", &dsn, "").config("[probes.settings]\ntimeout = \"5s\"").start().await;
    agent.wait_for("all probes", async |agent| tried(&Text::parse(&agent.text(PATH).await))).await;
    let text = Text::parse(&agent.text(PATH).await);
    for (name, value) in [
        ("statement_timeout_seconds", 7.0),
        ("lock_timeout_seconds", 9.0),
        ("idle_in_transaction_session_timeout_seconds", 7200.0),
        ("idle_session_timeout_seconds", 0.0),
        ("transaction_timeout_seconds", 0.0),
        ("jit", 1.0),
        ("default_transaction_read_only", 0.0),
        ("transaction_read_only", 0.0),
    ] {
        let name = format!("pg_settings_{name}");
        let shown: Vec<f64> = text.0.get(&name).map(|family| family.series.values().copied().collect()).unwrap_or_default();
        assert_eq!(shown, [value], "{name}");
    }
}

#[test]
fn promtool_takes_the_alert_rules() {
    let rules = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/alerts.yml");
    let output = Command::new(servers::tool("promtool")).args(["check", "rules", rules]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("SUCCESS"), "{said}");
}
