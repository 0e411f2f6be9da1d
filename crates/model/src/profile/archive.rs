//! Archiving: the settings by which PostgreSQL hands its write-ahead log to pgtend.

use super::{Section, Setting};
use std::path::Path;

/// The settings for a new server whose WAL goes through this command.
pub fn archive(command: &str) -> Vec<Setting> {
    let set = |name, value: &str, reason: &str| Section::Archive.set(name, value, reason);
    vec![
        set(
            "archive_mode",
            "on",
            "every piece of the write-ahead log is kept, so that the server can be brought back to any moment; a change needs a restart",
        ),
        set(
            "archive_command",
            command,
            "pgtend takes each segment into the repository beside this directory, and says so only when it is safe there; while pgtend is down, PostgreSQL keeps them and asks again",
        ),
        set(
            "archive_timeout",
            "60s",
            "a segment that is not full is handed over after a minute, so that no more than that is lost with the machine; a server in which nothing was written hands over nothing, and what is empty in a segment takes no room in the repository",
        ),
    ]
}

/// The `archive_command` that has this program give WAL to the service at this socket; none when a path cannot be written there.
pub fn archive_command(program: &Path, socket: &Path) -> Option<String> {
    Some(format!("{} wal push --socket {} \"%p\"", quoted(program)?, quoted(socket)?))
}

/// For the shell, and before it for PostgreSQL, which replaces what begins with a percent sign.
fn quoted(path: &Path) -> Option<String> {
    let text = path.to_str().filter(|text| !text.contains(['\n', '\r']))?;
    Some(format!("'{}'", text.replace('\'', "'\\''").replace('%', "%%")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_survive_postgresql_and_the_shell() {
        let command = |program: &str, socket: &str| archive_command(Path::new(program), Path::new(socket));
        assert_eq!(
            command("/usr/bin/pgtend", "/srv/up/wal.socket").unwrap(),
            "'/usr/bin/pgtend' wal push --socket '/srv/up/wal.socket' \"%p\""
        );
        assert_eq!(command("/it's 100%/pgtend", "/s").unwrap(), "'/it'\\''s 100%%/pgtend' wal push --socket '/s' \"%p\"");
        assert_eq!(command("/a\nb", "/s"), None);
    }
}
