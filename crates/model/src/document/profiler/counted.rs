//! What the server counted of a statement, from pg_stat_statements.

use super::Materials;
use crate::awr::change::{Change, Changes};
use crate::awr::period::{Edge, Period};
use crate::document::Unknowns;
use crate::past::{Frame, Span};
use crate::query_id::QueryId;
use crate::sample::statements::Statement;
use crate::sample::{Probe, Readings, Reason, Taken, Unknown};
use crate::view::View;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use utoipa::ToSchema;

/// What a statement did, all roles and databases together.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = ProfileStatistics)]
pub struct Statistics {
    /// First reading of its counters.
    pub from: Option<Timestamp>,
    /// Last reading of its counters.
    pub to: Option<Timestamp>,
    /// Executions.
    pub calls: i64,
    /// Time of all executions, in ms.
    pub total_execution_time_ms: f64,
    /// Mean time of an execution, in ms.
    pub mean_execution_time_ms: Option<f64>,
    /// Time spent planning, in ms; null unless `pg_stat_statements.track_planning` is on.
    pub planning_time_ms: Option<f64>,
    /// Processor time as the operating system counts it for its sessions, or else as samples show it, in ms.
    pub cpu_time_ms: Option<f64>,
    /// Time spent reading and writing blocks, in ms; null unless `track_io_timing` is on.
    pub io_time_ms: Option<f64>,
    /// Rows returned or changed.
    pub rows_returned: i64,
    /// Read from disk or the operating system's cache, in bytes.
    pub bytes_read: f64,
    /// Blocks found in shared buffers.
    pub cache_hits: i64,
    /// Blocks read.
    pub cache_misses: i64,
    /// Blocks made dirty.
    pub blocks_dirtied: i64,
    /// Blocks of temporary files read.
    pub temp_blocks_read: i64,
    /// Blocks of temporary files written.
    pub temp_blocks_written: i64,
    /// WAL generated, in bytes.
    pub wal_bytes: i64,
    /// Whether its counters began anew in between: what was lost is not in the figures.
    pub reset: bool,
}

/// What a statement did since its counters began.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = ProfileOverall)]
pub struct Overall {
    /// Since when it is counted; from 17 on the statement's own, before that of all statements.
    pub since: Option<Timestamp>,
    /// Shortest execution, in ms.
    pub min_execution_time_ms: f64,
    /// Longest execution, in ms.
    pub max_execution_time_ms: f64,
    /// Standard deviation of the time of an execution, in ms; null where several roles or databases run it.
    pub stddev_execution_time_ms: Option<f64>,
    /// Everything else.
    #[serde(flatten)]
    pub totals: Statistics,
}

/// What a statement did between two readings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = ProfilePoint)]
pub struct Point {
    /// The first reading.
    pub from: Timestamp,
    /// The second.
    pub to: Timestamp,
    /// Executions.
    pub calls: i64,
    /// Time of them, in ms.
    pub total_execution_time_ms: f64,
    /// Mean time of one, in ms; null where there was none.
    pub mean_execution_time_ms: Option<f64>,
    /// Rows returned or changed.
    pub rows: i64,
    /// Blocks read.
    pub cache_misses: i64,
}

/// What a role did with the statement in a database.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = ProfileUser)]
pub struct Who {
    /// Role.
    pub user: String,
    /// Database.
    pub database: String,
    /// Executions.
    pub calls: i64,
    /// Time of them, in ms.
    pub total_execution_time_ms: f64,
}

#[derive(Default)]
pub(super) struct Counted {
    pub(super) statistics: Option<Statistics>,
    pub(super) overall: Option<Overall>,
    pub(super) series: Vec<Point>,
    pub(super) users: Vec<Who>,
    pub(super) database: Option<String>,
}

/// `until_now` where the newest reading counts as the end.
pub(super) fn of(materials: &Materials<'_>, id: QueryId, span: Span, until_now: bool, unknown: &mut Unknowns) -> Counted {
    let readings = &materials.view.readings;
    let mut counted = Counted::default();
    let latest = unknown.take("overall", readings.statements.current());
    let rows: Vec<&Statement> = latest.iter().flat_map(|sample| &sample.rows).filter(|row| row.queryid == id.0).collect();
    if latest.is_some() && rows.is_empty() {
        unknown.note("overall", Unknown::new(Reason::Absent, "the server counts no such statement: not executed yet, given up or reset"));
    }
    let times = Times::of(readings);
    counted.overall = (!rows.is_empty()).then(|| overall(&rows, &times, readings, latest.map(|sample| sample.at)));
    counted.database = rows.iter().max_by(|a, b| a.total_exec_time.total_cmp(&b.total_exec_time)).map(|row| times.database(row));
    let changes = unknown.take("execution_stats", changes(materials, span, until_now));
    if let Some(changes) = &changes {
        let own: Vec<&Change<Statement>> = changes.rows.iter().filter(|change| change.grown.queryid == id.0).collect();
        if own.is_empty() {
            unknown.note("execution_stats", Unknown::new(Reason::Absent, "the server counted no such statement in the period"));
            times.note(unknown);
            return counted;
        }
        let mut statistics = sum(own.iter().map(|change| &change.grown), &times);
        (statistics.from, statistics.to) = (Some(changes.from), Some(changes.to));
        statistics.reset = own.iter().any(|change| change.fate == crate::awr::change::Fate::Reset);
        counted.statistics = Some(statistics);
        counted.users = users(&own, &times);
        counted.series = series(materials, id, span, until_now, unknown);
    }
    times.note(unknown);
    counted
}

/// The database in which a statement takes the most time.
pub fn database(view: &View, id: QueryId) -> Option<String> {
    let rows = view.readings.statements.latest.iter().flat_map(|sample| &sample.rows).filter(|row| row.queryid == id.0);
    let most = rows.max_by(|a, b| a.total_exec_time.total_cmp(&b.total_exec_time))?;
    let databases = view.readings.database.latest.as_ref()?;
    databases.rows.iter().find(|row| row.datid == most.dbid).map(|row| row.datname.to_string())
}

fn changes(materials: &Materials<'_>, span: Span, until_now: bool) -> Result<Changes<Statement>, Unknown> {
    let read = |at: Timestamp| -> Result<Edge, Unknown> {
        let readings = materials.past.readings(at, &[Probe::Statements]).map_err(|error| Unknown::new(Reason::Failed, error.what))?;
        Ok(Edge { at, snapshot: None, readings })
    };
    let newest = || Edge { at: span.end, snapshot: None, readings: materials.view.readings.clone() };
    let end = if until_now { newest() } else { read(span.end)? };
    let period = Period { past: materials.past, server: String::new(), begin: read(span.start)?, end };
    Changes::of(&period)
}

/// What turns counters into figures: names, the size of a block, and which times the server takes at all.
struct Times {
    databases: HashMap<i64, String>,
    roles: HashMap<i64, String>,
    block_bytes: f64,
    io: Option<bool>,
    planning: Option<bool>,
}

impl Times {
    fn of(readings: &Readings) -> Self {
        let databases = readings.database.latest.iter().flat_map(|sample| &sample.rows);
        let roles = readings.roles.latest.iter().flat_map(|sample| &sample.rows);
        let setting = |name: &str| {
            let row = readings.settings.current().ok()?.rows.iter().find(|row| &*row.name == name)?;
            row.setting.as_deref().map(str::to_owned)
        };
        let is_on = |name: &str| setting(name).map(|value| value == "on");
        Self {
            databases: databases.map(|row| (row.datid, row.datname.to_string())).collect(),
            roles: roles.map(|row| (row.oid, row.rolname.to_string())).collect(),
            block_bytes: setting("block_size").and_then(|value| value.parse().ok()).unwrap_or(8192.0),
            io: is_on("track_io_timing"),
            planning: is_on("pg_stat_statements.track_planning"),
        }
    }

    fn database(&self, row: &Statement) -> String {
        self.databases.get(&row.dbid).cloned().unwrap_or_else(|| format!("({})", row.dbid))
    }

    fn role(&self, row: &Statement) -> String {
        self.roles.get(&row.userid).cloned().unwrap_or_else(|| format!("({})", row.userid))
    }

    fn note(&self, unknown: &mut Unknowns) {
        for (is_on, place, name) in
            [(self.io, "io_time_ms", "track_io_timing"), (self.planning, "planning_time_ms", "pg_stat_statements.track_planning")]
        {
            if is_on == Some(false) {
                unknown.note(place, Unknown::new(Reason::Disabled, format!("{name} is off")));
            }
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
fn sum<'a>(rows: impl Iterator<Item = &'a Statement>, times: &Times) -> Statistics {
    let mut all = Statistics::default();
    let (mut io_ms, mut planning_ms) = (0.0, 0.0);
    for row in rows {
        all.calls += row.calls;
        all.total_execution_time_ms += row.total_exec_time;
        planning_ms += row.total_plan_time;
        let others = [row.local_blk_read_time, row.local_blk_write_time, row.temp_blk_read_time, row.temp_blk_write_time];
        io_ms += row.shared_blk_read_time + row.shared_blk_write_time + others.iter().flatten().sum::<f64>();
        all.rows_returned += row.rows;
        all.cache_hits += row.shared_blks_hit;
        all.cache_misses += row.shared_blks_read;
        all.blocks_dirtied += row.shared_blks_dirtied;
        all.temp_blocks_read += row.temp_blks_read;
        all.temp_blocks_written += row.temp_blks_written;
        all.wal_bytes += row.wal_bytes;
    }
    all.bytes_read = all.cache_misses as f64 * times.block_bytes;
    all.mean_execution_time_ms = (all.calls > 0).then(|| all.total_execution_time_ms / all.calls as f64);
    // Zero says nothing where time is not taken.
    all.io_time_ms = Some(io_ms).filter(|ms| *ms > 0.0 || times.io == Some(true));
    all.planning_time_ms = Some(planning_ms).filter(|ms| *ms > 0.0 || times.planning == Some(true));
    all
}

fn overall(rows: &[&Statement], times: &Times, readings: &Readings, at: Option<Timestamp>) -> Overall {
    let info = readings.statements_info.latest.as_ref().and_then(|sample| sample.rows.first());
    let since = rows.iter().filter_map(|row| row.stats_since).min().or_else(|| info.and_then(|info| info.stats_reset));
    let mut totals = sum(rows.iter().copied(), times);
    (totals.from, totals.to) = (since, at);
    Overall {
        since,
        min_execution_time_ms: rows.iter().map(|row| row.min_exec_time).fold(f64::INFINITY, f64::min),
        max_execution_time_ms: rows.iter().map(|row| row.max_exec_time).fold(0.0, f64::max),
        stddev_execution_time_ms: if let [only] = rows { Some(only.stddev_exec_time) } else { None },
        totals,
    }
}

fn users(own: &[&Change<Statement>], times: &Times) -> Vec<Who> {
    let mut users: Vec<Who> = Vec::new();
    for change in own.iter().filter(|change| change.grown.calls > 0) {
        let (user, database) = (times.role(&change.grown), times.database(&change.grown));
        let (calls, time) = (change.grown.calls, change.grown.total_exec_time);
        match users.iter_mut().find(|who| who.user == user && who.database == database) {
            Some(who) => (who.calls, who.total_execution_time_ms) = (who.calls + calls, who.total_execution_time_ms + time),
            None => users.push(Who { user, database, calls, total_execution_time_ms: time }),
        }
    }
    users.sort_by(|a, b| b.total_execution_time_ms.total_cmp(&a.total_execution_time_ms));
    users
}

/// The statement's counters at an instant, by role, database and whether a client sent it.
type Counters = HashMap<(i64, i64, Option<bool>), Statement>;

/// From reading to reading. A row that did not change is not remembered anew, so it counts as it was.
fn series(materials: &Materials<'_>, id: QueryId, span: Span, until_now: bool, unknown: &mut Unknowns) -> Vec<Point> {
    let mut points = Vec::new();
    let mut last: Option<(Timestamp, Counters)> = None;
    let mut step = |at: Timestamp, rows: &[Statement], whole: bool| {
        let now: Counters =
            rows.iter().filter(|row| row.queryid == id.0).map(|row| ((row.userid, row.dbid, row.toplevel), row.clone())).collect();
        match &mut last {
            None => last = Some((at, now)),
            Some((then, counters)) if at > *then => {
                points.push(point(*then, at, counters, &now));
                if whole {
                    counters.clear();
                }
                counters.extend(now);
                *then = at;
            }
            Some(_) => {}
        }
    };
    let read = materials.past.frames(Probe::Statements, span, &mut |frame: &Frame| {
        if let Ok(Taken::Statements(sample)) = &frame.rows {
            step(frame.at, &sample.rows, frame.whole);
        }
    });
    if let Err(error) = read {
        unknown.note("series", Unknown::new(Reason::Failed, error.what));
    }
    // What was known at the end, read there or before.
    let at_end = match until_now {
        true => Ok(materials.view.readings.clone()),
        false => materials.past.readings(span.end, &[Probe::Statements]),
    };
    if let Some(newest) = at_end.ok().and_then(|readings| readings.statements.latest.clone()) {
        step(newest.at, &newest.rows, true);
    }
    points
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
fn point(from: Timestamp, to: Timestamp, before: &Counters, now: &Counters) -> Point {
    let mut point = Point { from, to, calls: 0, total_execution_time_ms: 0.0, mean_execution_time_ms: None, rows: 0, cache_misses: 0 };
    for (key, row) in now {
        // A counter that went back began anew.
        let before = before.get(key).filter(|before| before.calls <= row.calls && before.stats_since == row.stats_since);
        point.calls += row.calls - before.map_or(0, |before| before.calls);
        point.total_execution_time_ms += (row.total_exec_time - before.map_or(0.0, |before| before.total_exec_time)).max(0.0);
        point.rows += row.rows - before.map_or(0, |before| before.rows);
        point.cache_misses += row.shared_blks_read - before.map_or(0, |before| before.shared_blks_read);
    }
    point.mean_execution_time_ms = (point.calls > 0).then(|| point.total_execution_time_ms / point.calls as f64);
    point
}
