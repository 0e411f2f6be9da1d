//! What stands between a server and a backup that can be trusted: facts in, checks out. Nothing is asked here.

mod checks;
mod facts;
mod host;
mod repository;
mod server;
#[cfg(test)]
mod tests;

pub use facts::{
    Asked, ClockFacts, DiskFacts, ExpectedFacts, Facts, FileFacts, HostFacts, LockFacts, Newest, RepositoryFacts, Sample, SecurityFacts,
    ServerFacts, ToolFacts, Verified, WalFacts,
};

use jiff::Timestamp;
use std::collections::BTreeMap;

/// How a check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = DoctorState)]
pub enum State {
    /// As it should be.
    Ok,
    /// It could not be found out.
    Unknown,
    /// It will be in the way sooner or later.
    Warn,
    /// It is in the way of backups, or of a restore.
    Fail,
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
#[schema(as = DoctorCheck)]
pub struct Check {
    /// What is looked at, for programs.
    pub id: String,
    /// Which server, repository or file.
    pub subject: String,
    /// How it came out.
    pub state: State,
    /// What was found.
    pub found: String,
    /// What to do about it; empty when all is well.
    pub fix: String,
}

/// All checks of a server.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
#[schema(as = DoctorReport)]
pub struct Report {
    /// When it was looked.
    pub at: Timestamp,
    /// The server.
    pub server: String,
    /// The worst of all: unknown does not count as bad.
    pub verdict: State,
    /// How many came out how.
    pub counts: BTreeMap<String, usize>,
    /// Them, in the order in which one would look.
    pub checks: Vec<Check>,
}

impl Report {
    /// 0 when nothing is wrong, 1 when something will be, 2 when something is.
    pub const fn exit_code(&self) -> u8 {
        match self.verdict {
            State::Ok | State::Unknown => 0,
            State::Warn => 1,
            State::Fail => 2,
        }
    }
}

/// Decides every check.
pub fn examine(facts: &Facts) -> Report {
    let mut checks = server::checks(facts);
    checks.extend(host::checks(facts));
    facts.repositories.iter().for_each(|repository| checks.extend(repository::checks(repository, facts)));
    let bad = checks.iter().map(|check| check.state).filter(|state| *state > State::Unknown).max();
    let mut counts = BTreeMap::new();
    for (state, name) in [(State::Ok, "ok"), (State::Warn, "warn"), (State::Fail, "fail"), (State::Unknown, "unknown")] {
        counts.insert(name.to_owned(), checks.iter().filter(|check| check.state == state).count());
    }
    Report { at: facts.now, server: facts.server.clone(), verdict: bad.unwrap_or(State::Ok), counts, checks }
}
