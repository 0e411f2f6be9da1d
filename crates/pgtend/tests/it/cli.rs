//! The command line as a process: every command against real servers, directly and through an agent, with what it prints and its exit code.

mod agents;
mod ending;
mod looks;
mod mistakes;
mod ping;
mod roles;
mod screen;

use crate::harness::{Agent, Cluster};
use serde_json::Value;
use std::path::Path;
use std::process::Stdio;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::process::Child;

/// Somebody at the command line, with the options by which servers are reached. Nothing comes from the environment of the tests.
pub struct Person {
    home: TempDir,
    options: Vec<String>,
    environment: Vec<(String, String)>,
}

/// What a command told.
pub struct Told {
    pub line: String,
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Person {
    /// With these options for every command.
    pub fn with(options: &[&str]) -> Self {
        let home = tempfile::Builder::new().prefix("pgtend-person-").tempdir().unwrap();
        Self { home, options: options.iter().map(ToString::to_string).collect(), environment: Vec::new() }
    }

    /// Who asks PostgreSQL itself.
    pub fn directly(dsn: &str) -> Self {
        Self::with(&["--connection", dsn])
    }

    /// Who asks an agent over its socket.
    pub fn over_socket(agent: &Agent) -> Self {
        Self::with(&["--socket", agent.socket().to_str().unwrap()])
    }

    /// Who asks an agent over TCP with a token from a file.
    pub fn over_network(agent: &Agent, token: &str) -> Self {
        let mut person = Self::with(&["--url", &format!("http://{}", super::api::address(agent, "api"))]);
        let file = person.home().join("token");
        std::fs::write(&file, format!("{token}\n")).unwrap();
        person.options.extend(["--token-file".to_owned(), file.display().to_string()]);
        person
    }

    /// With this variable in the environment.
    #[must_use]
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Their home directory, in which no agent runs.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// The agent's socket.
    pub fn socket(&self) -> &str {
        self.option("--socket")
    }

    /// One of the options, with its value.
    pub fn only<'a>(&'a self, name: &'a str) -> [&'a str; 2] {
        [name, self.option(name)]
    }

    fn option(&self, name: &str) -> &str {
        let place = self.options.iter().position(|option| option == name).unwrap();
        &self.options[place + 1]
    }

    /// The command, ready to run.
    pub fn command(&self, arguments: &[&str]) -> tokio::process::Command {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_pgtend"));
        command.env_clear().env("HOME", self.home()).env("PGTEND_RUNTIME_DIR", self.home()).current_dir(self.home());
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.args(arguments).args(&self.options).stdin(Stdio::null()).kill_on_drop(true);
        command
    }

    /// Runs a command to its end.
    pub async fn run(&self, arguments: &[&str]) -> Told {
        let output = self.command(arguments).output().await.unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Told {
            line: format!("pgtend {} {}", arguments.join(" "), self.options.join(" ")),
            code: output.status.code().unwrap(),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }

    /// The JSON of a command that succeeds.
    pub async fn json(&self, arguments: &[&str]) -> Value {
        self.run(&[arguments, &["--format", "json"]].concat()).await.ends(0).json()
    }
}

impl std::fmt::Display for Told {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "$ {}\nexit code {}\n-- stdout\n{}-- stderr\n{}", self.line, self.code, self.stdout, self.stderr)
    }
}

impl Told {
    /// That it ends with this exit code.
    pub fn ends(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self}");
        self
    }

    /// That these words are on standard output.
    pub fn shows(self, words: &[&str]) -> Self {
        words.iter().for_each(|word| assert!(self.stdout.contains(word), "\"{word}\" is not shown: {self}"));
        self
    }

    /// That these words are on standard error.
    pub fn says(self, words: &[&str]) -> Self {
        words.iter().for_each(|word| assert!(self.stderr.contains(word), "\"{word}\" is not said: {self}"));
        self
    }

    /// That nothing is on standard error.
    pub fn says_nothing(self) -> Self {
        assert!(self.stderr.is_empty(), "{self}");
        self
    }

    /// Its standard output as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self}"))
    }
}

/// A session of the superuser under this application name that runs a statement until it is ended.
pub async fn session(cluster: &Cluster, name: &str, sql: &str) -> Child {
    let child = psql(cluster, name).args(["-c", sql]).spawn().unwrap();
    cluster.wait_for(&format!("select exists (select from pg_stat_activity where application_name = '{name}' and state = 'active')")).await;
    child
}

/// A session of the superuser under this application name that has run a statement and now waits for its client.
pub async fn idle(cluster: &Cluster, name: &str, sql: &str) -> Child {
    let mut child = psql(cluster, name).stdin(Stdio::piped()).spawn().unwrap();
    say(&mut child, sql).await;
    cluster
        .wait_for(&format!(
            "select exists (select from pg_stat_activity where application_name = '{name}' and query <> '' and state like 'idle%')"
        ))
        .await;
    child
}

/// Has an idle session run a statement.
pub async fn say(child: &mut Child, sql: &str) {
    let stdin = child.stdin.as_mut().unwrap();
    stdin.write_all(format!("{sql};\n").as_bytes()).await.unwrap();
    stdin.flush().await.unwrap();
}

/// `psql` as the superuser under this application name.
pub fn psql(cluster: &Cluster, name: &str) -> tokio::process::Command {
    let mut command = cluster.client("psql");
    command.env("PGAPPNAME", name).arg("-qAtX").stdout(Stdio::null()).stderr(Stdio::piped());
    command
}
