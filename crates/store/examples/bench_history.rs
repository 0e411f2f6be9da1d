//! What `bench/history` measures with: makes a day of session samples through the real recorder, and asks about it.
#![expect(clippy::print_stdout, reason = "its output is what it is for")]

use jiff::{SignedDuration, Timestamp};
use pgtend_model::ash::block::{Block, Columns, Dimension, Key, Wanted};
use pgtend_model::ash::cube::Cube;
use pgtend_model::ash::{Session, State, Statement, Tick, Wait, WaitClass, Who};
use pgtend_model::past::Past;
use pgtend_model::sql::Query;
use pgtend_store::history::{History, Policy};
use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

const SERVER: &str = "bench";
const SESSIONS: usize = 50;
const SECONDS: i64 = 86_400;
const QUERIES: usize = 800;
const YEAR: Duration = Duration::from_secs(366 * 86_400);
const POLICY: Policy = Policy { ash_keep: YEAR, ash_max_bytes: u64::MAX, awr_keep: YEAR, awr_max_bytes: u64::MAX, baseline_keep: YEAR };

fn main() -> Outcome {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["synthetic", to] => make(Path::new(to), &mut synthetic()),
        ["stretched", from, to] => make(Path::new(to), &mut stretched(Path::new(from))?),
        ["top", directory, times] => timed(times, || top(Path::new(directory))),
        ["blocking", directory, times] => timed(times, || blocking(Path::new(directory))),
        ["sql", directory, query, times] => timed(times, || sql(Path::new(directory), query)),
        _ => Err("bench_history synthetic TO | stretched FROM TO | top|blocking DIRECTORY TIMES | sql DIRECTORY QUERY TIMES".into()),
    }
}

/// Ms of each time, one a line.
fn timed(times: &str, work: impl Fn() -> Outcome<usize>) -> Outcome {
    for _ in 0..times.parse::<u32>()? {
        let began = Instant::now();
        let found = work()?;
        println!("{:.1} {found}", began.elapsed().as_secs_f64() * 1e3);
    }
    Ok(())
}

/// Records a day as the agent does, a batch each five seconds, and goes on to the night that makes one file of it.
fn make(directory: &Path, sessions: &mut dyn FnMut(Timestamp, i64) -> Vec<Session>) -> Outcome {
    let history = History::open(directory, POLICY)?;
    let mut recorder = history.recorder()?;
    let start = yesterday()?;
    let began = Instant::now();
    for second in 0..SECONDS {
        let at = start + SignedDuration::from_secs(second);
        recorder.tick(SERVER, &Tick { at, sessions: sessions(at, second).into() });
        if second % 5 == 4 {
            recorder.flush();
        }
        if second % 3600 == 3599 {
            let over = at + SignedDuration::from_secs(2);
            recorder.close(over);
            history.tend(over);
        }
    }
    drop(recorder);
    history.tend(start + SignedDuration::from_hours(25));
    println!("made in {:.1} s", began.elapsed().as_secs_f64());
    for usage in history.usage()? {
        println!("{} {} {}", usage.dataset, usage.files, usage.bytes);
    }
    Ok(())
}

/// The start of yesterday: a day that is over and not yet too old to be kept.
fn yesterday() -> Outcome<Timestamp> {
    let now = Timestamp::now().as_second();
    Ok(Timestamp::from_second((now.div_euclid(SECONDS) - 1) * SECONDS)?)
}

/// The start of the day that was made.
fn day(history: &History) -> Outcome<Timestamp> {
    Ok(history.server(SERVER).extent()?.ok_or("no day was made")?.start)
}

/// Chance, the same in every run.
struct Chance(u64);

impl Chance {
    /// SplitMix64.
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    #[expect(clippy::cast_precision_loss, reason = "53 bits are exact")]
    fn part(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Of mean 1, often small, sometimes large.
    fn spread(&mut self) -> f64 {
        -(1.0 - self.part()).ln()
    }
}

/// One of the synthetic sessions: what it executes now, since when, and until when.
struct Busy {
    who: Arc<Who>,
    statement: usize,
    began_ms: i64,
    xact_ms: i64,
    until_ms: i64,
    /// Whether its statements are short.
    short: bool,
    wait: usize,
    blocker: Option<i32>,
}

/// Waits and how often they are seen, in percent; no wait is CPU.
const WAITS: [(&str, &str, f64); 9] = [
    ("", "", 42.0),
    ("IO", "DataFileRead", 18.0),
    ("LWLock", "WALWrite", 9.0),
    ("IO", "WALSync", 8.0),
    ("Lock", "transactionid", 6.0),
    ("LWLock", "BufferContent", 5.0),
    ("Lock", "tuple", 2.0),
    ("Client", "ClientRead", 8.0),
    ("IPC", "BgWorkerShutdown", 2.0),
];

/// 50 sessions that are always active: 30 with short statements, another one nearly each second, 20 with statements of 8 s on average;
/// 800 statements of which the nth is executed 1/n as often as the first.
fn synthetic() -> impl FnMut(Timestamp, i64) -> Vec<Session> {
    let mut chance = Chance(7);
    let statements: Vec<Arc<Statement>> = (0..QUERIES).map(|_| statement(chance.next().cast_signed())).collect();
    let waits: Vec<Arc<Wait>> =
        WAITS.iter().map(|(wait_type, event, _)| Arc::new(Wait { wait_type: (*wait_type).into(), event: (*event).into() })).collect();
    let shares: Vec<f64> = cumulated((1..=QUERIES).map(|rank| 1.0 / f64::from(u32::try_from(rank).unwrap_or(1))));
    let likely: Vec<f64> = cumulated(WAITS.iter().map(|(_, _, percent)| *percent));
    let mut sessions: Vec<Busy> = (0..SESSIONS).map(busy).collect();
    move |at, _| {
        let now = at.as_millisecond();
        let pids: Vec<i64> = sessions.iter().map(|session| session.who.pid).collect();
        for session in &mut sessions {
            go_on(session, now, &mut chance, &shares, &likely, &pids);
        }
        sessions.iter().map(|session| seen(session, now, &mut chance, &statements, &waits)).collect()
    }
}

fn cumulated(weights: impl Iterator<Item = f64>) -> Vec<f64> {
    weights
        .scan(0.0, |sum, weight| {
            *sum += weight;
            Some(*sum)
        })
        .collect()
}

fn choose(chance: &mut Chance, cumulated: &[f64]) -> usize {
    let at = chance.part() * cumulated.last().copied().unwrap_or(1.0);
    cumulated.partition_point(|sum| *sum < at).min(cumulated.len() - 1)
}

fn statement(id: i64) -> Arc<Statement> {
    Arc::new(Statement { id, id_is_native: true, text: format!("select {id}").as_str().into() })
}

fn busy(number: usize) -> Busy {
    let (pid, kind) = (4000 + i64::try_from(number).unwrap_or(0) * 7, number % 5);
    let who = Who {
        pid,
        backend_start: "2026-11-19T08:00:00Z".parse::<Timestamp>().ok().map(|start| start + SignedDuration::from_millis(pid * 131)),
        database: Some(["shop", "shop", "shop", "billing", "stock"][kind].into()),
        user: Some(["web", "web", "api", "billing", "stock"][kind].into()),
        application: Some(["web", "web", "api", "invoices", "sync"][kind].into()),
        client: Some(format!("10.0.0.{}", number % 8).as_str().into()),
        backend_type: Some("client backend".into()),
    };
    Busy { who: Arc::new(who), statement: 0, began_ms: 0, xact_ms: 0, until_ms: 0, short: number % 5 < 3, wait: 0, blocker: None }
}

fn go_on(session: &mut Busy, now: i64, chance: &mut Chance, shares: &[f64], likely: &[f64], pids: &[i64]) {
    if session.until_ms <= now {
        session.statement = choose(chance, shares);
        let ms = |ms: f64| Duration::from_secs_f64(ms / 1e3).as_millis().try_into().unwrap_or(0);
        session.began_ms = now - ms(if session.short { 12.0 } else { 400.0 } * chance.spread());
        session.xact_ms = session.began_ms - ms(15.0 * chance.spread());
        session.until_ms = now + ms(if session.short { 600.0 } else { 8_000.0 } * chance.spread());
    } else if chance.part() < 0.6 {
        return;
    }
    session.wait = choose(chance, likely);
    let other = pids[usize::try_from(chance.next() % pids.len() as u64).unwrap_or(0)];
    session.blocker = (WAITS[session.wait].0 == "Lock").then(|| i32::try_from(other).unwrap_or(1));
}

fn seen(session: &Busy, now: i64, chance: &mut Chance, statements: &[Arc<Statement>], waits: &[Arc<Wait>]) -> Session {
    let (wait_type, event, _) = WAITS[session.wait];
    let age = |since: i64| u32::try_from(now - since).ok();
    let state = match wait_type {
        "" => State::Active,
        "Lock" => State::Blocked,
        "Client" => State::Idle,
        _ => State::Waiting,
    };
    let share = match (state, session.short) {
        (State::Active, false) => 980.0,
        (State::Active, true) => 300.0 * chance.spread().min(3.0),
        _ => 30.0 * chance.spread().min(20.0),
    };
    Session {
        who: session.who.clone(),
        statement: statements.get(session.statement).cloned(),
        wait: (!wait_type.is_empty()).then(|| waits[session.wait].clone()),
        class: if state == State::Idle {
            WaitClass::Idle
        } else {
            WaitClass::of(Some(wait_type).filter(|name| !name.is_empty()), Some(event), false)
        },
        state,
        xact_age_ms: age(session.xact_ms),
        query_age_ms: age(session.began_ms),
        #[expect(clippy::cast_possible_truncation, reason = "a share of a second")]
        cpu_ms: Some((share / 10.0_f64).round() as f32 * 10.0),
        blocked_by: session.blocker.into_iter().collect(),
    }
}

/// What was recorded of real sessions, over and over: second after second as it was, then from the beginning. Sessions stay connected.
fn stretched(from: &Path) -> Outcome<impl FnMut(Timestamp, i64) -> Vec<Session>> {
    let history = History::open(from, POLICY)?;
    let server = history.servers()?.into_iter().next().ok_or("nothing was recorded")?;
    let mut ticks: BTreeMap<i64, Vec<Session>> = BTreeMap::new();
    let wanted = Wanted { columns: Columns::all(), ..Wanted::default() };
    history.server(&server).sessions(&wanted, &mut |block| {
        (0..block.len()).for_each(|row| ticks.entry(block.at_ms[row]).or_default().push(session(block, row)));
    })?;
    let seconds: Vec<Vec<Session>> = ticks.into_values().filter(|sessions| sessions.len() >= SESSIONS / 2).collect();
    let sampled: usize = seconds.iter().map(Vec::len).sum();
    println!("{} seconds were sampled, {} sessions on average", seconds.len(), sampled / seconds.len().max(1));
    Ok(move |_, second: i64| seconds[usize::try_from(second).unwrap_or(0) % seconds.len()].clone())
}

fn session(block: &Block, row: usize) -> Session {
    let text = |dimension| block.key(row, dimension).text().map(Into::into);
    let word = block.key(row, Dimension::State).text().unwrap_or_default();
    let class = block.key(row, Dimension::WaitClass).text().unwrap_or_default();
    let (pid, backend_start) = match block.key(row, Dimension::Session) {
        Key::Session(pid, start) => (*pid, start.and_then(|ms| Timestamp::from_millisecond(ms).ok())),
        _ => (0, None),
    };
    let who = Who {
        pid,
        backend_start,
        database: text(Dimension::Database),
        user: text(Dimension::User),
        application: text(Dimension::Application),
        client: text(Dimension::Client),
        backend_type: text(Dimension::BackendType),
    };
    let wait = block.key(row, Dimension::WaitEvent).text().and_then(|name| name.split_once(':'));
    Session {
        who: Arc::new(who),
        statement: block.key(row, Dimension::Query).query().map(statement),
        wait: wait.map(|(wait_type, event)| Arc::new(Wait { wait_type: wait_type.into(), event: event.into() })),
        class: WaitClass::ALL.into_iter().find(|known| known.name() == class).unwrap_or(WaitClass::Cpu),
        state: [State::Waiting, State::Blocked, State::Idle].into_iter().find(|state| state.word() == word).unwrap_or(State::Active),
        xact_age_ms: u32::try_from(block.xact_age_ms[row]).ok(),
        query_age_ms: u32::try_from(block.query_age_ms[row]).ok(),
        cpu_ms: Some(block.cpu_ms[row]).filter(|ms| !ms.is_nan()),
        blocked_by: block.blocked_by[row].clone(),
    }
}

/// The statements of the whole day by their average of active sessions, with processor time.
fn top(directory: &Path) -> Outcome<usize> {
    let history = History::open(directory, POLICY)?;
    let dimensions = [Dimension::Query, Dimension::WaitClass];
    let mut cube = Cube::new(&dimensions);
    let from = day(&history)?;
    let to = from + SignedDuration::from_hours(24);
    let wanted = Wanted { from: Some(from), to: Some(to), columns: Columns::of(&dimensions).with_cpu(), ..Wanted::default() };
    history.server(SERVER).sessions(&wanted, &mut |block| cube.add(block))?;
    Ok(usize::try_from(cube.total().samples)?)
}

/// Who blocked whom in one hour.
fn blocking(directory: &Path) -> Outcome<usize> {
    let history = History::open(directory, POLICY)?;
    let from = day(&history)? + SignedDuration::from_hours(12);
    let columns = Columns {
        ages: true,
        blockers: true,
        ..Columns::of(&[Dimension::Session, Dimension::Query, Dimension::WaitEvent, Dimension::State])
    };
    let wanted = Wanted { from: Some(from), to: Some(from + SignedDuration::from_hours(1)), blocked: true, columns, ..Wanted::default() };
    let mut rows = 0;
    history.server(SERVER).sessions(&wanted, &mut |block| rows += block.len())?;
    Ok(rows)
}

fn sql(directory: &Path, query: &str) -> Outcome<usize> {
    let history = History::open(directory, POLICY)?;
    Ok(history.query(&Query::new(query), None)?.rows.len())
}
