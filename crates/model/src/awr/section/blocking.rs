//! Locks: who held up whom, for how long, and with which statement.

use super::statements::{anchor, excerpt};
use crate::ash::block::Key;
use crate::ash::scene::{Scene, Seen, Session, below, depth, session, waits};
use crate::awr::known::Known;
use crate::awr::page::{Cell, Section, Table};
use crate::locktree::{Node, trees};
use crate::query_id::QueryId;
use crate::sample::Unknown;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, HashSet};
use utoipa::ToSchema;

/// Who held up whom.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = AwrBlocking)]
pub struct Blocking {
    /// Time that sessions waited for others, all together, in seconds.
    pub waited_seconds: Option<f64>,
    /// The sessions that held up others while nobody held them up, the costliest first.
    pub roots: Vec<Root>,
    /// Who waited for whom directly, the longest first.
    pub pairs: Vec<Pair>,
    /// Why there are none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub unknown: Option<Unknown>,
}

/// A session, and what it did when it was last seen so.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = AwrParty)]
pub struct Party {
    /// Process id; 0 stands for a prepared transaction.
    pub pid: i64,
    /// When it started.
    pub started_at: Option<Timestamp>,
    /// Role.
    pub user: Option<String>,
    /// Database.
    pub database: Option<String>,
    /// What the client calls itself.
    pub application: Option<String>,
    /// The client's address; null for a Unix socket.
    pub client: Option<String>,
    /// `ACTIVE`, `WAITING`, `BLOCKED` or `IDLE` (in a transaction); null when it was in no sample.
    pub state: Option<String>,
    /// Its statement; the last one, when it was idle in its transaction.
    pub query_id: Option<QueryId>,
    /// The statement's text.
    pub query: Option<String>,
}

/// A session at the root of a chain of waits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = AwrRootBlocker)]
pub struct Root {
    /// The session.
    pub blocker: Party,
    /// Time that others waited because of it, directly or behind another, all together, in seconds.
    pub waited_seconds: f64,
    /// Sessions that waited because of it.
    pub victims: usize,
    /// The most that waited at once.
    pub most_at_once: usize,
    /// How long the longest chain behind it was.
    pub longest_chain: usize,
    /// When it was first seen to hold up others.
    pub first_seen: Timestamp,
    /// When it was last seen to.
    pub last_seen: Timestamp,
    /// Whether it was part of a circle: a deadlock, before PostgreSQL resolved it.
    pub in_circle: bool,
}

/// One session that waited for another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = AwrBlockedPair)]
pub struct Pair {
    /// The session that waited.
    pub waiter: Party,
    /// For what it waited, as `Type:Event`.
    pub wait_event: Option<String>,
    /// The session that it waited for.
    pub blocker: Party,
    /// How long, in seconds.
    pub waited_seconds: f64,
}

const ROOTS: usize = 10;
const PAIRS: usize = 20;
/// Samples with waits in them that are looked at for chains, at most; a day of lock waits is thinned.
const INSTANTS: usize = 20_000;

impl Blocking {
    /// Works it out.
    pub fn build(known: &Known<'_>) -> Self {
        let active = match &known.active {
            Ok(active) => active,
            Err(unknown) => return Self { unknown: Some(unknown.clone()), ..Self::default() },
        };
        match scene(known) {
            Ok(scene) => told(&scene, known, active.pace_seconds),
            Err(unknown) => Self { unknown: Some(unknown), ..Self::default() },
        }
    }

    /// The statements that are named, with their texts.
    pub fn texts(&self) -> Vec<(QueryId, &str)> {
        let parties = self.pairs.iter().flat_map(|pair| [&pair.waiter, &pair.blocker]);
        let parties = self.roots.iter().map(|root| &root.blocker).chain(parties);
        parties.filter_map(|party| party.query_id.zip(party.query.as_deref())).collect()
    }

    /// How it is laid out.
    pub fn section(&self) -> Section {
        let about = "A root holds up others and waits for nobody. Its statement is the one that it ran, or had run last when it sat idle in \
                     its transaction: the lock may be of an earlier statement of the same transaction.";
        let mut section =
            Section::new("blocking", "Locks: who held up whom", about).missing(self.unknown.iter().map(|why| ("blocking", why)));
        if self.unknown.is_some() {
            return section;
        }
        let root = |row: &Root| {
            let party = &row.blocker;
            [
                pid(party),
                text(&party.user),
                text(&party.application),
                text(&party.state),
                Cell::seconds(row.waited_seconds),
                Cell::count(i64::try_from(row.victims).unwrap_or(i64::MAX)),
                Cell::count(i64::try_from(row.most_at_once).unwrap_or(i64::MAX)),
                Cell::count(i64::try_from(row.longest_chain).unwrap_or(i64::MAX)),
                clock(row.first_seen),
                clock(row.last_seen),
                statement(party),
            ]
        };
        let columns =
            [">pid", "user", "application", "state", ">others waited", ">sessions", ">at once", ">chain", "from", "to", "*statement"];
        let roots = Table::new("Roots", &columns).rows(self.roots.iter().map(root)).or("nobody held up anybody");
        let pair = |row: &Pair| {
            [
                pid(&row.waiter),
                text(&row.waiter.user),
                row.wait_event.as_deref().unwrap_or_default().into(),
                Cell::seconds(row.waited_seconds),
                pid(&row.blocker),
                statement(&row.waiter),
                statement(&row.blocker),
            ]
        };
        let columns = [">waiter", "user", "waited for", ">time", ">blocker", "*statement of the waiter", "*statement of the blocker"];
        section = section.with(roots);
        if self.roots.iter().any(|root| root.in_circle) {
            section = section.note("Some waited in a circle: a deadlock, until PostgreSQL cancelled one of them.");
        }
        section.with(Table::new("Who waited for whom", &columns).rows(self.pairs.iter().map(pair)).or("nobody waited for anybody"))
    }
}

fn pid(party: &Party) -> Cell {
    if party.pid == 0 { "prepared".into() } else { party.pid.to_string().into() }
}

fn text(text: &Option<String>) -> Cell {
    text.as_deref().unwrap_or_default().into()
}

fn clock(at: Timestamp) -> Cell {
    let mut cell = Cell::from(at.strftime("%H:%M:%S").to_string());
    cell.exact = Some(at.to_string());
    cell
}

fn statement(party: &Party) -> Cell {
    let cell = Cell::from(excerpt(party.query.as_deref()));
    match (party.query_id, &party.query) {
        (Some(id), Some(_)) => cell.to(anchor(id)),
        _ => cell,
    }
}

fn scene(known: &Known<'_>) -> Result<Scene, Unknown> {
    let scene = Scene::of(known.period.past, known.period.span(), INSTANTS);
    scene.map_err(|error| Unknown::new(crate::sample::Reason::Failed, error.what))
}

fn told(scene: &Scene, known: &Known<'_>, pace_seconds: f64) -> Blocking {
    #[expect(clippy::cast_precision_loss, reason = "a small factor")]
    let pace_seconds = pace_seconds * scene.each as f64;
    let mut sums = Sums::default();
    let mut waited = 0.0;
    for (at, sessions) in &scene.instants {
        let waits = waits(sessions);
        #[expect(clippy::cast_precision_loss, reason = "a number of sessions")]
        let count = waits.len() as f64;
        waited += count * pace_seconds;
        for tree in trees(&waits) {
            sums.add_root(*at, &tree, sessions, pace_seconds);
        }
        for (waiter, blockers) in &waits {
            blockers.iter().for_each(|blocker| sums.add_pair(*waiter, *blocker, sessions, pace_seconds));
        }
    }
    sums.told(known, waited)
}

struct RootSum {
    seconds: f64,
    victims: HashSet<Session>,
    most_at_once: usize,
    longest_chain: usize,
    first: i64,
    last: i64,
    in_circle: bool,
    /// As it was seen, the statements that held others up longest first.
    seen: HashMap<Vec<Key>, f64>,
}

/// One session that waited for another, each as it was last seen.
#[derive(Default)]
struct PairSum {
    seconds: f64,
    waiter: Option<Seen>,
    blocker: Option<Seen>,
}

#[derive(Default)]
struct Sums {
    roots: HashMap<Session, RootSum>,
    pairs: HashMap<(Session, Session), PairSum>,
}

impl Sums {
    fn add_root(&mut self, at: i64, tree: &Node, sessions: &HashMap<i64, Seen>, pace_seconds: f64) {
        let sum = self.roots.entry(session(tree.pid, sessions)).or_insert_with(|| RootSum {
            seconds: 0.0,
            victims: HashSet::new(),
            most_at_once: 0,
            longest_chain: 0,
            first: at,
            last: at,
            in_circle: false,
            seen: HashMap::new(),
        });
        let victims = tree.victims();
        #[expect(clippy::cast_precision_loss, reason = "a number of sessions")]
        let seconds = victims as f64 * pace_seconds;
        sum.seconds += seconds;
        sum.most_at_once = sum.most_at_once.max(victims);
        sum.longest_chain = sum.longest_chain.max(depth(tree));
        (sum.first, sum.last) = (sum.first.min(at), sum.last.max(at));
        sum.in_circle |= tree.in_circle;
        below(tree, &mut |pid| {
            sum.victims.insert(session(pid, sessions));
        });
        if let Some(seen) = sessions.get(&tree.pid) {
            *sum.seen.entry(seen.keys.clone()).or_default() += seconds;
        }
    }

    fn add_pair(&mut self, waiter: i64, blocker: i64, sessions: &HashMap<i64, Seen>, pace_seconds: f64) {
        let pair = (session(waiter, sessions), session(blocker, sessions));
        let sum = self.pairs.entry(pair).or_default();
        sum.seconds += pace_seconds;
        sum.waiter = sessions.get(&waiter).cloned().or(sum.waiter.take());
        sum.blocker = sessions.get(&blocker).cloned().or(sum.blocker.take());
    }

    fn told(self, known: &Known<'_>, waited: f64) -> Blocking {
        let at = |ms: i64| Timestamp::from_millisecond(ms).unwrap_or(known.period.begin.at);
        let root = |((pid, started), sum): (Session, RootSum)| {
            let longest = sum.seen.iter().max_by(|a, b| a.1.total_cmp(b.1).then_with(|| a.0.cmp(b.0))).map(|(keys, _)| keys.as_slice());
            Root {
                blocker: party(known, (pid, started), longest),
                waited_seconds: sum.seconds,
                victims: sum.victims.len(),
                most_at_once: sum.most_at_once,
                longest_chain: sum.longest_chain,
                first_seen: at(sum.first),
                last_seen: at(sum.last),
                in_circle: sum.in_circle,
            }
        };
        let pair = |((waiter, blocker), PairSum { seconds, waiter: first, blocker: second }): ((Session, Session), PairSum)| {
            let keys = |seen: &Option<Seen>| seen.as_ref().map(|seen| seen.keys.clone());
            Pair {
                wait_event: first.as_ref().and_then(|seen| seen.keys[7].text()).map(str::to_owned),
                waiter: party(known, waiter, keys(&first).as_deref()),
                blocker: party(known, blocker, keys(&second).as_deref()),
                waited_seconds: seconds,
            }
        };
        let mut roots: Vec<Root> = self.roots.into_iter().map(root).collect();
        roots.sort_by(|a, b| b.waited_seconds.total_cmp(&a.waited_seconds).then(a.blocker.pid.cmp(&b.blocker.pid)));
        roots.truncate(ROOTS);
        let mut pairs: Vec<_> = self.pairs.into_iter().collect();
        pairs.sort_by(|a, b| b.1.seconds.total_cmp(&a.1.seconds).then(a.0.cmp(&b.0)));
        pairs.truncate(PAIRS);
        Blocking { waited_seconds: Some(waited), roots, pairs: pairs.into_iter().map(pair).collect(), unknown: None }
    }
}

fn party(known: &Known<'_>, (pid, started): Session, keys: Option<&[Key]>) -> Party {
    let text = |place: usize| keys.and_then(|keys| keys[place].text()).map(str::to_owned);
    let query_id = keys.and_then(|keys| keys[6].query());
    Party {
        pid,
        started_at: started.and_then(|ms| Timestamp::from_millisecond(ms).ok()),
        user: text(1),
        database: text(2),
        application: text(3),
        client: text(4),
        state: text(5),
        query_id: query_id.map(QueryId),
        query: query_id.and_then(|id| known.text(id)),
    }
}
