//! What is written down of a verification: how far it is, and what the last one said.

use super::objects::Found;
use super::{Job, Request};
use jiff::Timestamp;
use pgtend_model::backup::repo_report::RepoReport;
use pgtend_model::error::{Error, Kind, Result};
use pgtend_store::repo::Repository;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Below an agent's state directory.
const DIRECTORY: &str = "repo-verify";

/// How far a verification is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Progressed {
    /// Id of the repository.
    repository: String,
    server: Option<String>,
    pub started: Timestamp,
    pub sample_percent: Option<f64>,
    pub seed: u64,
    /// Everything up to this key was read.
    pub after: Option<String>,
    pub found: Found,
}

impl Progressed {
    pub fn new(repository: &Repository, request: &Request, now: Timestamp) -> Self {
        #[expect(clippy::cast_sign_loss, reason = "any number will do")]
        let by_chance = (now.as_nanosecond() as u64) ^ u64::from(std::process::id());
        Self {
            repository: repository.description().id.clone(),
            server: request.server.clone(),
            started: now,
            sample_percent: request.sample_percent,
            // Numbers that are read back from JSON by whatever reads JSON.
            seed: request.seed.unwrap_or(by_chance % (1 << 53)),
            after: None,
            found: Found::default(),
        }
    }
}

/// Where progress is written down, by default.
pub fn progress_file(state_directory: &Path, repository: &str) -> PathBuf {
    state_directory.join(DIRECTORY).join(format!("{repository}.progress.json"))
}

fn report_file(state_directory: &Path, repository: &str) -> PathBuf {
    state_directory.join(DIRECTORY).join(format!("{repository}.json"))
}

/// Where a job left off.
pub(super) fn read(job: &Job, repository: &Repository) -> Result<Option<Progressed>> {
    let Some(path) = &job.state else {
        return Err(Error::new(Kind::Usage, "there is nothing to resume from").hint("say where progress is written down: --state FILE"));
    };
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed("the progress of the verification cannot be read", path, &error)),
    };
    let progressed: Progressed = serde_json::from_slice(&text).map_err(|error| {
        Error::new(Kind::Conflict, format!("the progress of the verification cannot be read: {error}"))
            .at(path.display().to_string())
            .hint("begin anew, without --resume")
    })?;
    let request = &job.request;
    let differs = progressed.repository != repository.description().id
        || progressed.server != request.server
        || progressed.sample_percent != request.sample_percent
        || request.seed.is_some_and(|seed| seed != progressed.seed);
    if differs {
        return Err(Error::new(Kind::Conflict, "what was begun was another verification: of another repository, server, or sample")
            .at(path.display().to_string())
            .hint("resume with the same options, or begin anew without --resume"));
    }
    Ok(Some(progressed))
}

/// Writes down how far it is.
pub(super) fn write(job: &Job, progressed: &Progressed) -> Result<()> {
    match &job.state {
        Some(path) => put(path, progressed),
        None => Ok(()),
    }
}

/// It is done.
pub(super) fn forget(job: &Job) {
    if let Some(path) = &job.state {
        let _ = fs::remove_file(path);
    }
}

/// Keeps the last report.
///
/// # Errors
/// `System` when it cannot be written.
pub fn remember(state_directory: &Path, report: &RepoReport) -> Result<()> {
    put(&report_file(state_directory, &report.repository), report)
}

/// The last report, if there is one that can be read.
pub fn last_report(state_directory: &Path, repository: &str) -> Option<RepoReport> {
    serde_json::from_slice(&fs::read(report_file(state_directory, repository)).ok()?).ok()
}

fn put(path: &Path, content: &impl Serialize) -> Result<()> {
    let json = serde_json::to_vec(content).map_err(|error| Error::new(Kind::Internal, format!("JSON cannot be written: {error}")))?;
    let unfinished = path.with_extension("tmp");
    let written = || -> io::Result<()> {
        if let Some(directory) = path.parent().filter(|directory| !directory.as_os_str().is_empty()) {
            fs::create_dir_all(directory)?;
        }
        fs::write(&unfinished, json)?;
        fs::rename(&unfinished, path)
    };
    written().map_err(|error| failed("the state of the verification cannot be written", path, &error))
}

fn failed(what: &str, path: &Path, error: &io::Error) -> Error {
    Error::new(Kind::System, format!("{what}: {error}")).at(path.display().to_string())
}
