//! What an agent keeps of the drills of a server.

use super::report::{Drill, Kind, Outcome, Verdict, Which};
use crate::backup::Label;
use jiff::Timestamp;

/// A drill in a line.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
pub struct Summary {
    /// Its name.
    pub id: String,
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
    /// The repository.
    pub repository: String,
    /// What it proved.
    pub verdict: Verdict,
    /// What it comes to.
    pub conclusion: String,
    /// Seconds to the first query.
    pub rto_seconds: Option<f64>,
    /// Seconds from the last commit that came back to the incident.
    pub rpo_seconds: Option<f64>,
    /// Bytes of WAL that the repository did not have.
    pub lost_wal_bytes: Option<u64>,
    /// Checks that failed.
    pub failed_checks: usize,
}

impl From<&Drill> for Summary {
    fn from(drill: &Drill) -> Self {
        Self {
            id: drill.id.clone(),
            started_at: drill.started_at,
            seconds: drill.seconds,
            kind: drill.kind,
            which: drill.which,
            backup: drill.backup,
            repository: drill.repository.clone(),
            verdict: drill.verdict,
            conclusion: drill.conclusion.clone(),
            rto_seconds: drill.rto_seconds,
            rpo_seconds: drill.rpo.as_ref().and_then(|rpo| rpo.seconds),
            lost_wal_bytes: drill.rpo.as_ref().and_then(|rpo| rpo.lost_wal_bytes),
            failed_checks: drill.checks.iter().filter(|check| check.outcome == Outcome::Fail).count(),
        }
    }
}

/// What is kept from one start of the agent to the next: a JSON document a server, `drills/<server>.json` in the state directory.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Kept {
    /// The drills, newest first.
    pub drills: Vec<Summary>,
    /// When the last one began that did not fail.
    pub last_passed_at: Option<Timestamp>,
}

impl Kept {
    /// Takes in a drill; gives the names of those that are no longer kept.
    pub fn take(&mut self, drill: &Drill, keep: usize) -> Vec<String> {
        if drill.verdict != Verdict::Failed {
            self.last_passed_at = self.last_passed_at.max(Some(drill.started_at));
        }
        self.drills.insert(0, Summary::from(drill));
        let left: Vec<Summary> = self.drills.split_off(keep.max(1).min(self.drills.len()));
        left.into_iter().map(|summary| summary.id).collect()
    }

    /// Which backup is next on schedule: the oldest after the newest, and the newest otherwise.
    pub fn next_turn(&self) -> Which {
        let last = self.drills.iter().find(|drill| drill.kind == Kind::Regular && drill.which != Which::Named);
        match last.map(|drill| drill.which) {
            Some(Which::Newest) => Which::Oldest,
            _ => Which::Newest,
        }
    }
}

/// How far a drill is.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
#[schema(as = DrillRunning)]
pub struct Running {
    /// Its name.
    pub id: String,
    /// When it began.
    pub started_at: Timestamp,
    /// What is being done.
    pub doing: String,
    /// Bytes that will be restored.
    pub total_bytes: u64,
    /// Bytes that were restored.
    pub done_bytes: u64,
}

/// The drills of a server: what goes on, and what the last ones found.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
pub struct Drills {
    /// Name of the server.
    pub server: String,
    /// How far the one is that goes on.
    pub running: Option<Running>,
    /// Those that ended, newest first.
    pub drills: Vec<Summary>,
    /// When the last one began that did not fail.
    pub last_passed_at: Option<Timestamp>,
    /// When the next one is due.
    pub next: Option<Timestamp>,
    /// When the next full one is due.
    pub next_full: Option<Timestamp>,
}

#[cfg(test)]
mod tests {
    use super::super::report::sample;
    use super::*;

    #[test]
    fn newest_and_oldest_take_turns_and_old_reports_go() {
        let mut kept = Kept::default();
        assert_eq!(kept.next_turn(), Which::Newest);
        assert_eq!(kept.take(&sample(), 2), Vec::<String>::new());
        assert_eq!(kept.next_turn(), Which::Oldest);
        kept.take(&Drill { which: Which::Named, id: "b".into(), ..sample() }, 2);
        assert_eq!(kept.next_turn(), Which::Oldest);
        let gone = kept.take(&Drill { which: Which::Oldest, id: "c".into(), verdict: Verdict::Failed, ..sample() }, 2);
        assert_eq!((gone, kept.next_turn()), (vec!["20261121T040000Z".to_owned()], Which::Newest));
        assert_eq!(kept.last_passed_at, Some(sample().started_at));
    }
}
