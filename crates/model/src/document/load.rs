//! What sessions spent their time on: average active sessions by wait class, wait event and statement, from the session history.

use super::{Document, Known, Unknowns};
use crate::ash::{Filter, Session, Tick, WaitClass};
use crate::error::{Error, Kind, Result};
use crate::query_id::QueryId;
use crate::sample::{Probe, Reason, Unknown};
use jiff::{SignedDuration, Timestamp, Unit};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap, HashSet};
use utoipa::{IntoParams, ToSchema};

/// What sessions spent their time on.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Load {
    /// The oldest sample that counts.
    pub from: Option<Timestamp>,
    /// The newest sample.
    pub to: Option<Timestamp>,
    /// Samples that count.
    pub samples: usize,
    /// Sessions that ran a statement or worked for the server, on average over the samples: those that waited for something other than
    /// work or a processor's turn included. Null where the role sees only its own sessions: what follows is then of those alone.
    pub average_active_sessions: Option<f64>,
    /// The part of it that belongs to clients.
    pub average_active_clients: Option<f64>,
    /// Processors of the server's host: above this many, sessions on CPU take turns.
    pub cores: Option<f64>,
    /// By wait class.
    pub classes: Vec<ClassLoad>,
    /// By wait event; CPU is none.
    pub events: Vec<EventLoad>,
    /// By statement.
    pub queries: Vec<QueryLoad>,
    /// By time, oldest first.
    pub series: Vec<Bucket>,
    /// Why something is missing.
    pub unknown: Unknowns,
}

/// Time spent in a wait class.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ClassLoad {
    /// The class.
    pub wait_class: WaitClass,
    /// Sessions in it, on average.
    pub average: f64,
    /// Its share of all, in per cent.
    pub percent: f64,
}

/// Time spent in a wait event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct EventLoad {
    /// Its class.
    pub wait_class: WaitClass,
    /// PostgreSQL's wait event type; null on CPU.
    pub wait_event_type: Option<String>,
    /// PostgreSQL's wait event; null on CPU.
    pub wait_event: Option<String>,
    /// Sessions in it, on average.
    pub average: f64,
    /// Its share of all, in per cent.
    pub percent: f64,
}

/// Time spent in a statement.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct QueryLoad {
    /// PostgreSQL's query id, or pgtend's fingerprint of the text where there is none.
    pub query_id: QueryId,
    /// Its text, as first seen.
    pub query: String,
    /// Sessions that ran it, on average.
    pub average: f64,
    /// Its share of all, in per cent.
    pub percent: f64,
    /// The wait classes in which it spent its time: sessions in each, on average.
    pub classes: BTreeMap<WaitClass, f64>,
    /// Processor time in per cent of one core, from the operating system; null where that is not known.
    pub cpu_percent: Option<f64>,
    /// Sessions that ran it.
    pub sessions: usize,
    /// The longest that it was seen to run, in seconds.
    pub longest_seconds: Option<f64>,
    /// A role that ran it.
    pub user: Option<String>,
    /// A database in which it ran.
    pub database: Option<String>,
}

/// Load over one piece of the time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Bucket {
    /// Its begin.
    pub at: Timestamp,
    /// Samples in it; with none, nothing is known of it.
    pub samples: usize,
    /// Sessions in each wait class, on average.
    pub classes: BTreeMap<WaitClass, f64>,
}

/// By what statements are sorted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Sort {
    /// All time.
    #[default]
    Time,
    /// Processor time: of the operating system where it is known, of the samples otherwise.
    Cpu,
    /// Time in reads and writes.
    Io,
    /// Time in any wait.
    Wait,
    /// Time in waits for locks.
    Lock,
}

/// Parameters of [`Load`].
#[derive(Debug, Clone, Serialize, Deserialize, IntoParams)]
#[serde(default)]
pub struct Params {
    /// Over the last so many seconds.
    pub seconds: f64,
    /// At most so many statements and so many events.
    pub limit: usize,
    /// By what statements are sorted.
    #[param(inline)]
    pub sort: Sort,
    /// Into how many pieces the time is cut for `series`; 0 for none.
    pub buckets: usize,
}

impl Default for Params {
    fn default() -> Self {
        Self { seconds: 60.0, limit: 10, sort: Sort::Time, buckets: 0 }
    }
}

impl Document for Load {
    type Params = Params;
    const PATH: &'static str = "/api/v1/load";
    const ABOUT: &'static str = "Average active sessions by wait class, wait event and statement, from the session history";
    const PROBES: &'static [Probe] = &[Probe::Server, Probe::Activity, Probe::HostCpu, Probe::HostProcess];

    fn build(known: &Known<'_>, params: &Params) -> Result<Self> {
        if !(params.seconds > 0.0 && params.seconds <= 30.0 * 86_400.0) || params.buckets > 2000 {
            return Err(Error::new(Kind::Usage, "the load is shown over 1 s to 30 days, in at most 2000 pieces"));
        }
        let mut load = Self::default();
        load.cores = load.unknown.take("cores", cores(known));
        // The window ends with the newest sample: it does not thin out while no sample can be taken, `to` says how old it is.
        let end = known.ash.newest().map_or(known.now, |tick| tick.at);
        let from = end - SignedDuration::try_from_secs_f64(params.seconds).unwrap_or(SignedDuration::MAX);
        let filter = Filter { from: Some(from), ..Filter::default() };
        let mut sums = Sums::default();
        for tick in known.ash.ticks(&filter).filter(|tick| tick.at > from) {
            sums.add(tick);
        }
        let Some((first, last)) = sums.first.zip(sums.last) else {
            let why = known.view.readings.activity.current().err().cloned();
            let why = why.unwrap_or_else(|| Unknown::new(Reason::Pending, "no sample of the sessions yet"));
            load.unknown.take::<(), Unknown>("average_active_sessions", Err(why));
            return Ok(load);
        };
        (load.from, load.to, load.samples) = (Some(first), Some(last), sums.samples);
        if load.unknown.take("average_active_sessions", known.view.sees_all_sessions()).is_some() {
            load.average_active_sessions = Some(sums.average(sums.active));
            load.average_active_clients = Some(sums.average(sums.clients));
        }
        load.classes = sums.classes();
        load.events = sums.events(params.limit);
        load.queries = sums.queries(params);
        load.series = series(known, params.seconds, end, params.buckets);
        Ok(load)
    }
}

fn cores(known: &Known<'_>) -> Result<f64, Unknown> {
    let sample = known.view.readings.host_cpu.current().map_err(Clone::clone)?;
    let row = sample.rows.first().ok_or_else(|| Unknown::new(Reason::Failed, "the host's processors could not be read"))?;
    #[expect(clippy::cast_precision_loss, reason = "a host has fewer than 2^52 processors")]
    let cores = row.cores as f64;
    Ok(row.limit_cores.map_or(cores, |limit| limit.min(cores)))
}

fn is_client(session: &Session) -> bool {
    matches!(session.who.backend_type.as_deref(), Some("client backend" | "parallel worker"))
}

/// Type and name of a wait event; none is the processor.
type Event<'a> = Option<(&'a str, &'a str)>;

/// Sums over samples.
#[derive(Default)]
struct Sums<'a> {
    samples: usize,
    first: Option<Timestamp>,
    last: Option<Timestamp>,
    active: usize,
    clients: usize,
    by_class: BTreeMap<WaitClass, usize>,
    by_event: HashMap<(WaitClass, Event<'a>), usize>,
    by_query: HashMap<i64, Query<'a>>,
}

/// Sums of one statement.
struct Query<'a> {
    newest: &'a Session,
    text: &'a str,
    seen: usize,
    classes: BTreeMap<WaitClass, usize>,
    cpu_ms: Option<f64>,
    pids: HashSet<i64>,
    longest_ms: u32,
}

impl<'a> Sums<'a> {
    /// Adds one sample; they come newest first.
    fn add(&mut self, tick: &'a Tick) {
        self.samples += 1;
        self.first = Some(tick.at);
        self.last = self.last.or(Some(tick.at));
        for session in tick.sessions.iter().filter(|session| session.class != WaitClass::Idle) {
            self.active += 1;
            self.clients += usize::from(is_client(session));
            *self.by_class.entry(session.class).or_default() += 1;
            let event = session.wait.as_ref().map(|wait| (&*wait.wait_type, &*wait.event));
            *self.by_event.entry((session.class, event)).or_default() += 1;
            self.add_query(session);
        }
    }

    fn add_query(&mut self, session: &'a Session) {
        let Some(statement) = &session.statement else { return };
        let query = self.by_query.entry(statement.id).or_insert_with(|| Query {
            newest: session,
            text: &statement.text,
            seen: 0,
            classes: BTreeMap::new(),
            cpu_ms: None,
            pids: HashSet::new(),
            longest_ms: 0,
        });
        query.seen += 1;
        *query.classes.entry(session.class).or_default() += 1;
        query.pids.insert(session.who.pid);
        query.longest_ms = query.longest_ms.max(session.query_age_ms.unwrap_or(0));
        if let Some(cpu_ms) = session.cpu_ms {
            *query.cpu_ms.get_or_insert(0.0) += f64::from(cpu_ms);
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "counts of samples are far below 2^52")]
    fn average(&self, count: usize) -> f64 {
        count as f64 / self.samples.max(1) as f64
    }

    #[expect(clippy::cast_precision_loss, reason = "counts of samples are far below 2^52")]
    fn percent(&self, count: usize) -> f64 {
        100.0 * count as f64 / self.active.max(1) as f64
    }

    /// Seconds that the samples stand for: each for the time to the next.
    #[expect(clippy::cast_precision_loss, reason = "counts of samples are far below 2^52")]
    fn seconds(&self) -> f64 {
        let (Some(first), Some(last)) = (self.first, self.last) else { return 0.0 };
        let span = (last - first).total(Unit::Second).unwrap_or(0.0);
        if self.samples < 2 { 1.0 } else { span * self.samples as f64 / (self.samples - 1) as f64 }
    }

    fn averages(&self, classes: &BTreeMap<WaitClass, usize>) -> BTreeMap<WaitClass, f64> {
        classes.iter().map(|(class, count)| (*class, self.average(*count))).collect()
    }

    fn classes(&self) -> Vec<ClassLoad> {
        let load = |(class, count): (&WaitClass, &usize)| ClassLoad {
            wait_class: *class,
            average: self.average(*count),
            percent: self.percent(*count),
        };
        let mut classes: Vec<ClassLoad> = self.by_class.iter().map(load).collect();
        classes.sort_by(|a, b| b.average.total_cmp(&a.average));
        classes
    }

    fn events(&self, limit: usize) -> Vec<EventLoad> {
        let mut events: Vec<EventLoad> = self
            .by_event
            .iter()
            .map(|((class, event), count)| EventLoad {
                wait_class: *class,
                wait_event_type: event.map(|(wait_type, _)| wait_type.to_owned()),
                wait_event: event.map(|(_, event)| event.to_owned()),
                average: self.average(*count),
                percent: self.percent(*count),
            })
            .collect();
        events.sort_by(|a, b| b.average.total_cmp(&a.average).then_with(|| a.wait_event.cmp(&b.wait_event)));
        events.truncate(limit);
        events
    }

    fn queries(&self, params: &Params) -> Vec<QueryLoad> {
        let mut queries: Vec<QueryLoad> = self.by_query.iter().map(|(id, query)| self.query(*id, query)).collect();
        // Where processor time is known at all, a statement without is one that used none.
        let known = queries.iter().any(|query| query.cpu_percent.is_some());
        let figure = |query: &QueryLoad| match (params.sort, known) {
            (Sort::Cpu, true) => query.cpu_percent.unwrap_or(0.0),
            (sort, _) => weight(query, sort),
        };
        queries.sort_by(|a, b| {
            figure(b).total_cmp(&figure(a)).then_with(|| b.average.total_cmp(&a.average)).then(a.query_id.cmp(&b.query_id))
        });
        queries.truncate(params.limit);
        queries
    }

    fn query(&self, query_id: i64, query: &Query<'_>) -> QueryLoad {
        QueryLoad {
            query_id: QueryId(query_id),
            query: query.text.to_owned(),
            average: self.average(query.seen),
            percent: self.percent(query.seen),
            classes: self.averages(&query.classes),
            cpu_percent: query.cpu_ms.map(|ms| ms / 10.0 / self.seconds().max(0.001)),
            sessions: query.pids.len(),
            longest_seconds: (query.longest_ms > 0).then(|| f64::from(query.longest_ms) / 1000.0),
            user: query.newest.who.user.as_deref().map(str::to_owned),
            database: query.newest.who.database.as_deref().map(str::to_owned),
        }
    }
}

fn weight(query: &QueryLoad, sort: Sort) -> f64 {
    let of = |classes: &[WaitClass]| classes.iter().filter_map(|class| query.classes.get(class)).sum::<f64>();
    match sort {
        Sort::Time => query.average,
        Sort::Cpu => of(&[WaitClass::Cpu]),
        Sort::Io => of(&[WaitClass::UserIO, WaitClass::SystemIO, WaitClass::Commit]),
        Sort::Wait => query.average - of(&[WaitClass::Cpu]),
        Sort::Lock => of(&[WaitClass::Application]),
    }
}

/// Cuts the time up to `end` into pieces of the same length. They begin at multiples of it, so that a piece stays the same from one
/// look to the next; the last one is still growing.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a place among at most 2000 pieces"
)]
fn series(known: &Known<'_>, seconds: f64, end: Timestamp, buckets: usize) -> Vec<Bucket> {
    if buckets == 0 {
        return Vec::new();
    }
    let width = ((seconds * 1e6 / buckets as f64) as i64).max(1);
    let begin = (end.as_microsecond() + width - 1).div_euclid(width) * width - width * buckets as i64;
    let Ok(from) = Timestamp::from_microsecond(begin) else { return Vec::new() };
    let mut sums: Vec<Sums<'_>> = (0..buckets).map(|_| Sums::default()).collect();
    let filter = Filter { from: Some(from), ..Filter::default() };
    for tick in known.ash.ticks(&filter).filter(|tick| tick.at > from) {
        let place = (tick.at.as_microsecond() - begin - 1).div_euclid(width) as usize;
        sums[place.min(buckets - 1)].add(tick);
    }
    let at = |number: usize| Timestamp::from_microsecond(begin + width * number as i64).unwrap_or(from);
    let bucket =
        |(number, sums): (usize, &Sums<'_>)| Bucket { at: at(number), samples: sums.samples, classes: sums.averages(&sums.by_class) };
    sums.iter().enumerate().map(bucket).collect()
}

#[cfg(test)]
mod tests;
