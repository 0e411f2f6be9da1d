//! Who blocked whom: from when to when, with which statements, and who was at the root of it.

use crate::ash::block::{Dimension, Key};
use crate::ash::cube::key_in;
use crate::ash::sampled::Sampled;
use crate::ash::scene::{KEYS, Scene, Seen, Session, below, depth, session, waits};
use crate::ash::scope::Scope;
use crate::error::Result;
use crate::locktree::{Node, trees};
use crate::past::Past;
use crate::query_id::QueryId;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, HashSet};
use utoipa::ToSchema;

/// Instants with waits that are looked at, at most; more are thinned evenly.
const INSTANTS: usize = 20_000;

/// Who blocked whom.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = AshBlocking)]
pub struct Blocking {
    /// Time that sessions waited for others, all together, in ms.
    pub waited_ms: f64,
    /// Sessions that held up others and waited for nobody, those that cost the others most first.
    pub roots: Vec<Root>,
    /// Who waited for whom and until when, the longest first.
    pub waits: Vec<BlockedWait>,
}

/// A session, and what it did.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = AshParty)]
pub struct Party {
    /// Process id; 0 stands for a prepared transaction.
    pub session_id: i64,
    /// When the session started.
    pub backend_start: Option<Timestamp>,
    /// Role.
    pub user: Option<String>,
    /// Database.
    pub database: Option<String>,
    /// What the client calls itself.
    pub program: Option<String>,
    /// The client's address; null for a Unix socket.
    pub client: Option<String>,
    /// ACTIVE, WAITING, BLOCKED or IDLE (in a transaction); null for a prepared transaction.
    pub session_state: Option<String>,
    /// Its statement; the last one it ran, when it was idle in its transaction.
    pub sql_id: Option<QueryId>,
    /// The statement's text.
    pub sql_text: Option<String>,
}

/// A session that held up others while nobody held it up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = AshRootBlocker)]
pub struct Root {
    /// The session, as it was for most of the time.
    #[serde(flatten)]
    pub blocker: Party,
    /// When it was first seen to hold up others.
    pub first_seen: Timestamp,
    /// When it was last seen to.
    pub last_seen: Timestamp,
    /// How long, in ms.
    pub duration_ms: f64,
    /// Time that the others waited, all together, in ms.
    pub waited_ms: f64,
    /// Sessions that waited because of it, directly or behind others.
    pub sessions_held_up: usize,
    /// The most that waited at once.
    pub most_at_once: usize,
    /// How many waited one behind the other, in the longest chain.
    pub longest_chain: usize,
    /// Whether it was in a circle of waits: a deadlock, until PostgreSQL ended it.
    pub in_circle: bool,
}

/// A session that waited for another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = AshBlockedWait)]
pub struct BlockedWait {
    /// The session that waited.
    pub waiter: Party,
    /// For what, as `Type:Event`.
    pub wait_event: Option<String>,
    /// The session that it waited for; of several the one nearest to the root.
    pub blocker: Party,
    /// The process id at the root of the chain.
    pub root_session_id: i64,
    /// When it was first seen to wait.
    pub first_seen: Timestamp,
    /// When it was last seen to.
    pub last_seen: Timestamp,
    /// How long, in ms.
    pub duration_ms: f64,
}

impl Blocking {
    /// The waits of a period in which somebody took part who is meant.
    ///
    /// # Errors
    /// When the history cannot be read.
    pub fn of(past: &dyn Past, scope: &Scope, sampled: &Sampled, limit: usize) -> Result<Self> {
        let scene = Scene::of(past, scope.span, INSTANTS)?;
        let factor = u32::try_from(scene.each).unwrap_or(u32::MAX);
        let pace = SignedDuration::from_secs_f64(sampled.pace_seconds * f64::from(factor));
        // One missed sample breaks no wait; more might be two waits.
        let mut sums = Sums { pace, patience: pace * 2 + pace / 2, ..Sums::default() };
        for (at, sessions) in &scene.instants {
            for tree in trees(&waits(sessions)) {
                if concerns(scope, &tree, sessions) {
                    sums.add(*at, &tree, sessions);
                }
            }
        }
        sums.told(past, limit)
    }
}

/// Whether somebody in a tree is meant.
fn concerns(scope: &Scope, tree: &Node, sessions: &HashMap<i64, Seen>) -> bool {
    let meant = |pid: i64| {
        let holds = |(dimension, keys): &(Dimension, Vec<Key>)| {
            !KEYS.contains(dimension) || sessions.get(&pid).is_some_and(|seen| keys.contains(seen.key(*dimension)))
        };
        scope.pid.is_none_or(|wanted| wanted == pid) && scope.only.iter().all(holds)
    };
    let mut found = meant(tree.pid);
    below(tree, &mut |pid| found |= meant(pid));
    found
}

/// One stretch of time without a break.
#[derive(Debug, Clone)]
struct Stretch {
    first: i64,
    last: i64,
}

#[derive(Debug, Default)]
struct RootSum {
    samples: u64,
    victims: HashSet<Session>,
    most_at_once: usize,
    longest_chain: usize,
    in_circle: bool,
    /// As it was seen, with how many it held up so.
    seen: HashMap<Vec<Key>, usize>,
}

#[derive(Debug, Default)]
struct WaitSum {
    waiter: Option<Seen>,
    blocker: Option<Seen>,
}

#[derive(Debug, Default)]
struct Sums {
    pace: SignedDuration,
    patience: SignedDuration,
    waited: u64,
    roots: HashMap<Session, Vec<(Stretch, RootSum)>>,
    /// By waiter, blocker and process id of the root: whoever waits on behind the same one has another root when there is a new one.
    waits: HashMap<(Session, Session, i64), Vec<(Stretch, WaitSum)>>,
}

/// The stretch that goes on at an instant, or a new one.
fn going_on<T>(stretches: &mut Vec<(Stretch, T)>, at: i64, patience: SignedDuration, new: impl FnOnce() -> T) -> &mut T {
    let goes_on = stretches.last().is_some_and(|(stretch, _)| i128::from(at - stretch.last) <= patience.as_millis());
    if !goes_on {
        stretches.push((Stretch { first: at, last: at }, new()));
    }
    let newest = stretches.len() - 1;
    let (stretch, sum) = &mut stretches[newest];
    stretch.last = at;
    sum
}

impl Sums {
    fn add(&mut self, at: i64, tree: &Node, sessions: &HashMap<i64, Seen>) {
        let sum = going_on(self.roots.entry(session(tree.pid, sessions)).or_default(), at, self.patience, RootSum::default);
        let victims = tree.victims();
        sum.samples += victims as u64;
        sum.most_at_once = sum.most_at_once.max(victims);
        sum.longest_chain = sum.longest_chain.max(depth(tree));
        sum.in_circle |= tree.in_circle;
        below(tree, &mut |pid| {
            sum.victims.insert(session(pid, sessions));
        });
        if let Some(seen) = sessions.get(&tree.pid) {
            *sum.seen.entry(seen.keys.clone()).or_default() += victims;
        }
        self.waited += victims as u64;
        self.add_waits(at, tree, tree.pid, sessions);
    }

    fn add_waits(&mut self, at: i64, blocker: &Node, root: i64, sessions: &HashMap<i64, Seen>) {
        for waiter in &blocker.waiters {
            let key = (session(waiter.pid, sessions), session(blocker.pid, sessions), root);
            let sum = going_on(self.waits.entry(key).or_default(), at, self.patience, WaitSum::default);
            sum.waiter = sessions.get(&waiter.pid).cloned().or(sum.waiter.take());
            sum.blocker = sessions.get(&blocker.pid).cloned().or(sum.blocker.take());
            self.add_waits(at, waiter, root, sessions);
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "times of waits are far below 2^53 ms")]
    fn told(self, past: &dyn Past, limit: usize) -> Result<Blocking> {
        let pace_ms = self.pace.as_secs_f64() * 1000.0;
        let lasted = |stretch: &Stretch| (stretch.last - stretch.first) as f64 + pace_ms;
        let mut roots: Vec<_> = self
            .roots
            .into_iter()
            .flat_map(|(who, stretches)| stretches.into_iter().map(move |(stretch, sum)| (who, stretch, sum)))
            .collect();
        roots.sort_by_key(|(who, stretch, sum)| (std::cmp::Reverse(sum.samples), stretch.first, *who));
        roots.truncate(limit);
        let mut waits: Vec<_> = self
            .waits
            .into_iter()
            .flat_map(|(pair, stretches)| stretches.into_iter().map(move |(stretch, sum)| (pair, stretch, sum)))
            .collect();
        waits.sort_by(|a, b| lasted(&b.1).total_cmp(&lasted(&a.1)).then_with(|| (a.1.first, a.0).cmp(&(b.1.first, b.0))));
        waits.truncate(limit);
        let root = |(who, stretch, sum): (Session, Stretch, RootSum)| -> Result<Root> {
            let mostly = sum.seen.iter().max_by(|a, b| a.1.cmp(b.1).then_with(|| b.0.cmp(a.0))).map(|(keys, _)| keys.as_slice());
            Ok(Root {
                blocker: party(past, who, mostly)?,
                first_seen: at(stretch.first),
                last_seen: at(stretch.last),
                duration_ms: lasted(&stretch),
                waited_ms: sum.samples as f64 * pace_ms,
                sessions_held_up: sum.victims.len(),
                most_at_once: sum.most_at_once,
                longest_chain: sum.longest_chain,
                in_circle: sum.in_circle,
            })
        };
        let wait = |((waiter, blocker, root), stretch, sum): ((Session, Session, i64), Stretch, WaitSum)| -> Result<BlockedWait> {
            let event = sum.waiter.as_ref().and_then(|seen| seen.key(Dimension::WaitEvent).text());
            Ok(BlockedWait {
                wait_event: event.map(str::to_owned),
                waiter: party(past, waiter, sum.waiter.as_ref().map(|seen| seen.keys.as_slice()))?,
                blocker: party(past, blocker, sum.blocker.as_ref().map(|seen| seen.keys.as_slice()))?,
                root_session_id: root,
                first_seen: at(stretch.first),
                last_seen: at(stretch.last),
                duration_ms: lasted(&stretch),
            })
        };
        Ok(Blocking {
            waited_ms: self.waited as f64 * pace_ms,
            roots: roots.into_iter().map(root).collect::<Result<_>>()?,
            waits: waits.into_iter().map(wait).collect::<Result<_>>()?,
        })
    }
}

fn at(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap_or_default()
}

fn party(past: &dyn Past, (session_id, started): Session, keys: Option<&[Key]>) -> Result<Party> {
    let key = |dimension| key_in(&KEYS, keys.unwrap_or_default(), dimension);
    let text = |dimension| key(dimension).text().map(str::to_owned);
    let sql_id = key(Dimension::Query).query().map(QueryId);
    Ok(Party {
        session_id,
        backend_start: started.and_then(|ms| Timestamp::from_millisecond(ms).ok()),
        user: text(Dimension::User),
        database: text(Dimension::Database),
        program: text(Dimension::Application),
        client: text(Dimension::Client),
        session_state: text(Dimension::State),
        sql_id,
        sql_text: super::sql_stats::text(past, sql_id)?,
    })
}
