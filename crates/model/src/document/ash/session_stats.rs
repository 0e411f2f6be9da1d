//! What sessions did, as the session history has it.

use super::super::dated::Dated;
use super::super::{Document, Known, Unknowns};
use super::asked::{self, Coverage, asked};
use super::figures::{CpuTimeFrom, Figures, Gathered};
use crate::ash::State;
use crate::ash::block::{Dimension, Key};
use crate::ash::cube::{Cube, key_in};
use crate::ash::scope::Scope;
use crate::error::Result;
use crate::past::{Past, Span};
use crate::query_id::QueryId;
use crate::sample::Probe;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use utoipa::ToSchema;

/// Sessions by the time that they were seen to be active.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = AshSessionStatistics)]
pub struct SessionStats {
    /// The period.
    pub time_range: Span,
    /// How much of it was sampled.
    #[serde(flatten)]
    pub coverage: Coverage,
    /// Whence processor times are.
    pub cpu_time_from: Option<CpuTimeFrom>,
    /// The sessions, the most active first.
    pub sessions: Vec<SessionActivity>,
    /// Why figures are null.
    pub unknown: Unknowns,
}

/// What a session did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = AshSession)]
pub struct SessionActivity {
    /// Process id.
    pub session_id: i64,
    /// When the session started; with `session_id` this names it for good.
    pub backend_start: Option<Timestamp>,
    /// Role.
    pub user: Option<String>,
    /// Database.
    pub database: Option<String>,
    /// What the client calls itself.
    pub program: Option<String>,
    /// The client's address; null for a Unix socket.
    pub client: Option<String>,
    /// What kind of process it is.
    pub backend_type: Option<String>,
    /// What its samples come to.
    #[serde(flatten)]
    pub figures: Figures,
    /// Its time by state (ACTIVE, WAITING, BLOCKED, IDLE in a transaction), in ms.
    pub states_ms: BTreeMap<String, f64>,
    /// The statements that it was seen in most, the longest first.
    pub top_sql: Vec<StatementTime>,
    /// First sample with it in the period.
    pub first_seen: Option<Timestamp>,
    /// Last sample with it in the period.
    pub last_seen: Option<Timestamp>,
}

/// The time of a session in a statement.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = AshSessionSql)]
pub struct StatementTime {
    /// Its identifier.
    pub sql_id: QueryId,
    /// Its text.
    pub sql_text: Option<String>,
    /// The time that the samples stand for, in ms.
    pub active_time_ms: f64,
}

asked! {
    /// Which samples.
    Params {}
}

impl Document for SessionStats {
    type Params = Params;
    const PATH: &'static str = "/api/v1/ash/session-stats";
    const ABOUT: &'static str = "What each session did: active time, processor time, states, waits, statements";
    const PROBES: &'static [Probe] = asked::PROBES;

    fn build(known: &Known<'_>, params: &Params) -> Result<Self> {
        Self::of_past(&asked::just_seen(known), known.now, params)
    }
}

impl Dated for SessionStats {
    fn is_of_past(_params: &Params) -> bool {
        true
    }

    fn of_past(past: &dyn Past, now: Timestamp, params: &Params) -> Result<Self> {
        let scope = params.scope(now)?;
        let mut unknown = Unknowns::default();
        let (coverage, cpu_time_from, sessions) = top_sessions(past, &scope, params.rows(), &mut unknown)?;
        asked::note_others(past, scope.span.end, "sessions.others", &mut unknown)?;
        Ok(Self { time_range: scope.span, coverage, cpu_time_from, sessions, unknown })
    }
}

const WHO: [Dimension; 6] =
    [Dimension::Session, Dimension::User, Dimension::Database, Dimension::Application, Dimension::Client, Dimension::BackendType];
const STATES: [Dimension; 2] = [Dimension::Session, Dimension::State];
const STATEMENTS: [Dimension; 3] = [Dimension::Session, Dimension::Query, Dimension::State];
/// Statements that a session names at most.
const MOST_STATEMENTS: usize = 5;

/// The sessions that were active most.
///
/// # Errors
/// When the history cannot be read.
#[expect(clippy::cast_precision_loss, reason = "an order needs no more than a double's precision")]
pub(super) fn top_sessions(
    past: &dyn Past,
    scope: &Scope,
    limit: usize,
    unknown: &mut Unknowns,
) -> Result<(Coverage, Option<CpuTimeFrom>, Vec<SessionActivity>)> {
    let (mut who, mut states, mut statements) = (Cube::new(&WHO), Cube::new(&STATES), Cube::new(&STATEMENTS));
    let more: &mut [(&[Dimension], &mut Cube)] = &mut [(&WHO, &mut who), (&STATES, &mut states), (&STATEMENTS, &mut statements)];
    let (coverage, gathered) = Gathered::of(past, scope, &[Dimension::Session], more, unknown)?;
    let Some(gathered) = gathered else { return Ok((coverage, None, Vec::new())) };
    let (who, states, statements) = (by_session(&who), by_session(&states), by_session(&statements));
    let mut sessions = Vec::new();
    // Sessions that sat idle in a transaction only come last.
    for (keys, tally) in gathered.top(limit, |tally| tally.active() as f64) {
        let Key::Session(session_id, started) = keys[0] else { continue };
        // A client may change what it calls itself: then it is called what it was for most of the time.
        let who = who.get(&keys[0]).into_iter().flatten().max_by_key(|(_, samples)| *samples).map_or(&[][..], |(keys, _)| keys);
        let text = |dimension| key_in(&WHO, who, dimension).text().map(str::to_owned);
        let mut states_ms = BTreeMap::new();
        for (keys, samples) in states.get(&keys[0]).into_iter().flatten() {
            let state = key_in(&STATES, keys, Dimension::State).text().unwrap_or_default().to_owned();
            *states_ms.entry(state).or_default() += gathered.sampled.time_ms(*samples);
        }
        sessions.push(SessionActivity {
            session_id,
            backend_start: started.and_then(|ms| Timestamp::from_millisecond(ms).ok()),
            user: text(Dimension::User),
            database: text(Dimension::Database),
            program: text(Dimension::Application),
            client: text(Dimension::Client),
            backend_type: text(Dimension::BackendType),
            figures: gathered.figures(tally),
            states_ms,
            top_sql: top_sql(past, &gathered, statements.get(&keys[0]).map_or(&[], Vec::as_slice))?,
            first_seen: tally.ends().map(|ends| ends.0),
            last_seen: tally.ends().map(|ends| ends.1),
        });
    }
    Ok((coverage, Some(gathered.cpu_time_from()), sessions))
}

type Samples<'a> = (&'a [Key], u64);

fn by_session(cube: &Cube) -> HashMap<&Key, Vec<Samples<'_>>> {
    let mut sessions: HashMap<&Key, Vec<Samples<'_>>> = HashMap::new();
    for (cell, count) in cube.cells() {
        sessions.entry(&cell.keys[0]).or_default().push((&cell.keys, count.samples));
    }
    sessions
}

fn top_sql(past: &dyn Past, gathered: &Gathered, statements: &[Samples<'_>]) -> Result<Vec<StatementTime>> {
    let mut times: BTreeMap<QueryId, u64> = BTreeMap::new();
    let of = |keys, dimension| key_in(&STATEMENTS, keys, dimension);
    for (keys, samples) in statements.iter().filter(|(keys, _)| of(keys, Dimension::State).text() != Some(State::Idle.word())) {
        if let Some(id) = of(keys, Dimension::Query).query() {
            *times.entry(QueryId(id)).or_default() += samples;
        }
    }
    let mut times: Vec<(QueryId, u64)> = times.into_iter().collect();
    times.sort_by_key(|(id, samples)| (std::cmp::Reverse(*samples), *id));
    let time = |(sql_id, samples): (QueryId, u64)| -> Result<StatementTime> {
        let sql_text = super::sql_stats::text(past, Some(sql_id))?;
        Ok(StatementTime { sql_id, sql_text, active_time_ms: gathered.sampled.time_ms(samples) })
    };
    times.into_iter().take(MOST_STATEMENTS).map(time).collect()
}
