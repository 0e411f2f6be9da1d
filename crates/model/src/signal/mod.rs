//! Cancelling statements and ending sessions: which sessions may be touched, and what became of each.
//!
//! A process id alone names nobody: it may belong to another session by the time the signal is sent. A session is named by its
//! process id and start, a statement by its start as well, and all three are compared again in the statement that sends the signal.

mod decide;
mod plan;

pub use decide::decide;
pub use plan::{Plan, Planned, Verdict, plan};

use crate::sample::activity::Activity;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;
use utoipa::ToSchema;

/// What is done to a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Signal {
    /// Cancel the running statement; the session stays (`pg_cancel_backend`).
    Cancel,
    /// End the session; its transaction is rolled back (`pg_terminate_backend`).
    Terminate,
}

impl Signal {
    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cancel => "cancel",
            Self::Terminate => "terminate",
        }
    }
}

/// What is asked of an agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = SignalRequest)]
pub struct Request {
    /// What is done to each session.
    pub signal: Signal,
    /// The sessions as they were seen.
    pub targets: Vec<Target>,
    /// Why, for the agent's log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Whether to say only what would be done.
    #[serde(default)]
    pub dry_run: bool,
}

/// What an agent answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Fates {
    /// What became of each session, in the order of the targets.
    pub fates: Vec<Fate>,
}

/// A session as it was seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Target {
    /// Process id.
    pub pid: i64,
    /// When the session started.
    pub backend_start: Timestamp,
    /// When its statement started; must still be the same unless none is given.
    pub query_start: Option<Timestamp>,
}

/// What became of a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", tag = "fate", content = "detail")]
pub enum Fate {
    /// The signal was sent.
    Signalled,
    /// The signal would be sent: this was a dry run.
    Planned,
    /// It is not the session, or not the statement, that was seen: nothing was sent.
    Changed,
    /// The server refused.
    Refused(String),
    /// It is spared whatever was asked.
    Spared(Spared),
}

/// Why a session is never touched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Spared {
    /// It sends WAL to a standby or a backup.
    Replication,
    /// It is a process of the server itself.
    Background,
    /// It is pgtend's own.
    Own,
    /// The role may not see when it started, so it cannot be told from a later one with the same process id.
    Unidentified,
    /// It runs no statement that could be cancelled.
    Idle,
}

impl Spared {
    /// The reason in words.
    pub const fn why(self) -> &'static str {
        match self {
            Self::Replication => "sends WAL to a standby or a backup",
            Self::Background => "a process of the server itself",
            Self::Own => "pgtend's own",
            Self::Unidentified => "the role may not see when it started; grant pg_monitor",
            Self::Idle => "runs no statement",
        }
    }
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Signalled => f.write_str("signalled"),
            Self::Planned => f.write_str("would be signalled"),
            Self::Changed => f.write_str("gone, or no longer doing what was seen: nothing was sent"),
            Self::Refused(why) => write!(f, "refused: {why}"),
            Self::Spared(spared) => write!(f, "left alone: {}", spared.why()),
        }
    }
}

/// What pgtend calls itself towards PostgreSQL, as a prefix of `application_name`.
pub const APPLICATION_NAME: &str = "pgtend";

/// The session as a target, or why it is spared.
///
/// # Errors
/// The reason why it is never touched.
pub fn target(session: &Activity) -> Result<Target, Spared> {
    match session.backend_type.as_deref() {
        Some("client backend") => {}
        Some("walsender") => return Err(Spared::Replication),
        None => return Err(Spared::Unidentified),
        Some(_) => return Err(Spared::Background),
    }
    if session.application_name.as_deref().is_some_and(|name| name.starts_with(APPLICATION_NAME)) {
        return Err(Spared::Own);
    }
    let backend_start = session.backend_start.ok_or(Spared::Unidentified)?;
    Ok(Target { pid: session.pid, backend_start, query_start: session.query_start })
}
