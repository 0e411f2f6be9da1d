//! Flipped bits, missing objects, a wrong key: what the message names, and what to do.

use super::{Ground, PGTEND, files_of, said, verify};
use crate::wal::{archived, switch};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

fn flip_a_bit(path: &Path) {
    let mut content = std::fs::read(path).unwrap();
    let middle = content.len() / 2;
    content[middle] ^= 1;
    std::fs::write(path, content).unwrap();
}

/// A copy of the repository, to be damaged.
fn copy(ground: &Ground, name: &str) -> PathBuf {
    let to = ground.dir.path().join(format!("damaged-{name}"));
    let copied = Command::new("cp").arg("-a").arg(ground.archive.repository()).arg(&to).status().unwrap();
    assert!(copied.success());
    to
}

fn largest(directory: &Path, part: &str) -> PathBuf {
    files_of(directory, part).into_iter().max_by_key(|path| path.metadata().unwrap().len()).unwrap()
}

fn key_of(repository: &Path, path: &Path) -> String {
    path.strip_prefix(repository).unwrap().display().to_string()
}

fn backup_of<'a>(report: &'a Value, label: &str) -> &'a Value {
    report["backups"].as_array().unwrap().iter().find(|backup| backup["label"] == label).unwrap()
}

/// What is wrong with the only damaged object.
fn only_error(report: &Value) -> (String, String) {
    let errors = report["errors"].as_array().unwrap();
    assert_eq!(errors.len(), 1, "{report:#}");
    (errors[0]["type"].as_str().unwrap().to_owned(), errors[0]["object"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn every_kind_of_damage_is_found_and_the_backups_that_it_hurts_are_named() {
    let ground = Ground::new("").await;
    ground.cluster.pgbench(&["-i", "-s", "2", "-q"]).await;
    let first = ground.backup();
    ground.cluster.psql("create table later as select n, repeat('x', 500) from generate_series(1, 20000) n").await;
    let between = switch(&ground.cluster).await;
    archived(&ground.cluster, &between).await;
    let second = ground.backup();
    let last = switch(&ground.cluster).await;
    archived(&ground.cluster, &last).await;
    assert_eq!(verify(&ground.archive.repository(), &[]).0, 0);

    let damaged = copy(&ground, "pack");
    let pack = largest(&damaged, "/packs/");
    flip_a_bit(&pack);
    let (code, report) = verify(&damaged, &[]);
    assert_eq!((code, only_error(&report)), (1, ("pack".into(), key_of(&damaged, &pack))));
    assert_eq!(backup_of(&report, &first)["state"], "damaged", "{report:#}");
    assert!(backup_of(&report, &first)["files"][0]["path"].as_str().unwrap().starts_with("base/"), "{report:#}");
    assert!(damaged.join("damaged").read_dir().unwrap().count() == 1, "the damage is noted");

    let damaged = copy(&ground, "missing-pack");
    let pack = largest(&damaged, "/packs/");
    std::fs::remove_file(&pack).unwrap();
    let (code, report) = verify(&damaged, &[]);
    assert_eq!((code, only_error(&report)), (1, ("missing_pack".into(), key_of(&damaged, &pack))));

    let damaged = copy(&ground, "index");
    let index = largest(&damaged, "/index/");
    flip_a_bit(&index);
    let (code, report) = verify(&damaged, &[]);
    assert_eq!((code, only_error(&report)), (1, ("index".into(), key_of(&damaged, &index))));
    let advice = backup_of(&report, &first)["advice"].to_string();
    assert!(advice.contains("--rebuild-index"), "{advice}");
    let (code, report) = verify(&damaged, &["--rebuild-index"]);
    assert_eq!(code, 0, "{report:#}");
    assert!(report["rebuilt"]["extents"].as_u64().unwrap() > 100, "{report:#}");

    for (part, kind) in [("/files", "files"), ("/head", "head")] {
        let damaged = copy(&ground, kind);
        let path = damaged.join(format!("backups/main/{second}{part}"));
        flip_a_bit(&path);
        let (code, report) = verify(&damaged, &[]);
        assert_eq!((code, only_error(&report)), (1, (kind.into(), key_of(&damaged, &path))));
        assert_eq!(backup_of(&report, &second)["state"], "lost");
        assert_eq!(backup_of(&report, &first)["state"], "whole");
        assert!(backup_of(&report, &second)["advice"].to_string().contains(&format!("--backup {first}")), "{report:#}");
    }

    let damaged = copy(&ground, "wal");
    flip_a_bit(&files_of(&damaged, &between)[0]);
    let (code, report) = verify(&damaged, &[]);
    assert_eq!((code, only_error(&report).0.as_str()), (1, "wal"));
    assert_eq!(backup_of(&report, &first)["state"], "ends_early", "{report:#}");
    assert!(backup_of(&report, &first)["problems"].to_string().contains(&between), "{report:#}");
    assert_eq!(backup_of(&report, &second)["state"], "whole");

    let damaged = copy(&ground, "missing-wal");
    std::fs::remove_file(&files_of(&damaged, &between)[0]).unwrap();
    let (code, report) = verify(&damaged, &[]);
    assert_eq!((code, report["errors"].as_array().unwrap().len()), (1, 0), "{report:#}");
    assert_eq!(backup_of(&report, &first)["state"], "ends_early");

    // Not what its name says: the WAL of another place.
    let damaged = copy(&ground, "renamed");
    let (from, to) = (&files_of(&damaged, &between)[0], &files_of(&damaged, &last)[0]);
    std::fs::copy(from, to).unwrap();
    assert_eq!(verify(&damaged, &[]).0, 1);
}

#[tokio::test]
async fn the_next_backup_heals_what_the_server_still_has() {
    let ground = Ground::new("").await;
    ground.cluster.pgbench(&["-i", "-s", "2", "-q"]).await;
    let first = ground.backup();
    flip_a_bit(&largest(&ground.archive.repository(), "/packs/"));
    let output = ground.pgtend(&["repo", "verify"]);
    assert!(output.status.code() == Some(1) && said(&output).contains("pgtend backup run"), "{}", said(&output));
    let second = ground.backup();
    let output = ground.pgtend(&["repo", "verify", "--format", "json"]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(backup_of(&report[0], &second)["state"], "whole", "{report:#}");
    assert_eq!(backup_of(&report[0], &first)["state"], "whole", "what both have is there again: {report:#}");
    ground.books_are_right(&ground.restore("restored", &["--backup", &first]));
    // The agent remembers.
    let told = ground.agent.get("/api/v1/repositories/verify").await;
    assert_eq!(told[0]["last"]["verdict"], "damaged", "{told:#}");
    let sample = ground.json_of_any_code(&["repo", "verify", "--sample", "50%", "--seed", "7"]);
    let again = ground.json_of_any_code(&["repo", "verify", "--sample", "50", "--seed", "7"]);
    assert_eq!((&sample[0]["checked"]["packs"], &sample[0]["seed"]), (&again[0]["checked"]["packs"], &Value::from(7)));
}

impl Ground {
    fn json_of_any_code(&self, arguments: &[&str]) -> Value {
        serde_json::from_slice(&self.pgtend(&[arguments, &["--format", "json"]].concat()).stdout).unwrap()
    }
}

#[tokio::test]
async fn a_wrong_key_is_told_and_a_host_that_cannot_read_checks_what_it_can() {
    use pgtend_store::repo::Repository;
    use pgtend_store::repo::keys::{Access, Identity};
    use pgtend_store::repo::storage::Directory;
    use pgtend_store::repo::write::Options;
    let dir = tempfile::TempDir::new().unwrap();
    let (host, reader) = (Identity::generate(), Identity::generate());
    let key = |name: &str, identity: &Identity| {
        let path = dir.path().join(name);
        std::fs::write(&path, identity.key_file()).unwrap();
        path.display().to_string()
    };
    let place = dir.path().join("repository");
    let access = Access::WriteOnly { host: host.clone(), readers: vec![reader.recipient()] };
    let storage = std::sync::Arc::new(Directory::make(&place).unwrap());
    let repository = Repository::create(storage, &access, jiff::Timestamp::now()).unwrap();
    let writing = repository.write(Options::default(), &std::collections::HashSet::new()).unwrap();
    let mut writer = writing.writer().unwrap();
    writer.add(&vec![7; 300_000], None).unwrap();
    writer.finish().unwrap();
    writing.finish().unwrap();

    let run = |key: &str| Command::new(PGTEND).args(["repo", "verify", "--key-file", key, "--from"]).arg(&place).output().unwrap();
    let wrong = run(&key("wrong", &Identity::generate()));
    assert!(wrong.status.code() == Some(77) && said(&wrong).contains("does not open this repository"), "{}", said(&wrong));
    let config = dir.path().join("pgtend.toml");
    let text = format!(
        "[[server]]\nname = \"main\"\ndsn = \"\"\n[agent]\nstate_directory = \"{}\"\n[[backup.repository]]\npath = \"{}\"\nencryption = \"recipients\"\n\
         recipients = [\"{}\"]\nkey_file = \"{}\"\n",
        dir.path().display(),
        place.display(),
        reader.recipient(),
        key("host", &host)
    );
    std::fs::write(&config, text).unwrap();
    let blind = Command::new(PGTEND).args(["repo", "verify", "--config"]).arg(&config).output().unwrap();
    assert!(blind.status.code() == Some(2) && said(&blind).contains("without being able to read"), "{}", said(&blind));
    let whole = run(&key("reader", &reader));
    assert_eq!(whole.status.code(), Some(0), "{}", said(&whole));
    let kept = std::fs::read_to_string(dir.path().join("repo-verify/main.json")).unwrap();
    assert!(kept.contains("\"incomplete\""), "{kept}");
}
