//! What an agent keeps of the verifications of a server.

use super::{Depth, Verdict, Verification};
use crate::error::Error;
use jiff::Timestamp;

/// The verifications of a server: what goes on, and how the last ones ended.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
pub struct Verifications {
    /// Name of the server.
    pub server: String,
    /// Where its files are; null where they are not on the agent's machine.
    #[serde(default)]
    pub data_directory: Option<String>,
    /// How far the one is that goes on.
    pub running: Option<Running>,
    /// The last one, however it ended.
    pub last: Option<Ended>,
    /// When everything was last looked at, and nothing was damaged.
    pub last_clean_at: Option<Timestamp>,
    /// When the next one is due.
    pub next: Option<Timestamp>,
}

/// How far a verification is.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
#[schema(as = VerificationRunning)]
pub struct Running {
    /// When it began.
    pub started_at: Timestamp,
    /// How much is looked at.
    pub depth: Depth,
    /// Bytes that will be read.
    pub total_bytes: u64,
    /// Bytes that were read.
    pub done_bytes: u64,
    /// Pages found damaged so far.
    pub damaged: u64,
}

/// How a verification ended.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
#[schema(as = VerificationEnded)]
pub struct Ended {
    /// When.
    pub at: Timestamp,
    /// Which relations were asked for; all of the server when empty.
    #[serde(default)]
    pub relations: Vec<String>,
    /// What it found.
    pub report: Option<Verification>,
    /// Why there is no report.
    pub error: Option<Error>,
}

/// What is kept from one start of the agent to the next: a JSON document a server.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Kept {
    /// The last verification.
    pub last: Option<Ended>,
    /// The last one of the whole server, of which metrics are made.
    pub whole: Option<Ended>,
    /// When everything was last looked at, and nothing was damaged.
    pub last_clean_at: Option<Timestamp>,
}

impl Kept {
    /// Takes in how a verification ended. Only one that looked at every page of the server can say that it is clean; damage counts
    /// whatever was looked at, until a whole verification finds none.
    pub fn take(&mut self, ended: Ended) {
        if let Some(report) = ended.report.as_ref().filter(|_| ended.relations.is_empty()) {
            if report.verdict == Verdict::Clean && report.depth != Depth::Quick {
                self.last_clean_at = Some(ended.at);
            }
            self.whole = Some(ended.clone());
        }
        self.last = Some(ended);
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Checked, ServerState};
    use super::*;

    fn ended(second: i64, depth: Depth, verdict: Verdict, relations: &[&str]) -> Ended {
        let at = Timestamp::from_second(second).unwrap();
        let report = Verification {
            verdict,
            data_directory: "/data".into(),
            system_identifier: "7".into(),
            version: 15,
            server: ServerState::Running,
            depth,
            checksums: true,
            started_at: at,
            took_s: 1.0,
            checked: Checked::default(),
            errors: Vec::new(),
            errors_left_out: 0,
            notices: Vec::new(),
            unchecked: Vec::new(),
        };
        Ended { at, relations: relations.iter().map(ToString::to_string).collect(), report: Some(report), error: None }
    }

    #[test]
    fn only_a_look_at_everything_says_that_a_server_is_clean() {
        let mut kept = Kept::default();
        kept.take(ended(1, Depth::Quick, Verdict::Clean, &[]));
        kept.take(ended(2, Depth::Full, Verdict::Clean, &["public.orders"]));
        assert_eq!(kept.last_clean_at, None);
        kept.take(ended(3, Depth::Pages, Verdict::Clean, &[]));
        kept.take(ended(4, Depth::Pages, Verdict::Damaged, &[]));
        assert_eq!(kept.last_clean_at, Timestamp::from_second(3).ok());
        assert_eq!(kept.whole.as_ref().map(|ended| ended.at), Timestamp::from_second(4).ok());
        let failed = Ended { report: None, ..ended(5, Depth::Pages, Verdict::Clean, &[]) };
        kept.take(failed);
        assert_eq!(kept.whole.map(|ended| ended.at), Timestamp::from_second(4).ok());
    }
}
