//! What somebody is told when everything answers: a page for people, a file for scripts.

use super::ground::replace;
use super::keeper::Keeper;
use crate::api::Listening;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use pgtend_model::error::{Error, Kind, Result};
use pgtend_postgres::process::passfile::SUPERUSER;
use pgtend_postgres::process::system;
use serde::Serialize;
use std::env;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// What a path keeps in a connection URI.
const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// Where everything is. The password is in a file that the connection string names.
#[derive(Debug, Clone, Serialize)]
pub struct Announcement {
    /// Connection string for the superuser.
    pub dsn: String,
    /// Address of the API.
    pub api: Option<String>,
    /// Address of the metrics.
    pub metrics: Option<String>,
    /// The API's Unix socket.
    pub socket: Option<PathBuf>,
    /// The data directory.
    pub data_directory: PathBuf,
    /// The process of pgtend.
    pub pid: u32,
    /// The process of the postmaster.
    pub postgres_pid: Option<u32>,
}

impl Announcement {
    /// Of this PostgreSQL and this agent.
    pub fn new(keeper: &Keeper<'_>, listening: &Listening) -> Self {
        let layout = &keeper.ground().layout;
        let passfile = layout.pgpass().display().to_string();
        let dsn = format!(
            "postgresql://{SUPERUSER}@127.0.0.1:{}/postgres?passfile={}",
            keeper.place().port,
            utf8_percent_encode(&passfile, PATH)
        );
        let url = |address: SocketAddr| format!("http://{address}");
        Self {
            dsn,
            api: listening.api.map(url),
            metrics: listening.metrics.map(|address| url(address) + "/metrics"),
            socket: listening.socket.clone(),
            data_directory: layout.data(),
            pid: std::process::id(),
            postgres_pid: keeper.pid(),
        }
    }

    /// For people: where everything is, and what to try.
    pub fn text(&self) -> String {
        let mut text = format!("\nPostgreSQL runs in {}.\n", self.data_directory.display());
        let mut line = |name: &str, value: &str| text.push_str(&format!("  {name:<9}{value}\n"));
        if let Some(api) = &self.api {
            line("API", api);
        }
        if let Some(metrics) = &self.metrics {
            line("metrics", metrics);
        }
        line("connect", &self.dsn);
        text.push_str("\nTry, in another terminal:\n");
        for command in self.commands() {
            text.push_str(&format!("  {command}\n"));
        }
        text.push_str("\nCtrl-C ends pgtend and PostgreSQL.\n");
        text
    }

    fn commands(&self) -> [String; 3] {
        let pgtend = program("pgtend").unwrap_or_else(|| env::current_exe().unwrap_or_else(|_| "pgtend".into()).display().to_string());
        let dsn = shell_quoted(&self.dsn);
        // A server package without its client programs is rare; the commands still say what is meant.
        let client = |name: &str| program(name).unwrap_or_else(|| name.to_owned());
        [
            format!("{} -i -s 20 {dsn} && {} -c 8 -T 30 {dsn}", client("pgbench"), client("pgbench")),
            format!("{} {dsn}", client("psql")),
            format!("{pgtend} top"),
        ]
    }
}

/// A program as one types it: by its name where PATH leads to it.
fn program(name: &str) -> Option<String> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).any(|directory| directory.join(name).is_file()).then(|| name.to_owned())
}

fn shell_quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// The file for scripts. It is there only while everything answers.
#[derive(Debug)]
pub struct ReadyFile(Option<PathBuf>);

impl ReadyFile {
    /// Removes what a former run left, which would be mistaken for this one's.
    ///
    /// # Errors
    /// `System` when it cannot be removed.
    pub fn claim(path: Option<PathBuf>) -> Result<Self> {
        match path.as_deref().map(fs::remove_file) {
            Some(Err(error)) if error.kind() != io::ErrorKind::NotFound => {
                Err(system("could not remove the former ready file", path.as_deref().unwrap_or(Path::new("")), &error))
            }
            _ => Ok(Self(path)),
        }
    }

    /// Writes it, whole or not at all.
    ///
    /// # Errors
    /// `System` when it cannot be written.
    pub fn write(&self, announcement: &Announcement) -> Result<()> {
        let Some(path) = &self.0 else { return Ok(()) };
        let text = serde_json::to_string(announcement)
            .map_err(|error| Error::new(Kind::Internal, format!("the ready file cannot be written: {error}")))?;
        replace(path, &(text + "\n"), 0o644).map_err(|error| system("could not write the ready file", path, &error))
    }

    /// Removes it.
    pub fn withdraw(&self) {
        if let Some(path) = &self.0 {
            _ = fs::remove_file(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn announcement() -> Announcement {
        Announcement {
            dsn: "postgresql://postgres@127.0.0.1:5432/postgres?passfile=/srv/pgtend/pgpass".into(),
            api: Some("http://127.0.0.1:8080".into()),
            metrics: Some("http://127.0.0.1:9187/metrics".into()),
            socket: None,
            data_directory: "/srv/pgtend/data".into(),
            pid: 1,
            postgres_pid: Some(2),
        }
    }

    #[test]
    fn it_ends_with_three_commands_to_try() {
        let text = announcement().text();
        let commands: Vec<&str> =
            text.split("Try, in another terminal:\n").nth(1).unwrap().lines().take_while(|line| !line.is_empty()).collect();
        assert_eq!(commands.len(), 3, "{text}");
        assert!(commands.iter().all(|command| command.contains("/srv/pgtend/pgpass'") || command.ends_with(" top")), "{text}");
        assert!(text.contains("http://127.0.0.1:8080\n"), "{text}");
    }

    #[test]
    fn the_ready_file_of_a_former_run_goes() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ready.json");
        fs::write(&path, "old").unwrap();
        let file = ReadyFile::claim(Some(path.clone())).unwrap();
        assert!(!path.exists());
        file.write(&announcement()).unwrap();
        let written: serde_json::Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        assert_eq!(written["data_directory"], "/srv/pgtend/data");
        file.withdraw();
        assert!(!path.exists());
    }
}
