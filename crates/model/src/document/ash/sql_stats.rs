//! What statements did, as the session history has it.

use super::super::dated::Dated;
use super::super::{Document, Known, Unknowns};
use super::asked::{self, Coverage, asked};
use super::figures::{CpuTimeFrom, Figures, Gathered, Tally};
use crate::ash::block::{Dimension, Key};
use crate::ash::cube::Cube;
use crate::ash::scope::Scope;
use crate::awr::change::Changes;
use crate::awr::period::{Edge, Period};
use crate::error::Result;
use crate::past::{Past, Span};
use crate::query_id::QueryId;
use crate::sample::statements::Statement;
use crate::sample::{Probe, Readings, Reason, Unknown};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, HashMap};
use utoipa::ToSchema;

/// Statements by the time that sessions were seen in them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = AshSqlStatistics)]
pub struct SqlStats {
    /// The period.
    pub time_range: Span,
    /// How much of it was sampled.
    #[serde(flatten)]
    pub coverage: Coverage,
    /// Whence processor times are.
    pub cpu_time_from: Option<CpuTimeFrom>,
    /// The statements, those with the most activity first.
    pub statements: Vec<SqlActivity>,
    /// From when to when executions were counted: the readings of pg_stat_statements that are nearest to the period.
    pub executions_of: Option<Span>,
    /// Why figures are null.
    pub unknown: Unknowns,
}

/// What a statement did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = AshSql)]
pub struct SqlActivity {
    /// Its identifier; null for sessions that showed no statement.
    pub sql_id: Option<QueryId>,
    /// Its text.
    pub sql_text: Option<String>,
    /// Executions, by pg_stat_statements; null where that does not count it.
    pub executions: Option<i64>,
    /// What its samples come to.
    #[serde(flatten)]
    pub figures: Figures,
    /// Processor time of one execution, in ms.
    pub avg_cpu_time_ms: Option<f64>,
    /// First sample with it in the period.
    pub first_seen: Option<Timestamp>,
    /// Last sample with it in the period.
    pub last_seen: Option<Timestamp>,
    /// Roles that ran it.
    pub users: Vec<String>,
    /// Databases in which it ran.
    pub databases: Vec<String>,
    /// What the clients called themselves.
    pub programs: Vec<String>,
}

asked! {
    /// Which samples.
    Params {}
}

impl Document for SqlStats {
    type Params = Params;
    const PATH: &'static str = "/api/v1/ash/sql-stats";
    const ABOUT: &'static str = "What each statement did: active sessions, processor time, waits, executions, who ran it";
    const PROBES: &'static [Probe] = asked::PROBES;

    fn build(known: &Known<'_>, params: &Params) -> Result<Self> {
        Self::of_past(&asked::just_seen(known), known.now, params)
    }
}

impl Dated for SqlStats {
    fn is_of_past(_params: &Params) -> bool {
        true
    }

    fn of_past(past: &dyn Past, now: Timestamp, params: &Params) -> Result<Self> {
        let scope = params.scope(now)?;
        let mut unknown = Unknowns::default();
        let top = TopSql::of(past, &scope, params.rows(), |_, tally| tally.active(), &mut unknown)?;
        asked::note_others(past, scope.span.end, "statements.others", &mut unknown)?;
        Ok(Self {
            time_range: scope.span,
            coverage: top.coverage,
            cpu_time_from: top.gathered.as_ref().map(Gathered::cpu_time_from),
            statements: top.statements,
            executions_of: top.executions_of,
            unknown,
        })
    }
}

/// The first statements by some figure.
pub(super) struct TopSql {
    pub coverage: Coverage,
    pub gathered: Option<Gathered>,
    pub statements: Vec<SqlActivity>,
    pub executions_of: Option<Span>,
}

const WHO: [Dimension; 4] = [Dimension::Query, Dimension::User, Dimension::Database, Dimension::Application];

impl TopSql {
    /// The first statements in the order of a figure.
    ///
    /// # Errors
    /// When the history cannot be read.
    #[expect(clippy::cast_precision_loss, reason = "an order needs no more than a double's precision")]
    pub(super) fn of(
        past: &dyn Past,
        scope: &Scope,
        limit: usize,
        figure: impl Fn(&Gathered, &Tally) -> u64,
        unknown: &mut Unknowns,
    ) -> Result<Self> {
        let mut who = Cube::new(&WHO);
        let (coverage, gathered) = Gathered::of(past, scope, &[Dimension::Query], &mut [(&WHO, &mut who)], unknown)?;
        let Some(gathered) = gathered else { return Ok(Self { coverage, gathered, statements: Vec::new(), executions_of: None }) };
        let top = gathered.top(limit, |tally| figure(&gathered, tally) as f64);
        let top: Vec<_> = top.into_iter().filter(|(_, tally)| figure(&gathered, tally) > 0).collect();
        let executions = if top.is_empty() { None } else { unknown.take("executions", Executions::of(past, scope)?) };
        let fits = executions.as_ref().is_none_or(|executions| covers(executions.span, scope.span));
        if let Some(executions) = executions.as_ref().filter(|_| !fits) {
            let why =
                format!("executions were counted from {:.0} to {:.0}, which is another period", executions.span.start, executions.span.end);
            unknown.note("avg_cpu_time_ms", Unknown::new(Reason::Absent, why));
        }
        let mut names = names(&who);
        let mut statements = Vec::new();
        for (keys, tally) in top {
            let mut row = row(&keys[0], gathered.figures(tally), tally, names.remove(&keys[0]).unwrap_or_default());
            row.sql_text = text(past, row.sql_id)?;
            row.executions = executions.as_ref().zip(row.sql_id).and_then(|(executions, id)| executions.calls.get(&id).copied());
            #[expect(clippy::cast_precision_loss, reason = "executions are far below 2^53")]
            let executed = row.executions.filter(|executed| *executed > 0 && fits).map(|executed| executed as f64);
            row.avg_cpu_time_ms = executed.map(|executed| row.figures.total_cpu_time_ms / executed);
            statements.push(row);
        }
        Ok(Self { coverage, statements, executions_of: executions.map(|executions| executions.span), gathered: Some(gathered) })
    }
}

/// Whether executions that were counted over one span are about those of another: the ends are a fifth of it apart at most.
fn covers(counted: Span, asked: Span) -> bool {
    let apart = |a: Timestamp, b: Timestamp| a.duration_since(b).as_secs_f64().abs();
    apart(counted.start, asked.start) + apart(counted.end, asked.end) <= asked.seconds() / 5.0
}

/// The text of a statement, as far as it is remembered.
pub(super) fn text(past: &dyn Past, id: Option<QueryId>) -> Result<Option<String>> {
    let Some(id) = id else { return Ok(None) };
    Ok(past.text(id.0)?.map(|text| text.to_string()).filter(|text| !text.is_empty()))
}

fn row(statement: &Key, figures: Figures, tally: &Tally, who: [BTreeSet<String>; 3]) -> SqlActivity {
    let [users, databases, programs] = who.map(|names| names.into_iter().collect());
    SqlActivity {
        sql_id: statement.query().map(QueryId),
        sql_text: None,
        executions: None,
        figures,
        avg_cpu_time_ms: None,
        first_seen: tally.ends().map(|ends| ends.0),
        last_seen: tally.ends().map(|ends| ends.1),
        users,
        databases,
        programs,
    }
}

/// Of each statement its users, databases and programs.
fn names(who: &Cube) -> HashMap<Key, [BTreeSet<String>; 3]> {
    let mut names: HashMap<Key, [BTreeSet<String>; 3]> = HashMap::new();
    for (cell, _) in who.cells() {
        let of = names.entry(cell.keys[0].clone()).or_default();
        for (names, key) in of.iter_mut().zip(&cell.keys[1..]) {
            names.extend(key.text().map(str::to_owned));
        }
    }
    names
}

/// How often statements were executed.
struct Executions {
    calls: HashMap<QueryId, i64>,
    /// From which reading of pg_stat_statements to which.
    span: Span,
}

impl Executions {
    /// Those of a period, also over resets in it; only by the roles and in the databases that are meant.
    fn of(past: &dyn Past, scope: &Scope) -> Result<Result<Self, Unknown>> {
        let by_client = |dimension| matches!(dimension, Dimension::Application | Dimension::Client);
        if scope.pid.is_some() || scope.only.iter().any(|(dimension, _)| by_client(*dimension)) {
            let why = "pg_stat_statements counts by role and database, not by session, program or client";
            return Ok(Err(Unknown::new(Reason::Absent, why)));
        }
        let period = statements_of(past, scope.span)?;
        let names = Names::of(&period.end.readings);
        let changes = Changes::<Statement>::of(&period);
        Ok(changes.map(|changes| {
            let mut calls: HashMap<QueryId, i64> = HashMap::new();
            for change in changes.rows.iter().filter(|change| names.meant(scope, &change.grown)) {
                *calls.entry(QueryId(change.grown.queryid)).or_default() += change.grown.calls;
            }
            Self { calls, span: Span::new(changes.from, changes.to) }
        }))
    }
}

/// A period of which only statements, databases and roles are read.
pub(in crate::document) fn statements_of(past: &dyn Past, span: Span) -> Result<Period<'_>> {
    const READ: [Probe; 4] = [Probe::Statements, Probe::StatementsInfo, Probe::Database, Probe::Roles];
    let edge = |at| -> Result<Edge> { Ok(Edge { at, snapshot: None, readings: past.readings(at, &READ)? }) };
    Ok(Period { past, server: String::new(), begin: edge(span.start)?, end: edge(span.end)? })
}

/// Names of databases and roles by identifier.
struct Names {
    databases: HashMap<i64, Key>,
    users: HashMap<i64, Key>,
}

impl Names {
    fn of(readings: &Readings) -> Self {
        let databases = readings.database.latest.iter().flat_map(|sample| &sample.rows);
        let users = readings.roles.latest.iter().flat_map(|sample| &sample.rows);
        Self {
            databases: databases.map(|row| (row.datid, Key::Text(row.datname.clone()))).collect(),
            users: users.map(|row| (row.oid, Key::Text(row.rolname.clone()))).collect(),
        }
    }

    /// Whether a row of pg_stat_statements is of a role and database that are meant.
    fn meant(&self, scope: &Scope, row: &Statement) -> bool {
        scope.only.iter().all(|(dimension, keys)| match dimension {
            Dimension::Database => self.databases.get(&row.dbid).is_some_and(|name| keys.contains(name)),
            Dimension::User => self.users.get(&row.userid).is_some_and(|name| keys.contains(name)),
            _ => true,
        })
    }
}
