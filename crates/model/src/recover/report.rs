//! What a recovery did, and what it comes to.

use super::diagnose::Finding;
use super::plan::Step;
use crate::verify::Verification;
use jiff::Timestamp;

/// What it comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Nothing was done: it was only asked what would be.
    Planned,
    /// The copy is whole: nothing that was committed is missing.
    Recovered,
    /// The copy runs, but something is lost or damaged.
    RecoveredWithLoss,
    /// The copy does not run.
    NotRecovered,
}

impl Outcome {
    /// The exit code: 0 whole, 1 with loss, 2 not at all.
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Planned | Self::Recovered => 0,
            Self::RecoveredWithLoss => 1,
            Self::NotRecovered => 2,
        }
    }

    /// In words.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Planned => "planned: nothing was done",
            Self::Recovered => "recovered: the copy is whole",
            Self::RecoveredWithLoss => "recovered with loss: the copy runs, but not everything is there or sound",
            Self::NotRecovered => "not recovered: the copy does not run",
        }
    }
}

/// How a step went.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Done {
    /// The step.
    #[serde(flatten)]
    pub step: Step,
    /// Whether it was done, and went well; none when it was not done.
    pub good: Option<bool>,
    /// What there is to tell.
    pub told: String,
}

/// The report.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Report {
    /// When.
    pub at: Timestamp,
    /// Which directory.
    pub data_directory: String,
    /// Where the copy is; none when none was made.
    pub copy: Option<String>,
    /// What it comes to.
    pub outcome: Outcome,
    /// What was wrong.
    pub findings: Vec<Finding>,
    /// What was done.
    pub steps: Vec<Done>,
    /// Up to where WAL was replayed.
    pub replayed_to: Option<String>,
    /// When the last transaction committed that was replayed.
    pub last_commit: Option<String>,
    /// What is lost, as far as it is known.
    pub lost: Vec<String>,
    /// What was found wrong in the copy.
    pub verification: Option<Verification>,
    /// Where the dump is of what could be read.
    pub salvage: Option<String>,
    /// What to do now.
    pub next: Vec<String>,
    /// What PostgreSQL said last before it was tried.
    pub log: Vec<String>,
    /// How long it took, in seconds.
    pub took_s: f64,
}
