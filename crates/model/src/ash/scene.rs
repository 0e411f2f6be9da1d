//! Who waited for whom, instant by instant.

use super::block::{Block, Columns, Dimension, Key, Wanted};
use super::cube::key_in;
use crate::error::Result;
use crate::locktree::Node;
use crate::past::{Past, Span};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// What is known of a session in a sample, in the order of [`Seen::keys`].
pub const KEYS: [Dimension; 8] = [
    Dimension::Session,
    Dimension::User,
    Dimension::Database,
    Dimension::Application,
    Dimension::Client,
    Dimension::State,
    Dimension::Query,
    Dimension::WaitEvent,
];

/// One session in one sample.
#[derive(Debug, Clone)]
pub struct Seen {
    /// What it has in the dimensions of [`KEYS`].
    pub keys: Vec<Key>,
    /// Process ids that it waits for.
    pub blocked_by: Box<[i32]>,
}

impl Seen {
    /// What it has in a dimension of [`KEYS`].
    pub fn key(&self, dimension: Dimension) -> &Key {
        key_in(&KEYS, &self.keys, dimension)
    }
}

/// All that waited and all that were waited for, by instant (ms since 1970) and process id.
#[derive(Debug, Default)]
pub struct Scene {
    /// The instants at which somebody waited.
    pub instants: BTreeMap<i64, HashMap<i64, Seen>>,
    /// Of so many instants with waits one was looked at.
    pub each: usize,
}

impl Scene {
    /// The waits of a period; where more instants than `most` have some, they are thinned evenly.
    ///
    /// # Errors
    /// When the history cannot be read.
    pub fn of(past: &dyn Past, span: Span, most: usize) -> Result<Self> {
        let mut waits: BTreeSet<i64> = BTreeSet::new();
        let mut parties: HashSet<i64> = HashSet::new();
        past.sessions(&wanted(span, true, &[]), &mut |block| {
            waits.extend(&block.at_ms);
            parties.extend(block.blocked_by.iter().flat_map(|pids| pids.iter().map(|pid| i64::from(*pid))));
        })?;
        let each = waits.len().div_ceil(most.max(1)).max(1);
        let mut instants: BTreeMap<i64, HashMap<i64, Seen>> = waits.into_iter().step_by(each).map(|at| (at, HashMap::new())).collect();
        let ends = instants.keys().next().copied().zip(instants.keys().next_back().copied());
        let Some(span) = ends.and_then(|(first, last)| within(first, last)) else { return Ok(Self { instants, each }) };
        past.sessions(&wanted(span, false, &KEYS), &mut |block| collect(&mut instants, block, &parties))?;
        Ok(Self { instants, each })
    }
}

/// The span that has both instants in it.
fn within(first_ms: i64, last_ms: i64) -> Option<Span> {
    let at = |ms: i64| jiff::Timestamp::from_millisecond(ms).ok();
    Some(Span::new(at(first_ms)?, at(last_ms + 1)?))
}

fn wanted(span: Span, blocked: bool, dimensions: &[Dimension]) -> Wanted {
    let columns = Columns { dimensions: dimensions.to_vec(), blockers: true, ..Columns::default() };
    Wanted { from: Some(span.start), to: Some(span.end), blocked, columns, ..Wanted::default() }
}

fn collect(instants: &mut BTreeMap<i64, HashMap<i64, Seen>>, block: &Block, parties: &HashSet<i64>) {
    for row in 0..block.len() {
        let Some(sessions) = instants.get_mut(&block.at_ms[row]) else { continue };
        let blocked_by = block.blocked_by.get(row).cloned().unwrap_or_default();
        if let Key::Session(pid, _) = block.key(row, Dimension::Session)
            && (!blocked_by.is_empty() || parties.contains(pid))
        {
            let keys = KEYS.iter().map(|dimension| block.key(row, *dimension).clone()).collect();
            sessions.insert(*pid, Seen { keys, blocked_by });
        }
    }
}

/// The waits of one instant: each waiter with those it waits for.
pub fn waits(sessions: &HashMap<i64, Seen>) -> BTreeMap<i64, Vec<i64>> {
    let waiting = sessions.iter().filter(|(_, seen)| !seen.blocked_by.is_empty());
    waiting.map(|(pid, seen)| (*pid, seen.blocked_by.iter().map(|pid| i64::from(*pid)).collect())).collect()
}

/// A session for all its life: process id and start, where it was in a sample.
pub type Session = (i64, Option<i64>);

/// The session that had a process id at an instant.
pub fn session(pid: i64, sessions: &HashMap<i64, Seen>) -> Session {
    match sessions.get(&pid).map(|seen| seen.key(Dimension::Session)) {
        Some(Key::Session(pid, started)) => (*pid, *started),
        _ => (pid, None),
    }
}

/// How long the longest chain below a place in a tree is.
pub fn depth(node: &Node) -> usize {
    node.waiters.iter().map(|waiter| 1 + depth(waiter)).max().unwrap_or(0)
}

/// Visits everybody below a place in a tree.
pub fn below(node: &Node, each: &mut dyn FnMut(i64)) {
    for waiter in &node.waiters {
        each(waiter.pid);
        below(waiter, each);
    }
}
