//! WAL that gets to the repository before its segment is full: what was committed seconds ago survives the machine.

use crate::harness::{Agent, Cluster};
use crate::wal::{Archive, archived, switch};
use pgtend::backup::open::open;
use pgtend_model::config::Repository as Configured;
use pgtend_model::pgdata::Lsn;
use pgtend_store::repo::open_wal::WalPiece;
use pgtend_store::repo::wal::WalOwner;
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const PGTEND: &str = env!("CARGO_BIN_EXE_pgtend");
const STREAMS: &str = "stream_wal = true\nstream_interval = \"100ms\"";

/// A server whose WAL is streamed, and a place to restore to.
struct Ground {
    archive: Archive,
    cluster: Cluster,
    agent: Agent,
    dir: tempfile::TempDir,
}

impl Ground {
    /// Archived by `archive_command`.
    async fn archiving(major: u32) -> Self {
        let archive = Archive::new();
        let cluster = archive.server(major).await;
        Self::over(archive, cluster, STREAMS).await
    }

    /// Archived by nobody: a slot keeps the WAL.
    async fn by_slot(major: u32, lines: &str) -> Self {
        let cluster = Cluster::builder(major).config("max_wal_size = 64MB").config("min_wal_size = 32MB").start().await;
        Self::over(Archive::new(), cluster, &format!("{STREAMS}\n{lines}")).await
    }

    async fn over(archive: Archive, cluster: Cluster, lines: &str) -> Self {
        let agent = archive.agent(&cluster, lines).await;
        let dir = tempfile::Builder::new().prefix("pgtend-stream-").tempdir_in("/tmp").unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        Self { archive, cluster, agent, dir }
    }

    fn pgtend(&self, arguments: &[&str]) -> Output {
        Command::new(PGTEND).arg("--socket").arg(self.agent.socket()).args(arguments).output().unwrap()
    }

    fn backup(&self) {
        let output = self.pgtend(&["backup", "run"]);
        assert!(output.status.success(), "{}{}", String::from_utf8_lossy(&output.stderr), self.agent.log());
    }

    async fn streaming(&self) -> Value {
        self.agent.get("/api/v1/wal").await.pointer("/servers/0/archiving/streaming").unwrap().clone()
    }

    /// Waits until all that is committed now is in the repository; gives up to where that is.
    async fn streamed(&self) -> Lsn {
        let lsn: Lsn = self.cluster.psql("select pg_current_wal_flush_lsn()").await.trim().parse().unwrap();
        self.agent.wait_for_long("the WAL is streamed", async |_| position(&self.streaming().await, "streamed_lsn") >= Some(lsn)).await;
        lsn
    }

    async fn open_segment(&self) -> String {
        self.cluster.psql("select pg_walfile_name(pg_current_wal_insert_lsn())").await.trim().to_owned()
    }

    /// Kills server and agent, and deletes what the server had.
    async fn lose_the_machine(&mut self) {
        self.cluster.kill().await;
        self.agent.kill();
        fs::remove_dir_all(self.cluster.data_directory()).unwrap();
    }

    /// Restores from the repository and its key alone; what it said.
    fn restore(&self, name: &str) -> (Value, PathBuf) {
        self.restore_into(self.dir.path().join(name), &[])
    }

    fn restore_into(&self, into: PathBuf, more: &[&str]) -> (Value, PathBuf) {
        let key = self.agent.state_directory().join("repository-main.key");
        let mut command = Command::new(PGTEND);
        command.args(["restore", "--format", "json"]).args(more).arg("--into").arg(&into).arg("--bindir").arg(self.cluster.bindir());
        let output = command.arg("--from").arg(self.archive.repository()).arg("--key-file").arg(key).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        (serde_json::from_slice(&output.stdout).unwrap(), into)
    }

    fn ask(&self, data: &Path, sql: &str) -> String {
        crate::backup::ask(&self.cluster, data, sql)
    }

    /// Names of the pieces in the repository.
    fn pieces(&self) -> Vec<String> {
        let mut names = Vec::new();
        for server in fs::read_dir(self.archive.repository().join("wal/main")).into_iter().flatten().flatten() {
            let open = fs::read_dir(server.path().join("open")).into_iter().flatten().flatten();
            names.extend(open.map(|entry| entry.file_name().to_string_lossy().into_owned()));
        }
        names.sort();
        names
    }
}

fn position(streaming: &Value, name: &str) -> Option<Lsn> {
    streaming[name].as_str().and_then(|lsn| lsn.parse().ok())
}

async fn what_was_committed_seconds_ago_survives(mut ground: Ground) {
    ground.cluster.psql("create table t (n int)").await;
    ground.backup();
    ground.cluster.psql("insert into t select generate_series(1, 1000)").await;
    ground.streamed().await;
    ground.cluster.psql("insert into t values (1001)").await;
    let lsn = ground.streamed().await;
    let open = ground.open_segment().await;
    ground.lose_the_machine().await;
    assert!(!ground.archive.segments().contains(&open), "{open} is whole: this shows nothing");
    let (told, data) = ground.restore("back");
    assert_eq!(ground.ask(&data, "select count(*) from t"), "1001", "{told:#}");
    let covered: Lsn = told["covered_to"].as_str().unwrap().parse().unwrap();
    assert!(covered >= lsn, "{told:#}");
}

#[tokio::test]
async fn what_was_committed_seconds_ago_survives_13() {
    what_was_committed_seconds_ago_survives(Ground::archiving(13).await).await;
}

#[tokio::test]
async fn what_was_committed_seconds_ago_survives_15() {
    what_was_committed_seconds_ago_survives(Ground::archiving(15).await).await;
}

#[tokio::test]
async fn what_was_committed_seconds_ago_survives_18() {
    what_was_committed_seconds_ago_survives(Ground::archiving(18).await).await;
}

#[tokio::test]
async fn where_nobody_archives_a_slot_keeps_wal_and_moves_on_when_it_is_safe_13() {
    slot_moves_on(13).await;
}

#[tokio::test]
async fn where_nobody_archives_a_slot_keeps_wal_and_moves_on_when_it_is_safe_15() {
    slot_moves_on(15).await;
}

#[tokio::test]
async fn where_nobody_archives_a_slot_keeps_wal_and_moves_on_when_it_is_safe_18() {
    slot_moves_on(18).await;
}

async fn slot_moves_on(major: u32) {
    let ground = Ground::by_slot(major, "").await;
    ground.streamed().await;
    let first = switch(&ground.cluster).await;
    let second = switch(&ground.cluster).await;
    ground.streamed().await;
    let moved = "select pg_wal_lsn_diff(pg_current_wal_insert_lsn(), restart_lsn) <= 16777216 from pg_replication_slots where slot_name = 'pgtend_main'";
    ground.cluster.wait_for(moved).await;
    let there = ground.archive.segments();
    assert!(there.contains(&first) && there.contains(&second), "{there:?}");
    what_was_committed_seconds_ago_survives(ground).await;
}

/// What a server wrote of a record before it crashed, and wrote over afterwards.
async fn cut_off(ground: &mut Ground, bytes: usize) {
    ground.backup();
    ground.cluster.psql("create table t (n int)").await;
    ground.streamed().await;
    let open_segment = ground.open_segment().await;
    ground.agent.kill();
    let pieces: Vec<WalPiece> = ground.pieces().iter().filter_map(|name| WalPiece::of_name(name)).collect();
    let last = pieces.iter().filter(|piece| piece.segment == open_segment).max_by_key(|piece| piece.to_byte).unwrap();
    let state = ground.agent.state_directory();
    let repository = open(&Configured::in_directory(ground.archive.repository(), state.join("repository-main.key")), state).unwrap();
    let server = fs::read_dir(ground.archive.repository().join("wal/main")).unwrap().flatten().next().unwrap();
    let owner = WalOwner { server: "main".into(), system_identifier: server.file_name().to_str().unwrap().into() };
    let piece = WalPiece::new(&last.segment, last.to_byte, last.to_byte + u32::try_from(bytes).unwrap());
    repository.push_wal_piece(&owner, &piece, &vec![0xAA; bytes], 3).unwrap();
    ground.agent.start_again().await;
}

#[tokio::test]
async fn a_record_that_a_crash_cut_off_is_written_over() {
    let mut ground = Ground::archiving(15).await;
    cut_off(&mut ground, 100_000).await;
    ground.cluster.psql("insert into t select generate_series(1, 5)").await;
    ground.streamed().await;
    ground.cluster.psql("insert into t values (6)").await;
    ground.streamed().await;
    ground.lose_the_machine().await;
    let (told, data) = ground.restore("back");
    assert_eq!(ground.ask(&data, "select count(*) from t"), "6", "{told:#}");
}

#[tokio::test]
async fn wal_of_another_server_is_not_written_over() {
    let mut ground = Ground::archiving(15).await;
    cut_off(&mut ground, 2 << 20).await;
    let before = ground.pieces();
    ground.agent.wait_for("it is refused", async |_| ground.streaming().await["state"] == "failing").await;
    assert!(ground.streaming().await["error"]["what"].as_str().unwrap().contains("is not what this server wrote"));
    assert_eq!(ground.pieces(), before);
}

#[tokio::test]
async fn only_a_recovery_that_ends_gets_the_beginning_of_a_segment_and_only_what_it_lacks() {
    let ground = Ground::archiving(15).await;
    ground.cluster.psql("create table t (n int)").await;
    ground.streamed().await;
    let open = ground.open_segment().await;
    let data = ground.dir.path().join("asks");
    let (own, got) = (data.join("pg_wal").join(&open), data.join("pg_wal/RECOVERYXLOG"));
    fs::create_dir_all(data.join("pg_wal")).unwrap();
    let get = || {
        let mut command = Command::new(PGTEND);
        command.current_dir(&data).args(["wal", "get", "--socket"]).arg(ground.archive.socket());
        command.args([&open, "pg_wal/RECOVERYXLOG"]).status().unwrap().code()
    };
    fs::write(data.join("standby.signal"), "").unwrap();
    assert_eq!(get(), Some(1), "a standby waits for the whole");
    fs::remove_file(data.join("standby.signal")).unwrap();
    fs::write(data.join("recovery.signal"), "").unwrap();
    assert_eq!(get(), Some(0));
    assert_eq!(fs::metadata(&got).unwrap().len(), 16 << 20);
    let whole = fs::read(ground.cluster.data_directory().join("pg_wal").join(&open)).unwrap();
    fs::write(&own, &whole).unwrap();
    assert_eq!(get(), Some(1), "PostgreSQL would take what it gets instead of its own");
    fs::write(&own, [&whole[..8192], &vec![0; (16 << 20) - 8192]].concat()).unwrap();
    assert_eq!(get(), Some(0), "its own is shorter");
}

#[tokio::test]
async fn a_restore_over_what_is_there_reads_on_in_the_wal_that_only_it_has() {
    let mut ground = Ground::archiving(15).await;
    ground.backup();
    ground.cluster.psql("create table t (n int)").await;
    ground.streamed().await;
    ground.agent.kill();
    for _ in 0..3 {
        ground.cluster.psql("insert into t values (1)").await;
        switch(&ground.cluster).await;
    }
    ground.cluster.psql("insert into t values (1)").await;
    ground.cluster.kill().await;
    let (told, data) = ground.restore_into(ground.cluster.data_directory().to_owned(), &["--delta"]);
    assert_eq!(ground.ask(&data, "select count(*) from t"), "4", "{told:#}");
}

#[tokio::test]
async fn pieces_go_when_their_segment_is_whole() {
    let ground = Ground::archiving(15).await;
    ground.cluster.psql("create table t (n int)").await;
    ground.streamed().await;
    let open = ground.open_segment().await;
    assert!(ground.pieces().iter().any(|piece| piece.starts_with(&open)), "{:?}", ground.pieces());
    let name = switch(&ground.cluster).await;
    archived(&ground.cluster, &name).await;
    ground.agent.wait_for("its pieces are gone", async |_| !ground.pieces().iter().any(|piece| piece.starts_with(&name))).await;
    // Many small ones become one.
    for _ in 0..70 {
        ground.cluster.psql("insert into t values (1)").await;
        ground.streamed().await;
    }
    assert!(ground.pieces().len() <= 66, "{}", ground.pieces().len());
}

#[tokio::test]
async fn a_killed_agent_goes_on_and_nothing_that_was_there_is_lost() {
    let mut ground = Ground::archiving(15).await;
    ground.cluster.pgbench(&["-i", "-s", "2", "-q"]).await;
    ground.cluster.psql("create table t (n int)").await;
    ground.backup();
    let mut load = ground.cluster.client("pgbench").args(["-c", "2", "-T", "60"]).stdout(std::process::Stdio::null()).spawn().unwrap();
    for number in 1..=5 {
        ground.cluster.psql(&format!("insert into t values ({number})")).await;
        ground.streamed().await;
        ground.agent.kill();
        ground.agent.start_again().await;
    }
    ground.cluster.psql("insert into t values (6)").await;
    let lsn = ground.streamed().await;
    ground.lose_the_machine().await;
    let _ended_with_the_server = load.wait().await;
    let (told, data) = ground.restore("back");
    assert_eq!(ground.ask(&data, "select count(*) from t"), "6", "{told:#}");
    let covered: Lsn = told["covered_to"].as_str().unwrap().parse().unwrap();
    assert!(covered >= lsn, "{told:#}");
}

/// Waits until streaming says why it does not go.
async fn complaint(ground: &Ground) -> (String, String) {
    let fails = |streaming: &Value| streaming["state"] == "failing";
    let told = ground.agent.wait_until("/api/v1/wal", "/servers/0/archiving/streaming", fails).await;
    let text = |name: &str| told["error"][name].as_str().unwrap_or_default().to_owned();
    (text("what"), text("hint"))
}

#[tokio::test]
async fn a_slot_that_somebody_else_uses_is_told_and_streaming_goes_on_when_it_is_free() {
    let cluster = Cluster::start(15).await;
    cluster.psql("select pg_create_physical_replication_slot('pgtend_main', true)").await;
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let mut receiver = cluster.client("pg_receivewal").args(["-S", "pgtend_main", "-D"]).arg(dir.path()).spawn().unwrap();
    cluster.wait_for("select active from pg_replication_slots").await;
    let ground = Ground::over(Archive::new(), cluster, STREAMS).await;
    let (what, hint) = complaint(&ground).await;
    assert!(what.contains("the slot \"pgtend_main\" is used by somebody else: server process"), "{what}");
    assert!(hint.contains("pg_stat_replication"), "{hint}");
    let status = ground.pgtend(&["wal", "status"]);
    assert_eq!(status.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&status.stdout).contains("is used by somebody else"), "{}", String::from_utf8_lossy(&status.stdout));
    receiver.kill().await.unwrap();
    ground.streamed().await;
}

#[tokio::test]
async fn a_role_that_may_not_make_a_slot_is_told_what_to_grant() {
    let cluster = Cluster::start(15).await;
    cluster.psql("create role watcher login; grant pg_monitor to watcher").await;
    let archive = Archive::new();
    let dsn = cluster.dsn().replace("user=postgres", "user=watcher");
    assert!(dsn.contains("watcher"), "{dsn}");
    let config = format!(
        "[backup]\nwal_socket = \"{}\"\nschedule = \"off\"\n{STREAMS}\n[[backup.repository]]\npath = \"{}\"",
        archive.socket().display(),
        archive.repository().display()
    );
    let data = format!("data_directory = \"{}\"", cluster.data_directory().display());
    let agent = Agent::builder().server("main", &dsn, &data).config(&config).start().await;
    let ground = Ground { archive, cluster, agent, dir: tempfile::tempdir().unwrap() };
    let (what, hint) = complaint(&ground).await;
    assert!(what.contains("the role \"watcher\" may not keep it by a slot"), "{what}");
    assert!(hint.starts_with("ALTER ROLE \"watcher\" REPLICATION"), "{hint}");
    let doctor = ground.pgtend(&["backup", "doctor", "--format", "json"]);
    assert!(String::from_utf8_lossy(&doctor.stdout).contains("WAL is not streamed"), "{}", String::from_utf8_lossy(&doctor.stdout));
    ground.cluster.psql("alter role watcher replication").await;
    ground.streamed().await;
}

#[tokio::test]
async fn a_slot_that_lost_its_wal_leaves_a_gap_and_streaming_starts_anew() {
    let mut ground = Ground::by_slot(15, "").await;
    ground.backup();
    ground.streamed().await;
    ground.agent.kill();
    ground.cluster.psql("alter system set max_slot_wal_keep_size = '16MB'").await;
    ground.cluster.psql("select pg_reload_conf()").await;
    for _ in 0..12 {
        switch(&ground.cluster).await;
    }
    ground.cluster.psql("checkpoint").await;
    ground.cluster.wait_for("select wal_status = 'lost' from pg_replication_slots").await;
    ground.cluster.psql("alter system reset max_slot_wal_keep_size").await;
    ground.cluster.psql("select pg_reload_conf()").await;
    ground.agent.start_again().await;
    ground.streamed().await;
    assert!(ground.agent.log().contains("the slot lost WAL that was not in the repository yet"), "{}", ground.agent.log());
    switch(&ground.cluster).await;
    ground.streamed().await;
    let broken = |status: &Value| !status.is_null();
    ground.agent.wait_until("/api/v1/wal", "/servers/0/repositories/0/broken_by", broken).await;
    // A new backup, and the present can be reached again.
    ground.cluster.psql("create table t as select 7 as n").await;
    ground.backup();
    ground.streamed().await;
    ground.lose_the_machine().await;
    let (_, data) = ground.restore("back");
    assert_eq!(ground.ask(&data, "select n from t"), "7");
}

#[tokio::test]
async fn the_slot_of_streaming_that_was_switched_off_is_told() {
    let cluster = Cluster::start(15).await;
    cluster.psql("select pg_create_physical_replication_slot('pgtend_main', true)").await;
    let ground = Ground::over(Archive::new(), cluster, "").await;
    let off = |streaming: &Value| streaming["state"] == "off";
    let told = ground.agent.wait_until("/api/v1/wal", "/servers/0/archiving/streaming", off).await;
    assert!(told["error"]["hint"].as_str().unwrap().contains("pg_drop_replication_slot('pgtend_main')"), "{told:#}");
    ground.agent.wait_for("it is in the log", async |agent| agent.log().contains("streaming does not use its slot")).await;
}

#[tokio::test]
async fn the_slot_that_archiving_made_superfluous_is_told() {
    let archive = Archive::new();
    let cluster = archive.server(15).await;
    cluster.psql("select pg_create_physical_replication_slot('pgtend_main', true)").await;
    let ground = Ground::over(archive, cluster, STREAMS).await;
    ground.streamed().await;
    let holds = |streaming: &Value| streaming["slot"] == "pgtend_main" && streaming["slot_held_bytes"].is_u64();
    let told = ground.agent.wait_until("/api/v1/wal", "/servers/0/archiving/streaming", holds).await;
    assert!(told["state"] == "streaming" && told["error"]["hint"].as_str().unwrap().contains("pg_drop_replication_slot"), "{told:#}");
    ground.agent.wait_for("it is in the log", async |agent| agent.log().contains("streaming does not use its slot")).await;
}

#[tokio::test]
async fn a_repository_that_is_away_gets_everything_when_it_is_back() {
    let mut ground = Ground::by_slot(15, "").await;
    ground.cluster.psql("create table t (n int)").await;
    ground.backup();
    ground.streamed().await;
    let away = ground.archive.repository().with_extension("away");
    fs::rename(ground.archive.repository(), &away).unwrap();
    fs::write(ground.archive.repository(), "").unwrap();
    ground.cluster.psql("insert into t values (1)").await;
    let name = switch(&ground.cluster).await;
    complaint(&ground).await;
    ground.cluster.wait_for("select pg_wal_lsn_diff(pg_current_wal_insert_lsn(), restart_lsn) >= 16777216 from pg_replication_slots").await;
    fs::remove_file(ground.archive.repository()).unwrap();
    fs::rename(&away, ground.archive.repository()).unwrap();
    ground.streamed().await;
    assert!(ground.archive.segments().contains(&name));
    ground.lose_the_machine().await;
    let (_, data) = ground.restore("back");
    assert_eq!(ground.ask(&data, "select count(*) from t"), "1");
}
