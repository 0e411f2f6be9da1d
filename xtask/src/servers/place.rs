//! Where the test servers live: `PGTEND_TEST_SERVERS`, or a cache directory that the servers' own user can reach.

use std::env;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// The path of `servers.json`; the servers themselves are beside it.
///
/// root's cache is under /root, which nobody else may enter. PostgreSQL refuses to run as root, so the tests run it as
/// `postgres`: root's test servers are in /var/cache.
pub fn manifest() -> Result<PathBuf> {
    if let Some(path) = env::var_os("PGTEND_TEST_SERVERS") {
        return Ok(PathBuf::from(path));
    }
    let cache = if rustix::process::geteuid().is_root() {
        PathBuf::from("/var/cache")
    } else if let Some(cache) = env::var_os("XDG_CACHE_HOME") {
        PathBuf::from(cache)
    } else {
        PathBuf::from(env::var_os("HOME").context("HOME is not set, so there is no place for the test servers")?).join(".cache")
    };
    Ok(cache.join("pgtend/servers/servers.json"))
}

/// Makes the directory, and makes sure that another user (`postgres`, when this is root) can read it and enter it.
pub fn make_readable(directory: &Path) -> Result<()> {
    fs::create_dir_all(directory).with_context(|| format!("{} could not be made", directory.display()))?;
    if !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    fs::set_permissions(directory, fs::Permissions::from_mode(0o755))?;
    for ancestor in directory.ancestors() {
        if fs::metadata(ancestor)?.permissions().mode() & 0o001 == 0 {
            bail!(
                "{} cannot be entered by other users, but the tests run PostgreSQL as the user postgres. Set PGTEND_TEST_SERVERS to \
                 the path of a servers.json in a directory that can",
                ancestor.display()
            );
        }
    }
    Ok(())
}

/// Where programs may be: PostgreSQL's own directories, highest major first, then PATH and the places for administrators.
pub fn program_directories() -> Result<Vec<PathBuf>> {
    let mut places: Vec<PathBuf> = (13..=18).rev().map(|major| PathBuf::from(format!("/usr/lib/postgresql/{major}/bin"))).collect();
    let path = env::var_os("PATH").context("PATH is not set")?;
    places.extend(env::split_paths(&path));
    places.extend(["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from));
    Ok(places)
}
