//! Making a cluster. It is built beside its place under another name and renamed when it is whole, so that what was interrupted is
//! never taken for a cluster.

use super::os_user::OsUser;
use super::passfile::{AGENT, Passwords, SUPERUSER};
use super::system;
use pgtend_model::error::{Error, Kind, Result};
use pgtend_model::up::Installation;
use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

/// The file with the settings, in the data directory.
pub const CONFIGURATION_FILE: &str = "pgtend.conf";
/// How the names of unfinished clusters begin, beside the data directory.
pub const UNFINISHED: &str = "data.new-";

/// What to make.
#[derive(Debug)]
pub struct NewCluster<'a> {
    /// The programs.
    pub installation: &'a Installation,
    /// Who will own it.
    pub user: &'a OsUser,
    /// The data directory; it must not exist, its parent must.
    pub data: &'a Path,
    /// The text of [`CONFIGURATION_FILE`].
    pub configuration: &'a str,
    /// The passwords of its two roles.
    pub passwords: &'a Passwords,
}

/// What came out, as far as it was not given.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Created {
    /// The locale: `C.UTF-8`, or `C` where this system does not have it.
    pub locale: String,
}

/// Makes the cluster: checksums, UTF-8, passwords by SCRAM for everybody, the settings, the role for pgtend and the extensions.
///
/// # Errors
/// `System` or `Server` with what the program said; nothing but what was there before is left.
pub fn create(new: &NewCluster<'_>) -> Result<Created> {
    let building = unfinished_name(new.data)?;
    let made = build(new, &building).and_then(|created| {
        let renamed = fs::rename(&building, new.data).and_then(|()| sync_directory(new.data.parent()));
        renamed.map_err(|error| system("could not put the new cluster in its place", new.data, &error)).map(|()| created)
    });
    if made.is_err() {
        _ = fs::remove_dir_all(&building);
    }
    made
}

fn build(new: &NewCluster<'_>, building: &Path) -> Result<Created> {
    let created = initdb(new, building)?;
    new.user
        .run(|| write_configuration(building, new.configuration))?
        .map_err(|error| system("could not write the configuration", building, &error))?;
    let output = feed(new.user, &new.installation.bindir.join("postgres"), &single_user_arguments(building), &bootstrap_sql(new))?;
    if output.status.success() { Ok(created) } else { Err(failed("PostgreSQL could not be set up", &output)) }
}

fn unfinished_name(data: &Path) -> Result<PathBuf> {
    let mut bytes = [0_u8; 4];
    getrandom::fill(&mut bytes).map_err(|error| Error::new(Kind::System, format!("no random numbers for a name: {error}")))?;
    Ok(data.with_file_name(format!("{UNFINISHED}{:08x}", u32::from_be_bytes(bytes))))
}

/// Tries the locales in turn; the directory is made anew for each, since a failed initdb leaves it half filled.
fn initdb(new: &NewCluster<'_>, building: &Path) -> Result<Created> {
    let mut last = None;
    for locale in locales(new.installation.major) {
        make_directory(new.user, building)?;
        let mut arguments: Vec<String> = vec!["--pgdata".into(), building.display().to_string(), "--username".into(), SUPERUSER.into()];
        let fixed =
            ["--pwfile=/dev/stdin", "--auth-local=scram-sha-256", "--auth-host=scram-sha-256", "--data-checksums", "--encoding=UTF8"];
        arguments.extend(fixed.iter().map(ToString::to_string));
        arguments.extend(locale.iter().map(ToString::to_string));
        // The password goes through a pipe: a file could outlive us.
        let password = format!("{}\n", new.passwords.superuser.expose());
        let output = feed(new.user, &new.installation.bindir.join("initdb"), &arguments, &password)?;
        if output.status.success() {
            return Ok(Created {
                locale: locale.last().and_then(|argument| argument.split_once('=')).map(|(_, name)| name.to_owned()).unwrap_or_default(),
            });
        }
        let complaint = String::from_utf8_lossy(&output.stderr).contains("locale");
        last = Some(failed("the cluster could not be made", &output));
        if !complaint {
            break;
        }
        fs::remove_dir_all(building).map_err(|error| system("could not clear an attempt", building, &error))?;
    }
    Err(last.unwrap_or_else(|| Error::new(Kind::Internal, "no locale was tried")))
}

/// Locales that sort by code point: an upgrade of the system's C library cannot change their order, which would break indexes on
/// text. 17 brings its own C.UTF-8, independent of the system's.
const fn locales(major: u16) -> &'static [&'static [&'static str]] {
    if major >= 17 {
        &[
            &["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C.UTF-8"],
            &["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"],
        ]
    } else {
        &[&["--locale=C.UTF-8"], &["--locale=C"]]
    }
}

fn make_directory(user: &OsUser, directory: &Path) -> Result<()> {
    let make = || {
        fs::create_dir(directory)?;
        fs::set_permissions(directory, fs::Permissions::from_mode(0o700))
    };
    make().map_err(|error| system("could not make a directory for the cluster", directory, &error))?;
    user.own(directory)
}

fn write_configuration(data: &Path, configuration: &str) -> io::Result<()> {
    let include = format!(
        "\n# Sized to this machine by pgtend, with the reason of each setting.\ninclude '{CONFIGURATION_FILE}'\n\n# Your own settings below win over those in {CONFIGURATION_FILE}.\n"
    );
    let mut file = fs::File::options().write(true).create_new(true).open(data.join(CONFIGURATION_FILE))?;
    file.set_permissions(fs::Permissions::from_mode(0o600))?;
    file.write_all(configuration.as_bytes())?;
    file.sync_all()?;
    let mut file = fs::File::options().append(true).open(data.join("postgresql.conf"))?;
    file.write_all(include.as_bytes())?;
    file.sync_all()
}

/// Single-user mode needs no port and lets nobody else in. Reading the configuration here also proves it before the first start.
/// An error must not write the statement, which has a password, anywhere.
fn single_user_arguments(data: &Path) -> Vec<String> {
    let mut arguments: Vec<String> = vec!["--single".into(), "-D".into(), data.display().to_string()];
    let settings = [
        "exit_on_error=on",
        "logging_collector=off",
        "log_destination=stderr",
        "log_min_error_statement=panic",
        "log_statement=none",
        "log_min_duration_statement=-1",
        "auto_explain.log_min_duration=-1",
        "archive_mode=off",
    ];
    for setting in settings {
        arguments.extend(["-c".to_owned(), setting.to_owned()]);
    }
    arguments.push("postgres".into());
    arguments
}

/// One statement a line, as single-user mode reads them. The extensions go into the database `postgres` alone: one there shows every
/// database, and in template1 they would follow each new database into every dump.
fn bootstrap_sql(new: &NewCluster<'_>) -> String {
    let mut sql = format!("CREATE ROLE {AGENT} LOGIN PASSWORD '{}';\n", new.passwords.agent.expose());
    let roles = match new.installation.major {
        // Who backs up every file may read every row: logical backups and the exact counts of drills need it.
        16.. => "pg_monitor, pg_signal_backend, pg_read_all_data, pg_use_reserved_connections",
        14.. => "pg_monitor, pg_signal_backend, pg_read_all_data",
        _ => "pg_monitor, pg_signal_backend",
    };
    _ = writeln!(sql, "GRANT {roles} TO {AGENT};");
    _ = writeln!(sql, "COMMENT ON ROLE {AGENT} IS 'pgtend: watches this server, backs it up, and ends sessions when told to';");
    sql.push_str(&configuration_grants(new.installation.major));
    sql.push_str(&backup_grants(new.installation.major));
    for extension in ["pg_stat_statements", "pg_buffercache"] {
        _ = writeln!(
            sql,
            "DO $$ BEGIN IF EXISTS (SELECT FROM pg_catalog.pg_available_extensions WHERE name = '{extension}') THEN CREATE EXTENSION {extension}; END IF; END $$;"
        );
    }
    sql
}

/// What is wrong in the configuration files, which otherwise only the superuser may see.
fn configuration_grants(major: u16) -> String {
    let mut sources = vec![("pg_file_settings", "pg_show_all_file_settings"), ("pg_hba_file_rules", "pg_hba_file_rules")];
    if major >= 15 {
        sources.push(("pg_ident_file_mappings", "pg_ident_file_mappings"));
    }
    let grant = |(view, function): (&str, &str)| {
        format!("GRANT SELECT ON pg_catalog.{view} TO {AGENT};\nGRANT EXECUTE ON FUNCTION pg_catalog.{function}() TO {AGENT};\n")
    };
    sources.into_iter().map(grant).collect()
}

/// What a backup does at the server, which otherwise only the superuser may.
fn backup_grants(major: u16) -> String {
    let around: [&str; 2] = if major >= 15 {
        ["pg_backup_start(text, boolean)", "pg_backup_stop(boolean)"]
    } else {
        ["pg_start_backup(text, boolean, boolean)", "pg_stop_backup(boolean, boolean)"]
    };
    let grant = |function: &str| format!("GRANT EXECUTE ON FUNCTION pg_catalog.{function} TO {AGENT};\n");
    around.into_iter().chain(["pg_switch_wal()", "pg_create_restore_point(text)"]).map(grant).collect()
}

/// Runs a program as the user, with this on its standard input.
fn feed(user: &OsUser, program: &Path, arguments: &[String], input: &str) -> Result<Output> {
    let run = || -> io::Result<Output> {
        let mut command = user.command(program);
        let mut child = command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            // A program that ended early says why on its standard error.
            _ = stdin.write_all(input.as_bytes());
        }
        child.wait_with_output()
    };
    user.run(run)?.map_err(|error| system("could not run it", program, &error))
}

fn failed(what: &str, output: &Output) -> Error {
    let said = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<&str> = said.lines().map(str::trim_end).filter(|line| !line.is_empty() && !line.contains("DEBUG:")).collect();
    let first = lines.len().saturating_sub(8);
    let words: String = lines[first..].iter().map(|line| format!("\n    {line}")).collect();
    let error = Error::new(Kind::Server, format!("{what} ({}):{words}", output.status));
    if said.contains("No space left on device") {
        Error { kind: Kind::System, ..error }.hint("make room on this file system, or choose a directory on another one")
    } else if said.contains("Cannot allocate memory") || said.contains("could not map anonymous shared memory") {
        Error { kind: Kind::System, ..error }.hint("this machine does not have the memory free that a new server asks for")
    } else {
        error
    }
}

fn sync_directory(directory: Option<&Path>) -> io::Result<()> {
    directory.map_or(Ok(()), |directory| fs::File::open(directory)?.sync_all())
}
