//! This machine: files, programs, limits, what else may forbid access.

use super::checks::{bytes, fail, failed, ok, unknown, warn};
use super::{Check, DiskFacts, Facts, FileFacts, SecurityFacts};

/// Open files with which a backup of many relations gets by.
const OPEN_FILES: u64 = 1024;

/// All checks of this machine.
pub fn checks(facts: &Facts) -> Vec<Check> {
    let host = &facts.host;
    let mut checks = Vec::new();
    match &facts.data_directory {
        None => checks.push(unknown(
            "data_directory",
            &facts.server,
            "the server's files are not on this machine: only logical backups are taken of it",
            "run the agent beside the server, with data_directory",
        )),
        Some(Err(error)) => checks.push(failed("data_directory", &facts.server, error)),
        Some(Ok(directory)) => checks.push(data_directory(directory, facts)),
    }
    checks.extend(tools(facts));
    checks.push(match host.open_files {
        Some(limit) if limit < OPEN_FILES => {
            warn("limits", &host.user, format!("{limit} files may be open at once"), "LimitNOFILE=65536 in the agent's unit, or ulimit -n")
        }
        Some(limit) => ok("limits", &host.user, format!("{limit} files may be open at once")),
        None => ok("limits", &host.user, "any number of files may be open at once"),
    });
    checks.push(security(&host.security, &host.user));
    checks.extend(host.wal_disk.as_ref().map(|disk| room("wal_disk", disk, "pg_wal", 2 << 30)));
    checks.extend(host.staging.as_ref().filter(|_| facts.logical).map(|disk| room("staging", disk, "the staging directory", 1 << 30)));
    checks
}

fn data_directory(directory: &FileFacts, facts: &Facts) -> Check {
    let id = "data_directory";
    let user = &facts.host.user;
    if !directory.readable {
        let fix = format!("run the agent as {} or as root", directory.owner);
        return fail(id, &directory.path, format!("{user} may not read it; it belongs to {}", directory.owner), fix);
    }
    if directory.mode & 0o027 != 0 {
        return warn(
            id,
            &directory.path,
            format!("its mode is {:04o}: PostgreSQL does not start on that", directory.mode),
            format!("chmod 0700 {}", directory.path),
        );
    }
    ok(id, &directory.path, format!("{user} may read it; it belongs to {}", directory.owner))
}

fn tools(facts: &Facts) -> Vec<Check> {
    let tools = &facts.host.tools;
    let Ok(server) = &facts.asked else {
        return vec![unknown("tools", &facts.server, "which version is wanted is not known", "mend the connection first")];
    };
    let major = u16::try_from(server.version / 10_000).unwrap_or(0);
    let list = |majors: &[u16]| {
        if majors.is_empty() { "none".to_owned() } else { majors.iter().map(u16::to_string).collect::<Vec<_>>().join(", ") }
    };
    let mut checks = Vec::new();
    for (name, majors, needed, why) in [
        ("pg_dump", &tools.pg_dump, facts.logical, "logical backups"),
        ("pg_restore", &tools.pg_restore, facts.logical, "restoring a database of a logical backup"),
        ("postgres", &tools.postgres, false, "replaying WAL in a restore or a drill here"),
        ("pg_verifybackup", &tools.pg_verifybackup, false, "checking restored files by PostgreSQL's own tool"),
    ] {
        let later_will_do = name == "pg_dump" || name == "pg_restore" || name == "pg_verifybackup";
        let fits = majors.iter().any(|there| *there == major || (later_will_do && *there > major));
        let found = format!("{name} here: {}; wanted: {major}, for {why}", list(majors));
        let fix = format!("install postgresql-{major} or postgresql-client-{major}");
        checks.push(match (fits, needed) {
            (true, _) => ok("tools", name, found),
            (false, true) => fail("tools", name, found, fix),
            (false, false) => warn("tools", name, found, fix),
        });
    }
    checks
}

fn security(security: &SecurityFacts, user: &str) -> Check {
    let id = "confinement";
    match (&security.selinux, &security.confined) {
        (Some(mode), Some(label)) if mode == "enforcing" => warn(
            id,
            user,
            format!("SELinux is enforcing, and the agent runs as {label}"),
            "when access is denied: ausearch -m avc -ts recent; restorecon -Rv on the repository",
        ),
        (None, Some(profile)) => {
            warn(id, user, format!("AppArmor confines the agent: {profile}"), "when access is denied: journalctl -k | grep DENIED")
        }
        (Some(mode), _) => ok(id, user, format!("SELinux is {mode}; the agent is not confined")),
        (None, None) if security.apparmor => ok(id, user, "AppArmor is on; the agent is not confined"),
        (None, None) => ok(id, user, "neither SELinux nor AppArmor is on"),
    }
}

/// Whether a disk has this much room, and inodes.
pub fn room(id: &str, disk: &DiskFacts, what: &str, wanted: u64) -> Check {
    let found = format!("{} of {} are free for {what}", bytes(disk.free_bytes), bytes(disk.total_bytes));
    if disk.free_inodes.is_some_and(|share| share < 0.02) {
        return fail(id, &disk.path, "hardly any inode is free", "remove small files, or use a file system with more inodes");
    }
    if disk.free_bytes < wanted / 4 {
        return fail(id, &disk.path, found, "make room");
    }
    if disk.free_bytes < wanted {
        return warn(id, &disk.path, found, "make room");
    }
    ok(id, &disk.path, found)
}
