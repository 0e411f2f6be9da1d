//! The samples: who was doing what, newest first.

use super::super::{Document, Known, Unknowns};
use crate::ash::{Filter, Session, State, WaitClass};
use crate::error::{Error, Kind, Result};
use crate::query_id::QueryId;
use crate::sample::{Probe, Reason, Unknown};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Samples of sessions, newest first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = AshSamples)]
pub struct Samples {
    /// The samples.
    pub samples: Vec<AshSample>,
    /// Whether there are more that meet the conditions: ask for those before the last one's time, with `end`.
    pub more: bool,
    /// The oldest sample that is held.
    pub oldest: Option<Timestamp>,
    /// The newest sample that is held.
    pub newest: Option<Timestamp>,
    /// What a sample does not tell, and why.
    pub unknown: Unknowns,
}

/// One session at one instant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AshSample {
    /// When.
    pub sample_time: Timestamp,
    /// Process id.
    pub session_id: i64,
    /// When the session started; with `session_id` this names it for good.
    pub backend_start: Option<Timestamp>,
    /// Role.
    pub user: Option<String>,
    /// What the client calls itself.
    pub program: Option<String>,
    /// The client's address; null for a Unix socket.
    pub client: Option<String>,
    /// Database.
    pub database: Option<String>,
    /// What kind of process it is.
    pub backend_type: Option<String>,
    /// ACTIVE, WAITING, BLOCKED or IDLE (in a transaction).
    pub session_state: State,
    /// Identifier of its statement.
    pub sql_id: Option<QueryId>,
    /// Whether that is PostgreSQL's query id; otherwise it is pgtend's fingerprint of the text.
    pub sql_id_is_native: Option<bool>,
    /// Its statement.
    pub sql_text: Option<String>,
    /// Class of what it waits for; CPU when it does not wait.
    pub wait_class: WaitClass,
    /// PostgreSQL's wait event type; null on CPU.
    pub wait_event_type: Option<String>,
    /// PostgreSQL's wait event; null on CPU.
    pub wait_event: Option<String>,
    /// The first of the sessions that it waits for.
    pub blocking_session: Option<i32>,
    /// All sessions that it waits for; 0 stands for a prepared transaction.
    pub blocking_sessions: Vec<i32>,
    /// Processor time since the sample before, in ms; null where the agent is not on the server's host.
    pub cpu_time_ms: Option<f32>,
    /// Age of its transaction, in ms.
    pub transaction_age_ms: Option<u32>,
    /// Age of its statement, in ms.
    pub query_age_ms: Option<u32>,
}

/// Which samples.
#[derive(Debug, Clone, Default, Serialize, Deserialize, IntoParams)]
pub struct Params {
    /// At most so many: 100 unless said otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// Only of this process id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_id: Option<i64>,
    /// Not before this instant, as 2026-01-31T10:00:00Z.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start: Option<Timestamp>,
    /// Not after this instant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end: Option<Timestamp>,
    /// Only of this role.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Only in this database.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub database: Option<String>,
    /// Only with this statement.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sql_id: Option<QueryId>,
    /// Only in this state.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(inline)]
    pub state: Option<State>,
    /// Only waiting for something of this class.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(inline)]
    pub wait_class: Option<WaitClass>,
}

impl Document for Samples {
    type Params = Params;
    const PATH: &'static str = "/api/v1/ash/samples";
    const ABOUT: &'static str = "Active Session History: who was doing what, newest first";
    const PROBES: &'static [Probe] = &[Probe::Server, Probe::Activity];

    fn build(known: &Known<'_>, params: &Params) -> Result<Self> {
        if params.start.zip(params.end).is_some_and(|(start, end)| start > end) {
            return Err(Error::new(Kind::Usage, "start is after end"));
        }
        let filter = Filter { from: params.start, to: params.end, pid: params.session_id };
        let limit = params.limit.unwrap_or(100);
        let mut wanted = known.ash.sessions(&filter).filter(|(_, session)| params.wants(session));
        let samples: Vec<AshSample> = wanted.by_ref().take(limit).map(|(at, session)| sample(at, session)).collect();
        let held = known.ash.held();
        let mut unknown = Unknowns::default();
        if held.samples == 0 {
            unknown.take("samples", known.view.readings.activity.current());
        }
        unknown.take("samples.others", known.view.sees_all_sessions());
        note_what_is_never_told(&mut unknown);
        Ok(Self { more: wanted.next().is_some(), samples, oldest: held.oldest, newest: held.newest, unknown })
    }
}

impl Params {
    fn wants(&self, session: &Session) -> bool {
        let named = |wanted: &Option<String>, name: &Option<crate::sample::Text>| wanted.is_none() || wanted.as_deref() == name.as_deref();
        let statement = session.statement.as_ref().map(|statement| QueryId(statement.id));
        named(&self.user, &session.who.user)
            && named(&self.database, &session.who.database)
            && self.sql_id.is_none_or(|id| statement == Some(id))
            && self.state.is_none_or(|state| session.state == state)
            && self.wait_class.is_none_or(|class| session.class == class)
    }
}

fn sample(at: Timestamp, session: &Session) -> AshSample {
    let text = |text: &Option<crate::sample::Text>| text.as_deref().map(str::to_owned);
    let (who, statement, wait) = (&session.who, session.statement.as_deref(), session.wait.as_deref());
    AshSample {
        sample_time: at,
        session_id: who.pid,
        backend_start: who.backend_start,
        user: text(&who.user),
        program: text(&who.application),
        client: text(&who.client),
        database: text(&who.database),
        backend_type: text(&who.backend_type),
        session_state: session.state,
        sql_id: statement.map(|statement| QueryId(statement.id)),
        sql_id_is_native: statement.map(|statement| statement.id_is_native),
        sql_text: statement.map(|statement| statement.text.to_string()),
        wait_class: session.class,
        wait_event_type: wait.map(|wait| wait.wait_type.to_string()),
        wait_event: wait.map(|wait| wait.event.to_string()),
        blocking_session: session.blocked_by.first().copied(),
        blocking_sessions: session.blocked_by.to_vec(),
        cpu_time_ms: session.cpu_ms,
        transaction_age_ms: session.xact_age_ms,
        query_age_ms: session.query_age_ms,
    }
}

/// What the guide's samples have and PostgreSQL does not show of a running session.
fn note_what_is_never_told(unknown: &mut Unknowns) {
    for (place, why) in [
        ("samples.plan_hash", "PostgreSQL shows no plan of a running statement; auto_explain logs the plans of slow ones"),
        ("samples.wait_time_ms", "PostgreSQL shows what a session waits for and not since when; count samples instead"),
        ("samples.temp_space_bytes", "PostgreSQL counts temporary files when they are closed, by database and by statement"),
        ("samples.current_object", "PostgreSQL shows no file or block that a session works on"),
    ] {
        unknown.note(place, Unknown::new(Reason::Absent, why));
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::by_hand::{at, built, put, view};
    use super::*;
    use crate::ash::Ring;
    use crate::health::Thresholds;
    use serde_json::json;
    use std::collections::HashMap;

    fn ring() -> (crate::view::View, Ring) {
        let mut view = view();
        let mut ring = Ring::new(10, usize::MAX);
        let session = |pid: i64, user: &str, event: Option<&str>| {
            json!({"pid": pid, "usename": user, "datname": "shop", "state": "active", "backend_type": "client backend", "query": "select 1",
                   "query_id": pid, "query_start": 0, "xact_start": 0, "wait_event": event, "wait_event_type": event.map(|_| "Lock"),
                   "blocked_by": event.map(|_| vec![1])})
        };
        for second in 1..=3 {
            put(&mut view.readings.activity, second, json!([session(1, "app", None), session(2, "report", Some("transactionid"))]));
            ring.record(view.readings.activity.current().unwrap(), &HashMap::from([(1, 12.5)]));
        }
        (view, ring)
    }

    fn samples(params: &Params) -> Samples {
        let (view, ring) = ring();
        Samples::build(&Known { view: &view, ash: &ring, thresholds: Thresholds::default(), now: at(4) }, params).unwrap()
    }

    #[test]
    fn the_newest_come_first_and_more_is_said() {
        let document = samples(&Params { limit: Some(2), ..Params::default() });
        insta::assert_json_snapshot!(serde_json::to_value(document).unwrap());
    }

    #[test]
    fn every_condition_counts() {
        let count = |params: Params| samples(&params).samples.len();
        assert_eq!(count(Params { session_id: Some(2), ..Params::default() }), 3);
        assert_eq!(count(Params { start: Some(at(2)), end: Some(at(2)), ..Params::default() }), 2);
        assert_eq!(count(Params { user: Some("report".to_owned()), start: Some(at(3)), ..Params::default() }), 1);
        assert_eq!(count(Params { state: Some(State::Blocked), ..Params::default() }), 3);
        assert_eq!(count(Params { wait_class: Some(WaitClass::Cpu), ..Params::default() }), 3);
        assert_eq!(count(Params { sql_id: Some(QueryId(1)), ..Params::default() }), 3);
        assert_eq!(count(Params { database: Some("other".to_owned()), ..Params::default() }), 0);
        assert!(!samples(&Params::default()).more);
    }

    #[test]
    fn a_range_that_ends_before_it_begins_is_refused() {
        let (view, ring) = ring();
        let params = Params { start: Some(at(2)), end: Some(at(1)), ..Params::default() };
        assert_eq!(
            Samples::build(&Known { view: &view, ash: &ring, thresholds: Thresholds::default(), now: at(4) }, &params).unwrap_err().kind,
            Kind::Usage
        );
    }

    #[test]
    fn nothing_sampled_yet_is_unknown() {
        assert_eq!(built::<Samples>(&view(), &Params::default())["unknown"]["samples"]["reason"], "pending");
    }
}
