//! The sessions that do something now, longest transaction first.

use super::{Document, Known, Unknowns};
use crate::ash::{State, WaitClass, class_of, state_of};
use crate::error::Result;
use crate::sample::Probe;
use crate::sample::activity::Activity;
use jiff::{Timestamp, Unit};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// The sessions that do something now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Sessions {
    /// When they were looked at.
    pub at: Option<Timestamp>,
    /// The sessions.
    pub sessions: Vec<Session>,
    /// Why there is nothing to show.
    pub unknown: Unknowns,
}

/// One session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Session {
    /// Process id: the session's name in guide 3's API.
    pub session_id: i64,
    /// When it started; with `session_id` this names the session for good.
    pub backend_start: Option<Timestamp>,
    /// Role.
    pub user: Option<String>,
    /// Database.
    pub database: Option<String>,
    /// What the client calls itself.
    pub application_name: Option<String>,
    /// The client's address; null for a Unix socket.
    pub client: Option<String>,
    /// What kind of process it is.
    pub backend_type: Option<String>,
    /// ACTIVE, WAITING, BLOCKED or IDLE (in a transaction).
    pub state: State,
    /// PostgreSQL's own word for the state.
    pub pg_state: Option<String>,
    /// Class of what it waits for; CPU when it does not wait.
    pub wait_class: WaitClass,
    /// PostgreSQL's wait event type.
    pub wait_event_type: Option<String>,
    /// PostgreSQL's wait event.
    pub wait_event: Option<String>,
    /// Process ids that it waits for.
    pub blocked_by: Vec<i32>,
    /// Age of its transaction, in seconds.
    pub transaction_seconds: Option<f64>,
    /// Age of its statement, in seconds.
    pub query_seconds: Option<f64>,
    /// When its statement started.
    pub query_start: Option<Timestamp>,
    /// Statement identifier.
    pub query_id: Option<i64>,
    /// The statement.
    pub query: Option<String>,
}

/// Parameters of [`Sessions`].
#[derive(Debug, Clone, Default, Serialize, Deserialize, IntoParams)]
pub struct Params {
    /// At most so many sessions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

impl Document for Sessions {
    type Params = Params;
    const PATH: &'static str = "/api/v1/sessions";
    const ABOUT: &'static str = "The sessions that do something now, longest transaction first";
    const PROBES: &'static [Probe] = &[Probe::Activity];

    fn build(known: &Known<'_>, params: &Params) -> Result<Self> {
        let mut unknown = Unknowns::default();
        let sample = unknown.take("sessions", known.view.readings.activity.current());
        let mut sessions: Vec<Session> = sample.iter().flat_map(|sample| sample.rows.iter().map(|row| session(row, sample.at))).collect();
        sessions.sort_by(|a, b| b.transaction_seconds.unwrap_or(-1.0).total_cmp(&a.transaction_seconds.unwrap_or(-1.0)));
        sessions.truncate(params.limit.unwrap_or(usize::MAX));
        Ok(Self { at: sample.map(|sample| sample.at), sessions, unknown })
    }
}

fn session(row: &Activity, at: Timestamp) -> Session {
    let text = |text: &Option<crate::sample::Text>| text.as_deref().map(str::to_owned);
    let age = |since: Option<Timestamp>| since.map(|since| (at - since).total(Unit::Second).unwrap_or(0.0).max(0.0));
    Session {
        session_id: row.pid,
        backend_start: row.backend_start,
        user: text(&row.usename),
        database: text(&row.datname),
        application_name: text(&row.application_name),
        client: text(&row.client_addr),
        backend_type: text(&row.backend_type),
        state: state_of(row),
        pg_state: text(&row.state),
        wait_class: class_of(row),
        wait_event_type: text(&row.wait_event_type),
        wait_event: text(&row.wait_event),
        blocked_by: row.blocked_by.clone().unwrap_or_default(),
        transaction_seconds: age(row.xact_start),
        query_seconds: age(row.query_start),
        query_start: row.query_start,
        query_id: row.query_id,
        query: text(&row.query),
    }
}
