//! Full disks: the repository's while a backup is written, and the one that something is restored to.

use super::{Ground, said, verify};
use crate::wal::{Small, archived, switch};
use std::process::Command;

#[tokio::test]
async fn a_full_repository_fails_the_backup_and_keeps_what_is_there_whole() {
    let ground = Ground::new("").await;
    ground.cluster.pgbench(&["-i", "-s", "1", "-q"]).await;
    // The repository goes to a small file system; the agent finds it there as it left it.
    let (place, moved) = (ground.archive.repository(), ground.dir.path().join("small"));
    let first = ground.backup();
    let _small = Small::mount(&moved, "128m");
    let copied = Command::new("cp").arg("-a").arg(format!("{}/.", place.display())).arg(&moved).status().unwrap();
    assert!(copied.success());
    std::fs::rename(&place, ground.dir.path().join("before")).unwrap();
    std::os::unix::fs::symlink(&moved, &place).unwrap();

    ground.cluster.psql("create table noise as select md5(n::text) || md5((n * 7)::text) as x from generate_series(1, 500000) n").await;
    let last = switch(&ground.cluster).await;
    archived(&ground.cluster, &last).await;
    let filler = moved.join("filler");
    // The WAL of the table is there already, and more still finds room; the packs with the table do not.
    let free = rustix::fs::statvfs(&moved).map(|free| free.f_bavail * free.f_frsize).unwrap();
    std::fs::write(&filler, vec![1; usize::try_from(free).unwrap() - (7 << 20)]).unwrap();
    let output = ground.pgtend(&["backup", "run"]);
    let text = said(&output);
    assert!(!output.status.success() && text.contains("No space left") && text.contains("make room there"), "{text}");
    let (code, report) = verify(&moved, &[]);
    let there: Vec<&str> = report["backups"].as_array().unwrap().iter().map(|backup| backup["label"].as_str().unwrap()).collect();
    assert_eq!((code, there), (0, vec![first.as_str()]), "{report:#}");

    std::fs::remove_file(&filler).unwrap();
    let second = ground.backup();
    assert_eq!(verify(&moved, &[]).0, 0);
    ground.books_are_right(&ground.restore("restored", &["--backup", &second]));
}

#[tokio::test]
async fn a_restore_to_a_full_disk_is_refused_or_leaves_no_half_cluster() {
    let ground = Ground::new("").await;
    ground.cluster.pgbench(&["-i", "-s", "2", "-q"]).await;
    ground.backup();
    let small = ground.dir.path().join("small");
    let _small = Small::mount(&small, "20m");
    std::fs::set_permissions(&small, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let into = small.join("restored");
    let output = ground.pgtend(&["restore", "--immediate", "--into", into.to_str().unwrap()]);
    assert!(!output.status.success() && !into.exists(), "{}", said(&output));
    assert!(said(&output).contains("free") || said(&output).contains("room"), "{}", said(&output));

    // Room that somebody else takes meanwhile.
    let large = ground.dir.path().join("large");
    let _large = Small::mount(&large, "200m");
    std::fs::set_permissions(&large, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let into = large.join("restored");
    let mut command = Command::new(ground.archive.program());
    command.arg("--socket").arg(ground.agent.socket()).args(["restore", "--no-recovery", "--immediate", "--into"]).arg(&into);
    let mut restore = command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap();
    while !into.exists() && restore.try_wait().unwrap().is_none() {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    let full = std::fs::write(large.join("filler"), vec![1; 200 << 20]);
    let output = restore.wait_with_output().unwrap();
    assert!(full.is_err());
    let has_control = into.join("global/pg_control").metadata().is_ok_and(|control| control.len() > 0);
    if !output.status.success() {
        assert!(said(&output).contains("No space left"), "{}", said(&output));
        assert!(into.join("pgtend-restore-unfinished").exists() && !has_control);
    }
    std::fs::remove_file(large.join("filler")).unwrap();
    let arguments = ["restore", "--no-recovery", "--immediate", "--delta", "--into", into.to_str().unwrap()];
    let again = Command::new(ground.archive.program()).arg("--socket").arg(ground.agent.socket()).args(arguments).output().unwrap();
    assert!(again.status.success() && into.join("global/pg_control").exists(), "{}", said(&again));
}
