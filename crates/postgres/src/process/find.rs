//! Finding the PostgreSQL programs of this machine.

use super::install_hint::install_command;
use super::os_user::OsUser;
use pgtend_model::error::{Error, Kind, Result};
use pgtend_model::up::Installation;
use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// The majors that pgtend knows.
pub const MAJORS: std::ops::RangeInclusive<u16> = 13..=18;

/// Where distributions and the project itself put the programs. `*` stands for one name or a part of it.
pub(super) const USUAL_PLACES: &[&str] = &[
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/usr/lib/postgresql*/bin",
    "/usr/libexec/postgresql*",
    "/usr/local/pgsql/bin",
    "/usr/local/pgsql-*/bin",
    "/opt/postgresql/*/bin",
    "/opt/homebrew/opt/postgresql@*/bin",
    "/usr/local/opt/postgresql@*/bin",
    "/Applications/Postgres.app/Contents/Versions/*/bin",
];

/// What was looked at and not taken, with the reason, for the error message.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Rejected {
    /// The directory.
    pub bindir: PathBuf,
    /// Why.
    pub reason: String,
}

/// The installations of this machine, the highest version first.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Installations {
    /// Those that can be used, never empty when [`find`] returns them.
    pub usable: Vec<Installation>,
    /// Those that cannot.
    pub rejected: Vec<Rejected>,
}

/// Finds the installations: only in `bindir` when it is given, otherwise in `PATH`, where a `pg_config` in `PATH` points, and in the
/// usual places.
///
/// # Errors
/// `NotFound` when there is none, with the command that installs one.
pub fn find(bindir: Option<&Path>, user: &OsUser) -> Result<Installations> {
    let candidates = match bindir {
        Some(bindir) => vec![bindir.to_path_buf()],
        None => candidates(user),
    };
    let mut found = Installations::default();
    let mut seen = BTreeSet::new();
    for candidate in candidates {
        let Some(directory) = home_of_programs(&candidate) else { continue };
        if !seen.insert(directory.clone()) {
            continue;
        }
        match examine(&directory, user) {
            Ok(installation) => found.usable.push(installation),
            Err(reason) => found.rejected.push(Rejected { bindir: directory, reason }),
        }
    }
    found.usable.sort_by_key(|installation| std::cmp::Reverse(sort_key(&installation.version)));
    if found.usable.is_empty() { Err(none_found(bindir, &found.rejected)) } else { Ok(found) }
}

/// The command that installs PostgreSQL, or this major of it, on this system: a sentence for a hint.
pub fn how_to_install(major: Option<u16>) -> String {
    let os_release = fs::read_to_string("/etc/os-release").or_else(|_| fs::read_to_string("/usr/lib/os-release")).ok();
    install_command(os_release.as_deref(), major, rustix::process::geteuid().is_root())
}

fn candidates(user: &OsUser) -> Vec<PathBuf> {
    let path: Vec<PathBuf> = env::var_os("PATH").map(|path| env::split_paths(&path).collect()).unwrap_or_default();
    let mut candidates = path.clone();
    candidates.extend(path.iter().map(|directory| directory.join("pg_config")).filter(|program| program.exists()).filter_map(|program| {
        let output = user.run(|| user.command(&program).arg("--bindir").output()).ok()?.ok()?;
        let said = String::from_utf8(output.stdout).ok()?;
        Some(PathBuf::from(said.trim()))
    }));
    for pattern in USUAL_PLACES {
        candidates.extend(expand(pattern));
    }
    candidates
}

/// The directories that a pattern with one `*` stands for.
pub(super) fn expand(pattern: &str) -> Vec<PathBuf> {
    let Some((before, after)) = pattern.split_once('*') else { return vec![pattern.into()] };
    let Some((parent, prefix)) = before.rsplit_once('/') else { return Vec::new() };
    let Ok(entries) = fs::read_dir(parent) else { return Vec::new() };
    let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    names.filter(|name| name.starts_with(prefix)).map(|name| PathBuf::from(format!("{parent}/{name}{after}"))).collect()
}

/// The directory in which `postgres` really lies, when there is one: `/usr/local/bin/postgres` may be a link into an installation,
/// and its other programs lie there.
fn home_of_programs(directory: &Path) -> Option<PathBuf> {
    let program = fs::canonicalize(directory.join("postgres")).ok()?;
    program.is_file().then(|| program.parent().map(Path::to_path_buf)).flatten()
}

fn examine(bindir: &Path, user: &OsUser) -> Result<Installation, String> {
    let program = bindir.join("postgres");
    if let Ok(Some(blocked)) = user.blocked_on_the_way_to(&program) {
        return Err(format!("the user {} cannot enter {}", user.name(), blocked.directory.display()));
    }
    let output = user.run(|| user.command(&program).arg("--version").output()).map_err(|error| error.what)?;
    let output = output.map_err(|error| format!("postgres --version: {error}"))?;
    let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let (major, version) = parse_version(&said).ok_or_else(|| {
        let complaint = String::from_utf8_lossy(&output.stderr);
        format!("postgres --version says {:?}", if said.is_empty() { complaint.trim() } else { &said })
    })?;
    if !MAJORS.contains(&major) {
        return Err(format!("PostgreSQL {version} is not one of {} to {}", MAJORS.start(), MAJORS.end()));
    }
    let executable = |name| fs::metadata(bindir.join(name)).is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0);
    if !executable("initdb") {
        return Err(format!("PostgreSQL {version} without initdb"));
    }
    Ok(Installation { bindir: bindir.to_path_buf(), major, version })
}

/// Major and version from `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)`, `… 18beta1`, `… 19devel`.
pub(super) fn parse_version(said: &str) -> Option<(u16, String)> {
    let version = said.split_once("(PostgreSQL) ")?.1.split_whitespace().next()?;
    let digits = version.find(|c: char| !c.is_ascii_digit()).unwrap_or(version.len());
    Some((version[..digits].parse().ok()?, version.to_owned()))
}

/// Orders versions; a release stands above its betas.
pub(super) fn sort_key(version: &str) -> (u32, u32, String) {
    let (major, minor) = version.split_once('.').unwrap_or((version, ""));
    let number = |text: &str| text.chars().take_while(char::is_ascii_digit).collect::<String>().parse().unwrap_or(0);
    (number(major), if minor.is_empty() { 0 } else { 1 + number(minor) }, version.to_owned())
}

fn none_found(bindir: Option<&Path>, rejected: &[Rejected]) -> Error {
    let mut what = match bindir {
        Some(bindir) => format!("there is no usable PostgreSQL in {}", bindir.display()),
        None => format!("no PostgreSQL {} to {} is installed here", MAJORS.start(), MAJORS.end()),
    };
    for Rejected { bindir, reason } in rejected {
        what.push_str(&format!("; {}: {reason}", bindir.display()));
    }
    let hint = match bindir {
        Some(_) => "--bindir is the directory with postgres and initdb; without it pgtend looks in PATH and the usual places".into(),
        None => format!("{}, or name the directory of its programs with --bindir", how_to_install(None)),
    };
    Error::new(Kind::NotFound, what).hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_as_servers_say_them() {
        assert_eq!(parse_version("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)"), Some((15, "15.18".into())));
        assert_eq!(parse_version("postgres (PostgreSQL) 18beta1"), Some((18, "18beta1".into())));
        assert_eq!(parse_version("psql: command not found"), None);
    }

    #[test]
    fn the_highest_version_is_first() {
        let mut versions = ["9.6.24", "18beta1", "15.9", "18.4", "15.18", "18rc1"];
        versions.sort_by_key(|version| std::cmp::Reverse(sort_key(version)));
        assert_eq!(versions, ["18.4", "18rc1", "18beta1", "15.18", "15.9", "9.6.24"]);
    }

    fn program(directory: &Path, name: &str, says: &str) {
        let path = directory.join(name);
        fs::write(&path, format!("#!/bin/sh\necho '{says}'\n")).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn directory() -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
        directory
    }

    #[test]
    fn a_link_leads_to_the_installation() {
        let (real, links, user) = (directory(), directory(), OsUser::choose(None).unwrap());
        program(real.path(), "postgres", "postgres (PostgreSQL) 17.10");
        program(real.path(), "initdb", "");
        std::os::unix::fs::symlink(real.path().join("postgres"), links.path().join("postgres")).unwrap();
        let found = find(Some(links.path()), &user).unwrap();
        let bindir = fs::canonicalize(real.path()).unwrap();
        assert_eq!(found.usable, [Installation { bindir, major: 17, version: "17.10".into() }]);
    }

    #[test]
    fn what_cannot_be_used_is_named_with_its_reason() {
        let (place, user) = (directory(), OsUser::choose(None).unwrap());
        program(place.path(), "postgres", "postgres (PostgreSQL) 12.22");
        let error = find(Some(place.path()), &user).unwrap_err();
        assert_eq!(error.kind, Kind::NotFound);
        assert!(error.what.contains("PostgreSQL 12.22 is not one of 13 to 18"), "{error}");
        program(place.path(), "postgres", "postgres (PostgreSQL) 16.4");
        assert!(find(Some(place.path()), &user).unwrap_err().what.contains("without initdb"));
        assert!(find(Some(Path::new("/nonexistent")), &user).unwrap_err().what.contains("/nonexistent"));
    }

    #[test]
    fn patterns_stand_for_directories() {
        let place = directory();
        for name in ["pgsql-13", "pgsql-18", "mysql"] {
            fs::create_dir_all(place.path().join(name)).unwrap();
        }
        let mut found = expand(&format!("{}/pgsql-*/bin", place.path().display()));
        found.sort();
        assert_eq!(found, [place.path().join("pgsql-13/bin"), place.path().join("pgsql-18/bin")]);
        assert_eq!(expand("/usr/local/pgsql/bin"), [PathBuf::from("/usr/local/pgsql/bin")]);
    }
}
