//! SQL over history: an agent's, over the API and the command line, and the files alone.

use crate::harness::{Agent, Cluster};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output};

fn pgtend(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_pgtend")).args(arguments).output().unwrap()
}

fn ask(agent: &Agent, arguments: &[&str]) -> Output {
    let socket = agent.socket();
    pgtend(&[&["sql", "--socket", socket.to_str().unwrap()], arguments].concat())
}

fn printed(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The statements in the blocks of a page that are marked as SQL.
fn statements(page: &str) -> Vec<String> {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(page)).unwrap();
    text.split("```sql\n").skip(1).map(|block| block.split("```").next().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn what_was_seen_can_be_asked_for_and_the_ten_useful_queries_work() {
    let cluster = Cluster::builder(17).config("shared_preload_libraries = 'pg_stat_statements'").start().await;
    cluster.psql("create extension pg_stat_statements").await;
    let agent = Agent::beside(&cluster).await;
    cluster.psql("select pg_sleep(4)").await;
    let sleeping = "/api/v1/sql?query=select%20count(*)%20as%20n%20from%20ash%20where%20wait_event%20%3D%20'PgSleep'";
    agent.wait_until(sleeping, "/rows/0/0", |seen| seen.as_i64() >= Some(2)).await;
    agent.wait_until("/api/v1/sql?query=select%20count(*)%20from%20metrics", "/rows/0/0", |rows| rows.as_i64() > Some(100)).await;

    let queries = statements("sql.md");
    assert_eq!(queries.len(), 10);
    for query in &queries {
        let answer: Value = serde_json::from_str(&printed(&ask(&agent, &["--format", "json", query]))).unwrap();
        assert!(answer["columns"].as_array().unwrap().len() >= 2 && answer["truncated"] == false, "{query}\n{answer}");
    }
    let waits = printed(&ask(&agent, &["--format", "csv", &queries[0]]));
    assert!(waits.starts_with("wait_class,average_active_sessions\n") && waits.lines().count() >= 2, "{waits}");
    assert!(printed(&ask(&agent, &[&queries[1]])).contains("pg_sleep"));
    assert!(printed(&ask(&agent, &[".tables"])).contains("\nash "));
    let told: Value = serde_json::from_str(&printed(&ask(&agent, &["--format", "json", ".tables"]))).unwrap();
    let about = told["rows"].as_array().unwrap().iter().map(|row| row[1].as_str().unwrap());
    about.for_each(|about| assert_eq!(about, about.trim()));
    assert!(printed(&ask(&agent, &[".schema", "ash"])).contains("wait_class"));
    let history = agent.state_directory().join("history");
    let alone = printed(&pgtend(&["sql", "--history", history.to_str().unwrap(), "--format", "csv", "select", "count(*) > 2 from ash"]));
    assert_eq!(alone, "count(*) > 2\n1\n");
}

#[tokio::test]
async fn mistakes_are_told_and_only_reading_is_allowed() {
    let cluster = Cluster::start(15).await;
    let agent = Agent::beside(&cluster).await;
    let refused = |arguments: &[&str]| {
        let output = ask(&agent, arguments);
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, told) = refused(&["select wait_clas from ash"]);
    assert!(code == 64 && told.contains("did you mean \"wait_class\"?"), "{code} {told}");
    let (code, told) = refused(&["delete from ash"]);
    assert!(code == 77 && told.contains("can only be read"), "{code} {told}");
    let (code, told) = refused(&["--server", "nobody", "select 1"]);
    assert!(code == 66 && told.contains("\"nobody\""), "{code} {told}");
    let endless = "with recursive n(i) as (select 1 union all select i + 1 from n) select count(*) from n";
    let (code, told) = refused(&["--timeout", "200ms", endless]);
    assert!(code == 75 && told.contains("200 ms"), "{code} {told}");
    let cut = ask(&agent, &["--limit", "3", "select name from history_tables"]);
    assert!(cut.status.success() && String::from_utf8_lossy(&cut.stderr).contains("more rows than these 3"), "{cut:?}");
    let nowhere = pgtend(&["sql", "--history", "/tmp", "select 1"]);
    assert_eq!(nowhere.status.code(), Some(66));
}

/// Lets everybody read a directory with all that is in it, and nobody but its owner write.
fn open_to_readers(path: &Path) {
    let is_directory = fs::metadata(path).unwrap().is_dir();
    fs::set_permissions(path, fs::Permissions::from_mode(if is_directory { 0o755 } else { 0o644 })).unwrap();
    if is_directory {
        fs::read_dir(path).unwrap().for_each(|entry| open_to_readers(&entry.unwrap().path()));
    }
}

#[tokio::test]
async fn whoever_may_only_read_the_files_can_ask_them() {
    assert!(rustix::process::geteuid().is_root(), "another user is needed, so this runs as root");
    let cluster = Cluster::start(15).await;
    let mut agent = Agent::beside(&cluster).await;
    agent.wait_until("/api/v1/monitoring/history", "/newest_snapshot_id", |id| id.as_i64() == Some(1)).await;
    let place = tempfile::tempdir().unwrap();
    let program = place.path().join("pgtend");
    fs::copy(env!("CARGO_BIN_EXE_pgtend"), &program).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let state = agent.state_directory().to_owned();
    let catalog = state.join("history/catalog.db");
    let read = |text: &str| {
        let mut command = Command::new(&program);
        command.args(["sql", "--format", "csv", "--history"]).arg(state.join("history")).arg(text);
        command.current_dir("/").env_clear().uid(65_534).gid(65_534).output().unwrap()
    };
    let question = "select count(*) as n, (select count(*) > 10 from metrics) as more from snapshots";
    let locked = read(question);
    assert!(locked.status.code() == Some(71) && String::from_utf8_lossy(&locked.stderr).contains("let others read it"), "{locked:?}");

    open_to_readers(&state);
    assert!(catalog.with_extension("db-wal").exists());
    assert_eq!(printed(&read(question)), "n,more\n1,1\n", "beside the agent");
    agent.signal("TERM");
    agent.ended().await;
    assert!(!catalog.with_extension("db-wal").exists());
    open_to_readers(&state);
    assert_eq!(printed(&read(question)), "n,more\n1,1\n", "after the agent");
    let owner = pgtend(&["sql", "--format", "csv", "--history", state.join("history").to_str().unwrap(), question]);
    assert_eq!(printed(&owner), "n,more\n1,1\n", "by its owner");
    assert!(!catalog.with_extension("db-wal").exists() && !catalog.with_extension("db-shm").exists());
}
