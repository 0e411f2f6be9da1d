//! The pictures in `docs/screenshots/`, taken from the real program over a real load. `cargo xtask screenshots` renews them.

mod svg;

use super::cli::{Person, idle, psql};
use crate::harness::{Agent, Cluster, Terminal};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long the load has run when the pictures are taken.
const LOAD: Duration = Duration::from_secs(75);

fn place(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/screenshots").join(name)
}

fn keep(name: &str, text: &str) {
    std::fs::create_dir_all(place("")).unwrap();
    std::fs::write(place(name), text).unwrap();
}

/// A shop: pgbench's customers, and a session that left its transaction open in the way of two others.
async fn shop() -> (Cluster, Vec<tokio::process::Child>) {
    let settings = ["shared_preload_libraries = 'pg_stat_statements'", "track_io_timing = on", "shared_buffers = '64MB'"];
    let cluster = settings.into_iter().fold(Cluster::builder(15), crate::harness::Builder::config).start().await;
    cluster.psql("create extension pg_stat_statements").await;
    cluster
        .psql("create table stock (item int primary key, amount int); insert into stock select n, 100 from generate_series(1, 9) n")
        .await;
    cluster.pgbench(&["--initialize", "--quiet", "--scale=20"]).await;
    let seconds = format!("--time={}", (LOAD + Duration::from_secs(60)).as_secs());
    let mut at_work = vec![cluster.client("pgbench").args(["--no-vacuum", "--client=6", "--rate=900", &seconds]).spawn().unwrap()];
    at_work.push(idle(&cluster, "backoffice", "begin; update stock set amount = amount - 1 where item = 3").await);
    for amount in [2, 5] {
        let sql = format!("update stock set amount = amount - {amount} where item = 3");
        at_work.push(psql(&cluster, "checkout").args(["-c", &sql]).spawn().unwrap());
    }
    (cluster, at_work)
}

#[tokio::test]
#[ignore = "takes two minutes and writes docs/screenshots/: cargo xtask screenshots"]
async fn are_taken() {
    let (cluster, _at_work) = shop().await;
    let agent = Agent::builder().beside("shop", &cluster, "").start().await;
    tokio::time::sleep(LOAD).await;
    let person = Person::over_socket(&agent);
    let commands = [
        ("status", &["status"][..]),
        ("top", &["top", "--once", "--limit", "6"]),
        ("locks", &["locks"]),
        ("ash-top", &["ash", "top", "--from", "-70s", "--limit", "6"]),
        ("ash-blocking", &["ash", "blocking", "--from", "-70s", "--limit", "6"]),
    ];
    for (name, command) in commands {
        let told = person.run(command).await.ends(0);
        let lines: Vec<&str> = told.stdout.lines().map(str::trim_end).collect();
        keep(&format!("{name}.txt"), &format!("$ pgtend {}\n{}\n", command.join(" "), lines.join("\n").trim_end()));
    }
    let mut terminal = Terminal::start(person.command(&["top"]).as_std());
    for (tab, name, words) in [("1", "top-sessions", "backoffice"), ("3", "top-statements", "UPDATE"), ("4", "top-blocking", "└─ ")] {
        terminal.press(tab);
        terminal.shows(&[words]).await;
        tokio::time::sleep(Duration::from_secs(5)).await;
        keep(&format!("{name}.svg"), &svg::picture(&terminal.screen()));
    }
    terminal.press("q");
    assert!(terminal.left().await.is_restored);
}
