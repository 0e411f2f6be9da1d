//! `pgtend up` from end to end: the real program, a real PostgreSQL, and what goes wrong between them.

use crate::harness::servers;
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use std::fs;
use std::io::Read as _;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

const PGTEND: &str = env!("CARGO_BIN_EXE_pgtend");
const PATIENCE: Duration = Duration::from_secs(120);

/// A place for one `pgtend up` and what it leaves. What runs in it ends with the test.
struct Place {
    outer: tempfile::TempDir,
    root: PathBuf,
}

/// What the ready file says.
#[derive(Debug, serde::Deserialize)]
struct Ready {
    dsn: String,
    api: String,
    metrics: String,
    socket: PathBuf,
    data_directory: PathBuf,
    pid: u32,
    postgres_pid: u32,
}

impl Place {
    fn new() -> Self {
        let outer = tempfile::Builder::new().prefix("pgtend-").tempdir().unwrap();
        fs::set_permissions(outer.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let root = outer.path().join("up");
        Self { outer, root }
    }

    fn ready_file(&self) -> PathBuf {
        self.outer.path().join("ready.json")
    }

    fn stderr_file(&self) -> PathBuf {
        self.outer.path().join("stderr")
    }

    fn stderr(&self) -> String {
        fs::read_to_string(self.stderr_file()).unwrap_or_default()
    }

    /// The command with everything where it is in nobody's way.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(PGTEND);
        command.env("PGTEND_RUNTIME_DIR", self.outer.path().join("runtime")).arg("up").arg(&self.root);
        command.arg("--bindir").arg(servers::server(15).bindir).args(arguments);
        command
    }

    /// The command to its end, for what is refused or only planned.
    fn finish(&self, arguments: &[&str]) -> Output {
        self.command(arguments).stdin(Stdio::null()).output().unwrap()
    }

    fn refused(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let output = self.finish(arguments);
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    }

    fn spawn(&self, arguments: &[&str]) -> Up<'_> {
        self.run(self.command(arguments))
    }

    fn run(&self, mut command: Command) -> Up<'_> {
        let stderr = fs::File::create(self.stderr_file()).unwrap();
        command.args(["--pg-port", "0", "--api", "127.0.0.1:0", "--metrics", "127.0.0.1:0", "--ready-file"]).arg(self.ready_file());
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(stderr).spawn().unwrap();
        Up { place: self, child }
    }

    /// What the directory's `postmaster.pid` says, if it is there.
    fn postmaster(&self) -> Option<u32> {
        let text = fs::read_to_string(self.root.join("data/postmaster.pid")).ok()?;
        text.lines().next()?.parse().ok()
    }

    fn unfinished(&self) -> usize {
        let entries = fs::read_dir(&self.root).into_iter().flatten().flatten();
        entries.filter(|entry| entry.file_name().to_string_lossy().starts_with("data.new-")).count()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some(pid) = self.postmaster().filter(|pid| is_postmaster(*pid, &self.root)) else { return };
        send(pid, Signal::QUIT);
        wait_until("PostgreSQL ends with the test", || !is_alive(pid));
    }
}

/// A running `pgtend up`. It is killed when the test forgets it.
struct Up<'a> {
    place: &'a Place,
    child: Child,
}

impl Up<'_> {
    fn ready(&mut self) -> Ready {
        self.ready_when(|_| true)
    }

    fn ready_when(&mut self, wanted: impl Fn(&Ready) -> bool) -> Ready {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let text = fs::read_to_string(self.place.ready_file()).unwrap_or_default();
            if let Some(ready) = serde_json::from_str::<Ready>(&text).ok().filter(&wanted) {
                return ready;
            }
            assert!(self.child.try_wait().unwrap().is_none(), "pgtend ended:\n{}", self.place.stderr());
            assert!(Instant::now() < deadline, "pgtend does not become ready:\n{}", self.place.stderr());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn says(&self, words: &str) {
        wait_until(&format!("pgtend says {words:?}"), || self.place.stderr().contains(words));
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Ends it as Ctrl-C does; gives what it wrote to standard output.
    fn end(mut self) -> String {
        send(self.child.id(), Signal::INT);
        let mut said = String::new();
        self.child.stdout.take().unwrap().read_to_string(&mut said).unwrap();
        let status = self.child.wait().unwrap();
        assert!(status.success(), "{status}:\n{}", self.place.stderr());
        said
    }
}

impl Drop for Up<'_> {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

fn pid(pid: u32) -> Pid {
    Pid::from_raw(i32::try_from(pid).unwrap()).unwrap()
}

fn send(process: u32, signal: Signal) {
    kill_process(pid(process), signal).unwrap();
}

fn is_alive(process: u32) -> bool {
    let state = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    test_kill_process(pid(process)).is_ok() && !state.rsplit(')').next().unwrap_or_default().starts_with(" Z")
}

fn is_postmaster(process: u32, root: &Path) -> bool {
    fs::read_link(format!("/proc/{process}/cwd")).is_ok_and(|directory| directory == root.join("data"))
}

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn psql(dsn: &str, sql: &str) -> String {
    let output = Command::new(servers::tool("psql")).args(["-XAtq", "-v", "ON_ERROR_STOP=1", "-c", sql, dsn]).output().unwrap();
    assert!(output.status.success(), "{sql}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

/// Runs `pg_ctl` as whoever owns the data directory.
fn pg_ctl(ready: &Ready, arguments: &[&str]) {
    let owner = fs::metadata(&ready.data_directory).unwrap();
    let mut command = Command::new(servers::server(15).bindir.join("pg_ctl"));
    command
        .arg("-D")
        .arg(&ready.data_directory)
        .args(arguments)
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    if rustix::process::geteuid().is_root() {
        command.uid(owner.uid()).gid(owner.gid());
    }
    assert!(command.status().unwrap().success(), "pg_ctl {arguments:?}");
}

#[tokio::test]
async fn from_an_empty_machine_to_a_clean_end_and_on() {
    let place = Place::new();
    let mut up = place.spawn(&[]);
    let ready = up.ready();
    assert_eq!(ready.data_directory, place.root.join("data"));
    assert_eq!((ready.pid, Some(ready.postgres_pid)), (up.child.id(), place.postmaster()));
    assert_eq!(psql(&ready.dsn, "SHOW data_checksums"), "on");
    let watched = "SELECT count(*) > 0 FROM pg_stat_activity WHERE usename = 'pgtend' AND client_addr IS NULL";
    assert_eq!(psql(&ready.dsn, watched), "t");
    for url in [format!("{}/", ready.api), format!("{}/api/v1/health/ready", ready.api), ready.metrics.clone()] {
        assert_eq!(reqwest::get(&url).await.unwrap().status(), 200, "{url}");
    }
    assert!(ready.socket.exists());
    everything_belongs_to_whom_it_should(&place, &ready);

    let (code, said) = place.refused(&[]);
    assert_eq!(code, Some(65), "{said}");
    assert!(said.contains(&format!("another pgtend looks after this directory: process {}", ready.pid)), "{said}");

    let said = up.end();
    assert!(said.contains(&ready.api) && said.contains(&ready.dsn) && said.contains("pgtend top"), "{said}");
    assert!(!is_alive(ready.postgres_pid) && place.postmaster().is_none());
    assert!(!place.ready_file().exists(), "a ready file without anybody ready");
    no_password_is_written_down(&place, &said);

    let plan = String::from_utf8(place.finish(&["--dry-run", "--pg-port", "0", "--format", "json"]).stdout).unwrap();
    let plan: serde_json::Value = serde_json::from_str(&plan).unwrap();
    assert_eq!(plan["steps"].as_array().unwrap().iter().map(|step| step["step"].as_str().unwrap()).collect::<Vec<_>>(), ["start", "watch"]);

    // A file that a crash left behind names a process that is somebody else's by now.
    let stale = place.root.join("data/postmaster.pid");
    fs::write(
        &stale,
        format!("{}\n{}\n1763680000\n5432\n/tmp\nlocalhost\n  1 2\nready\n", std::process::id(), place.root.join("data").display()),
    )
    .unwrap();
    let mut up = place.spawn(&["--leave-running"]);
    let again = up.ready();
    up.says("remove postmaster.pid, which names process");
    assert_eq!(psql(&again.dsn, "SELECT 1"), "1");
    up.end();
    assert!(is_alive(again.postgres_pid), "--leave-running leaves it running");
}

#[tokio::test]
async fn wal_is_archived_and_a_backup_taken_from_the_first_minute() {
    let place = Place::new();
    let mut up = place.spawn(&[]);
    let ready = up.ready();
    psql(&ready.dsn, "CREATE TABLE written ()");
    let name = psql(&ready.dsn, "SELECT pg_walfile_name(pg_switch_wal())");
    let fetched = place.outer.path().join("fetched");
    let mut get = Command::new(PGTEND);
    get.args(["wal", "get", "--socket"]).arg(place.root.join("wal.socket")).arg(&name).arg(&fetched);
    wait_until("WAL is archived", || get.status().unwrap().success());
    assert_eq!(fs::metadata(&fetched).unwrap().len(), 16 << 20);
    assert_eq!(fs::metadata(place.root.join("repository.key")).unwrap().mode() & 0o777, 0o600);
    let good = r#"backup_status{repository="main",kind="physical",status="ok"} 1"#;
    let mut metrics = String::new();
    for _ in 0..300 {
        metrics = reqwest::get(&ready.metrics).await.unwrap().text().await.unwrap();
        if metrics.contains(good) {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
    let figure =
        |name: &str| metrics.lines().find(|line| line.starts_with(name)).and_then(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
    assert!(metrics.contains(good), "{metrics}");
    assert!(figure("backup_last_success_timestamp").unwrap() > 1.7e9 && figure("pgtend_backup_bytes").unwrap() > 1e7, "{metrics}");
    up.end();

    // A directory of a version that did not archive is taken up as it is.
    let settings = place.root.join("data/pgtend.conf");
    let text = fs::read_to_string(&settings).unwrap();
    let without: Vec<&str> = text.lines().filter(|line| !line.starts_with("archive_")).collect();
    fs::write(&settings, without.join("\n") + "\n").unwrap();
    let mut up = place.spawn(&[]);
    let ready = up.ready();
    up.says("WAL is not archived");
    assert_eq!(psql(&ready.dsn, "SHOW archive_mode"), "off");
    up.end();
}

fn everything_belongs_to_whom_it_should(place: &Place, ready: &Ready) {
    let own = rustix::process::geteuid().as_raw();
    let uid = |path: &Path| fs::metadata(path).unwrap().uid();
    let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
    let passwords = place.root.join("pgpass");
    assert_eq!((uid(&passwords), mode(&passwords)), (own, 0o600));
    assert_eq!(uid(&place.root.join("pgtend.json")), own);
    let owner = uid(&ready.data_directory);
    assert_ne!(owner, 0, "root runs no PostgreSQL");
    assert_eq!((mode(&ready.data_directory), uid(&place.root.join("log"))), (0o700, owner));
    assert_eq!(uid(Path::new(&format!("/proc/{}", ready.postgres_pid))), owner);
}

fn no_password_is_written_down(place: &Place, said: &str) {
    let passwords = fs::read_to_string(place.root.join("pgpass")).unwrap();
    let passwords: Vec<&str> = passwords.lines().filter_map(|line| line.rsplit(':').next()).collect();
    assert!(passwords.iter().all(|password| password.len() == 32));
    let mut written = format!("{said}{}", place.stderr());
    for directory in ["log", "data"] {
        for entry in fs::read_dir(place.root.join(directory)).unwrap().flatten().filter(|entry| entry.path().is_file()) {
            written.push_str(&fs::read_to_string(entry.path()).unwrap_or_default());
        }
    }
    assert!(!passwords.iter().any(|password| written.contains(password)), "a password was written down");
}

#[test]
fn killed_at_any_time_it_goes_on_where_it_was() {
    let place = Place::new();
    let up = place.spawn(&[]);
    wait_until("a cluster is being made", || place.unfinished() > 0);
    up.kill();
    assert!(!place.root.join("data").exists(), "an unfinished cluster must not look like one");

    let mut up = place.spawn(&[]);
    let first = up.ready();
    assert_eq!(place.unfinished(), 0);
    let mut session = Command::new(servers::tool("psql"))
        .env("PGAPPNAME", "before")
        .args(["-XAtqc", "SELECT pg_sleep(8), 'unharmed'", &first.dsn])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    wait_until("the session is sampled", || is_remembered(&first, "before"));
    up.kill();
    assert!(is_alive(first.postgres_pid));

    let mut up = place.spawn(&[]);
    let second = up.ready_when(|ready| ready.pid != first.pid);
    assert_eq!((second.postgres_pid, &second.dsn), (first.postgres_pid, &first.dsn), "the same PostgreSQL was taken up");
    up.says("take up the PostgreSQL that runs already");
    assert!(is_remembered(&second, "before"), "the same history goes on");
    let mut answer = String::new();
    session.stdout.take().unwrap().read_to_string(&mut answer).unwrap();
    assert!(session.wait().unwrap().success() && answer.contains("unharmed"), "{answer}");

    // A backend that is held keeps PostgreSQL from ending in order; the second Ctrl-C does not wait for it.
    let mut held =
        Command::new(servers::tool("psql")).args(["-Xqc", "SELECT pg_sleep(600)", &second.dsn]).stderr(Stdio::null()).spawn().unwrap();
    let sleeping = "SELECT pid FROM pg_stat_activity WHERE query LIKE '%pg_sleep%' AND pid <> pg_backend_pid()";
    wait_until("a backend sleeps", || !psql(&second.dsn, sleeping).is_empty());
    let backend = psql(&second.dsn, sleeping).parse().unwrap();
    send(backend, Signal::STOP);
    send(second.pid, Signal::INT);
    up.says("stopping PostgreSQL (Ctrl-C again: at once");
    up.end();
    up_said(&place, "stopping PostgreSQL at once");
    assert!(!is_alive(first.postgres_pid), "what was taken up ends with pgtend, too");
    held.wait().unwrap();
}

/// Whether a session of this application is in the history.
fn is_remembered(ready: &Ready, application: &str) -> bool {
    let mut command = Command::new(PGTEND);
    command.arg("--socket").arg(&ready.socket).args(["ash", "samples", "--format", "csv", "--limit", "1", "--app", application]);
    String::from_utf8(command.output().unwrap().stdout).unwrap().contains("pg_sleep")
}

fn up_said(place: &Place, words: &str) {
    assert!(place.stderr().contains(words), "{}", place.stderr());
}

#[test]
fn a_dead_postmaster_is_started_again_and_a_stopped_one_is_not() {
    let place = Place::new();
    let mut up = place.spawn(&[]);
    let first = up.ready();
    // A backend that computes does not notice the death, and nothing starts beside it.
    let mut busy = Command::new(servers::tool("psql"));
    busy.args(["-Xqc", "SELECT count(*) FROM generate_series(1, 2000000000) n WHERE sqrt(n::float8) < 0", &first.dsn])
        .stderr(Stdio::null());
    let mut busy = busy.spawn().unwrap();
    let computing = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND pid <> pg_backend_pid() AND usename = 'postgres'";
    wait_until("a backend computes", || psql(&first.dsn, computing) == "1");
    send(first.postgres_pid, Signal::KILL);
    up.says("PostgreSQL died: starting it again (attempt 1 of 3)");
    up.says("end the backends whose postmaster is gone");
    let second = up.ready_when(|ready| ready.postgres_pid != first.postgres_pid);
    assert_eq!(second.dsn, first.dsn);
    assert_eq!(psql(&second.dsn, "SELECT 1"), "1");
    assert!(!busy.wait().unwrap().success());

    let port = psql(&second.dsn, "SHOW port");
    pg_ctl(&second, &["stop", "-m", "fast"]);
    up.says("it was shut down in order, not by pgtend: leaving it down");
    pg_ctl(
        &second,
        &[
            "start",
            "-w",
            "-l",
            "/dev/null",
            "-o",
            &format!("-c port={port} -c unix_socket_directories={}", place.root.join("run").display()),
        ],
    );
    let third = up.ready_when(|ready| ready.postgres_pid != second.postgres_pid);
    up.says("somebody started PostgreSQL: taking it up");
    assert_eq!(Some(third.postgres_pid), place.postmaster());
    up.end();
}

#[test]
fn what_dies_again_and_again_is_left_down() {
    let place = Place::new();
    let mut up = place.spawn(&[]);
    let mut ready = up.ready();
    for _ in 0..3 {
        let before = ready.postgres_pid;
        send(before, Signal::KILL);
        ready = up.ready_when(|ready| ready.postgres_pid != before);
    }
    send(ready.postgres_pid, Signal::KILL);
    up.says("leaving it down: it was started 3 times within 5 minutes and ended each time");
    up.end();

    let mut up = place.spawn(&["--no-restart"]);
    let fourth = up.ready();
    send(fourth.postgres_pid, Signal::KILL);
    up.says("leaving it down (--no-restart)");
    up.end();
}

#[test]
fn as_an_ordinary_user_in_a_deep_directory() {
    let mut place = Place::new();
    let root = rustix::process::geteuid().is_root();
    // Nobody may look into root's home, where the program was built.
    let program = place.outer.path().join("pgtend");
    fs::copy(PGTEND, &program).unwrap();
    place.root = place.outer.path().join("d".repeat(100));
    let home = place.outer.path().join("home");
    fs::create_dir(&home).unwrap();
    let nobody = 65_534;
    if root {
        for path in [place.outer.path(), &home] {
            std::os::unix::fs::chown(path, Some(nobody), Some(nobody)).unwrap();
        }
    }
    let mut command = Command::new(&program);
    command.env("PGTEND_RUNTIME_DIR", home.join("runtime")).env("HOME", &home).current_dir(&home);
    command.arg("up").arg(&place.root).arg("--bindir").arg(servers::server(15).bindir);
    if root {
        command.uid(nobody).gid(nobody);
    }
    let mut up = place.run(command);
    let ready = up.ready();
    up.says("is too long for the path of a Unix socket");
    assert_eq!(psql(&ready.dsn, "SELECT 1"), "1");
    if root {
        assert_eq!(fs::metadata(&ready.data_directory).unwrap().uid(), nobody);
        assert_eq!(fs::metadata(&place.root).unwrap().mode() & 0o777, 0o700);
    }
    up.end();
}

#[test]
fn what_it_did_not_make_is_left_alone() {
    let place = Place::new();
    fs::create_dir(&place.root).unwrap();
    fs::write(place.root.join("thesis.tex"), "\\documentclass").unwrap();
    let (code, said) = place.refused(&[]);
    assert_eq!(code, Some(65));
    assert!(said.contains("pgtend did not make this directory, so it is left alone; it has thesis.tex in it"), "{said}");
    fs::write(place.root.join("PG_VERSION"), "14\n").unwrap();
    let (_, said) = place.refused(&[]);
    assert!(said.contains("this is a data directory of PostgreSQL 14"), "{said}");
    assert_eq!(fs::read_dir(&place.root).unwrap().count(), 2, "nothing was added");
}

#[test]
fn what_cannot_be_begun_is_told_before_anything_is_made() {
    let place = Place::new();
    let output = Command::new(PGTEND).args(["up", "--bindir", "/nonexistent"]).arg(&place.root).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(66), "{said}");
    assert!(said.contains("there is no usable PostgreSQL in /nonexistent"), "{said}");

    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let (code, said) = place.refused(&["--pg-port", &address.port().to_string()]);
    assert_eq!(code, Some(65), "{said}");
    assert!(said.contains(&format!("port {} is taken by process {}", address.port(), std::process::id())), "{said}");
    let (code, said) = place.refused(&["--api", &address.to_string()]);
    assert_eq!(code, Some(65), "{said}");
    assert!(said.contains("and the API cannot be there") && said.contains("--api 127.0.0.1:0"), "{said}");
    assert!(!place.root.exists());
}

#[test]
fn the_usual_port_gives_way_when_it_is_taken() {
    let place = Place::new();
    // Ours or somebody else's: it is taken.
    let _taken = TcpListener::bind("127.0.0.1:5432");
    let output = place.finish(&["--dry-run"]);
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("port 5432 is taken by ") && said.contains("PostgreSQL listens on 5"), "{said}");
    assert!(!place.root.exists(), "--dry-run makes nothing");
}

#[test]
fn another_major_asks_for_its_programs() {
    let place = Place::new();
    fs::create_dir_all(place.root.join("data")).unwrap();
    fs::write(
        place.root.join("pgtend.json"),
        r#"{"format":1,"id":"0badcafe","made_by":"0","created_at":"2026-01-01T00:00:00Z","major":14,"port":5432}"#,
    )
    .unwrap();
    fs::write(place.root.join("data/PG_VERSION"), "14\n").unwrap();
    if rustix::process::geteuid().is_root() {
        let (_, said) = place.refused(&[]);
        assert!(said.contains("PostgreSQL refuses to run as root"), "{said}");
        std::os::unix::fs::chown(place.root.join("data"), Some(65_534), Some(65_534)).unwrap();
    }
    let (code, said) = place.refused(&[]);
    assert_eq!(code, Some(66), "{said}");
    assert!(said.contains("this cluster needs the programs of PostgreSQL 14, and found: 15."), "{said}");
    assert!(said.contains("postgresql-14") || said.contains("postgresql14") || said.contains("--bindir"), "{said}");
}

#[test]
fn root_learns_which_directory_is_in_the_way_and_which_user_is_missing() {
    if !rustix::process::geteuid().is_root() {
        let (code, said) = Place::new().refused(&["--os-user", "somebody-else"]);
        assert_eq!(code, Some(64), "{said}");
        return;
    }
    let place = Place::new();
    let (code, said) = place.refused(&["--os-user", "no-such-user"]);
    assert_eq!(code, Some(66), "{said}");
    assert!(said.contains("useradd"), "{said}");
    fs::set_permissions(place.outer.path(), fs::Permissions::from_mode(0o700)).unwrap();
    let (code, said) = place.refused(&[]);
    assert_eq!(code, Some(71), "{said}");
    assert!(said.contains(&format!("{} is closed to it (mode 0700, owner root)", place.outer.path().display())), "{said}");
    assert!(!place.root.exists());

    fs::set_permissions(place.outer.path(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::create_dir(&place.root).unwrap();
    std::os::unix::fs::chown(&place.root, Some(65_534), Some(65_534)).unwrap();
    let (code, said) = place.refused(&[]);
    assert_eq!(code, Some(77), "{said}");
    assert!(said.contains("this directory belongs to the user nobody"), "{said}");
    assert_eq!(fs::read_dir(&place.root).unwrap().count(), 0);
}
