//! The operating-system user that test servers run as: `postgres` when the tests run as root, which PostgreSQL refuses.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

/// The user and group of a test server's processes and files.
#[derive(Debug, Clone, Copy)]
pub struct Account {
    uid: u32,
    gid: u32,
}

impl Account {
    /// The `postgres` user for root, otherwise the user who runs the tests.
    pub fn for_servers() -> Self {
        if !rustix::process::geteuid().is_root() {
            return Self { uid: rustix::process::geteuid().as_raw(), gid: rustix::process::getegid().as_raw() };
        }
        let passwd = fs::read_to_string("/etc/passwd").expect("/etc/passwd is readable");
        let postgres = passwd.lines().find(|line| line.starts_with("postgres:"));
        let mut fields = postgres.expect("root's test servers need the user \"postgres\"").split(':').skip(2);
        let mut number = || fields.next().and_then(|field| field.parse().ok()).expect("passwd fields 3 and 4 are numbers");
        Self { uid: number(), gid: number() }
    }

    /// A command that runs as this user, in `directory`, without the caller's `PG*` variables and with English messages.
    pub fn command(self, program: &Path, directory: &Path) -> Command {
        let mut command = Command::new(program);
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("PG")) {
            command.env_remove(name);
        }
        command.env("LC_ALL", "C").current_dir(directory);
        if rustix::process::geteuid().is_root() {
            command.uid(self.uid).gid(self.gid);
        }
        command
    }

    /// Makes this user the owner of a file or directory.
    pub fn own(self, path: &Path) {
        std::os::unix::fs::chown(path, Some(self.uid), Some(self.gid)).expect("the test's own files can change owner");
    }
}
