//! What was proved of a server and of its backups, and when: what metrics and alert rules go by.

use super::repo_report::{BackupState, RepoReport};
use crate::verify::kept::Kept as Verified;
use jiff::Timestamp;

/// What is known for certain.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Proofs {
    /// What the last verification of the whole server found.
    pub server: Option<ServerProof>,
    /// What the last verification of each repository found.
    pub repositories: Vec<RepositoryProof>,
    /// What the last drill showed.
    pub drill: Option<DrillProof>,
}

/// What a verification of the server found.
#[derive(Debug, Clone, PartialEq)]
pub struct ServerProof {
    /// When it ended.
    pub at: Timestamp,
    /// What is damaged.
    pub errors: u64,
    /// When everything was last looked at, and nothing was damaged.
    pub clean_at: Option<Timestamp>,
}

/// What a verification of a repository found.
#[derive(Debug, Clone, PartialEq)]
pub struct RepositoryProof {
    /// Name of the repository.
    pub repository: String,
    /// When it ended.
    pub at: Timestamp,
    /// Objects that are damaged.
    pub errors: u64,
    /// Backups that cannot be restored as they are.
    pub hurt_backups: u64,
}

/// What a drill showed.
#[derive(Debug, Clone, PartialEq)]
pub struct DrillProof {
    /// When it began.
    pub at: Timestamp,
    /// Whether it did not fail.
    pub passed: bool,
    /// When the last one began that did not fail.
    pub passed_at: Option<Timestamp>,
    /// Seconds to the first query.
    pub rto_seconds: Option<f64>,
    /// Seconds from the last commit that came back to the incident.
    pub rpo_seconds: Option<f64>,
}

impl ServerProof {
    /// Of what the agent keeps.
    pub fn of(kept: &Verified) -> Option<Self> {
        let whole = kept.whole.as_ref()?;
        let report = whole.report.as_ref()?;
        Some(Self { at: whole.at, errors: report.errors.len() as u64 + report.errors_left_out, clean_at: kept.last_clean_at })
    }
}

impl RepositoryProof {
    /// Of a report.
    pub fn of(report: &RepoReport) -> Self {
        Self {
            repository: report.repository.clone(),
            at: report.finished,
            errors: report.errors.len() as u64 + report.errors_left_out,
            hurt_backups: report.backups.iter().filter(|backup| backup.state != BackupState::Whole).count() as u64,
        }
    }
}
