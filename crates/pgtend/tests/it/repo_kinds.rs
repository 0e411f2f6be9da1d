//! Every way to encrypt a repository, from `repo init` to a restore.

use crate::backup::ask;
use crate::harness::{Agent, Cluster};
use pgtend_store::repo::keys::Identity;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const PGTEND: &str = env!("CARGO_BIN_EXE_pgtend");

struct Ground {
    cluster: Cluster,
    dir: tempfile::TempDir,
}

fn pgtend(arguments: &[&str]) -> Output {
    Command::new(PGTEND).args(arguments).output().unwrap()
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

impl Ground {
    async fn new() -> Self {
        let cluster = Cluster::builder(15).config("wal_level = replica").config("archive_mode = off").start().await;
        cluster.psql("create table t as select generate_series(1, 7) as n").await;
        let dir = tempfile::Builder::new().prefix("pgtend-kinds-").tempdir_in("/tmp").unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        Self { cluster, dir }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn secret(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path
    }

    /// Makes the repository by `repo init`, and an agent takes a backup into it.
    async fn backed_up(&self, lines: &str) -> Agent {
        let config =
            format!("[backup]\nschedule = \"off\"\n[[backup.repository]]\npath = \"{}\"\n{lines}\n", self.path("repository").display());
        let agent = Agent::builder().beside("main", &self.cluster, "").config(&config).start().await;
        let init = pgtend(&["repo", "init", "--config", agent.config_file().to_str().unwrap()]);
        assert!(init.status.success(), "{}", said(&init));
        let again = pgtend(&["repo", "init", "--config", agent.config_file().to_str().unwrap(), "--format", "json"]);
        assert!(again.status.success(), "{}", said(&again));
        let run = pgtend(&["--socket", agent.socket().to_str().unwrap(), "backup", "run"]);
        assert!(run.status.success(), "{}{}", said(&run), agent.log());
        agent
    }

    fn restore(&self, name: &str, arguments: &[&str]) -> Output {
        let (into, bindir) = (self.path(name), self.cluster.bindir().display().to_string());
        pgtend(&[&["restore", "--into", into.to_str().unwrap(), "--bindir", &bindir, "--immediate"], arguments].concat())
    }

    fn comes_back(&self, name: &str, arguments: &[&str]) {
        let output = self.restore(name, arguments);
        assert!(output.status.success(), "{arguments:?}: {}", said(&output));
        assert_eq!(ask(&self.cluster, &self.path(name), "select count(*) from t"), "7");
    }

    /// What a restore that must fail says.
    fn stays_closed(&self, arguments: &[&str]) -> String {
        let output = self.restore("nothing", arguments);
        assert!(!output.status.success(), "{arguments:?}");
        assert!(!self.path("nothing/global/pg_control").exists(), "nothing that starts");
        said(&output)
    }

    fn from(&self) -> String {
        self.path("repository").display().to_string()
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[tokio::test]
async fn a_passphrase_opens_what_it_closed_and_no_other_does() {
    let ground = Ground::new().await;
    let passphrase = ground.secret("passphrase", "correct horse battery staple\n");
    let agent = ground.backed_up(&format!("encryption = \"passphrase\"\npassphrase_file = \"{}\"", passphrase.display())).await;
    ground.comes_back("by-agent", &["--socket", text(&agent.socket())]);
    ground.comes_back("alone", &["--from", &ground.from(), "--passphrase-file", text(&passphrase)]);
    let wrong = ground.secret("wrong", "correct horse battery stable\n");
    let told = ground.stays_closed(&["--from", &ground.from(), "--passphrase-file", text(&wrong)]);
    assert!(told.contains("passphrase") && !told.contains("stable"), "{told}");
}

#[tokio::test]
async fn a_host_writes_for_recipients_and_cannot_read_what_it_wrote() {
    let ground = Ground::new().await;
    let reader = Identity::generate();
    let key = ground.secret("reader.key", &reader.key_file());
    let agent = ground.backed_up(&format!("encryption = \"recipients\"\nrecipients = [\"{}\"]", reader.recipient())).await;
    let again = pgtend(&["--socket", text(&agent.socket()), "backup", "run"]);
    assert!(again.status.success(), "{}", said(&again));
    let told = ground.stays_closed(&["--socket", text(&agent.socket())]);
    assert!(told.contains("does not read") && told.contains("--key-file") && !ground.path("nothing").exists(), "{told}");
    ground.comes_back("by-reader", &["--from", &ground.from(), "--key-file", text(&key)]);
}

#[tokio::test]
async fn without_encryption_no_key_is_needed_and_damage_is_still_seen() {
    let ground = Ground::new().await;
    let _agent = ground.backed_up("encryption = \"none\"").await;
    ground.comes_back("alone", &["--from", &ground.from()]);
    let mut packs: Vec<PathBuf> = walkdir(&ground.path("repository/packs"));
    packs.sort();
    for pack in packs {
        let mut content = fs::read(&pack).unwrap();
        let middle = content.len() / 2;
        content[middle] ^= 1;
        fs::set_permissions(&pack, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&pack, content).unwrap();
    }
    let told = ground.stays_closed(&["--from", &ground.from()]);
    assert!(told.contains("packs/"), "{told}");
}

#[tokio::test]
async fn the_key_file_of_the_agent_opens_it_elsewhere() {
    let ground = Ground::new().await;
    let agent = ground.backed_up("").await;
    ground.comes_back("by-agent", &["--socket", text(&agent.socket())]);
    let key = agent.state_directory().join("repository-main.key");
    ground.comes_back("alone", &["--from", &ground.from(), "--key-file", text(&key)]);
    let other = ground.secret("other.key", &Identity::generate().key_file());
    let told = ground.stays_closed(&["--from", &ground.from(), "--key-file", text(&other)]);
    assert!(told.contains("key"), "{told}");
}

fn walkdir(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            found.extend(walkdir(&entry.path()));
        } else {
            found.push(entry.path());
        }
    }
    found
}
