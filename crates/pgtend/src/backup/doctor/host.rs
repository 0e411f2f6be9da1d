//! This machine, as the doctor sees it.

use pgtend_model::backup::doctor::{Asked, DiskFacts, FileFacts, HostFacts, SecurityFacts, ToolFacts};
use pgtend_model::config::Effective;
use pgtend_model::error::{Error, Kind};
use pgtend_postgres::process::clients::clients;
use pgtend_postgres::process::find::find;
use pgtend_postgres::process::os_user::{OsUser, user_name};
use rustix::fs::{Access, AtFlags, CWD, accessat};
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// Looks at the data directory, and at everything that is no server's.
pub fn look(data: Option<&Path>, config: &Effective) -> (Option<Asked<FileFacts>>, HostFacts) {
    let logical = &config.backup.logical;
    let staging = logical.staging_directory.clone().unwrap_or_else(|| config.agent.state_directory.join("staging"));
    let host = HostFacts {
        user: user_name(rustix::process::geteuid().as_raw()),
        tools: tools(logical.bindir.as_deref()),
        open_files: rustix::process::getrlimit(rustix::process::Resource::Nofile).current,
        security: security(),
        wal_disk: data.and_then(|data| disk(&data.join("pg_wal"))),
        staging: disk(&staging),
    };
    (data.map(file), host)
}

/// A file or directory, as this process may use it.
pub fn file(path: &Path) -> Asked<FileFacts> {
    let metadata = fs::metadata(path).map_err(|error| {
        Error::new(Kind::System, format!("it cannot be looked at: {error}"))
            .at(path.display().to_string())
            .hint("is it there, and may the agent's user enter every directory above it?")
    })?;
    let may = |access| accessat(CWD, path, access, AtFlags::EACCESS).is_ok();
    let enter = if metadata.is_dir() { Access::EXEC_OK } else { Access::empty() };
    Ok(FileFacts {
        path: path.display().to_string(),
        owner: user_name(metadata.uid()),
        mode: metadata.mode() & 0o7777,
        readable: may(Access::READ_OK | enter),
        writable: may(Access::WRITE_OK | enter),
    })
}

/// The file system that a path is on, or will be.
pub fn disk(path: &Path) -> Option<DiskFacts> {
    let existing = path.ancestors().find(|path| path.exists())?;
    let stat = rustix::fs::statvfs(existing).ok()?;
    #[expect(clippy::cast_precision_loss, reason = "a share")]
    let free_inodes = (stat.f_files > 0).then(|| stat.f_favail as f64 / stat.f_files as f64);
    Some(DiskFacts {
        path: path.display().to_string(),
        free_bytes: stat.f_bavail * stat.f_frsize,
        total_bytes: stat.f_blocks * stat.f_frsize,
        free_inodes,
    })
}

fn tools(bindir: Option<&Path>) -> ToolFacts {
    let clients = clients(bindir);
    let having = |program: &str| -> Vec<u16> {
        let majors: BTreeSet<u16> =
            clients.iter().filter(|clients| clients.program(program).exists()).map(|clients| clients.major).collect();
        majors.into_iter().collect()
    };
    let installed = OsUser::choose(None).and_then(|user| find(None, &user)).map(|found| found.usable).unwrap_or_default();
    let postgres: BTreeSet<u16> = installed.iter().map(|installation| installation.major).collect();
    ToolFacts {
        postgres: postgres.into_iter().collect(),
        pg_dump: having("pg_dump"),
        pg_restore: having("pg_restore"),
        pg_verifybackup: having("pg_verifybackup"),
    }
}

fn security() -> SecurityFacts {
    let read = |path: &str| fs::read_to_string(path).ok().map(|text| text.trim_end_matches(['\n', '\0']).to_owned());
    let selinux = read("/sys/fs/selinux/enforce").map(|enforces| if enforces == "1" { "enforcing" } else { "permissive" }.to_owned());
    let apparmor = read("/sys/module/apparmor/parameters/enabled").is_some_and(|enabled| enabled == "Y");
    let label = read("/proc/self/attr/current").filter(|label| !label.is_empty() && !label.contains("unconfined") && label != "kernel");
    SecurityFacts { confined: label.filter(|_| selinux.is_some() || apparmor), selinux, apparmor }
}
