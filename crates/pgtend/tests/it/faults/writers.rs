//! Two writers at once: two servers, two agents for one server, a clone.

use super::{Ground, PGTEND, said, verify};
use crate::harness::{Agent, Cluster};
use crate::wal::{archived, switch};
use std::process::Command;

/// An agent for this cluster under this name, over a repository that is there.
async fn agent(cluster: &Cluster, name: &str, ground: &Ground, socket: &str) -> Agent {
    let config = format!(
        "[backup]\nschedule = \"off\"\nwal_timeout = \"5s\"\nwal_socket = \"{}\"\n[[backup.repository]]\npath = \"{}\"\nencryption = \"none\"\nkeep_count = 1\nkeep_days = 0\n",
        ground.dir.path().join(socket).display(),
        ground.archive.repository().display()
    );
    Agent::builder().beside(name, cluster, "").config(&config).start().await
}

/// A server that archives to the agent behind this socket.
async fn archiving(ground: &Ground, socket: &str, initdb: bool) -> Cluster {
    let command = format!("{} wal push --socket {} \"%p\"", ground.archive.program().display(), ground.dir.path().join(socket).display());
    let builder = Cluster::builder(15).config("archive_mode = on").config(format!("archive_command = '{command}'"));
    if initdb { builder.initdb(&["--data-checksums"]).start().await } else { builder.start().await }
}

fn run(agent: &Agent, arguments: &[&str]) -> std::process::Output {
    Command::new(PGTEND).arg("--socket").arg(agent.socket()).args(arguments).output().unwrap()
}

#[tokio::test]
async fn two_servers_share_a_repository() {
    let ground = Ground::new("keep_count = 1\nkeep_days = 0\n").await;
    let other = archiving(&ground, "other.wal", true).await;
    let second = agent(&other, "other", &ground, "other.wal").await;
    for cluster in [&ground.cluster, &other] {
        cluster.pgbench(&["-i", "-s", "2", "-q"]).await;
    }
    std::thread::scope(|scope| {
        for of in [&ground.agent, &second] {
            scope.spawn(move || {
                for _ in 0..3 {
                    // Each also expires the one before, and removes garbage.
                    let output = run(of, &["backup", "run"]);
                    assert!(output.status.success(), "{}{}", said(&output), of.log());
                }
            });
        }
    });
    let (code, report) = verify(&ground.archive.repository(), &[]);
    assert_eq!(code, 0, "{report:#}");
    assert_eq!(report["backups"].as_array().unwrap().len(), 2, "{report:#}");
    let (code, report) = verify(&ground.archive.repository(), &["--server", "other"]);
    assert_eq!((code, report["backups"].as_array().unwrap().len()), (0, 1), "{report:#}");
    ground.books_are_right(&ground.restore("main", &["--server", "main"]));
}

#[tokio::test]
async fn two_agents_of_one_server_do_not_take_its_backup_at_once() {
    let ground = Ground::new("").await;
    ground.cluster.pgbench(&["-i", "-s", "2", "-q"]).await;
    let second = agent(&ground.cluster, "main", &ground, "second.wal").await;
    let mut refused = 0;
    for _ in 0..4 {
        let outputs = std::thread::scope(|scope| {
            let threads: Vec<_> = [&ground.agent, &second].map(|of| scope.spawn(move || run(of, &["backup", "run"]))).into();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
        });
        assert!(outputs.iter().any(|output| output.status.success()), "{}{}", said(&outputs[0]), said(&outputs[1]));
        for output in outputs.iter().filter(|output| !output.status.success()) {
            let text = said(output);
            assert!(text.contains("is going on: process") || text.contains("took the lock just now"), "{text}");
            refused += 1;
        }
    }
    assert!(refused > 0, "they never met");
    assert_eq!(verify(&ground.archive.repository(), &[]).0, 0);
}

#[tokio::test]
async fn a_clone_takes_no_backup_under_the_name_of_the_one_it_was_made_of() {
    let ground = Ground::new("").await;
    ground.backup();
    for _ in 0..3 {
        let segment = switch(&ground.cluster).await;
        archived(&ground.cluster, &segment).await;
    }
    // Clusters of one template have one system identifier. Its segments of WAL have the names of those that are there.
    let clone = archiving(&ground, "clone.wal", false).await;
    let of_clone = agent(&clone, "main", &ground, "clone.wal").await;
    let output = run(&of_clone, &["backup", "run"]);
    assert!(!output.status.success(), "{}", said(&output));
    let text = said(&output);
    assert!(text.contains("another server archives under its name") || text.contains("archive_command fails"), "{text}");
    let (code, report) = verify(&ground.archive.repository(), &[]);
    assert_eq!((code, report["backups"].as_array().unwrap().len()), (0, 1), "{report:#}");
}
