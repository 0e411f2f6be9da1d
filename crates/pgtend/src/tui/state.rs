//! What the screen shows: data as it last came, and what the user chose. No I/O and no clock: events bring both.

use jiff::{Timestamp, tz::TimeZone};
use pgtend_model::document::databases::Databases;
use pgtend_model::document::host::Host;
use pgtend_model::document::load::{Load, Sort};
use pgtend_model::document::locks::Locks;
use pgtend_model::document::replication::Replication;
use pgtend_model::document::sessions::{Session, Sessions};
use pgtend_model::document::status::Status;
use pgtend_model::error::Error;
use pgtend_model::signal::{Signal, Target};
use std::collections::HashMap;
use std::time::Duration;

/// What one look brought.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// How the server is.
    pub status: Status,
    /// The load over the chart's window, in pieces.
    pub chart: Load,
    /// The load of the last minute.
    pub load: Load,
    /// Sessions: those that do something, or all.
    pub sessions: Sessions,
    /// What the tab in front needs besides.
    pub part: Part,
}

/// What some tabs need besides.
#[derive(Debug, Clone, Default)]
pub enum Part {
    /// Nothing.
    #[default]
    None,
    /// Who blocks whom.
    Locks(Locks),
    /// The host.
    Host(Box<Host>),
    /// The databases.
    Databases(Databases),
    /// Replication.
    Replication(Box<Replication>),
}

/// What can be in front.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Tab {
    /// Sessions.
    Sessions,
    /// Waits by event.
    Waits,
    /// Statements by time.
    Queries,
    /// Who blocks whom.
    Blocking,
    /// The host.
    Host,
    /// The databases.
    Databases,
    /// Replication.
    Replication,
}

impl Tab {
    /// All, in their order.
    pub const ALL: [Self; 7] = [Self::Sessions, Self::Waits, Self::Queries, Self::Blocking, Self::Host, Self::Databases, Self::Replication];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sessions => "Sessions",
            Self::Waits => "Waits",
            Self::Queries => "Queries",
            Self::Blocking => "Blocking",
            Self::Host => "Host",
            Self::Databases => "Databases",
            Self::Replication => "Replication",
        }
    }

    /// The one that is so many further on, round and round.
    pub(super) fn step(self, by: isize) -> Self {
        let count = Self::ALL.len().cast_signed();
        let place = Self::ALL.iter().position(|tab| *tab == self).unwrap_or(0).cast_signed();
        Self::ALL[(place + by).rem_euclid(count).cast_unsigned()]
    }
}

/// By what sessions are sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// For how long they have been doing what they do.
    Time,
    /// Age of the transaction.
    Transaction,
    /// Processor time.
    Cpu,
    /// Memory of their own.
    Memory,
    /// State: blocked first, idle last.
    State,
    /// Role.
    User,
    /// Database.
    Database,
}

impl Order {
    /// All, in the order in which a key goes through them.
    pub const ALL: [Self; 7] = [Self::Time, Self::Transaction, Self::Cpu, Self::Memory, Self::State, Self::User, Self::Database];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Time => "time",
            Self::Transaction => "transaction",
            Self::Cpu => "cpu",
            Self::Memory => "memory",
            Self::State => "state",
            Self::User => "user",
            Self::Database => "database",
        }
    }
}

/// What names a row, so that the choice stays with it when rows change places.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Key {
    /// A session by process id and start.
    Session(i64, Option<Timestamp>),
    /// A statement by its identifier.
    Query(i64),
    /// Anything else by its name.
    Name(String),
}

impl Key {
    /// The key of a session.
    pub fn of(session: &Session) -> Self {
        Self::Session(session.session_id, session.backend_start)
    }
}

/// What keys do now.
#[derive(Debug, Clone, PartialEq)]
pub enum Mode {
    /// Move and choose.
    Normal,
    /// Read the help.
    Help,
    /// Read one row's details, scrolled down by so many lines.
    Detail(u16),
    /// Type a filter; Esc brings back the former one.
    Filter(String),
    /// Say yes or no to a signal.
    Confirm(Box<Confirm>),
}

/// What is about to be signalled, as it was when it was chosen.
#[derive(Debug, Clone, PartialEq)]
pub struct Confirm {
    /// Cancel or terminate.
    pub signal: Signal,
    /// The session.
    pub session: Session,
    /// What names it.
    pub target: Target,
}

/// Something to be read at the bottom for a while.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// What it says.
    pub text: String,
    /// Whether it went wrong.
    pub is_bad: bool,
    /// Until when.
    pub until: Timestamp,
}

/// The agent or the server does not answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Trouble {
    /// Why.
    pub error: Error,
    /// Since when.
    pub since: Timestamp,
}

/// What the fetcher is to bring.
#[derive(Debug, Clone, PartialEq)]
pub struct Wishes {
    /// Of which of the agent's servers.
    pub server: Option<String>,
    /// The tab in front.
    pub tab: Tab,
    /// The chart's window in seconds.
    pub window_seconds: f64,
    /// Into how many pieces it is cut.
    pub pieces: usize,
    /// By what statements are sorted.
    pub sort: Sort,
    /// Idle sessions too.
    pub all: bool,
    /// How old figures may be.
    pub interval: Duration,
}

/// Windows of the chart, in seconds.
pub const WINDOWS: [f64; 5] = [300.0, 900.0, 3600.0, 21_600.0, 86_400.0];
/// Intervals between looks, in milliseconds.
pub const INTERVALS_MS: [u64; 7] = [500, 1000, 2000, 5000, 10_000, 30_000, 60_000];

/// All of it.
#[derive(Debug, Clone)]
pub struct State {
    /// The screen's width and height.
    pub screen: (u16, u16),
    /// Whether colours are wanted.
    pub colour: bool,
    /// The time zone in which times are shown.
    pub zone: TimeZone,
    /// Now, as of the last event.
    pub now: Timestamp,
    /// The agent's servers, where it has several.
    pub servers: Vec<String>,
    /// The one that is shown; none where there is no choice.
    pub server: Option<String>,
    /// What came last.
    pub data: Option<Snapshot>,
    /// When it came.
    pub came_at: Option<Timestamp>,
    /// Why nothing comes.
    pub trouble: Option<Trouble>,
    /// Whether something is on its way.
    pub fetching: bool,
    /// When to look again.
    pub next_look: Timestamp,
    /// Whether looking is suspended.
    pub paused: bool,
    /// Time between looks.
    pub interval: Duration,
    /// Which of [`WINDOWS`] the chart shows.
    pub window: usize,
    /// What is in front.
    pub tab: Tab,
    /// By what sessions are sorted.
    pub order: Order,
    /// The other way round.
    pub reverse: bool,
    /// By what statements are sorted.
    pub sort: Sort,
    /// Idle sessions too.
    pub all: bool,
    /// Text that rows must contain.
    pub filter: String,
    /// The chosen row of each tab.
    pub chosen: HashMap<Tab, Key>,
    /// What keys do.
    pub mode: Mode,
    /// What happened.
    pub message: Option<Message>,
}

impl State {
    /// At the start.
    pub fn new(now: Timestamp) -> Self {
        Self {
            screen: (80, 24),
            colour: true,
            zone: TimeZone::UTC,
            now,
            servers: Vec::new(),
            server: None,
            data: None,
            came_at: None,
            trouble: None,
            fetching: false,
            next_look: now,
            paused: false,
            interval: Duration::from_secs(2),
            window: 0,
            tab: Tab::Sessions,
            order: Order::Time,
            reverse: false,
            sort: Sort::Time,
            all: false,
            filter: String::new(),
            chosen: HashMap::new(),
            mode: Mode::Normal,
            message: None,
        }
    }

    /// What the fetcher is to bring.
    pub fn wishes(&self) -> Wishes {
        Wishes {
            server: self.server.clone(),
            tab: self.tab,
            window_seconds: WINDOWS[self.window],
            pieces: super::view::chart_columns(self.screen),
            sort: self.sort,
            all: self.all,
            interval: self.interval,
        }
    }
}
