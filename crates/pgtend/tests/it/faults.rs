//! What a repository has to live through: processes that are killed, two writers, full disks, flipped bits, missing files, wrong keys. Afterwards
//! nothing that was acknowledged is lost, and nothing that is wrong is called good.

mod damage;
mod full;
mod kills;
mod writers;

use crate::harness::{Agent, Cluster};
use crate::wal::Archive;
use pgtend_store::repo::Repository;
use pgtend_store::repo::keys::Access;
use pgtend_store::repo::storage::Directory;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

pub const PGTEND: &str = env!("CARGO_BIN_EXE_pgtend");

/// A server under an agent that archives into a repository, and room beside it.
pub struct Ground {
    pub archive: Archive,
    pub cluster: Cluster,
    pub agent: Agent,
    pub dir: tempfile::TempDir,
}

impl Ground {
    /// `lines` are further ones of the repository's section.
    pub async fn new(lines: &str) -> Self {
        let archive = Archive::new();
        // Without encryption, a repository is made by hand only.
        let storage = std::sync::Arc::new(Directory::make(&archive.repository()).unwrap());
        Repository::create(storage, &Access::Plain, jiff::Timestamp::now()).unwrap();
        let cluster = archive.server(15).await;
        let agent = archive.agent_with(&cluster, "", &format!("encryption = \"none\"\n{lines}")).await;
        let dir = tempfile::Builder::new().prefix("pgtend-faults-").tempdir_in("/tmp").unwrap();
        std::fs::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        Self { archive, cluster, agent, dir }
    }

    pub fn pgtend(&self, arguments: &[&str]) -> Output {
        Command::new(PGTEND).arg("--socket").arg(self.agent.socket()).args(arguments).output().unwrap()
    }

    pub fn json(&self, arguments: &[&str]) -> Value {
        let output = self.pgtend(&[arguments, &["--format", "json"]].concat());
        assert!(output.status.success(), "{arguments:?}: {}{}", said(&output), self.agent.log());
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// A backup; gives its label.
    pub fn backup(&self) -> String {
        self.json(&["backup", "run"])[0]["label"].as_str().unwrap().to_owned()
    }

    /// Restores the newest state of a backup into a directory of this name.
    pub fn restore(&self, name: &str, arguments: &[&str]) -> PathBuf {
        let (into, bindir) = (self.dir.path().join(name), self.cluster.bindir().display().to_string());
        self.json(&[&["restore", "--into", into.to_str().unwrap(), "--bindir", &bindir], arguments].concat());
        into
    }

    /// pgbench's books: every sum must be the same at any moment that is consistent.
    pub fn books_are_right(&self, data: &Path) {
        let sql = "select (select sum(abalance) from pgbench_accounts) = (select sum(tbalance) from pgbench_tellers) \
                   and (select sum(bbalance) from pgbench_branches) = (select coalesce(sum(delta), 0) from pgbench_history) \
                   and (select sum(abalance) from pgbench_accounts) = (select coalesce(sum(delta), 0) from pgbench_history)";
        assert_eq!(crate::backup::ask(&self.cluster, data, sql), "t", "{}", data.display());
    }
}

pub fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Verifies a repository without an agent; the exit code and the report.
pub fn verify(repository: &Path, arguments: &[&str]) -> (i32, Value) {
    let mut command = Command::new(PGTEND);
    let output = command.args(["repo", "verify", "--format", "json", "--from"]).arg(repository).args(arguments).output().unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", said(&output)));
    (output.status.code().unwrap(), report[0].clone())
}

/// Everything in a directory whose path has this in it.
pub fn files_of(directory: &Path, part: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut waiting = vec![directory.to_owned()];
    while let Some(directory) = waiting.pop() {
        for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
            match entry.path() {
                path if path.is_dir() => waiting.push(path),
                path if path.to_string_lossy().contains(part) => found.push(path),
                _ => {}
            }
        }
    }
    found.sort();
    found
}
