//! Finds the file that a server logs to.

use pgtend_model::sample::{Reason, Unknown};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// How the file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `jsonlog`.
    Json,
    /// `csvlog`.
    Csv,
    /// `stderr`.
    Stderr,
}

/// The file that a server logs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Where it is.
    pub path: PathBuf,
    /// How it is written.
    pub kind: Kind,
}

/// What the server's settings tell, as far as they are known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Told {
    /// Whether `logging_collector` is on.
    pub collects: Option<bool>,
    /// `log_destination`.
    pub destination: Option<String>,
}

/// Finds it: the file that the configuration names; what the collector writes now, of several formats the one that says the most; without a
/// collector, the file that the first process has as its standard error.
///
/// # Errors
/// Why there is none, or it cannot be told which.
pub fn locate(data_directory: Option<&Path>, named: Option<&Path>, told: &Told) -> Result<Place, Unknown> {
    if let Some(path) = named {
        return Ok(Place { path: path.to_owned(), kind: kind_of(path) });
    }
    let directory = data_directory.ok_or_else(|| Unknown::new(Reason::Remote, "the agent was not told the server's data_directory"))?;
    match std::fs::read_to_string(directory.join("current_logfiles")) {
        Ok(text) => collected(directory, &text).ok_or_else(|| Unknown::new(Reason::Failed, "current_logfiles names no file")),
        Err(error) if error.kind() == ErrorKind::NotFound && told.collects == Some(true) => Err(not_collected(told)),
        Err(error) if error.kind() == ErrorKind::NotFound => standard_error(directory, told),
        Err(error) => Err(unreadable(&directory.join("current_logfiles"), &error)),
    }
}

fn kind_of(path: &Path) -> Kind {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("json") => Kind::Json,
        Some("csv") => Kind::Csv,
        _ => Kind::Stderr,
    }
}

/// Lines are `stderr log/postgresql.log`, relative to the data directory.
fn collected(directory: &Path, text: &str) -> Option<Place> {
    let files: Vec<(&str, &str)> = text.lines().filter_map(|line| line.split_once(' ')).collect();
    let kinds = [("jsonlog", Kind::Json), ("csvlog", Kind::Csv), ("stderr", Kind::Stderr)];
    let found = kinds.into_iter().find_map(|(name, kind)| Some((files.iter().find(|(known, _)| *known == name)?.1, kind)))?;
    Some(Place { path: directory.join(found.0), kind: found.1 })
}

fn not_collected(told: &Told) -> Unknown {
    let destination = told.destination.as_deref().unwrap_or("unknown");
    Unknown::new(Reason::Disabled, format!("the server collects no log file: log_destination is {destination}"))
}

/// The file behind the standard error of the server's first process.
fn standard_error(directory: &Path, told: &Told) -> Result<Place, Unknown> {
    let absent = |why: String| {
        Unknown::new(Reason::Disabled, format!("logging_collector is off, and {why}; log_file in [[server]] can name a file"))
    };
    if told.destination.as_deref().is_some_and(|destination| !destination.contains("stderr")) {
        return Err(not_collected(told));
    }
    let running = std::fs::read_to_string(directory.join("postmaster.pid"));
    let running = running.map_err(|error| match error.kind() {
        ErrorKind::NotFound => Unknown::new(Reason::Unreachable, "the server does not run"),
        _ => unreadable(&directory.join("postmaster.pid"), &error),
    })?;
    let pid: u32 =
        running.lines().next().and_then(|line| line.trim().parse().ok()).ok_or_else(|| absent("nobody knows its process".to_owned()))?;
    let link = PathBuf::from(format!("/proc/{pid}/fd/2"));
    let path = std::fs::read_link(&link).map_err(|error| unreadable(&link, &error))?;
    if path.metadata().is_ok_and(|metadata| metadata.is_file()) {
        return Ok(Place { path, kind: Kind::Stderr });
    }
    Err(absent(format!("the server writes its messages to {}", path.display())))
}

/// Why a file cannot be read.
pub(super) fn unreadable(path: &Path, error: &io::Error) -> Unknown {
    let reason = if error.kind() == ErrorKind::PermissionDenied { Reason::Privilege } else { Reason::Failed };
    let hint = match reason {
        Reason::Privilege => "; run the agent as the server\'s user, or in the group that log_file_mode lets read",
        _ => "",
    };
    Unknown::new(reason, format!("{} cannot be read: {error}{hint}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_what_is_collected_the_best_is_read() {
        let directory = tempfile::tempdir().unwrap();
        let place = |text: &str| {
            std::fs::write(directory.path().join("current_logfiles"), text).unwrap();
            locate(Some(directory.path()), None, &Told::default())
        };
        let at = |name: &str, kind| Ok(Place { path: directory.path().join(name), kind });
        assert_eq!(place("stderr log/a.log\ncsvlog log/a.csv\njsonlog ../log/a b.json\n"), at("../log/a b.json", Kind::Json));
        assert_eq!(place("stderr log/a.log\ncsvlog log/a.csv\n"), at("log/a.csv", Kind::Csv));
        assert_eq!(place("stderr /var/log/a.log\n"), Ok(Place { path: "/var/log/a.log".into(), kind: Kind::Stderr }));
        assert!(place("").is_err());
    }

    #[test]
    fn why_there_is_none_is_said() {
        let directory = tempfile::tempdir().unwrap();
        let reason = |told: &Told| locate(Some(directory.path()), None, told).unwrap_err().reason;
        let syslog = Told { collects: Some(false), destination: Some("syslog".to_owned()) };
        assert_eq!((reason(&syslog), reason(&Told::default())), (Reason::Disabled, Reason::Unreachable));
        assert_eq!(reason(&Told { collects: Some(true), ..Told::default() }), Reason::Disabled);
        assert_eq!(locate(None, None, &syslog).unwrap_err().reason, Reason::Remote);
        let own = std::process::id();
        std::fs::write(directory.path().join("postmaster.pid"), format!("{own}\n/data\n")).unwrap();
        let named = locate(None, Some(Path::new("/srv/log/x.csv")), &syslog).unwrap();
        assert_eq!(named.kind, Kind::Csv);
    }
}
