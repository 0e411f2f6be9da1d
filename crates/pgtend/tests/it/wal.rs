//! WAL from a real PostgreSQL into a repository and back: nothing acknowledged is lost, and nothing foreign gets in.

mod recovery;
mod strangers;
mod trouble;

pub use trouble::Small;

use crate::harness::{Agent, Builder, Cluster};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const PGTEND: &str = env!("CARGO_BIN_EXE_pgtend");

/// A repository and the way there, where PostgreSQL's user can go too.
pub struct Archive {
    directory: tempfile::TempDir,
}

impl Archive {
    pub fn new() -> Self {
        let directory = tempfile::Builder::new().prefix("pgtend-wal-").tempdir().unwrap();
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let archive = Self { directory };
        fs::hard_link(PGTEND, archive.program()).or_else(|_| fs::copy(PGTEND, archive.program()).map(|_| ())).unwrap();
        archive
    }

    pub fn program(&self) -> PathBuf {
        self.directory.path().join("pgtend")
    }

    pub fn socket(&self) -> PathBuf {
        self.directory.path().join("wal.socket")
    }

    pub fn repository(&self) -> PathBuf {
        self.directory.path().join("repository")
    }

    /// A server that archives here.
    pub async fn server(&self, major: u32) -> Cluster {
        self.builder(major).start().await
    }

    /// The same, to be described before it starts.
    pub fn builder(&self, major: u32) -> Builder {
        let command = format!("{} wal push --socket {} \"%p\"", self.program().display(), self.socket().display());
        let builder = Cluster::builder(major).config("archive_mode = on").config(format!("archive_command = '{command}'"));
        builder.config("max_wal_size = 64MB").config("wal_keep_size = 4GB")
    }

    /// An agent that takes the WAL of this server.
    pub async fn agent(&self, cluster: &Cluster, lines: &str) -> Agent {
        self.agent_with(cluster, lines, "").await
    }

    /// The same, with further lines in `[backup]`, and further sections. Backups, whose retention takes WAL away, are by hand unless the lines
    /// have a schedule.
    pub async fn agent_with(&self, cluster: &Cluster, lines: &str, more: &str) -> Agent {
        let schedule = if lines.contains("schedule") { "" } else { "schedule = \"off\"" };
        let config = format!(
            "[backup]\nwal_socket = \"{}\"\n{schedule}\n{lines}\n[[backup.repository]]\npath = \"{}\"\n{more}",
            self.socket().display(),
            self.repository().display()
        );
        Agent::builder().beside("main", cluster, "").config(&config).start().await
    }

    fn wal(&self, verb: &str, arguments: &[&str]) -> Output {
        let mut command = Command::new(PGTEND);
        command.args(["wal", verb, "--socket"]).arg(self.socket()).args(arguments).current_dir(self.directory.path());
        command.output().unwrap()
    }

    /// Brings a file; its bytes, or the exit code.
    fn get(&self, name: &str) -> Result<Vec<u8>, i32> {
        let output = self.wal("get", &[name, "fetched"]);
        match output.status.code() {
            Some(0) => Ok(fs::read(self.directory.path().join("fetched")).unwrap()),
            code => Err(code.unwrap_or(-1)),
        }
    }

    /// Names of the segments in the repository, in order.
    pub fn segments(&self) -> Vec<String> {
        let mut names = Vec::new();
        collect(&self.repository().join("wal"), &mut names);
        names.retain(|name| name.len() == 24);
        names.sort();
        names
    }
}

fn collect(directory: &Path, names: &mut Vec<String>) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            collect(&entry.path(), names);
        } else {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
}

fn said(output: &Output) -> (Option<i32>, String) {
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

/// Segments that PostgreSQL was told are archived.
pub fn acknowledged(cluster: &Cluster) -> Vec<String> {
    let entries = fs::read_dir(cluster.data_directory().join("pg_wal/archive_status")).unwrap();
    let names = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.strip_suffix(".done").map(str::to_owned));
    let mut names: Vec<String> = names.filter(|name| name.len() == 24).collect();
    names.sort();
    names
}

pub async fn switch(cluster: &Cluster) -> String {
    cluster.psql("select pg_walfile_name(pg_switch_wal()) from (select pg_logical_emit_message(false, 'test', 'x')) as written").await
}

pub async fn archived(cluster: &Cluster, name: &str) {
    cluster.wait_for(&format!("select coalesce(last_archived_wal >= '{name}', false) from pg_stat_archiver")).await;
}

#[tokio::test]
async fn every_segment_is_kept_under_load_though_the_agent_is_killed() {
    let archive = Archive::new();
    let cluster = archive.server(15).await;
    let mut agent = archive.agent(&cluster, "").await;
    cluster.pgbench(&["-i", "-s", "8", "-q"]).await;
    let mut load = cluster.client("pgbench").args(["-c", "4", "-T", "6"]).stdout(std::process::Stdio::null()).spawn().unwrap();
    for _ in 0..3 {
        tokio::time::sleep(std::time::Duration::from_millis(900)).await;
        agent.kill();
        let there = archive.segments();
        assert!(acknowledged(&cluster).iter().all(|name| there.contains(name)), "something acknowledged is not there");
        agent.start_again().await;
        switch(&cluster).await;
    }
    load.wait().await.unwrap();
    let last = switch(&cluster).await;
    archived(&cluster, &last).await;
    let names = acknowledged(&cluster);
    assert!(names.len() > 8, "{names:?}");
    for name in &names {
        let kept = archive.get(name).unwrap_or_else(|code| panic!("{name}: {code}\n{}", agent.log()));
        assert!(kept == fs::read(cluster.data_directory().join("pg_wal").join(name)).unwrap(), "{name} is not the same");
    }
    assert!(archive.segments().contains(&last));
    // The same again is success.
    let path = cluster.data_directory().join("pg_wal").join(&last);
    let again = archive.wal("push", &[path.to_str().unwrap()]);
    assert_eq!(said(&again), (Some(0), String::new()));
}

#[tokio::test]
async fn what_is_not_there_is_told_from_what_cannot_be_told() {
    let archive = Archive::new();
    let cluster = archive.server(15).await;
    let agent = archive.agent(&cluster, "").await;
    let name = switch(&cluster).await;
    archived(&cluster, &name).await;
    for absent in ["00000002.history", "0000000100000099000000FF", "000000020000000000000001"] {
        assert_eq!(archive.get(absent), Err(1), "{absent}");
    }
    let elsewhere = archive.directory.path().join("unmounted");
    fs::rename(archive.repository(), &elsewhere).unwrap();
    fs::create_dir(archive.repository()).unwrap();
    let asked = archive.wal("get", &["0000000100000099000000FF", "fetched"]);
    assert_eq!(asked.status.code(), Some(126), "a repository that is not there must not look like the end of the WAL");
    assert!(said(&asked).1.contains("is its file system mounted?"), "{}", said(&asked).1);
    // A standby asks again: it is not to be taken down.
    fs::write(archive.directory.path().join("standby.signal"), "").unwrap();
    assert_eq!(archive.get("0000000100000099000000FF"), Err(69));
    fs::remove_file(archive.directory.path().join("standby.signal")).unwrap();
    fs::remove_dir_all(archive.repository()).unwrap();
    fs::rename(&elsewhere, archive.repository()).unwrap();
    assert!(archive.get(&name).is_ok());
    drop(agent);
    let path = cluster.data_directory().join("pg_wal").join(&name);
    let (code, text) = said(&archive.wal("push", &[path.to_str().unwrap()]));
    assert_eq!(code, Some(69));
    assert!(text.contains("is pgtend running? PostgreSQL keeps the WAL"), "{text}");
}

#[tokio::test]
async fn a_clone_and_a_foreign_segment_are_refused() {
    let archive = Archive::new();
    let cluster = archive.server(15).await;
    let _agent = archive.agent(&cluster, "").await;
    let name = switch(&cluster).await;
    archived(&cluster, &name).await;
    let before = archive.segments();

    // Clusters of one template have one system identifier, as a machine and its clone do.
    let clone = archive.server(15).await;
    switch(&clone).await;
    clone.wait_for("select failed_count > 0 from pg_stat_archiver").await;
    assert!(clone.log().contains("a cloned server must not archive under the name of the one that it was made of"), "{}", clone.log());

    let foreign = Cluster::builder(15).initdb(&[]).start().await;
    let theirs = foreign.psql("select pg_walfile_name(pg_switch_wal())").await;
    let planted = cluster.data_directory().join("pg_wal/0000000100000000000000F0");
    fs::copy(foreign.data_directory().join("pg_wal").join(theirs), &planted).unwrap();
    let (code, text) = said(&archive.wal("push", &[planted.to_str().unwrap()]));
    assert_eq!(code, Some(65));
    assert!(text.contains("it belongs to the cluster"), "{text}");

    // Another content under a name that is there.
    let path = cluster.data_directory().join("pg_wal").join(&name);
    let mut content = fs::read(&path).unwrap();
    *content.last_mut().unwrap() ^= 1;
    fs::write(&path, content).unwrap();
    let (code, text) = said(&archive.wal("push", &[path.to_str().unwrap()]));
    assert_eq!(code, Some(65));
    assert!(text.contains("is in the repository already"), "{text}");
    assert_eq!(archive.segments(), before);
}
