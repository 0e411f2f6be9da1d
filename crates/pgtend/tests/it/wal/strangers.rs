//! Who may ask, and an agent that may read nothing of the server itself.

use super::{Archive, PGTEND, archived, said, switch};
use std::fs;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};

/// A user of the operating system that has nothing to do with PostgreSQL.
const NOBODY: u32 = 65_534;

#[tokio::test]
async fn another_user_gets_no_wal_and_brings_none() {
    let archive = Archive::new();
    let cluster = archive.server(15).await;
    let _agent = archive.agent(&cluster, "").await;
    let name = switch(&cluster).await;
    archived(&cluster, &name).await;
    let path = cluster.data_directory().join("pg_wal").join(&name);
    let as_nobody = |arguments: &[&str]| {
        let mut command = Command::new(archive.program());
        command.args(["wal", arguments[0], "--socket"]).arg(archive.socket()).args(&arguments[1..]);
        said(&command.uid(NOBODY).gid(NOBODY).current_dir("/tmp").output().unwrap())
    };
    let (code, text) = as_nobody(&["push", path.to_str().unwrap()]);
    assert_eq!(code, Some(77), "{text}");
    assert!(text.contains("has nothing to do with the WAL of main"), "{text}");
    assert_eq!(as_nobody(&["get", &name, "stolen"]).0, Some(126));
}

/// An agent by hand, ended with the test.
struct Unprivileged(Child);

impl Drop for Unprivileged {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn an_agent_that_may_read_nothing_is_sent_the_wal() {
    let archive = Archive::new();
    let cluster = archive.server(15).await;
    let own = archive.directory.path().join("own");
    fs::create_dir(&own).unwrap();
    let place = own.display();
    let config = format!(
        "[[server]]\nname = \"main\"\ndsn = \"{}\"\ndata_directory = \"{}\"\n[api]\nlisten = \"off\"\n[metrics]\nlisten = \"off\"\n\
         [agent]\nstate_directory = \"{place}\"\nruntime_directory = \"{place}\"\n[backup]\nwal_socket = \"{place}/wal.socket\"\n\
         [[backup.repository]]\npath = \"{place}/repository\"\n",
        cluster.tcp_dsn(),
        cluster.data_directory().display()
    );
    let file = own.join("pgtend.toml");
    fs::write(&file, config).unwrap();
    for path in [&file, &own] {
        std::os::unix::fs::chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
    }
    let mut command = Command::new(archive.program());
    command.arg("agent").arg("--config").arg(&file).uid(NOBODY).gid(NOBODY).current_dir("/tmp").stdin(Stdio::null());
    let log = fs::File::create(archive.directory.path().join("log")).unwrap();
    let _agent = Unprivileged(command.stdout(Stdio::null()).stderr(log).spawn().unwrap());
    let socket = own.join("wal.socket");
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while !socket.exists() {
        assert!(std::time::Instant::now() < deadline, "{}", fs::read_to_string(archive.directory.path().join("log")).unwrap());
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let name = switch(&cluster).await;
    let path = cluster.data_directory().join("pg_wal").join(&name);
    let mut push = Command::new(PGTEND);
    let output = push.args(["wal", "push", "--socket"]).arg(&socket).arg(&path).output().unwrap();
    assert_eq!(said(&output), (Some(0), String::new()));
    let mut names = Vec::new();
    super::collect(&own.join("repository/wal"), &mut names);
    assert_eq!(names, [name]);
}
