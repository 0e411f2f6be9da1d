//! Backups and restores of real servers, held against PostgreSQL's own tools.

use crate::harness::Cluster;
use crate::harness::account::Account;
use crate::harness::servers::tool;
use pgtend::backup::Progress;
use pgtend::backup::restore::run::{Prepared, Replay, Restore};
use pgtend::backup::restore::settings::{Action, Purpose};
use pgtend::backup::take::{How, Take};
use pgtend_model::backup::BackupHead;
use pgtend_model::backup::restore_plan::{Target, Timeline, Wanted};
use pgtend_model::error::Result;
use pgtend_postgres::connect::{Environment, Target as Server};
use pgtend_postgres::process::os_user::OsUser;
use pgtend_store::repo::Repository;
use pgtend_store::repo::keys::Access;
use pgtend_store::repo::storage::{Directory, Storage};
use pgtend_store::repo::write::Options;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

/// A repository and room for restored clusters.
pub struct Ground {
    dir: TempDir,
    repository: Repository,
}

impl Ground {
    pub fn new() -> Self {
        Self::on(|dir| Arc::new(Directory::make(&dir.join("repository")).unwrap()))
    }

    /// A repository on another storage.
    pub fn on(storage: impl FnOnce(&Path) -> Arc<dyn Storage>) -> Self {
        let dir = tempfile::Builder::new().prefix("pgtend-backup-").tempdir_in("/tmp").unwrap();
        // PostgreSQL's user must be able to reach what is restored in here.
        std::fs::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let repository = Repository::create(storage(dir.path()), &Access::Plain, jiff::Timestamp::now()).unwrap();
        Self { dir, repository }
    }

    /// A `pgtend` that PostgreSQL's user can run.
    pub fn client(&self) -> PathBuf {
        let client = self.path("pgtend");
        if !client.exists() {
            let program = env!("CARGO_BIN_EXE_pgtend");
            std::fs::hard_link(program, &client).or_else(|_| std::fs::copy(program, &client).map(|_| ())).unwrap();
        }
        client
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn repository(&self) -> Repository {
        self.repository.clone()
    }

    pub async fn take(&self, cluster: &Cluster) -> BackupHead {
        self.take_over(&cluster.dsn()).await
    }

    /// Takes one over this connection.
    pub async fn take_over(&self, dsn: &str) -> BackupHead {
        let how = How {
            nice: 0,
            workers: 2,
            options: Options::default(),
            wal_timeout: Duration::from_secs(60),
            fast_checkpoint: true,
            read_all: false,
            application_name: "pgtend backup".into(),
        };
        let target = Server::resolve(Some(dsn), &Environment::from_process()).unwrap();
        let take = Take { server: "main".into(), target, repository: self.repository.clone(), peers: Vec::new(), how };
        take.run(&Progress::new(0)).await.unwrap()
    }

    pub fn restore(&self, cluster: &Cluster, name: &str, target: Target) -> Restore {
        Restore {
            repository: self.repository.clone(),
            server: "main".into(),
            system_identifier: None,
            wanted: Wanted { target, backup: None, timeline: Timeline::Latest },
            into: self.dir.path().join(name),
            delta: false,
            databases: BTreeSet::new(),
            tablespace_map: BTreeMap::new(),
            user: OsUser::choose(None).unwrap(),
            bindir: Some(cluster.bindir().to_owned()),
            workers: 2,
        }
    }

    /// A `restore_command` that finds the repository's WAL in a directory.
    fn restore_command(&self, prepared: &Prepared) -> String {
        let wal = self.dir.path().join("wal");
        std::fs::create_dir_all(&wal).unwrap();
        for object in self.repository.wal(&prepared.owner).unwrap() {
            std::fs::write(wal.join(&object.name), self.repository.get_wal(&prepared.owner, &object.name).unwrap()).unwrap();
        }
        format!("cp {}/%f %p", wal.display())
    }

    /// Restores, replays and gives the directory.
    pub fn bring_back(&self, restore: &Restore) -> PathBuf {
        let prepared = restore.prepare(true).unwrap();
        let replay = Replay {
            restore_command: self.restore_command(&prepared),
            exclusive: false,
            action: Action::Promote,
            purpose: Purpose::Copy,
            primary_conninfo: None,
            run: true,
        };
        let recovered = restore.carry_out(&prepared, &replay, &Progress::new(0)).unwrap().unwrap();
        assert!(recovered.replayed_to.is_some() && recovered.timeline == Some(prepared.plan.timeline + 1), "{recovered:?}");
        prepared.place.data
    }
}

/// Restores the files alone and gives the directory.
pub fn bring_files(restore: &Restore) -> Result<PathBuf> {
    let prepared = restore.prepare(false)?;
    let replay = Replay {
        restore_command: "false".into(),
        exclusive: false,
        action: Action::Promote,
        purpose: Purpose::Copy,
        primary_conninfo: None,
        run: false,
    };
    assert!(restore.carry_out(&prepared, &replay, &Progress::new(0))?.is_none());
    Ok(prepared.place.data)
}

/// Everything that is in the database, in one number.
pub const CONTENTS: &str = "select sum(hashtextextended(a::text, 0)) from pgbench_accounts a";

pub async fn pgbench_cluster(major: u32) -> Cluster {
    let cluster =
        Cluster::builder(major).initdb(&["--data-checksums"]).config("wal_level = replica").config("archive_mode = off").start().await;
    cluster.pgbench(&["-i", "-s", "2", "-q"]).await;
    cluster
}

/// Runs a restored cluster for one question.
pub fn ask(cluster: &Cluster, data: &Path, sql: &str) -> String {
    let mut command = Account::for_servers().command(&cluster.bindir().join("postgres"), Path::new("/"));
    command.args(["--single", "-D"]).arg(data).args(["-c", "archive_mode=off", "-c", "log_min_messages=panic", "postgres"]);
    let mut child = command
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::inherit())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), format!("{sql}\n").as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let value = text.lines().filter_map(|line| line.split_once(" = \"")).rfind(|(name, _)| name.contains("1: "));
    value.map(|(_, rest)| rest.split('"').next().unwrap().to_owned()).unwrap_or(text)
}

/// Holds the files against the backup's manifest.
pub fn verify(data: &Path) {
    let output = Account::for_servers().command(&tool("pg_verifybackup"), Path::new("/")).args(["-n"]).arg(data).output().unwrap();
    assert!(output.status.success(), "{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
}

#[tokio::test]
async fn a_backup_of_every_major_restores_to_the_same_contents() {
    for major in [13, 14, 15, 16, 17, 18] {
        let cluster = pgbench_cluster(major).await;
        let ground = Ground::new();
        let contents = cluster.psql(CONTENTS).await;
        let head = ground.take(&cluster).await;
        assert!(head.checksums.enabled && head.checksums.checked_pages > 3000 && head.checksums.wrong_pages == 0, "{:?}", head.checksums);
        let restore = ground.restore(&cluster, "restored", Target::Latest);
        if major == 15 {
            let only_files = ground.restore(&cluster, "files", Target::Latest);
            verify(&bring_files(&only_files).unwrap());
        }
        let data = ground.bring_back(&restore);
        assert_eq!(ask(&cluster, &data, CONTENTS), contents, "PostgreSQL {major}");
    }
}

#[tokio::test]
async fn the_second_backup_costs_what_changed() {
    let cluster = pgbench_cluster(15).await;
    let ground = Ground::new();
    let first = ground.take(&cluster).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let _ = ground.take(&cluster).await;
    cluster.pgbench(&["-n", "-t", "200", "-c", "2"]).await;
    let contents = cluster.psql(CONTENTS).await;
    let third = ground.take(&cluster).await;
    assert!(third.stored_bytes * 5 < first.stored_bytes, "{} of {}", third.stored_bytes, first.stored_bytes);
    let data = ground.bring_back(&ground.restore(&cluster, "restored", Target::Immediate));
    assert_eq!(ask(&cluster, &data, CONTENTS), contents);
}
