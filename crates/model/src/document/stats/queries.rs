//! Statements by what they cost, from pg_stat_statements.

mod past;

use super::super::{Dated, Document, Known, Unknowns};
use super::{mean, never_told};
use crate::error::{Error, Kind, Result};
use crate::query_id::QueryId;
use crate::sample::statements::{Statement, StatementsInfo};
use crate::sample::{Probe, Readings, Sample, Unknown};
use jiff::{Timestamp, Unit};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use utoipa::{IntoParams, ToSchema};

/// Statements by what they cost, each list at most `limit` long.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Queries {
    /// What the figures cover: everything that is counted, or the time between the last two readings.
    pub period: Period,
    /// Since when, as far as that is known. A statement that was given up for want of room and came back is counted from then on.
    pub since: Option<Timestamp>,
    /// Until when.
    pub until: Option<Timestamp>,
    /// Statements that take at least `min_ms` at a time on average, in the order of `sort`.
    pub slow_queries: Vec<Query>,
    /// Most often executed first.
    pub top_queries_by_calls: Vec<Query>,
    /// Those that take the most time altogether first.
    pub top_queries_by_total_time: Vec<Query>,
    /// Statements that are counted, or were executed in the period.
    pub statements: usize,
    /// Times the least used statements were given up because there were more than `pg_stat_statements.max`.
    pub given_up: Option<i64>,
    /// Why figures are null.
    pub unknown: Unknowns,
}

/// One statement of one role in one database.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Query {
    /// Its identifier.
    pub query_id: QueryId,
    /// Its text with constants as `$n`, or as a session sent it; cut at `text_length` characters, and then it ends with `…`.
    pub sql: Option<String>,
    /// Database.
    pub database: Option<String>,
    /// Role.
    pub user: Option<String>,
    /// Whether it was sent by a client, not run within a function.
    pub toplevel: Option<bool>,
    /// Executions.
    pub calls: i64,
    /// Time of all executions, in ms.
    pub total_time_ms: f64,
    /// Mean time of an execution, in ms.
    pub avg_time_ms: f64,
    /// 95 of 100 executions took no longer, in ms.
    pub p95_time_ms: Option<f64>,
    /// 99 of 100 executions took no longer, in ms.
    pub p99_time_ms: Option<f64>,
    /// Shortest execution, in ms.
    pub min_time_ms: Option<f64>,
    /// Longest execution, in ms.
    pub max_time_ms: Option<f64>,
    /// Standard deviation of the time of an execution, in ms.
    pub stddev_time_ms: Option<f64>,
    /// Share of the time of all statements, in per cent.
    pub total_time_percent: f64,
    /// Rows returned or changed.
    pub rows_total: i64,
    /// Rows returned or changed by an execution, on average.
    pub rows_returned_avg: f64,
    /// Blocks found in shared buffers.
    pub blocks_hit: i64,
    /// Blocks read.
    pub blocks_read: i64,
    /// Blocks of sorts and hashes written to temporary files.
    pub temp_blocks_written: i64,
    /// WAL generated, in bytes.
    pub wal_bytes: i64,
}

/// What figures cover.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Period {
    /// Everything since the counters were last reset.
    #[default]
    Total,
    /// The time between the last two readings, half a minute unless `probes.statements.every` says otherwise.
    Recent,
    /// The time from `start` to `end`: what there is where either is given.
    Between,
}

/// The order of slow queries.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Sort {
    /// Slowest on average first.
    #[default]
    Avg,
    /// Longest execution first.
    Max,
    /// Most time altogether first.
    Total,
    /// Most often executed first.
    Calls,
    /// Most rows first.
    Rows,
    /// Most blocks read first.
    Reads,
    /// Most WAL first.
    Wal,
}

/// Parameters of [`Queries`].
#[derive(Debug, Clone, Default, Serialize, Deserialize, IntoParams)]
pub struct Params {
    /// At most so many statements a list: 20 unless said otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// Slow queries take at least so many ms on average: 1000 unless said otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_ms: Option<f64>,
    /// The order of slow queries: `avg` unless said otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(inline)]
    pub sort: Option<Sort>,
    /// What the figures cover: `total` unless said otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(inline)]
    pub period: Option<Period>,
    /// Characters of a statement's text at most: 1000 unless said otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text_length: Option<usize>,
    /// Of the past: not before this instant, as 2026-01-31T10:00:00Z; an hour before `end` unless said otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start: Option<Timestamp>,
    /// Of the past: not after this instant; now unless said otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end: Option<Timestamp>,
}

impl Document for Queries {
    type Params = Params;
    const PATH: &'static str = "/api/v1/stats/queries";
    const ABOUT: &'static str = "Statements by what they cost: the slow ones, the frequent ones, those that take the most time";
    const PROBES: &'static [Probe] = &[Probe::Statements, Probe::StatementsInfo, Probe::Database, Probe::Roles];
    const FRESH: &'static [Probe] = &[Probe::Statements];

    fn build(known: &Known<'_>, params: &Params) -> Result<Self> {
        if Self::is_of_past(params) {
            return Err(Error::new(Kind::Usage, "a connection alone tells nothing of the past")
                .hint("ask an agent that watches the server: leave out --connection; pgtend agent and pgtend up remember"));
        }
        let period = params.period.unwrap_or_default();
        if period == Period::Between {
            return Err(Error::new(Kind::Usage, "between what? start or end must be given"));
        }
        let mut unknown = Unknowns::default();
        let covered = covered(known, period);
        let text = |id| known.view.statement_texts.get(&id).map(|text| &**text).or_else(|| known.ash.text(id)).map(str::to_owned);
        let names = Names::of(&known.view.readings, &text, &mut unknown);
        let info = unknown.take("given_up", known.view.readings.statements_info.current()).and_then(|sample| sample.rows.first());
        let document = Self::told(period, params, covered, &names, info, unknown)?;
        Ok(document.with_reasons(known.view.readings.statement_texts.current().err()))
    }
}

impl Queries {
    fn told(
        period: Period,
        params: &Params,
        covered: Result<Covered<'_>, Unknown>,
        names: &Names<'_>,
        info: Option<&StatementsInfo>,
        mut unknown: Unknowns,
    ) -> Result<Self> {
        let min_ms = params.min_ms.unwrap_or(1000.0);
        if min_ms.is_nan() || min_ms < 0.0 {
            return Err(Error::new(Kind::Usage, "min_ms must be zero or more"));
        }
        let reset = info.and_then(|info| info.stats_reset).filter(|_| period != Period::Between);
        let covered = unknown.take("slow_queries", covered).unwrap_or_else(|| Covered::nothing(reset));
        let queries = covered.queries(names);
        let (limit, length) = (params.limit.unwrap_or(20), params.text_length.unwrap_or(1000));
        let top = |queries: &mut dyn Iterator<Item = &Query>, sort| names.with_texts(top(queries, limit, key(sort)), length);
        Ok(Self {
            period,
            since: covered.since.or(reset),
            until: covered.until,
            slow_queries: top(&mut queries.iter().filter(|query| query.avg_time_ms >= min_ms), params.sort.unwrap_or_default()),
            top_queries_by_calls: top(&mut queries.iter(), Sort::Calls),
            top_queries_by_total_time: top(&mut queries.iter(), Sort::Total),
            statements: queries.len(),
            given_up: info.map(|info| info.dealloc),
            unknown,
        })
    }
}

/// What the statements did in a period.
struct Covered<'a> {
    since: Option<Timestamp>,
    until: Option<Timestamp>,
    statements: Vec<Cost<'a>>,
}

/// What a statement did in a period, as differences of its counters.
struct Cost<'a> {
    row: &'a Statement,
    before: Option<&'a Statement>,
    /// Whether extremes and deviation, which are no counters, cover the same time.
    has_extremes: bool,
}

fn covered<'a>(known: &Known<'a>, period: Period) -> Result<Covered<'a>, Unknown> {
    let slot = &known.view.readings.statements;
    match period {
        Period::Total => {
            let sample = slot.current().map_err(Clone::clone)?;
            let statements = sample.rows.iter().map(|row| Cost { row, before: None, has_extremes: true }).collect();
            Ok(Covered { since: None, until: Some(sample.at), statements })
        }
        Period::Recent | Period::Between => {
            let (older, newer, _) = slot.pair()?;
            let statements = between(older, newer).filter(|cost| cost.of(|row| row.calls) > 0).collect();
            Ok(Covered { since: Some(older.at), until: Some(newer.at), statements })
        }
    }
}

/// Each statement with its earlier reading; without one when it was not there, or began to be counted anew.
fn between<'a>(older: &'a Sample<Statement>, newer: &'a Sample<Statement>) -> impl Iterator<Item = Cost<'a>> {
    type Key = (i64, i64, i64, Option<bool>);
    let key = |row: &Statement| -> Key { (row.userid, row.dbid, row.queryid, row.toplevel) };
    let before: HashMap<Key, &Statement> = older.rows.iter().map(|row| (key(row), row)).collect();
    newer.rows.iter().map(move |row| {
        let before = before.get(&key(row)).copied();
        let before = before.filter(|before| before.calls <= row.calls && before.total_exec_time <= row.total_exec_time);
        Cost { row, before, has_extremes: before.is_none() }
    })
}

impl Cost<'_> {
    fn of(&self, counter: impl Fn(&Statement) -> i64) -> i64 {
        counter(self.row) - self.before.map_or(0, counter)
    }

    fn of_time(&self, counter: impl Fn(&Statement) -> f64) -> f64 {
        counter(self.row) - self.before.map_or(0.0, counter)
    }
}

/// Names of databases and roles, and texts of statements, by identifier.
struct Names<'a> {
    databases: HashMap<i64, &'a str>,
    roles: HashMap<i64, &'a str>,
    text: &'a dyn Fn(i64) -> Option<String>,
}

impl<'a> Names<'a> {
    fn of(readings: &'a Readings, text: &'a dyn Fn(i64) -> Option<String>, unknown: &mut Unknowns) -> Self {
        let databases = unknown.take("database", readings.database.current());
        let roles = unknown.take("user", readings.roles.current());
        Self {
            databases: databases.iter().flat_map(|sample| sample.rows.iter().map(|row| (row.datid, &*row.datname))).collect(),
            roles: roles.iter().flat_map(|sample| sample.rows.iter().map(|row| (row.oid, &*row.rolname))).collect(),
            text,
        }
    }

    /// Texts are looked up last, for the few statements that are shown.
    fn with_texts(&self, mut queries: Vec<Query>, length: usize) -> Vec<Query> {
        for query in &mut queries {
            query.sql = self.text(query.query_id.0, length);
        }
        queries
    }

    fn text(&self, id: i64, length: usize) -> Option<String> {
        let text = (self.text)(id)?;
        Some(match text.char_indices().nth(length) {
            Some((end, _)) => format!("{}…", &text[..end]),
            None => text,
        })
    }
}

impl Covered<'_> {
    fn nothing(since: Option<Timestamp>) -> Self {
        Self { since, until: None, statements: Vec::new() }
    }

    fn queries(&self, names: &Names<'_>) -> Vec<Query> {
        let all: f64 = self.statements.iter().map(|cost| cost.of_time(|row| row.total_exec_time)).sum();
        self.statements.iter().map(|cost| query(cost, names, all)).collect()
    }
}

fn query(cost: &Cost<'_>, names: &Names<'_>, time_of_all: f64) -> Query {
    let row = cost.row;
    let (calls, time) = (cost.of(|row| row.calls), cost.of_time(|row| row.total_exec_time));
    let overall = |figure: f64| cost.has_extremes.then_some(figure);
    let rows = cost.of(|row| row.rows);
    #[expect(clippy::cast_precision_loss, reason = "a mean needs no more than a double's precision")]
    let rows_avg = mean(rows as f64, calls, "execution").unwrap_or(0.0);
    Query {
        query_id: QueryId(row.queryid),
        sql: None,
        database: names.databases.get(&row.dbid).map(ToString::to_string),
        user: names.roles.get(&row.userid).map(ToString::to_string),
        toplevel: row.toplevel,
        calls,
        total_time_ms: time,
        avg_time_ms: mean(time, calls, "execution").unwrap_or(0.0),
        p95_time_ms: None,
        p99_time_ms: None,
        min_time_ms: overall(row.min_exec_time),
        max_time_ms: overall(row.max_exec_time),
        stddev_time_ms: overall(row.stddev_exec_time),
        total_time_percent: if time_of_all > 0.0 { 100.0 * time / time_of_all } else { 0.0 },
        rows_total: rows,
        rows_returned_avg: rows_avg,
        blocks_hit: cost.of(|row| row.shared_blks_hit),
        blocks_read: cost.of(|row| row.shared_blks_read),
        temp_blocks_written: cost.of(|row| row.temp_blks_written),
        wal_bytes: cost.of(|row| row.wal_bytes),
    }
}

fn key(sort: Sort) -> fn(&Query) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "an order needs no more than a double's precision")]
    match sort {
        Sort::Avg => |query| query.avg_time_ms,
        Sort::Max => |query| query.max_time_ms.unwrap_or(query.avg_time_ms),
        Sort::Total => |query| query.total_time_ms,
        Sort::Calls => |query| query.calls as f64,
        Sort::Rows => |query| query.rows_total as f64,
        Sort::Reads => |query| query.blocks_read as f64,
        Sort::Wal => |query| query.wal_bytes as f64,
    }
}

fn top<'q>(queries: impl Iterator<Item = &'q Query>, limit: usize, key: fn(&Query) -> f64) -> Vec<Query> {
    let mut queries: Vec<&Query> = queries.collect();
    queries.sort_by(|a, b| key(b).total_cmp(&key(a)).then_with(|| a.query_id.cmp(&b.query_id)));
    queries.into_iter().take(limit).cloned().collect()
}

impl Queries {
    /// How long the period is, in seconds; none when its beginning or end is unknown.
    pub fn seconds(&self) -> Option<f64> {
        self.until?.since(self.since?).ok()?.total(Unit::Second).ok()
    }

    fn with_reasons(mut self, lacks_texts_because: Option<&Unknown>) -> Self {
        let quantiles = "pg_stat_statements keeps mean, deviation and extremes of the times, and no quantiles";
        self.unknown.note("p95_time_ms", never_told(quantiles));
        self.unknown.note("p99_time_ms", never_told(quantiles));
        if self.period != Period::Total {
            for place in ["min_time_ms", "max_time_ms", "stddev_time_ms"] {
                self.unknown.note(place, never_told("pg_stat_statements keeps it for the whole time only: ask for period=total"));
            }
        }
        let lists = [&self.slow_queries, &self.top_queries_by_calls, &self.top_queries_by_total_time];
        let lacks_texts = lists.into_iter().flatten().any(|query| query.sql.is_none());
        if lacks_texts {
            let why = lacks_texts_because.cloned();
            self.unknown.note("sql", why.unwrap_or_else(|| never_told("the text was not fetched yet, or the server gave it up")));
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::by_hand::{built, put, view};
    use super::*;
    use crate::view::View;
    use serde_json::json;
    use std::sync::Arc;

    fn seen() -> View {
        let mut view = view();
        let statement = |queryid: i64, calls: i64, time: f64, max: f64| {
            json!({"userid": 10, "dbid": 5, "queryid": queryid, "calls": calls, "total_exec_time": time, "max_exec_time": max,
                   "rows": calls * 2, "shared_blks_read": calls * 3, "toplevel": true})
        };
        put(&mut view.readings.statements, 0, json!([statement(1, 100, 100.0, 5.0), statement(2, 5, 20_000.0, 9_000.0)]));
        let newer = json!([statement(1, 300, 500.0, 8.0), statement(2, 5, 20_000.0, 9_000.0), statement(-3, 2, 3_000.0, 2_900.0)]);
        put(&mut view.readings.statements, 30, newer);
        put(&mut view.readings.statements_info, 30, json!([{"dealloc": 7, "stats_reset": -3600}]));
        put(&mut view.readings.database, 30, json!([{"datid": 5, "datname": "shop"}]));
        put(&mut view.readings.roles, 30, json!([{"oid": 10, "rolname": "app"}]));
        view.statement_texts = Arc::new([(1, "select $1".into()), (2, "select ä from grüße".into())].into());
        view
    }

    #[test]
    fn the_slow_the_frequent_and_the_costly() {
        let document = built::<Queries>(&seen(), &Params { text_length: Some(8), limit: Some(2), ..Params::default() });
        insta::assert_json_snapshot!(document);
    }

    #[test]
    fn recent_figures_are_of_what_ran_in_between() {
        let params = Params { period: Some(Period::Recent), min_ms: Some(0.0), sort: Some(Sort::Calls), ..Params::default() };
        let document = built::<Queries>(&seen(), &params);
        let slow = document["slow_queries"].as_array().unwrap();
        let figures: Vec<_> = slow.iter().map(|query| (query["query_id"].as_str().unwrap(), query["calls"].as_i64().unwrap())).collect();
        assert_eq!(figures, [("1", 200), ("-3", 2)]);
        assert_eq!(
            (&slow[0]["avg_time_ms"], &slow[0]["max_time_ms"], &slow[1]["max_time_ms"]),
            (&json!(2.0), &json!(null), &json!(2900.0))
        );
        assert_eq!(document["statements"], 2);
    }

    #[test]
    fn without_the_extension_everything_is_unknown_and_nothing_an_error() {
        let mut view = view();
        let why = Unknown::new(crate::sample::Reason::Extension, "pg_stat_statements is not installed");
        view.readings.statements.put(Err(why.clone()));
        let document = built::<Queries>(&view, &Params::default());
        assert_eq!(document["unknown"]["slow_queries"]["detail"], why.detail);
        assert_eq!(document["slow_queries"], json!([]));
    }
}
