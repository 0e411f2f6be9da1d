//! Why the copy did not start, by what PostgreSQL said, and what to try then.

use super::facts::{Facts, SLRU_BYTES};
use super::plan::{Action, Asked};
use super::resetwal;

/// Why a start failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// WAL speaks of pages that are not there.
    InvalidPages,
    /// The checkpoint, or where replay begins, is not in the log.
    NoCheckpoint,
    /// The log ends before the backup of `backup_label` does.
    BackupEnd,
    /// A file of transaction states is missing.
    Slru(String),
    /// A configuration file is not accepted.
    Configuration(String),
    /// The disk is full.
    DiskFull,
    /// Something else.
    Other,
}

/// What to do now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// These, then another start.
    Try(Vec<Action>),
    /// Nothing; what a person may do.
    GiveUp(Vec<String>),
}

/// Reads why a start failed from what the server said.
pub fn read(said: &str) -> Failure {
    let has = |text: &str| said.contains(text);
    if has("WAL contains references to invalid pages") {
        Failure::InvalidPages
    } else if has("WAL ends before end of online backup")
        || has("could not locate required checkpoint record")
        || has("could not find redo location referenced")
    {
        Failure::BackupEnd
    } else if has("could not locate a valid checkpoint record") || has("invalid checkpoint record") || has("requested recovery target") {
        Failure::NoCheckpoint
    } else if let Some(path) = missing_slru(said) {
        Failure::Slru(path)
    } else if has("No space left on device") {
        Failure::DiskFull
    } else if let Some(file) = bad_configuration(said) {
        Failure::Configuration(file)
    } else {
        Failure::Other
    }
}

/// As in: `Could not open file "pg_xact/0000": No such file or directory.`
fn missing_slru(said: &str) -> Option<String> {
    let path = said.lines().find_map(|line| line.split_once("ould not open file \"")?.1.split_once("\": No such file"))?.0;
    ["pg_xact/", "pg_multixact/", "pg_subtrans/", "pg_commit_ts/"]
        .iter()
        .any(|directory| path.starts_with(directory))
        .then(|| path.to_owned())
}

/// As in: `configuration file "/data/postgresql.auto.conf" contains errors`, with the file that the first error is in.
fn bad_configuration(said: &str) -> Option<String> {
    let of = |line: &str| {
        let quoted = line.split_once("file \"")?.1.split_once('"')?.0;
        quoted.rsplit('/').next().filter(|name| name.ends_with(".conf")).map(str::to_owned)
    };
    let named = ["syntax error in file", "contains errors", "in file", "could not open configuration file", "could not load"];
    said.lines().filter(|line| named.iter().any(|name| line.contains(name))).find_map(of)
}

/// What to try after a start that failed. `tried` is what was done so far.
pub fn next(failure: &Failure, facts: &Facts, asked: Asked, tried: &[Action]) -> Next {
    let plain = Action::Start { ignore_invalid_pages: false };
    let again = |action: Action, start: Action| {
        if tried.contains(&action) { Next::GiveUp(Vec::new()) } else { Next::Try(vec![action, start]) }
    };
    let allow = |what: &str| Next::GiveUp(vec![format!("--aggressive {what}, on the copy")]);
    match failure {
        Failure::InvalidPages if asked.aggressive => {
            let ignoring = Action::Start { ignore_invalid_pages: true };
            if tried.contains(&ignoring) { Next::GiveUp(Vec::new()) } else { Next::Try(vec![ignoring]) }
        }
        Failure::InvalidPages => allow("passes over changes to pages that are not there"),
        Failure::BackupEnd if facts.label.is_some() && facts.has_run && asked.aggressive => {
            again(Action::SetAside { file: "backup_label".to_owned() }, plain)
        }
        Failure::BackupEnd if facts.label.is_some() && facts.has_run => allow("sets backup_label aside"),
        Failure::BackupEnd if facts.label.is_some() => {
            Next::GiveUp(vec!["WAL of the backup is missing: bring it (--wal), or restore it again with pgtend restore".to_owned()])
        }
        Failure::BackupEnd | Failure::NoCheckpoint => Next::GiveUp(vec![
            "the checkpoint is not in the log that is there: look for its segment elsewhere (--wal); a damaged one in pg_wal has to be replaced".to_owned(),
            resetwal::advice(facts),
        ]),
        Failure::Slru(path) if asked.aggressive => again(Action::FillSlru { files: vec![(path.clone(), SLRU_BYTES)] }, plain),
        Failure::Slru(path) => allow(&format!("makes up {path}, whose transactions then count as committed")),
        Failure::Configuration(file) => again(Action::SetAside { file: file.clone() }, plain),
        Failure::DiskFull => Next::GiveUp(vec!["the copy's disk is full: name another place with --copy-to".to_owned()]),
        Failure::Other => Next::GiveUp(vec!["a restore brings the server back without these files: pgtend restore".to_owned()]),
    }
}
