//! One PostgreSQL cluster of a test: made, started, stopped, and gone when the test ends.

use std::fs::{self, File};
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::account::Account;
use super::servers::{self, Server};
use super::template;

/// How long a server may take to start or to stop before the test fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a cluster shall look like before it starts.
pub struct Builder {
    major: u32,
    settings: Vec<String>,
    hba: Option<String>,
    files: Vec<(String, Vec<u8>)>,
    initdb: Option<Vec<String>>,
}

impl Builder {
    /// Adds a line to `postgresql.conf`; later lines win.
    #[must_use]
    pub fn config(mut self, line: impl Into<String>) -> Self {
        self.settings.push(line.into());
        self
    }

    /// Takes these lines as the whole `pg_hba.conf`. Without it everybody on this host is trusted.
    #[must_use]
    pub fn hba(mut self, lines: impl Into<String>) -> Self {
        self.hba = Some(lines.into());
        self
    }

    /// Puts a file, readable by the server alone, into the data directory.
    #[must_use]
    pub fn file(mut self, name: impl Into<String>, content: impl Into<Vec<u8>>) -> Self {
        self.files.push((name.into(), content.into()));
        self
    }

    /// Runs `initdb` for this cluster alone, with these arguments, instead of copying the version's template: clusters made
    /// this way have system identifiers of their own.
    #[must_use]
    pub fn initdb(mut self, arguments: &[&str]) -> Self {
        self.initdb = Some(arguments.iter().map(ToString::to_string).collect());
        self
    }

    /// Makes it a standby of this primary, of the same major and copied from the template as well: it follows from the very first record on, so the primary
    /// must have kept all of its WAL (`wal_keep_size`).
    #[must_use]
    pub fn following(self, primary: &Cluster) -> Self {
        let conninfo =
            format!("host={} port={} user=postgres application_name=standby", primary.socket_directory().display(), primary.port());
        self.config(format!("primary_conninfo = '{conninfo}'")).file("standby.signal", "")
    }

    /// Makes the cluster and starts it.
    pub async fn start(self) -> Cluster {
        let mut cluster = self.make();
        cluster.start_again().await;
        cluster
    }

    /// Makes the cluster without starting it.
    pub fn make(self) -> Cluster {
        let cluster = Cluster::without_data(self.major);
        match &self.initdb {
            Some(arguments) => template::initdb(&cluster.data, &cluster.server, cluster.account, arguments),
            None => template::copy_to(&cluster.data, &cluster.server, cluster.account),
        }
        for (name, content) in &self.files {
            cluster.put_file(name, content);
        }
        if let Some(hba) = &self.hba {
            cluster.put_file("pg_hba.conf", hba.as_bytes());
        }
        cluster.configure(&self.settings);
        cluster
    }
}

/// A PostgreSQL cluster. Dropping it stops the server at once and removes its files.
pub struct Cluster {
    server: Server,
    account: Account,
    directory: TempDir,
    data: PathBuf,
    port: u16,
    postmaster: Option<Child>,
}

impl Cluster {
    /// Starts a cluster of this major with nothing special about it.
    pub async fn start(major: u32) -> Self {
        Self::builder(major).start().await
    }

    /// One that gets its data directory later.
    pub fn without_data(major: u32) -> Self {
        let account = Account::for_servers();
        // Socket paths are limited to 107 bytes, so the directory is directly in the temporary directory.
        let directory = tempfile::Builder::new().prefix("pgtend-").tempdir().expect("a temporary directory can be made");
        account.own(directory.path());
        let data = directory.path().join("data");
        Self { server: servers::server(major), account, directory, data, port: free_port(), postmaster: None }
    }

    /// One over a directory that was restored, and stays when the cluster goes.
    pub fn over(major: u32, data: &Path) -> Self {
        let mut cluster = Self::without_data(major);
        data.clone_into(&mut cluster.data);
        cluster
    }

    /// A cluster of this major, to be described before it starts.
    pub fn builder(major: u32) -> Builder {
        Builder { major, settings: Vec::new(), hba: None, files: Vec::new(), initdb: None }
    }

    /// A connection string for the superuser over the Unix socket.
    pub fn dsn(&self) -> String {
        format!("host={} port={} user=postgres dbname=postgres", self.socket_directory().display(), self.port)
    }

    /// A connection string for the superuser over TCP.
    pub fn tcp_dsn(&self) -> String {
        format!("host=127.0.0.1 port={} user=postgres dbname=postgres", self.port)
    }

    /// The TCP port; it is also the number in the socket's name.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The directory of the Unix socket.
    pub fn socket_directory(&self) -> &Path {
        self.directory.path()
    }

    /// The data directory.
    pub fn data_directory(&self) -> &Path {
        &self.data
    }

    /// Where the server's programs are.
    pub fn bindir(&self) -> &Path {
        &self.server.bindir
    }

    /// The pid of the running postmaster; the test fails when the server is stopped.
    pub fn postmaster_pid(&self) -> u32 {
        self.postmaster.as_ref().expect("the server is running").id()
    }

    /// What the server wrote to its log so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    /// Runs SQL as the superuser with `psql`; the answer has one line a row, columns separated by `|`.
    pub async fn psql(&self, sql: &str) -> String {
        let options = ["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "-v", "ON_ERROR_STOP=1"];
        let output = run(self.client("psql").args(options).args(["-c", sql])).await;
        output.trim_end().to_owned()
    }

    /// Waits until a query of the superuser's answers true.
    pub async fn wait_for(&self, sql: &str) {
        let deadline = Instant::now() + PATIENCE;
        while self.psql(sql).await != "t" {
            assert!(Instant::now() < deadline, "waited in vain for: {sql}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until it has replayed what its primary has written up to now.
    pub async fn caught_up(&self, primary: &Cluster) {
        let written = primary.psql("select pg_current_wal_insert_lsn()").await;
        self.wait_for(&format!("select pg_last_wal_replay_lsn() >= '{written}'")).await;
    }

    /// Runs `pgbench` as the superuser to its end and returns what it printed.
    pub async fn pgbench(&self, arguments: &[&str]) -> String {
        run(self.client("pgbench").args(arguments)).await
    }

    /// A client program (`psql`, `pgbench`, …) set up to talk to this server as the superuser, for tests that run it beside
    /// something else. It ends with its handle.
    pub fn client(&self, program: &str) -> tokio::process::Command {
        let mut command = self.account.command(&servers::tool(program), self.directory.path());
        command.env("PGHOST", self.socket_directory()).env("PGPORT", self.port.to_string());
        command.env("PGUSER", "postgres").env("PGDATABASE", "postgres").stdin(Stdio::null());
        let mut command = tokio::process::Command::from(command);
        command.kill_on_drop(true);
        command
    }

    /// Adds lines to `postgresql.conf`; they count from the next start or reload on.
    pub fn configure(&self, lines: &[impl AsRef<str>]) {
        let path = self.data.join("postgresql.conf");
        let mut file = File::options().append(true).open(path).expect("postgresql.conf is there");
        for line in lines {
            writeln!(file, "{}", line.as_ref()).expect("postgresql.conf is writable");
        }
    }

    /// Writes a file into the data directory, for the server alone.
    pub fn put_file(&self, name: &str, content: &[u8]) {
        let path = self.data.join(name);
        fs::write(&path, content).expect("the data directory is writable");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("its mode can be set");
        self.account.own(&path);
    }

    /// Starts the server, for the first time or after a stop, and waits until it accepts connections, or, as a standby with
    /// `hot_standby = off`, runs without accepting any.
    pub async fn start_again(&mut self) {
        assert!(self.postmaster.is_none(), "the server is already running");
        let deadline = Instant::now() + PATIENCE;
        loop {
            let postmaster = self.spawn();
            if self.becomes_ready(postmaster).await {
                return;
            }
            let log = self.log();
            if log.contains("Address already in use") {
                // Somebody else took the port between its choice and the start.
                self.port = free_port();
            } else if log.contains("pre-existing shared memory block") {
                // The backends of a killed postmaster are still on their way out.
                tokio::time::sleep(Duration::from_millis(50)).await;
            } else {
                panic!("PostgreSQL did not start:\n{log}");
            }
            assert!(Instant::now() < deadline, "PostgreSQL did not start:\n{log}");
            fs::remove_file(self.log_path()).expect("the log is there");
        }
    }

    /// Stops the server in the way of `pg_ctl stop -m fast`.
    pub async fn stop(&mut self) {
        self.signal(Signal::INT);
        self.wait_for_end().await;
    }

    /// Kills the postmaster as the kernel's OOM killer would.
    pub async fn kill(&mut self) {
        self.signal(Signal::KILL);
        self.wait_for_end().await;
    }

    /// Sends the postmaster a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.postmaster_pid()).ok().and_then(Pid::from_raw).expect("a pid is positive");
        kill_process(pid, signal).expect("the postmaster can be signalled");
    }

    /// Runs the postmaster with its settings on the command line, so that nothing in the files can take them away.
    fn spawn(&self) -> Child {
        let log = File::options().create(true).append(true).open(self.log_path()).expect("the log can be made");
        let mut command = self.account.command(&self.server.bindir.join("postgres"), self.directory.path());
        let settings = [
            format!("port={}", self.port),
            "listen_addresses=127.0.0.1".to_owned(),
            format!("unix_socket_directories={}", self.socket_directory().display()),
            "fsync=off".to_owned(),
        ];
        for setting in &settings {
            command.arg("-c").arg(setting);
        }
        command.arg("-D").arg(&self.data).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        command.spawn().expect("postgres can be started")
    }

    /// Waits until the server accepts connections; false when it ended instead.
    async fn becomes_ready(&mut self, mut postmaster: Child) -> bool {
        let deadline = Instant::now() + PATIENCE;
        while !self.says_ready(postmaster.id()) {
            if postmaster.try_wait().expect("a child can be waited for").is_some() {
                return false;
            }
            assert!(Instant::now() < deadline, "PostgreSQL did not become ready:\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        self.postmaster = Some(postmaster);
        true
    }

    /// Whether `postmaster.pid` is of this process and its eighth line says that it is ready, as `pg_ctl` reads it.
    fn says_ready(&self, pid: u32) -> bool {
        let text = fs::read_to_string(self.data.join("postmaster.pid")).unwrap_or_default();
        let mut lines = text.lines();
        lines.next() == Some(pid.to_string().as_str()) && lines.nth(6).is_some_and(|status| ["ready", "standby"].contains(&status.trim()))
    }

    async fn wait_for_end(&mut self) {
        let mut postmaster = self.postmaster.take().expect("the server is running");
        let deadline = Instant::now() + PATIENCE;
        while postmaster.try_wait().expect("a child can be waited for").is_none() {
            assert!(Instant::now() < deadline, "PostgreSQL did not stop:\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    fn log_path(&self) -> PathBuf {
        self.directory.path().join("log")
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Some(mut postmaster) = self.postmaster.take() {
            let pid = i32::try_from(postmaster.id()).ok().and_then(Pid::from_raw).expect("a pid is positive");
            // A test may have frozen it; SIGQUIT is an immediate stop, and the postmaster's children go with it.
            let _ = kill_process(pid, Signal::QUIT);
            let _ = kill_process(pid, Signal::CONT);
            let _ = postmaster.wait();
        }
    }
}

/// A port that nobody listens on now.
fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port can be bound");
    listener.local_addr().expect("a bound socket has an address").port()
}

/// Runs a client program to its end; the test fails with what it printed when it fails.
async fn run(command: &mut tokio::process::Command) -> String {
    let done = command.output().await.expect("the program can be started");
    let stdout = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(done.status.success(), "{:?} failed: {}\n{stdout}{}", command.as_std(), done.status, String::from_utf8_lossy(&done.stderr));
    stdout
}
