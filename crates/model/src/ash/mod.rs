//! Active Session History: who was doing what, once a second.

pub mod block;
mod cpu;
pub mod cube;
mod ring;
pub mod sampled;
pub mod scene;
pub mod scope;
mod wait;

pub use cpu::cpu_ms;
pub use ring::{Capture, Filter, Held, Ring, Tick};
pub use wait::WaitClass;

use crate::sample::Text;
use crate::sample::activity::Activity;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

/// What a session was doing, in the words of guide 3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum State {
    /// Running, on a processor as far as PostgreSQL knows.
    Active,
    /// Running, but waiting for something other than a lock.
    Waiting,
    /// Waiting for a lock that another session holds.
    Blocked,
    /// Idle in an open transaction.
    Idle,
}

impl State {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Active, Self::Waiting, Self::Blocked, Self::Idle];

    /// Its name in documents.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Active => "ACTIVE",
            Self::Waiting => "WAITING",
            Self::Blocked => "BLOCKED",
            Self::Idle => "IDLE",
        }
    }
}

/// Who: the part of a sample that stays the same for the life of a session.
#[derive(Debug, Clone, PartialEq)]
pub struct Who {
    /// Process id.
    pub pid: i64,
    /// When the session started.
    pub backend_start: Option<Timestamp>,
    /// Database.
    pub database: Option<Text>,
    /// Role.
    pub user: Option<Text>,
    /// What the client calls itself: the program.
    pub application: Option<Text>,
    /// The client's address.
    pub client: Option<Text>,
    /// What kind of process it is.
    pub backend_type: Option<Text>,
}

/// What: a statement, kept once however often it is sampled.
#[derive(Debug, Clone, PartialEq)]
pub struct Statement {
    /// PostgreSQL's query id, or pgtend's fingerprint of the text where there is none.
    pub id: i64,
    /// Whether the id is PostgreSQL's.
    pub id_is_native: bool,
    /// The text as first seen with this id.
    pub text: Text,
}

/// A wait event.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Wait {
    /// PostgreSQL's wait event type.
    pub wait_type: Text,
    /// PostgreSQL's wait event.
    pub event: Text,
}

impl Wait {
    /// `Type:Event`.
    pub fn name(&self) -> String {
        format!("{}:{}", self.wait_type, self.event)
    }
}

/// One session in one sample.
#[derive(Debug, Clone)]
pub struct Session {
    /// Who.
    pub who: Arc<Who>,
    /// What; none where the role may not see it, or a background process.
    pub statement: Option<Arc<Statement>>,
    /// What it waits for; none on CPU.
    pub wait: Option<Arc<Wait>>,
    /// The class of the wait.
    pub class: WaitClass,
    /// What it was doing.
    pub state: State,
    /// Age of its transaction in ms; none without one.
    pub xact_age_ms: Option<u32>,
    /// Age of its statement in ms; none without one.
    pub query_age_ms: Option<u32>,
    /// Processor time since the sample before, in ms; none where the agent is not on the server's host.
    pub cpu_ms: Option<f32>,
    /// Process ids it waits for; empty unless it waits for a lock.
    pub blocked_by: Box<[i32]>,
}

/// What an activity row says a session is doing.
pub fn state_of(row: &Activity) -> State {
    match (row.state.as_deref(), row.wait_event_type.as_deref()) {
        (Some("idle in transaction" | "idle in transaction (aborted)" | "idle"), _) => State::Idle,
        (_, Some("Lock")) => State::Blocked,
        (_, None) => State::Active,
        (_, Some(_)) => State::Waiting,
    }
}

/// The wait class of an activity row; a session idle in its transaction is Idle, whatever it waits for.
pub fn class_of(row: &Activity) -> WaitClass {
    if state_of(row) == State::Idle {
        return WaitClass::Idle;
    }
    let background = row.backend_type.as_deref().is_some_and(|kind| kind != "client backend" && kind != "parallel worker");
    WaitClass::of(row.wait_event_type.as_deref(), row.wait_event.as_deref(), background)
}
