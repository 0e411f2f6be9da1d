//! What to do when the PostgreSQL that `pgtend up` looks after ends without having been asked by pgtend.

use jiff::Timestamp;
use std::time::Duration;

/// How often PostgreSQL is started again before somebody has to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// Off with `--no-restart`.
    pub enabled: bool,
    /// Starts within the window.
    pub budget: usize,
    /// The window.
    pub window: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self { enabled: true, budget: 3, window: Duration::from_secs(300) }
    }
}

/// How PostgreSQL ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// It shut down in order: `postmaster.pid` is gone. Somebody asked for it, for example with `pg_ctl stop`.
    Clean,
    /// It left `postmaster.pid` behind: killed, out of memory, or crashed.
    Crash,
    /// It could not be started.
    FailedStart,
}

/// What to do, and why.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(tag = "action", content = "reason", rename_all = "snake_case")]
pub enum Decision {
    /// Start it again.
    StartAgain(WhyStart),
    /// Leave it down; pgtend goes on watching, and takes it up when somebody starts it.
    LeaveDown(WhyDown),
}

/// Why it is started again.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct WhyStart {
    /// Which start within the window this is, from 1.
    pub attempt: usize,
    /// Starts allowed within the window.
    pub budget: usize,
}

/// Why it is left down.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum WhyDown {
    /// Somebody stopped it in order.
    StoppedByOthers,
    /// `--no-restart`.
    Disabled,
    /// It was started as often as the policy allows, and ended each time.
    BudgetSpent {
        /// Starts within the window.
        starts: usize,
        /// The window in seconds.
        window_s: u64,
    },
}

impl std::fmt::Display for Decision {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::StartAgain(why) => write!(f, "starting it again (attempt {} of {})", why.attempt, why.budget),
            Self::LeaveDown(WhyDown::StoppedByOthers) => f.write_str("it was shut down in order, not by pgtend: leaving it down"),
            Self::LeaveDown(WhyDown::Disabled) => f.write_str("leaving it down (--no-restart)"),
            Self::LeaveDown(WhyDown::BudgetSpent { starts, window_s }) => {
                write!(f, "leaving it down: it was started {starts} times within {} minutes and ended each time", window_s / 60)
            }
        }
    }
}

/// Decides by how it ended and when it was started again before. `starts` need not be in order.
pub fn decide(policy: &Policy, end: End, starts: &[Timestamp], now: Timestamp) -> Decision {
    if end == End::Clean {
        return Decision::LeaveDown(WhyDown::StoppedByOthers);
    }
    if !policy.enabled {
        return Decision::LeaveDown(WhyDown::Disabled);
    }
    let recent = starts.iter().filter(|start| now.duration_since(**start).unsigned_abs() < policy.window).count();
    if recent >= policy.budget {
        return Decision::LeaveDown(WhyDown::BudgetSpent { starts: recent, window_s: policy.window.as_secs() });
    }
    Decision::StartAgain(WhyStart { attempt: recent + 1, budget: policy.budget })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn decided(end: End, starts: &[i64], now: i64) -> String {
        let starts: Vec<_> = starts.iter().map(|second| at(*second)).collect();
        decide(&Policy::default(), end, &starts, at(now)).to_string()
    }

    #[test]
    fn a_crash_is_answered_three_times_in_five_minutes() {
        assert_eq!(decided(End::Crash, &[], 0), "starting it again (attempt 1 of 3)");
        assert_eq!(decided(End::Crash, &[0, 100], 200), "starting it again (attempt 3 of 3)");
        assert_eq!(
            decided(End::Crash, &[0, 100, 200], 299),
            "leaving it down: it was started 3 times within 5 minutes and ended each time"
        );
        assert_eq!(decided(End::Crash, &[0, 100, 200], 300), "starting it again (attempt 3 of 3)");
    }

    #[test]
    fn a_start_that_fails_counts_as_one() {
        assert_eq!(decided(End::FailedStart, &[0], 1), "starting it again (attempt 2 of 3)");
        assert!(decided(End::FailedStart, &[0, 1, 2], 3).starts_with("leaving it down"));
    }

    #[test]
    fn what_somebody_stopped_stays_stopped() {
        assert_eq!(decided(End::Clean, &[], 0), "it was shut down in order, not by pgtend: leaving it down");
    }

    #[test]
    fn a_clock_that_was_set_back_does_not_refill_the_budget() {
        assert!(decided(End::Crash, &[100, 100, 100], 0).starts_with("leaving it down"));
    }

    #[test]
    fn no_restart_means_none() {
        let policy = Policy { enabled: false, ..Policy::default() };
        assert_eq!(decide(&policy, End::Crash, &[], at(0)), Decision::LeaveDown(WhyDown::Disabled));
    }
}
