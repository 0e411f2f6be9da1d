//! How PostgreSQL hands its WAL to the pgtend that looks after it.

use super::ground::Ground;
use super::layout::Layout;
use crate::backup::open::open_or_make;
use pgtend_model::config::Repository;
use pgtend_model::error::Result;
use pgtend_model::profile::archive_command;
use pgtend_model::up::Archiving;
use pgtend_postgres::process::create::CONFIGURATION_FILE;
use pgtend_postgres::process::os_user::OsUser;
use pgtend_postgres::process::system;
use std::env;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// The repository in a directory of `pgtend up`.
pub fn repository(layout: &Layout) -> Repository {
    Repository::in_directory(layout.repository(), layout.repository_key())
}

/// Makes it with its key, before there is a server that needs it.
///
/// # Errors
/// What the file system says.
pub fn make_repository(layout: &Layout) -> Result<()> {
    open_or_make(&repository(layout), &layout.state()).map(|_| ())
}

/// How the server in this directory archives, and how it should.
pub fn survey(user: &OsUser, layout: &Layout) -> Result<Archiving> {
    Ok(Archiving { command: archive_command(&program(user, layout)?, &layout.wal_socket()), found: configured(&layout.data()) })
}

/// Whether PostgreSQL hands its WAL to pgtend, by its files.
pub fn comes_here(data: &Path) -> bool {
    configured(data).is_some_and(|command| command.contains("wal push"))
}

/// The program that PostgreSQL's user can run: this one, or a copy where the way to this one is closed to it.
fn program(user: &OsUser, layout: &Layout) -> Result<PathBuf> {
    let own = own_program()?;
    let blocked = user.blocked_on_the_way_to(&own)?.is_some();
    Ok(if blocked { layout.program() } else { own })
}

fn own_program() -> Result<PathBuf> {
    env::current_exe().map_err(|error| system("could not tell which program this is", Path::new("/proc/self/exe"), &error))
}

/// Puts the copy in its place, where one is needed; that of an older version is replaced.
///
/// # Errors
/// `System` when it cannot be made.
pub fn provide_program(ground: &Ground) -> Result<()> {
    let (copy, own) = (ground.layout.program(), own_program()?);
    if program(&ground.user, &ground.layout)? != copy || is_same(&own, &copy) {
        return Ok(());
    }
    let directory = copy.parent().unwrap_or(Path::new("/"));
    let unfinished = copy.with_extension("new");
    let make = || {
        fs::create_dir_all(directory)?;
        fs::set_permissions(directory, fs::Permissions::from_mode(0o755))?;
        let _left_by_a_crash = fs::remove_file(&unfinished);
        // A link takes no room, but there is none across file systems.
        fs::hard_link(&own, &unfinished).or_else(|_| fs::copy(&own, &unfinished).map(|_| ()))?;
        fs::rename(&unfinished, &copy)
    };
    make().map_err(|error| system("could not put the program where PostgreSQL can run it", &copy, &error))
}

fn is_same(own: &Path, copy: &Path) -> bool {
    let (Ok(own), Ok(copy)) = (fs::metadata(own), fs::metadata(copy)) else { return false };
    (own.dev(), own.ino()) == (copy.dev(), copy.ino()) || (own.len() == copy.len() && own.modified().ok() <= copy.modified().ok())
}

/// The last `archive_command` in the server's files, as far as they are where PostgreSQL and pgtend write them.
fn configured(data: &Path) -> Option<String> {
    let files = [CONFIGURATION_FILE, "postgresql.conf", "postgresql.auto.conf"];
    let texts = files.iter().filter_map(|name| fs::read_to_string(data.join(name)).ok());
    let lines: Vec<String> = texts.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>()).collect();
    lines.iter().rev().find_map(|line| value(line))
}

fn value(line: &str) -> Option<String> {
    let rest = line.trim().strip_prefix("archive_command")?.trim_start().trim_start_matches('=').trim();
    let quoted = rest.strip_prefix('\'')?;
    Some(quoted.strip_suffix('\'').unwrap_or(quoted).replace("''", "'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_is_read_back_as_it_was_written() {
        let command = archive_command(Path::new("/it's/pgtend"), Path::new("/srv/wal.socket")).unwrap();
        let settings = pgtend_model::profile::archive(&command);
        let text = pgtend_model::profile::render(&settings, "a test", "2026-01-02");
        assert_eq!(text.lines().find_map(value), Some(command));
        assert_eq!(value("#archive_command = ''"), None);
    }
}
