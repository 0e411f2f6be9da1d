//! The samples: who was doing what, newest first.

use super::super::dated::Dated;
use super::super::{Document, Known, Unknowns};
use super::asked::{self, Conditions};
use crate::ash::block::{Block, Columns, Dimension, Key};
use crate::ash::scope::Scope;
use crate::ash::{State, WaitClass};
use crate::error::{Error, Kind, Result};
use crate::past::{Past, Span};
use crate::query_id::QueryId;
use crate::sample::{Probe, Reason, Unknown};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use utoipa::{IntoParams, ToSchema};

/// Samples of sessions, newest first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = AshSamples)]
pub struct Samples {
    /// The samples.
    pub samples: Vec<AshSample>,
    /// Whether there are more that meet the conditions.
    pub more: bool,
    /// With this as `end` the next older ones come; samples of one instant stay together as far as `limit` allows. Null without more.
    pub next_end: Option<Timestamp>,
    /// The oldest instant of which anything is remembered, to the hour where that is on disk.
    pub oldest: Option<Timestamp>,
    /// The newest instant at which was sampled.
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
    /// Only of clients that call themselves so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub program: Option<String>,
    /// Only of clients at this address; `local` for Unix sockets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
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
    const PROBES: &'static [Probe] = asked::PROBES;

    fn build(known: &Known<'_>, params: &Params) -> Result<Self> {
        let mut document = Self::of_past(&asked::just_seen(known), known.now, params)?;
        let held = known.ash.held();
        (document.oldest, document.newest) = (held.oldest, held.newest);
        if held.samples == 0 {
            document.unknown.take("samples", known.view.readings.activity.current());
        }
        Ok(document)
    }
}

impl Dated for Samples {
    fn is_of_past(_params: &Params) -> bool {
        true
    }

    fn of_past(past: &dyn Past, now: Timestamp, params: &Params) -> Result<Self> {
        if params.start.zip(params.end).is_some_and(|(start, end)| start > end) {
            return Err(Error::new(Kind::Usage, "start is after end"));
        }
        let mut unknown = Unknowns::default();
        let extent = past.extent()?;
        if extent.is_none() {
            unknown.note("samples", Unknown::new(Reason::Absent, "nothing is remembered of this server yet"));
        }
        asked::note_others(past, params.end.unwrap_or(now), "samples.others", &mut unknown)?;
        note_what_is_never_told(&mut unknown);
        let page = extent.map_or_else(|| Ok(Page::default()), |extent| Page::of(past, extent, params))?;
        Ok(Self {
            samples: page.told(past)?,
            more: page.more,
            next_end: page.next_end(),
            oldest: extent.map(|extent| extent.start),
            newest: newest(past, now)?,
            unknown,
        })
    }
}

/// The newest instant at which was sampled, if that was within a day.
fn newest(past: &dyn Past, now: Timestamp) -> Result<Option<Timestamp>> {
    for minutes in [2, 90, 1440] {
        let start = now.saturating_sub(SignedDuration::from_mins(minutes)).unwrap_or(now);
        if let Some(tick) = past.ticks(Span::new(start, after(now)))?.last() {
            return Ok(Some(tick.at));
        }
    }
    Ok(None)
}

/// An end that is asked for belongs to what is meant.
fn after(at: Timestamp) -> Timestamp {
    at.saturating_add(SignedDuration::from_millis(1)).unwrap_or(at)
}

/// One session in one sample, as the history has it.
#[derive(Debug)]
struct Row {
    at_ms: i64,
    keys: HashMap<Dimension, Key>,
    native: bool,
    cpu_ms: f32,
    query_age_ms: i64,
    xact_age_ms: i64,
    blocked_by: Box<[i32]>,
}

/// The newest samples that are meant.
#[derive(Debug, Default)]
struct Page {
    rows: Vec<Row>,
    more: bool,
}

impl Page {
    /// Looks back from the end, further and further, until there are enough.
    fn of(past: &dyn Past, extent: Span, params: &Params) -> Result<Self> {
        let limit = params.limit.unwrap_or(100);
        let start = params.start.map_or(extent.start, |start| start.max(extent.start));
        let mut end = params.end.map_or(extent.end, |end| after(end).min(extent.end));
        let mut length = SignedDuration::from_mins(1);
        let mut rows: Vec<Row> = Vec::new();
        while end > start && rows.len() <= limit {
            let from = end.saturating_sub(length).unwrap_or(start).max(start);
            let mut found: Vec<Row> = Vec::new();
            params
                .scope(Span::new(from, end))?
                .each(past, Columns::all(), &mut |block| found.extend((0..block.len()).map(|at| row(block, at))))?;
            found.sort_by_key(|row| (std::cmp::Reverse(row.at_ms), row.session().0));
            rows.extend(found);
            (end, length) = (from, length * 4);
        }
        let more = rows.len() > limit;
        if more {
            rows.truncate(whole_instants(&rows, limit));
        }
        Ok(Self { rows, more })
    }

    fn next_end(&self) -> Option<Timestamp> {
        let last = self.rows.last().filter(|_| self.more)?;
        Timestamp::from_millisecond(last.at_ms - 1).ok()
    }

    fn told(&self, past: &dyn Past) -> Result<Vec<AshSample>> {
        let mut texts: HashMap<i64, Option<String>> = HashMap::new();
        let mut samples = Vec::new();
        for row in &self.rows {
            let id = row.key(Dimension::Query).query();
            let text = match id {
                None => None,
                Some(id) => match texts.get(&id) {
                    Some(text) => text.clone(),
                    None => texts.entry(id).or_insert(super::sql_stats::text(past, Some(QueryId(id)))?).clone(),
                },
            };
            samples.push(row.told(text));
        }
        Ok(samples)
    }
}

/// Of how many rows the page is made so that no instant is cut; an instant with more than all of them is.
fn whole_instants(rows: &[Row], limit: usize) -> usize {
    let next = rows.get(limit).map(|row| row.at_ms);
    let whole = rows[..limit].iter().rposition(|row| Some(row.at_ms) != next);
    whole.map_or(limit, |last| last + 1)
}

fn row(block: &Block, at: usize) -> Row {
    let keys = Dimension::ALL.iter().map(|dimension| (*dimension, block.key(at, *dimension).clone())).collect();
    Row {
        at_ms: block.at_ms[at],
        keys,
        native: block.native.get(at).copied().unwrap_or_default(),
        cpu_ms: block.cpu_ms.get(at).copied().unwrap_or(f32::NAN),
        query_age_ms: block.query_age_ms.get(at).copied().unwrap_or(-1),
        xact_age_ms: block.xact_age_ms.get(at).copied().unwrap_or(-1),
        blocked_by: block.blocked_by.get(at).cloned().unwrap_or_default(),
    }
}

impl Row {
    fn key(&self, dimension: Dimension) -> &Key {
        self.keys.get(&dimension).unwrap_or(&Key::None)
    }

    fn session(&self) -> (i64, Option<i64>) {
        match self.key(Dimension::Session) {
            Key::Session(pid, started) => (*pid, *started),
            _ => (0, None),
        }
    }

    fn told(&self, sql_text: Option<String>) -> AshSample {
        let text = |dimension| self.key(dimension).text().map(str::to_owned);
        let (session_id, started) = self.session();
        let wait = self.key(Dimension::WaitEvent).text().and_then(|name| name.split_once(':'));
        let state = self.key(Dimension::State).text().unwrap_or_default();
        let sql_id = self.key(Dimension::Query).query().map(QueryId);
        AshSample {
            sample_time: Timestamp::from_millisecond(self.at_ms).unwrap_or_default(),
            session_id,
            backend_start: started.and_then(|ms| Timestamp::from_millisecond(ms).ok()),
            user: text(Dimension::User),
            program: text(Dimension::Application),
            client: text(Dimension::Client),
            database: text(Dimension::Database),
            backend_type: text(Dimension::BackendType),
            session_state: State::ALL.into_iter().find(|known| known.word() == state).unwrap_or(State::Active),
            sql_id,
            sql_id_is_native: sql_id.map(|_| self.native),
            sql_text,
            wait_class: self.key(Dimension::WaitClass).wait_class(),
            wait_event_type: wait.map(|(wait_type, _)| wait_type.to_owned()),
            wait_event: wait.map(|(_, event)| event.to_owned()),
            blocking_session: self.blocked_by.first().copied(),
            blocking_sessions: self.blocked_by.to_vec(),
            cpu_time_ms: (!self.cpu_ms.is_nan()).then_some(self.cpu_ms),
            transaction_age_ms: u32::try_from(self.xact_age_ms).ok(),
            query_age_ms: u32::try_from(self.query_age_ms).ok(),
        }
    }
}

impl Params {
    fn scope(&self, span: Span) -> Result<Scope> {
        let conditions = Conditions {
            session_id: self.session_id,
            user: self.user.as_deref(),
            database: self.database.as_deref(),
            program: self.program.as_deref(),
            client: self.client.as_deref(),
            sql_id: self.sql_id,
            state: self.state,
            wait_class: self.wait_class,
            background: true,
        };
        conditions.scope(span)
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
