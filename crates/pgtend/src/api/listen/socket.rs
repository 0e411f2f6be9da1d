//! The Unix socket: made with its permissions before anybody can see it, and never taken from a living agent.

use super::cannot;
use pgtend_model::error::{Error, Kind, Result};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, PermissionsExt};
use std::path::Path;
use tokio::net::UnixListener;

/// Listens at this path: for the agent's user, and for the group.
pub(super) fn bind(path: &Path, group: Option<&str>) -> Result<UnixListener> {
    let failed = |error: std::io::Error| cannot(path, &error);
    if let Some(directory) = path.parent() {
        std::fs::DirBuilder::new().recursive(true).mode(0o755).create(directory).map_err(failed)?;
    }
    check_place(path)?;
    let made = path.with_extension("sock.new");
    let _left_by_a_crash = std::fs::remove_file(&made);
    let listener = UnixListener::bind(&made).map_err(failed)?;
    std::fs::set_permissions(&made, std::fs::Permissions::from_mode(0o660)).map_err(failed)?;
    if let Some(group) = group {
        std::os::unix::fs::chown(&made, None, Some(number_of(group)?)).map_err(failed)?;
    }
    std::fs::rename(&made, path).map_err(failed)?;
    Ok(listener)
}

/// What a dead agent left may be replaced; nothing else.
fn check_place(path: &Path) -> Result<()> {
    let Ok(found) = std::fs::symlink_metadata(path) else { return Ok(()) };
    if !found.file_type().is_socket() {
        return Err(cannot(path, &"something that is no socket is there"));
    }
    match std::os::unix::net::UnixStream::connect(path) {
        Ok(_) => Err(Error::new(Kind::Conflict, "another agent answers at the socket")
            .at(path.display().to_string())
            .hint("end it, or give this one another api.socket")),
        Err(_) => Ok(()),
    }
}

fn number_of(group: &str) -> Result<u32> {
    let found = nix::unistd::Group::from_name(group).ok().flatten();
    found.map(|group| group.gid.as_raw()).ok_or_else(|| {
        Error::new(Kind::Config, format!("there is no group \"{group}\""))
            .at("api.socket_group")
            .hint(format!("make it with `groupadd --system {group}`, or name another one"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_dead_agents_socket_is_replaced_and_a_living_ones_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("run/pgtend.sock");
        let first = bind(&path, None).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o660);
        assert_eq!(bind(&path, None).unwrap_err().kind, Kind::Conflict);
        drop(first);
        drop(bind(&path, None).unwrap());
        assert_eq!(bind(&path, Some("no-such-group")).unwrap_err().kind, Kind::Config);

        let file = directory.path().join("file");
        std::fs::write(&file, "precious").unwrap();
        assert!(bind(&file, None).unwrap_err().what.contains("no socket"));
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "precious");
    }
}
