//! What a repair, or bringing back pages, did.

use super::plan::Step;
use crate::pgdata::Lsn;
use crate::verify::{Verdict, Verification};

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

/// The report of a repair.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Repaired {
    /// Whether it was only told what would be done.
    pub dry_run: bool,
    /// Which directory.
    pub data_directory: String,
    /// The backup that was taken first.
    pub backup: Option<String>,
    /// The steps.
    pub steps: Vec<Done>,
    /// What a verification found afterwards, of what was damaged; none when nothing was done.
    pub verification: Option<Verification>,
}

impl Repaired {
    /// 0: all of it is mended; 1: something is left.
    pub fn exit_code(&self) -> u8 {
        let clean = self.verification.as_ref().is_none_or(|found| found.verdict != Verdict::Damaged);
        let all = self.steps.iter().all(|done| done.good == Some(true));
        u8::from(!(self.dry_run || clean && all))
    }
}

/// What became of one page.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Page {
    /// Its number in the whole fork.
    pub block: u32,
    /// Whether it is sound now.
    pub good: bool,
    /// Whether it was put in place now.
    pub restored: bool,
    /// The LSN of what is there now.
    pub lsn: Option<Lsn>,
    /// Where the damaged page is kept.
    pub kept: Option<String>,
    /// What there is to tell.
    pub told: String,
}

/// The report of bringing back pages.
#[derive(Debug, Clone, serde::Serialize)]
pub struct PagesRestored {
    /// Whether it was only told what would be done.
    pub dry_run: bool,
    /// The relation, as it was named.
    pub relation: String,
    /// Its file.
    pub file: String,
    /// The backup.
    pub backup: Option<String>,
    /// Up to where the copy was rolled forward.
    pub replayed_to: Option<String>,
    /// The pages.
    pub pages: Vec<Page>,
    /// What was decided, and why.
    pub notes: Vec<String>,
    /// How long it took, in seconds.
    pub took_s: f64,
}

impl PagesRestored {
    /// 0: all are sound; 1: some are not.
    pub fn exit_code(&self) -> u8 {
        u8::from(!self.dry_run && self.pages.iter().any(|page| !page.good))
    }
}
