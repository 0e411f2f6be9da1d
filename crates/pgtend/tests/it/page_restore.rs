//! `pgtend page-restore`: real pages damaged, and brought back as they were last, whether the server is stopped or a table is locked.

use crate::cli::{Person, Told};
use crate::harness::{Agent, Cluster};
use crate::wal::Archive;
use serde_json::Value;
use std::fs;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;

/// Bytes of a page.
const PAGE: u64 = 8192;

/// A server with a repository, a backup, and changes since.
pub struct Ground {
    pub cluster: Cluster,
    pub agent: Agent,
    pub dir: tempfile::TempDir,
    _archive: Archive,
}

impl Ground {
    pub async fn new() -> Self {
        let archive = Archive::new();
        let cluster = archive.server(15).await;
        let agent = archive.agent(&cluster, "").await;
        let dir = tempfile::Builder::new().prefix("pgtend-pages-").tempdir_in("/tmp").unwrap();
        fs::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        cluster.psql("create table t as select n, repeat('x', 100) as x from generate_series(1, 1000) as n").await;
        cluster.psql("create index t_n on t (n)").await;
        let ground = Self { cluster, agent, dir, _archive: archive };
        ground.person().run(&["backup", "run"]).await.ends(0);
        ground.cluster.psql("update t set x = 'after the backup' where n % 7 = 0").await;
        ground.cluster.psql("checkpoint").await;
        ground
    }

    pub fn person(&self) -> Person {
        Person::over_socket(&self.agent)
    }

    pub async fn path_of(&self, relation: &str) -> PathBuf {
        self.cluster.data_directory().join(self.cluster.psql(&format!("select pg_relation_filepath('{relation}')")).await)
    }

    /// What the rows of the table come to.
    pub async fn sum(&self) -> String {
        self.cluster
            .psql("set enable_indexscan = off; set enable_bitmapscan = off; select md5(string_agg(n || x, ',' order by n)) from t")
            .await
    }

    pub async fn restore(&self, arguments: &[&str]) -> Told {
        let (bindir, scratch) = (self.cluster.bindir().display().to_string(), self.dir.path().display().to_string());
        let keep = self.dir.path().join("kept").display().to_string();
        let fixed = ["page-restore", "--bindir", &bindir, "--scratch", &scratch, "--keep", &keep, "--format", "json"];
        self.person().run(&[&fixed, arguments].concat()).await
    }

    pub fn data(&self) -> &str {
        self.cluster.data_directory().to_str().unwrap()
    }
}

/// Flips a bit in the rows of a page; the page as it was.
pub fn damage(path: &std::path::Path, page: u64) -> Vec<u8> {
    let file = fs::File::options().read(true).write(true).open(path).unwrap();
    let mut before = vec![0; PAGE as usize];
    file.read_exact_at(&mut before, page * PAGE).unwrap();
    file.write_all_at(&[before[7000] ^ 0x10], page * PAGE + 7000).unwrap();
    before
}

fn page(report: &Value, index: usize) -> &Value {
    &report["pages"][index]
}

#[tokio::test]
async fn pages_come_back_with_every_change_since_the_backup_while_the_server_is_stopped() {
    let mut ground = Ground::new().await;
    let (path, sum) = (ground.path_of("t").await, ground.sum().await);
    let relative = path.strip_prefix(ground.cluster.data_directory()).unwrap().display().to_string();
    let refused = ground.restore(&["--data", ground.data(), "--relation", "public.t", "--db", "postgres", "--pages", "3"]).await.ends(65);
    refused.says(&["the server runs", "--online"]);
    ground.cluster.stop().await;
    let before = [damage(&path, 3), damage(&path, 8)];
    let planned = ground.restore(&["--data", ground.data(), "--relation", &relative, "--pages", "3,8-9", "--dry-run"]).await.ends(0).json();
    assert_eq!((page(&planned, 0)["good"].as_bool(), page(&planned, 2)["good"].as_bool()), (Some(false), Some(true)), "{planned:#}");

    let report = ground.restore(&["--relation", "public.t", "--db", "postgres", "--pages", "3,8-9", "--verify"]).await.ends(0).json();
    for (index, before) in before.iter().enumerate() {
        assert_eq!(
            (page(&report, index)["good"].as_bool(), page(&report, index)["restored"].as_bool()),
            (Some(true), Some(true)),
            "{report:#}"
        );
        let mode = fs::metadata(page(&report, index)["kept"].as_str().unwrap()).unwrap().permissions();
        assert_eq!(std::os::unix::fs::PermissionsExt::mode(&mode) & 0o777, 0o600, "it holds rows");
        let kept = fs::read(page(&report, index)["kept"].as_str().unwrap()).unwrap();
        assert_eq!(kept.iter().zip(before).filter(|(a, b)| a != b).count(), 1, "the damaged page is kept as it was");
    }
    assert_eq!(page(&report, 2)["restored"], false, "a sound page is left alone");
    assert!(report["notes"].to_string().contains("0 are damaged"), "{report:#}");
    ground.cluster.start_again().await;
    assert_eq!(ground.sum().await, sum);
    assert!(fs::read_dir(ground.dir.path()).unwrap().flatten().all(|entry| !entry.file_name().to_string_lossy().contains("scratch-")));
}

#[tokio::test]
async fn a_table_is_locked_while_its_page_comes_back_and_the_server_runs_on() {
    let mut ground = Ground::new().await;
    let (path, sum) = (ground.path_of("t").await, ground.sum().await);
    // What is in memory would hide the damage; this is how it looks after a restart.
    ground.cluster.stop().await;
    damage(&path, 3);
    ground.cluster.start_again().await;
    let output = ground.cluster.client("psql").args(["-c", "select count(x) from t"]).output().await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("invalid page in block 3"), "{said}");
    // Another page changes meanwhile; it stays as it is.
    ground.cluster.psql("update t set x = 'while it is damaged' where ctid = (select ctid from t where n = 999)").await;
    let arguments = ["--data", ground.data(), "--relation", "public.t", "--db", "postgres", "--pages", "3", "--online"];
    let report = ground.restore(&arguments).await.ends(0).json();
    assert!(report["notes"].to_string().contains("without complaint"), "{report:#}");
    assert_eq!(ground.cluster.psql("select x from t where n = 999").await, "while it is damaged");
    assert_eq!(ground.cluster.psql("select count(x) from t").await, "1000");
    assert_ne!(ground.sum().await, sum);
    let index = ["--data", ground.data(), "--relation", "public.t_n", "--db", "postgres", "--pages", "1", "--online"];
    ground.restore(&index).await.ends(72).says(&["pgtend repair"]);
    let catalog = ["--data", ground.data(), "--relation", "pg_catalog.pg_class", "--db", "postgres", "--pages", "1", "--online"];
    ground.restore(&catalog).await.ends(72).says(&["a system catalog must not be locked"]);
}

#[tokio::test]
async fn what_cannot_be_meant_is_refused() {
    let ground = Ground::new().await;
    ground.restore(&["--relation", "public.t", "--pages", "3"]).await.ends(64).says(&["--db NAME"]);
    ground.restore(&["--relation", "public.t", "--db", "postgres", "--pages", "9-3"]).await.ends(64).says(&["no range of pages"]);
    ground
        .restore(&["--relation", "public.nothing", "--db", "postgres", "--pages", "3", "--dry-run", "--data", ground.data()])
        .await
        .ends(66);
    let other = Cluster::builder(15).initdb(&[]).start().await;
    let data = other.data_directory().to_str().unwrap();
    let told = ground.restore(&["--relation", "base/5/1259", "--pages", "0", "--dry-run", "--data", data]).await;
    told.ends(65).says(&["the backup is of the cluster"]);
}
