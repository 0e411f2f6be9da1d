//! The real `pgtend agent` over a test's servers: its configuration, its socket, its end.

use super::Cluster;
use super::account::Account;
use serde_json::Value;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(30);

/// What an agent shall watch, and how.
pub struct AgentBuilder {
    servers: String,
    rest: String,
    socket: Option<PathBuf>,
    account: Option<Account>,
}

impl AgentBuilder {
    /// Watches this cluster under this name, with the agent beside it. `extra` are further lines of its `[[server]]` section.
    #[must_use]
    pub fn beside(self, name: &str, cluster: &Cluster, extra: &str) -> Self {
        let extra = format!("data_directory = \"{}\"\n{extra}", cluster.data_directory().display());
        self.server(name, &cluster.dsn(), &extra)
    }

    /// Watches what this connection string reaches.
    #[must_use]
    pub fn server(mut self, name: &str, dsn: &str, extra: &str) -> Self {
        writeln!(self.servers, "[[server]]\nname = \"{name}\"\ndsn = \"{dsn}\"\n{extra}").unwrap();
        self
    }

    /// Further sections of the configuration.
    #[must_use]
    pub fn config(mut self, lines: &str) -> Self {
        writeln!(self.rest, "{lines}").unwrap();
        self
    }

    /// Says where its socket is, when the configuration puts it elsewhere.
    #[must_use]
    pub fn socket(mut self, path: &Path) -> Self {
        self.socket = Some(path.to_owned());
        self
    }

    /// Runs it as the user that servers run as, who may not read everything.
    #[must_use]
    pub fn by_servers_user(mut self) -> Self {
        self.account = Some(Account::for_servers());
        self
    }

    /// Starts it and waits until its socket answers.
    pub async fn start(self) -> Agent {
        let directory = tempfile::Builder::new().prefix("pgtend-agent-").tempdir().unwrap();
        let agent = Agent { directory, child: None, text: self.servers, rest: self.rest, socket: self.socket, account: self.account };
        agent.write_config("");
        agent.started().await
    }
}

/// A running agent. Dropping it ends it at once and removes its files.
pub struct Agent {
    directory: TempDir,
    child: Option<Child>,
    text: String,
    rest: String,
    socket: Option<PathBuf>,
    account: Option<Account>,
}

impl Agent {
    /// An agent to be described before it starts.
    pub fn builder() -> AgentBuilder {
        AgentBuilder { servers: String::new(), rest: String::new(), socket: None, account: None }
    }

    /// An agent beside this cluster, which it calls `main`.
    pub async fn beside(cluster: &Cluster) -> Self {
        Self::builder().beside("main", cluster, "").start().await
    }

    /// Writes its configuration anew, with further lines at the end; a reload or a start makes them count.
    pub fn write_config(&self, more: &str) {
        let place = self.directory.path().display();
        // A section that a test writes itself stands instead of the default one.
        let mut text = self.text.clone();
        for (section, lines) in [("api", "listen = \"127.0.0.1:0\""), ("metrics", "listen = \"127.0.0.1:0\"")] {
            if !self.rest.contains(&format!("[{section}]")) {
                writeln!(text, "[{section}]\n{lines}").unwrap();
            }
        }
        writeln!(text, "[agent]\nstate_directory = \"{place}\"\nruntime_directory = \"{place}\"\n{}\n{more}", self.rest).unwrap();
        fs::write(self.config_file(), text).unwrap();
        Command::new("chmod").arg("600").arg(self.config_file()).status().unwrap();
    }

    async fn started(mut self) -> Self {
        self.start_again().await;
        self
    }

    /// Starts it after it ended.
    pub async fn start_again(&mut self) {
        let log = File::options().create(true).append(true).open(self.directory.path().join("agent.log")).unwrap();
        let mut command = self.command();
        command.arg("agent").arg("--config").arg(self.config_file()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        self.child = Some(command.spawn().unwrap());
        self.wait_for("the socket", async |agent| agent.try_get("/api/v1/health/live").await.is_some()).await;
    }

    /// The program, as whom it shall run.
    fn command(&self) -> Command {
        let program = Path::new(env!("CARGO_BIN_EXE_pgtend"));
        let Some(account) = self.account else { return Command::new(program) };
        // That user cannot reach where programs are built.
        let copy = self.directory.path().join("pgtend");
        fs::hard_link(program, &copy).or_else(|_| fs::copy(program, &copy).map(|_| ())).unwrap();
        for path in [self.directory.path(), &self.config_file()] {
            account.own(path);
        }
        account.command(&copy, self.directory.path())
    }

    /// Where it keeps what it remembers.
    pub fn state_directory(&self) -> &Path {
        self.directory.path()
    }

    /// Its configuration file.
    pub fn config_file(&self) -> PathBuf {
        self.directory.path().join("pgtend.toml")
    }

    /// Its Unix socket.
    pub fn socket(&self) -> PathBuf {
        self.socket.clone().unwrap_or_else(|| self.directory.path().join("pgtend.sock"))
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("agent.log")).unwrap_or_default()
    }

    /// Sends it a signal, by name.
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").arg(format!("-{name}")).arg(self.pid().to_string()).status().unwrap();
        assert!(status.success());
    }

    /// Waits until it has ended by itself.
    pub async fn ended(&mut self) {
        let ends = Instant::now() + PATIENCE;
        while self.child.as_mut().unwrap().try_wait().unwrap().is_none() {
            assert!(Instant::now() < ends, "the agent does not end\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        self.child = None;
    }

    /// Kills it without a word (SIGKILL).
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            _ = child.kill();
            child.wait().unwrap();
        }
    }

    fn client(&self) -> reqwest::Client {
        reqwest::Client::builder().unix_socket(self.socket()).timeout(PATIENCE).build().unwrap()
    }

    async fn try_get(&self, path: &str) -> Option<String> {
        self.client().get(format!("http://pgtend{path}")).send().await.ok()?.text().await.ok()
    }

    /// The text that a path answers over the socket.
    pub async fn text(&self, path: &str) -> String {
        self.try_get(path).await.unwrap_or_else(|| panic!("no answer at {path}\n{}", self.log()))
    }

    /// The `data` of a JSON answer over the socket.
    pub async fn get(&self, path: &str) -> Value {
        let text = self.text(path).await;
        let answer: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}: {text}"));
        assert_eq!(answer["success"], true, "{path}: {answer}");
        answer["data"].clone()
    }

    /// Waits until something holds; fails with the agent's log when it does not come to hold.
    pub async fn wait_for(&self, what: &str, holds: impl AsyncFn(&Self) -> bool) {
        let ends = Instant::now() + PATIENCE;
        while !holds(self).await {
            assert!(Instant::now() < ends, "waited in vain for {what}\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// The same, for what the agent does every half minute.
    pub async fn wait_for_long(&self, what: &str, holds: impl AsyncFn(&Self) -> bool) {
        let ends = Instant::now() + PATIENCE;
        while !holds(self).await && Instant::now() < ends {
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        self.wait_for(what, holds).await;
    }

    /// Waits until a document's field has a value, which it gives.
    pub async fn wait_until(&self, path: &str, pointer: &str, holds: impl Fn(&Value) -> bool) -> Value {
        let null = Value::Null;
        self.wait_for(&format!("{pointer} of {path}"), async |agent| holds(agent.get(path).await.pointer(pointer).unwrap_or(&null))).await;
        self.get(path).await.pointer(pointer).cloned().unwrap_or_default()
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.kill();
    }
}
