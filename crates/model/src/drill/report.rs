//! What a drill found.

use crate::backup::Label;
use crate::error::Error;
use jiff::Timestamp;

/// Which backup is restored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Which {
    /// The newest that can reach the target.
    Newest,
    /// The oldest that is kept.
    Oldest,
    /// One that somebody named.
    Named,
}

/// How much is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = DrillKind)]
pub enum Kind {
    /// Restored to scratch, replayed, checked.
    Regular,
    /// As after the loss of the machine: the repository is opened anew by its place and key alone, into an empty directory on another path, and every index is
    /// checked against its table.
    Full,
}

/// What is to be thought of something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// As it should be.
    Ok,
    /// It could not be told.
    Unknown,
    /// Worth a look.
    Warn,
    /// Wrong.
    Fail,
}

/// What a drill proved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = DrillVerdict)]
pub enum Verdict {
    /// The server can be brought back, and what was brought back is sound.
    Passed,
    /// It can, but something is worth a look, or could not be told.
    Doubtful,
    /// It cannot, or what came back is not what it should be.
    Failed,
}

/// A step, and how long it took.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
#[schema(as = DrillPhase)]
pub struct Phase {
    /// What was done.
    pub name: String,
    /// How long.
    pub seconds: f64,
}

/// What would have been lost, had the server been lost when the drill began.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
pub struct Rpo {
    /// When the drill began: the moment of the incident.
    pub incident_at: Timestamp,
    /// The last commit that came back.
    pub last_commit: Option<Timestamp>,
    /// From the last commit to the incident. On a server where nobody writes that is long, and nothing is lost.
    pub seconds: Option<f64>,
    /// Bytes of WAL that the server had written and the repository did not have.
    pub lost_wal_bytes: Option<u64>,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
pub struct Check {
    /// What.
    pub name: String,
    /// What is to be thought of it.
    pub outcome: Outcome,
    /// What was found.
    pub detail: String,
    /// What that means for a recovery; empty where all is well.
    #[serde(default)]
    pub meaning: String,
    /// How long it took, in seconds.
    pub seconds: f64,
}

/// A table whose rows are not as many as on the live server.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
pub struct TableDifference {
    /// Its database.
    pub database: String,
    /// Its name with schema.
    pub table: String,
    /// Rows in the copy.
    pub restored: u64,
    /// Rows on the live server.
    pub live: u64,
    /// What is to be thought of it.
    pub outcome: Outcome,
    /// Why.
    pub why: String,
}

/// What a drill found.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
pub struct Drill {
    /// Its name: when it began, as backups are named.
    pub id: String,
    /// The server.
    pub server: String,
    /// The repository.
    pub repository: String,
    /// When it began.
    pub started_at: Timestamp,
    /// How long all of it took, in seconds.
    pub seconds: f64,
    /// How much was done.
    pub kind: Kind,
    /// Which backup was meant.
    pub which: Which,
    /// The backup.
    #[schema(value_type = Option<String>)]
    pub backup: Option<Label>,
    /// To what state.
    pub target: String,
    /// What it proved.
    pub verdict: Verdict,
    /// What it comes to, in a sentence.
    pub conclusion: String,
    /// Bytes that were restored.
    pub bytes: u64,
    /// Segments of WAL that could be replayed.
    pub wal_segments: usize,
    /// Up to which position WAL was replayed.
    pub replayed_to: Option<String>,
    /// The steps to the first query.
    pub phases: Vec<Phase>,
    /// How long it takes to be back, in seconds: all steps to the first query.
    pub rto_seconds: Option<f64>,
    /// What would have been lost.
    pub rpo: Option<Rpo>,
    /// What was looked at.
    pub checks: Vec<Check>,
    /// Tables with another number of rows than on the live server; a hundred at most.
    #[serde(default)]
    pub tables: Vec<TableDifference>,
    /// Why it ended early.
    pub error: Option<Error>,
}

impl Drill {
    /// Draws the conclusion from what was found.
    pub fn conclude(&mut self) {
        let worst = self.checks.iter().map(|check| check.outcome).max();
        let named = |outcome: Outcome| {
            let names = self.checks.iter().filter(|check| check.outcome == outcome).map(|check| check.name.as_str());
            names.collect::<Vec<_>>().join(", ")
        };
        (self.verdict, self.conclusion) = match (&self.error, worst) {
            (Some(error), _) => (Verdict::Failed, format!("The server could not be brought back from this backup: {}", error.what)),
            (None, Some(Outcome::Fail)) => (
                Verdict::Failed,
                format!("The backup can be restored, but what came back is not what it should be: {}", named(Outcome::Fail)),
            ),
            (None, Some(Outcome::Warn)) => {
                (Verdict::Doubtful, format!("The server can be brought back; worth a look: {}", named(Outcome::Warn)))
            }
            (None, Some(Outcome::Unknown)) => {
                (Verdict::Doubtful, format!("The server can be brought back; what could not be told: {}", named(Outcome::Unknown)))
            }
            (None, None) => (Verdict::Doubtful, "The server can be brought back; nothing more was looked at".to_owned()),
            (None, Some(Outcome::Ok)) => (Verdict::Passed, "The server can be brought back, and what came back is sound".to_owned()),
        };
    }
}

#[cfg(test)]
pub(super) fn sample() -> Drill {
    let at: Timestamp = "2026-11-21T04:00:00Z".parse().unwrap_or_default();
    let check = Check { name: "dump of shop".into(), outcome: Outcome::Ok, detail: "20 MB".into(), meaning: String::new(), seconds: 1.0 };
    let mut drill = Drill {
        id: "20261121T040000Z".into(),
        server: "main".into(),
        repository: "main".into(),
        started_at: at,
        seconds: 30.0,
        kind: Kind::Regular,
        which: Which::Newest,
        backup: Some(Label::at(at)),
        target: "the end of the WAL".into(),
        verdict: Verdict::Failed,
        conclusion: String::new(),
        bytes: 1 << 30,
        wal_segments: 3,
        replayed_to: Some("0/3000000".into()),
        phases: vec![Phase { name: "files from the repository".into(), seconds: 10.0 }],
        rto_seconds: Some(12.5),
        rpo: Some(Rpo { incident_at: at, last_commit: Some(at), seconds: Some(0.0), lost_wal_bytes: Some(0) }),
        checks: vec![check],
        tables: Vec::new(),
        error: None,
    };
    drill.conclude();
    drill
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error;

    #[test]
    fn the_worst_decides_and_is_named() {
        let mut drill = sample();
        assert_eq!(drill.verdict, Verdict::Passed);
        let check = |name: &str, outcome| Check { name: name.into(), outcome, detail: String::new(), meaning: String::new(), seconds: 0.0 };
        drill.checks.push(check("row counts", Outcome::Unknown));
        drill.conclude();
        assert!(drill.verdict == Verdict::Doubtful && drill.conclusion.ends_with("row counts"), "{}", drill.conclusion);
        drill.checks.push(check("amcheck", Outcome::Fail));
        drill.conclude();
        assert!(drill.verdict == Verdict::Failed && drill.conclusion.ends_with("amcheck"), "{}", drill.conclusion);
        drill.error = Some(Error::new(error::Kind::Conflict, "WAL is missing"));
        drill.conclude();
        assert!(drill.verdict == Verdict::Failed && drill.conclusion.contains("WAL is missing"));
    }
}
