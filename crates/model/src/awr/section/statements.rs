//! Top SQL: the statements that took the most of each thing.

use crate::ash::WaitClass;
use crate::ash::block::Dimension;
use crate::awr::active::{Active, class, is_foreground};
use crate::awr::change::{Change, Fate};
use crate::awr::known::Known;
use crate::awr::measure::Unit;
use crate::awr::page::{Bar, Bars, Cell, Listing, Part, Section, Table};
use crate::document::Unknowns;
use crate::query_id::QueryId;
use crate::sample::statements::Statement as Row;
use crate::sample::{Reason, Unknown};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use utoipa::ToSchema;

/// Top SQL.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = AwrStatements)]
pub struct Statements {
    /// The orders, each with its first statements.
    pub rankings: Vec<Ranking>,
    /// Every statement that is in one of them, once.
    pub statements: Vec<Statement>,
    /// Statements that were executed in the period.
    pub executed: Option<usize>,
    /// Statements that were not there at the begin.
    pub appeared: Option<usize>,
    /// Statements that are no longer there at the end: what they did after their last reading is lost.
    pub vanished: Option<usize>,
    /// Statements that began to be counted anew.
    pub reset: Option<usize>,
    /// Why figures are null.
    pub unknown: Unknowns,
}

/// Statements in the order of one figure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = AwrRanking)]
pub struct Ranking {
    /// By what: `elapsed_time`, `active_time`, `cpu_time`, `buffer_gets`, `physical_reads`, `executions`, `temp_blocks`, `wal_bytes`,
    /// `io_time`, `plan_time`.
    pub by: String,
    /// The same in words.
    pub label: String,
    /// Its unit.
    pub unit: Unit,
    /// Of all statements together.
    pub total: f64,
    /// The first ones.
    pub statements: Vec<Ranked>,
}

/// A statement in its place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = AwrRanked)]
pub struct Ranked {
    /// Its identifier.
    pub query_id: QueryId,
    /// Database.
    pub database: Option<String>,
    /// Role.
    pub user: Option<String>,
    /// The figure.
    pub value: f64,
    /// Its share of the figure of all statements, in per cent.
    pub percent: f64,
    /// The figure of one execution; null where executions are not counted.
    pub per_execution: Option<f64>,
}

/// What a statement of one role in one database did.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = AwrStatement)]
pub struct Statement {
    /// Its identifier.
    pub query_id: QueryId,
    /// Database.
    pub database: Option<String>,
    /// Role.
    pub user: Option<String>,
    /// Its text with constants as `$n`, or as a session sent it.
    pub text: Option<String>,
    /// `kept`, `appeared` (not there at the begin), `vanished` (not there at the end), `reset` (counted anew in between), `sampled` (seen in
    /// sessions only).
    pub fate: String,
    /// Executions.
    pub executions: Option<i64>,
    /// Time of all executions, in seconds.
    pub elapsed_seconds: Option<f64>,
    /// Time spent planning, in seconds.
    pub plan_seconds: Option<f64>,
    /// Time for which sessions were seen to run it, in seconds.
    pub active_seconds: Option<f64>,
    /// Processor time, in seconds, from the operating system.
    pub cpu_seconds: Option<f64>,
    /// Time for which sessions were seen to run it without waiting, in seconds.
    pub on_cpu_seconds: Option<f64>,
    /// Time for which sessions were seen to run it, by wait class, in seconds.
    pub waits: BTreeMap<WaitClass, f64>,
    /// Time spent reading and writing blocks, in seconds.
    pub io_seconds: Option<f64>,
    /// Rows returned or changed.
    pub rows: Option<i64>,
    /// Blocks asked for: found in shared buffers or read.
    pub buffer_gets: Option<i64>,
    /// Blocks read.
    pub physical_reads: Option<i64>,
    /// Blocks made dirty.
    pub blocks_dirtied: Option<i64>,
    /// Blocks of sorts and hashes read from or written to temporary files.
    pub temp_blocks: Option<i64>,
    /// WAL generated, in bytes.
    pub wal_bytes: Option<i64>,
}

/// By what statements are ordered.
struct Order {
    by: &'static str,
    label: &'static str,
    unit: Unit,
    figure: fn(&Statement) -> Option<f64>,
}

#[expect(clippy::cast_precision_loss, reason = "an order needs no more than a double's precision")]
const ORDERS: [Order; 10] = [
    Order { by: "elapsed_time", label: "SQL by elapsed time", unit: Unit::Seconds, figure: |row| row.elapsed_seconds },
    Order { by: "active_time", label: "SQL by time in the samples of the sessions", unit: Unit::Seconds, figure: |row| row.active_seconds },
    Order { by: "cpu_time", label: "SQL by CPU", unit: Unit::Seconds, figure: |row| row.cpu_seconds.or(row.on_cpu_seconds) },
    Order { by: "buffer_gets", label: "SQL by buffer gets", unit: Unit::Count, figure: |row| row.buffer_gets.map(|n| n as f64) },
    Order { by: "physical_reads", label: "SQL by physical reads", unit: Unit::Count, figure: |row| row.physical_reads.map(|n| n as f64) },
    Order { by: "io_time", label: "SQL by time in I/O", unit: Unit::Seconds, figure: |row| row.io_seconds },
    Order { by: "executions", label: "SQL by executions", unit: Unit::Count, figure: |row| row.executions.map(|n| n as f64) },
    Order { by: "temp_blocks", label: "SQL by temporary blocks", unit: Unit::Count, figure: |row| row.temp_blocks.map(|n| n as f64) },
    Order { by: "wal_bytes", label: "SQL by WAL", unit: Unit::Bytes, figure: |row| row.wal_bytes.map(|n| n as f64) },
    Order { by: "plan_time", label: "SQL by time in planning", unit: Unit::Seconds, figure: |row| row.plan_seconds },
];

/// Which statement: identifier, database, role.
type Which = (i64, Option<String>, Option<String>);

impl Statements {
    /// Works it out, each order at most `limit` long.
    pub fn build(known: &Known<'_>, limit: usize) -> Self {
        let mut all: HashMap<Which, Statement> = HashMap::new();
        let mut unknown = Unknowns::default();
        let mut document = Self::default();
        if let Some(changes) = unknown.take("statements", known.statements.as_ref()) {
            let fates = |fate: Fate| Some(changes.rows.iter().filter(|row| row.fate == fate).count());
            document.executed = Some(changes.rows.iter().filter(|row| row.grown.calls > 0).count());
            (document.appeared, document.vanished, document.reset) = (fates(Fate::Appeared), fates(Fate::Vanished), fates(Fate::Reset));
            changes.rows.iter().filter(|row| row.grown.calls > 0).for_each(|row| counted(&mut all, known, row));
        }
        if let Some(active) = unknown.take("active_seconds", known.active.as_ref()) {
            sampled(&mut all, active);
        }
        let mut all: Vec<Statement> = all.into_values().collect();
        all.sort_by(|a, b| (a.query_id, &a.database, &a.user).cmp(&(b.query_id, &b.database, &b.user)));
        document.rankings = ORDERS.iter().filter_map(|order| ranking(order, &all, limit)).collect();
        let shown: BTreeSet<Which> = document.rankings.iter().flat_map(|ranking| &ranking.statements).map(Ranked::which).collect();
        all.retain(|row| shown.contains(&row.which()));
        let sum = |row: &Statement| row.elapsed_seconds.unwrap_or(0.0).max(row.active_seconds.unwrap_or(0.0));
        all.sort_by(|a, b| sum(b).total_cmp(&sum(a)).then(a.query_id.cmp(&b.query_id)));
        all.iter_mut().for_each(|row| row.text = known.text(row.query_id.0));
        if all.iter().any(|row| row.text.is_none()) {
            unknown.note(
                "text",
                Unknown::new(Reason::Absent, "the text was given up by the server before it could be read, or is not captured"),
            );
        }
        notes(known, &all, &mut unknown);
        (document.statements, document.unknown) = (all, unknown);
        document
    }

    /// The text of a statement.
    pub fn text(&self, id: QueryId) -> Option<&str> {
        self.statements.iter().find(|row| row.query_id == id).and_then(|row| row.text.as_deref())
    }

    /// How it is laid out: the orders, and the whole texts, those of other sections too.
    pub fn sections(&self, others: &[(QueryId, &str)]) -> [Section; 2] {
        let about = "Each statement of each role in each database on its own. CPU is what the operating system counted for the sampled \
                     sessions where the agent runs beside the server; otherwise the time for which sessions were seen without a wait.";
        let mut top = Section::new("top_sql", "Top SQL", about).missing(self.unknown.iter());
        let changed = [
            (self.appeared, "appeared: not counted at the begin"),
            (self.vanished, "vanished: given up or dropped"),
            (self.reset, "reset: counted anew"),
        ];
        for (count, what) in changed {
            if let Some(count) = count.filter(|count| *count > 0) {
                top = top.note(format!("{count} statements {what}."));
            }
        }
        top = top.with_some(self.bars());
        for ranking in &self.rankings {
            top = top.with(self.table(ranking));
        }
        [top, self.texts(others)]
    }

    /// The statements that took the most time in the samples, by wait class.
    fn bars(&self) -> Option<Bars> {
        let ranking = self.rankings.iter().find(|ranking| ranking.by == "active_time")?;
        let bar = |ranked: &Ranked| {
            let row = self.statements.iter().find(|row| row.which() == ranked.which())?;
            Some(Bar {
                label: Cell::from(excerpt(row.text.as_deref())).to(anchor(row.query_id)),
                shown: Cell::seconds(ranked.value),
                parts: row.waits.iter().map(|(class, seconds)| (class.name().to_owned(), *seconds)).collect(),
            })
        };
        Some(Bars { title: "Time by statement and wait class".to_owned(), bars: ranking.statements.iter().filter_map(bar).collect() })
    }

    fn texts(&self, others: &[(QueryId, &str)]) -> Section {
        let own = self.statements.iter().map(|row| (row.query_id, row.text.as_deref().unwrap_or("(its text is not known)")));
        let mut seen = BTreeSet::new();
        let listing = |(id, text): (QueryId, &str)| Listing { anchor: anchor(id), name: id.to_string(), text: text.to_owned() };
        let texts: Vec<Listing> = own.chain(others.iter().copied()).filter(|(id, _)| seen.insert(*id)).map(listing).collect();
        let about = "Whole texts of the statements above, constants as $n where the server normalised them.";
        let section = Section::new("sql_texts", "SQL texts", about);
        if texts.is_empty() { section } else { section.with(Part::Texts(texts)) }
    }

    fn table(&self, ranking: &Ranking) -> Table {
        let by_time = ranking.by == "elapsed_time";
        let figure = match ranking.unit {
            Unit::Seconds => ">time",
            Unit::Bytes => ">bytes",
            _ => ">count",
        };
        let middle: &[&str] = if by_time { &[">CPU", ">I/O"] } else { &["mostly"] };
        let columns = [&[figure, ">share", ">calls", ">a call"], middle, &["user", "database", "SQL id", "*text"]].concat();
        let mut table = Table::new(&ranking.label, &columns);
        let largest = ranking.statements.first().map_or(1.0, |first| first.value);
        for ranked in &ranking.statements {
            let Some(row) = self.statements.iter().find(|row| row.which() == ranked.which()) else { continue };
            let marked = if matches!(row.fate.as_str(), "kept" | "sampled") { String::new() } else { format!("[{}] ", row.fate) };
            let mut cells = vec![
                ranking.unit.total(ranked.value).share(ranked.value / largest),
                Cell::percent(ranked.percent),
                Cell::maybe(row.executions, Cell::count),
                ranked.per_execution.map_or_else(|| Cell::unknown("executions are not known"), |figure| ranking.unit.rate(figure)),
            ];
            if by_time {
                cells.push(Cell::maybe(row.cpu_seconds.or(row.on_cpu_seconds), Cell::seconds));
                cells.push(Cell::maybe(row.io_seconds, Cell::seconds));
            } else {
                cells.push(row.waits.iter().max_by(|a, b| a.1.total_cmp(b.1)).map_or("", |(class, _)| class.name()).into());
            }
            cells.extend([
                ranked.user.as_deref().unwrap_or_default().into(),
                ranked.database.as_deref().unwrap_or_default().into(),
                Cell::from(ranked.query_id.to_string()).to(anchor(ranked.query_id)),
                format!("{marked}{}", excerpt(row.text.as_deref())).into(),
            ]);
            table.push(cells);
        }
        table
    }
}

/// Where the whole text of a statement is.
pub(in crate::awr) fn anchor(id: QueryId) -> String {
    format!("sql-{id}")
}

/// The beginning of a text.
pub(in crate::awr) fn excerpt(text: Option<&str>) -> String {
    let text = crate::units::one_line(text.unwrap_or("(text not known)"));
    match text.char_indices().nth(160) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

impl Ranked {
    fn which(&self) -> Which {
        (self.query_id.0, self.database.clone(), self.user.clone())
    }
}

impl Statement {
    fn which(&self) -> Which {
        (self.query_id.0, self.database.clone(), self.user.clone())
    }
}

fn ranking(order: &Order, all: &[Statement], limit: usize) -> Option<Ranking> {
    let figure = |row: &Statement| (order.figure)(row).filter(|value| *value > 0.0);
    let total: f64 = all.iter().filter_map(figure).sum();
    let mut rows: Vec<(&Statement, f64)> = all.iter().filter_map(|row| Some((row, figure(row)?))).collect();
    rows.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.query_id.cmp(&b.0.query_id)));
    rows.truncate(limit);
    #[expect(clippy::cast_precision_loss, reason = "a mean needs no more than a double's precision")]
    let ranked = |(row, value): (&Statement, f64)| Ranked {
        query_id: row.query_id,
        database: row.database.clone(),
        user: row.user.clone(),
        value,
        percent: 100.0 * value / total,
        per_execution: row.executions.filter(|calls| *calls > 0).map(|calls| value / calls as f64),
    };
    let statements: Vec<Ranked> = rows.into_iter().map(ranked).collect();
    (!statements.is_empty()).then(|| Ranking {
        by: order.by.to_owned(),
        label: order.label.to_owned(),
        unit: order.unit,
        total,
        statements,
    })
}

/// Adds what the server counted of a statement.
fn counted(all: &mut HashMap<Which, Statement>, known: &Known<'_>, change: &Change<Row>) {
    let row = &change.grown;
    let name = |names: &HashMap<i64, crate::sample::Text>, id: i64| names.get(&id).map_or_else(|| format!("({id})"), ToString::to_string);
    let which = (row.queryid, Some(name(&known.database_names, row.dbid)), Some(name(&known.role_names, row.userid)));
    let statement = all.entry(which.clone()).or_default();
    (statement.query_id, statement.database, statement.user) = (QueryId(which.0), which.1, which.2);
    let fate = match change.fate {
        Fate::Kept => "kept",
        Fate::Appeared => "appeared",
        Fate::Vanished => "vanished",
        Fate::Reset => "reset",
    };
    fate.clone_into(&mut statement.fate);
    let add = |sum: &mut Option<i64>, more: i64| *sum = Some(sum.unwrap_or(0) + more);
    let add_ms = |sum: &mut Option<f64>, ms: f64| *sum = Some(sum.unwrap_or(0.0) + ms / 1000.0);
    add(&mut statement.executions, row.calls);
    add_ms(&mut statement.elapsed_seconds, row.total_exec_time);
    add_ms(&mut statement.plan_seconds, row.total_plan_time);
    let in_io = [row.local_blk_read_time, row.local_blk_write_time, row.temp_blk_read_time, row.temp_blk_write_time];
    add_ms(&mut statement.io_seconds, row.shared_blk_read_time + row.shared_blk_write_time + in_io.iter().flatten().sum::<f64>());
    add(&mut statement.rows, row.rows);
    add(&mut statement.buffer_gets, row.shared_blks_hit + row.shared_blks_read);
    add(&mut statement.physical_reads, row.shared_blks_read);
    add(&mut statement.blocks_dirtied, row.shared_blks_dirtied);
    add(&mut statement.temp_blocks, row.temp_blks_read + row.temp_blks_written);
    add(&mut statement.wal_bytes, row.wal_bytes);
}

/// Adds what the samples of the sessions show of statements.
fn sampled(all: &mut HashMap<Which, Statement>, active: &Active) {
    let cube = &active.statements;
    for (cell, count) in cube.cells() {
        let (Some(id), wait_class) = (cube.key(cell, Dimension::Query).query(), class(cube, cell)) else { continue };
        if wait_class == WaitClass::Idle || !is_foreground(cube, cell) {
            continue;
        }
        let name = |by: Dimension| cube.key(cell, by).text().map(str::to_owned);
        let which = (id, name(Dimension::Database), name(Dimension::User));
        let statement = all.entry(which.clone()).or_default();
        if statement.fate.is_empty() {
            (statement.query_id, statement.database, statement.user) = (QueryId(which.0), which.1, which.2);
            "sampled".clone_into(&mut statement.fate);
        }
        let seconds = active.sampled.seconds(count.samples);
        *statement.active_seconds.get_or_insert(0.0) += seconds;
        *statement.waits.entry(wait_class).or_default() += seconds;
        if wait_class == WaitClass::Cpu {
            *statement.on_cpu_seconds.get_or_insert(0.0) += seconds;
        }
        if count.cpu_known > 0 {
            *statement.cpu_seconds.get_or_insert(0.0) += count.cpu_ms / 1000.0;
        }
    }
}

/// Why figures are missing that one would look for.
fn notes(known: &Known<'_>, all: &[Statement], unknown: &mut Unknowns) {
    if known.active.is_ok() && all.iter().all(|row| row.cpu_seconds.is_none()) && !all.is_empty() {
        let why = known.period.end.readings.host_cpu.current().err().cloned();
        unknown.note("cpu_seconds", why.unwrap_or_else(|| Unknown::new(Reason::Absent, "no sampled session has processor time")));
    }
    if known.statements.is_ok() && known.is_on("track_io_timing") == Some(false) {
        unknown.note("io_seconds", Unknown::new(Reason::Disabled, "track_io_timing is off"));
    }
    if known.statements.is_ok() && known.is_on("pg_stat_statements.track_planning") == Some(false) {
        unknown.note("plan_seconds", Unknown::new(Reason::Disabled, "pg_stat_statements.track_planning is off"));
    }
}
