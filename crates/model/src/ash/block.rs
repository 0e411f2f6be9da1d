//! Session samples in columns: what reports over the past are counted from.
//!
//! A day of samples is millions of rows, of which a report wants two or three columns. So they come in blocks, one file or one hour at
//! a time, with only the columns that were asked for, each coded: a short list of what occurs, and a number a row.

use super::{Filter, Ring, WaitClass};
use crate::sample::Text;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::hash::Hash;
use utoipa::ToSchema;

/// By what samples can be counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Dimension {
    /// Statement, by its identifier.
    Query,
    /// Wait class; CPU where the session did not wait.
    WaitClass,
    /// Wait event as `Type:Event`; none on CPU.
    WaitEvent,
    /// ACTIVE, WAITING, BLOCKED or IDLE (in a transaction).
    State,
    /// Database.
    Database,
    /// Role.
    User,
    /// What the client calls itself.
    Application,
    /// The client's address.
    Client,
    /// Kind of process.
    BackendType,
    /// One session: process id and start.
    Session,
}

impl Dimension {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Query,
        Self::WaitClass,
        Self::WaitEvent,
        Self::State,
        Self::Database,
        Self::User,
        Self::Application,
        Self::Client,
        Self::BackendType,
        Self::Session,
    ];

    /// Its name in parameters and documents.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Query => "query",
            Self::WaitClass => "wait_class",
            Self::WaitEvent => "wait_event",
            Self::State => "state",
            Self::Database => "database",
            Self::User => "user",
            Self::Application => "application",
            Self::Client => "client",
            Self::BackendType => "backend_type",
            Self::Session => "session",
        }
    }
}

/// What a sample has in a dimension.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Key {
    /// Nothing: no statement, no wait, a client on a Unix socket.
    None,
    /// A name.
    Text(Text),
    /// A statement.
    Query(i64),
    /// A session: process id, and its start in ms since 1970 where known.
    Session(i64, Option<i64>),
}

impl Key {
    /// The name, where it is one.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::None | Self::Query(_) | Self::Session(..) => None,
        }
    }

    /// The statement's identifier, where it is one.
    pub fn query(&self) -> Option<i64> {
        match self {
            Self::Query(id) => Some(*id),
            Self::None | Self::Text(_) | Self::Session(..) => None,
        }
    }

    /// The wait class that it names.
    pub fn wait_class(&self) -> WaitClass {
        let name = self.text().unwrap_or_default();
        WaitClass::ALL.into_iter().find(|class| class.name() == name).unwrap_or(WaitClass::Other)
    }

    /// Whether this kind of process works for a client: a role that may not see the kind of process sees clients only.
    pub fn is_foreground(&self) -> bool {
        matches!(self.text(), None | Some("client backend" | "parallel worker"))
    }
}

/// One dimension of a block's rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Coded {
    /// What occurs, each once.
    pub keys: Vec<Key>,
    /// Of each row, the place in `keys`.
    pub codes: Vec<u32>,
}

/// Which columns of a block are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Columns {
    /// Dimensions.
    pub dimensions: Vec<Dimension>,
    /// Processor time.
    pub cpu: bool,
    /// Ages of statement and transaction.
    pub ages: bool,
    /// Blockers.
    pub blockers: bool,
    /// Whether identifiers of statements are PostgreSQL's.
    pub native: bool,
}

impl Columns {
    /// These dimensions and nothing else.
    pub fn of(dimensions: &[Dimension]) -> Self {
        Self { dimensions: dimensions.to_vec(), ..Self::default() }
    }

    /// All there are.
    pub fn all() -> Self {
        Self { dimensions: Dimension::ALL.to_vec(), cpu: true, ages: true, blockers: true, native: true }
    }

    /// With processor time.
    #[must_use]
    pub fn with_cpu(mut self) -> Self {
        self.cpu = true;
        self
    }
}

/// Which samples are wanted: a span of time, and conditions that all must hold.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Not before.
    pub from: Option<Timestamp>,
    /// Before.
    pub to: Option<Timestamp>,
    /// Of each of these dimensions one of these keys.
    pub only: Vec<(Dimension, Vec<Key>)>,
    /// Only rows that wait for other sessions.
    pub blocked: bool,
    /// The columns.
    pub columns: Columns,
}

/// Samples in columns. All columns that are there have as many entries as there are rows.
#[derive(Debug, Clone, Default)]
pub struct Block {
    /// When, in ms since 1970. Rows are in no particular order.
    pub at_ms: Vec<i64>,
    /// The dimensions that were asked for.
    pub dimensions: HashMap<Dimension, Coded>,
    /// Processor time since the sample before, in ms; NaN where unknown. Empty when it was not asked for.
    pub cpu_ms: Vec<f32>,
    /// Age of the statement in ms; negative where there is none. Empty when it was not asked for.
    pub query_age_ms: Vec<i64>,
    /// Age of the transaction in ms; negative where there is none. Empty when it was not asked for.
    pub xact_age_ms: Vec<i64>,
    /// Process ids that each row waits for. Empty when it was not asked for.
    pub blocked_by: Vec<Box<[i32]>>,
    /// Whether the statement's identifier is PostgreSQL's. Empty when it was not asked for.
    pub native: Vec<bool>,
}

impl Block {
    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.at_ms.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.at_ms.is_empty()
    }

    /// What a row has in a dimension; none when that was not asked for.
    pub fn key(&self, row: usize, dimension: Dimension) -> &Key {
        self.dimensions.get(&dimension).map_or(&Key::None, |coded| &coded.keys[coded.codes[row] as usize])
    }

    /// The rows for which this holds, in their order.
    #[must_use]
    pub fn filter(&self, holds: impl Fn(usize) -> bool) -> Self {
        let rows: Vec<usize> = (0..self.len()).filter(|row| holds(*row)).collect();
        let pick = |column: &Vec<i64>| rows.iter().filter_map(|row| column.get(*row).copied()).collect();
        let coded = |coded: &Coded| Coded { keys: coded.keys.clone(), codes: rows.iter().map(|row| coded.codes[*row]).collect() };
        Self {
            at_ms: pick(&self.at_ms),
            dimensions: self.dimensions.iter().map(|(dimension, column)| (*dimension, coded(column))).collect(),
            cpu_ms: rows.iter().filter_map(|row| self.cpu_ms.get(*row).copied()).collect(),
            query_age_ms: pick(&self.query_age_ms),
            xact_age_ms: pick(&self.xact_age_ms),
            blocked_by: rows.iter().filter_map(|row| self.blocked_by.get(*row).cloned()).collect(),
            native: rows.iter().filter_map(|row| self.native.get(*row).copied()).collect(),
        }
    }

    /// The rows that are wanted. Dimensions in the conditions must be there.
    #[must_use]
    pub fn only(self, wanted: &Wanted) -> Self {
        let from = wanted.from.map_or(i64::MIN, Timestamp::as_millisecond);
        let to = wanted.to.map_or(i64::MAX, Timestamp::as_millisecond);
        let within = |row: usize| (from..to).contains(&self.at_ms[row]);
        let allowed: Vec<(&Coded, Vec<bool>)> = wanted
            .only
            .iter()
            .filter_map(|(dimension, keys)| self.dimensions.get(dimension).map(|coded| (coded, keys)))
            .map(|(coded, keys)| (coded, coded.keys.iter().map(|key| keys.contains(key)).collect()))
            .collect();
        let meets = |row: usize| allowed.iter().all(|(coded, allowed)| allowed[coded.codes[row] as usize]);
        let waits = |row: usize| !wanted.blocked || self.blocked_by.get(row).is_some_and(|pids| !pids.is_empty());
        if (0..self.len()).all(|row| within(row) && meets(row) && waits(row)) {
            return self;
        }
        self.filter(|row| within(row) && meets(row) && waits(row))
    }

    /// All samples of a ring within a filter.
    pub fn of_ring(ring: &Ring, filter: &Filter) -> Self {
        let mut builder = Builder::default();
        for (at, session) in ring.sessions(filter) {
            builder.push(at, session);
        }
        builder.finish()
    }
}

/// Gives each key that occurs a code.
#[derive(Debug, Clone)]
pub struct Coder<K> {
    codes: HashMap<K, u32>,
    keys: Vec<K>,
}

impl<K> Default for Coder<K> {
    fn default() -> Self {
        Self { codes: HashMap::new(), keys: Vec::new() }
    }
}

impl<K: Hash + Eq + Clone> Coder<K> {
    /// The code of a key.
    pub fn code(&mut self, key: K) -> u32 {
        self.code_of(&key)
    }

    /// The same of a key that is kept only when it is new.
    pub fn code_of(&mut self, key: &K) -> u32 {
        if let Some(code) = self.codes.get(key) {
            return *code;
        }
        let code = u32::try_from(self.keys.len()).unwrap_or(u32::MAX);
        self.keys.push(key.clone());
        self.codes.insert(key.clone(), code);
        code
    }

    /// The key of a code that it gave.
    pub fn key(&self, code: u32) -> &K {
        &self.keys[code as usize]
    }

    /// The keys, in the order of their codes.
    pub fn into_keys(self) -> Vec<K> {
        self.keys
    }
}

/// Makes a block of single sessions.
#[derive(Default)]
struct Builder {
    block: Block,
    coders: HashMap<Dimension, (Coder<Key>, Vec<u32>)>,
}

impl Builder {
    fn push(&mut self, at: Timestamp, session: &super::Session) {
        for dimension in Dimension::ALL {
            let (coder, codes) = self.coders.entry(dimension).or_default();
            codes.push(coder.code(session.key(dimension)));
        }
        let age = |age: Option<u32>| age.map_or(-1, i64::from);
        self.block.at_ms.push(at.as_millisecond());
        self.block.cpu_ms.push(session.cpu_ms.unwrap_or(f32::NAN));
        self.block.query_age_ms.push(age(session.query_age_ms));
        self.block.xact_age_ms.push(age(session.xact_age_ms));
        self.block.blocked_by.push(session.blocked_by.clone());
        self.block.native.push(session.statement.as_ref().is_some_and(|statement| statement.id_is_native));
    }

    fn finish(mut self) -> Block {
        for (dimension, (coder, codes)) in self.coders {
            self.block.dimensions.insert(dimension, Coded { keys: coder.into_keys(), codes });
        }
        self.block
    }
}

impl super::Session {
    /// What it has in a dimension.
    pub fn key(&self, dimension: Dimension) -> Key {
        let text = |text: &Option<Text>| text.clone().map_or(Key::None, Key::Text);
        match dimension {
            Dimension::Query => self.statement.as_ref().map_or(Key::None, |statement| Key::Query(statement.id)),
            Dimension::WaitClass => Key::Text(self.class.name().into()),
            Dimension::WaitEvent => self.wait.as_ref().map_or(Key::None, |wait| Key::Text(wait.name().into())),
            Dimension::State => Key::Text(self.state.word().into()),
            Dimension::Database => text(&self.who.database),
            Dimension::User => text(&self.who.user),
            Dimension::Application => text(&self.who.application),
            Dimension::Client => text(&self.who.client),
            Dimension::BackendType => text(&self.who.backend_type),
            Dimension::Session => Key::Session(self.who.pid, self.who.backend_start.map(Timestamp::as_millisecond)),
        }
    }
}
