//! The Unix socket: the operating system says who is there.

use super::{over_socket, token};
use crate::harness::{Agent, Cluster};
use pgtend_postgres::process::os_user::OsUser;
use reqwest::{Method, StatusCode};
use serde_json::json;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

/// What a user of the operating system gets at a path, as status line and body.
fn as_user(user: &OsUser, socket: &Path, path: &str) -> std::io::Result<String> {
    let ask = || -> std::io::Result<String> {
        let mut stream = UnixStream::connect(socket)?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: pgtend\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    user.run(ask).unwrap()
}

/// An agent whose socket is where others can reach it.
async fn agent_with_socket(cluster: &Cluster, lines: &str) -> (Agent, tempfile::TempDir, PathBuf) {
    let directory = tempfile::Builder::new().prefix("pgtend-socket-").tempdir().unwrap();
    std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let socket = directory.path().join("api.sock");
    let config = format!("[api]\nlisten = \"127.0.0.1:0\"\nsocket = \"{}\"\n{lines}", socket.display());
    let agent = Agent::builder().socket(&socket).beside("main", cluster, "").config(&config).start().await;
    (agent, directory, socket)
}

#[tokio::test]
async fn a_user_has_the_role_that_the_configuration_gives() {
    if !rustix::process::geteuid().is_root() {
        return; // Only root can ask as somebody else; what one's own user may is tested below.
    }
    let cluster = Cluster::start(15).await;
    let (agent, _directory, socket) = agent_with_socket(&cluster, "socket_group = \"postgres\"").await;
    let postgres = OsUser::choose(Some("postgres")).unwrap();
    assert!(as_user(&postgres, &socket, "/api/v1/status").unwrap().starts_with("HTTP/1.1 200"));
    let refused = as_user(&postgres, &socket, "/api/v1/admin/tokens").unwrap();
    assert!(refused.starts_with("HTTP/1.1 403") && refused.contains("local user postgres is viewer"), "{refused}");
    let nobody = OsUser::choose(Some("nobody")).unwrap();
    assert_eq!(as_user(&nobody, &socket, "/api/v1/status").unwrap_err().kind(), std::io::ErrorKind::PermissionDenied);

    agent.write_config("[api.socket_roles]\n\"@postgres\" = \"admin\"");
    agent.signal("HUP");
    agent
        .wait_for("the new roles", async |_| as_user(&postgres, &socket, "/api/v1/admin/tokens").unwrap().starts_with("HTTP/1.1 200"))
        .await;
}

#[tokio::test]
async fn the_agents_own_user_may_do_everything_and_a_token_says_otherwise() {
    let cluster = Cluster::start(15).await;
    let agent = Agent::beside(&cluster).await;
    let viewer = token(&agent, "viewer", "viewer").await;
    over_socket(&agent, Method::GET, "/api/v1/admin/tokens", None).await.data();
    let http = reqwest::Client::builder().unix_socket(agent.socket()).build().unwrap();
    let request = |path: &str| http.get(format!("http://pgtend{path}")).bearer_auth(&viewer);
    super::reply(request("/api/v1/status")).await.data();
    super::reply(request("/api/v1/admin/tokens")).await.assert_failure(StatusCode::FORBIDDEN, "token viewer is viewer");
    let wrong = http.get("http://pgtend/api/v1/status").bearer_auth("pgtend_wrong");
    super::reply(wrong).await.assert_failure(StatusCode::UNAUTHORIZED, "unknown");
    let mode = std::fs::metadata(agent.socket()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o660);
    assert_eq!(json!(null), over_socket(&agent, Method::GET, "/api/v1/admin/tokens", None).await.data()["tokens"][0]["expires"]);
}
