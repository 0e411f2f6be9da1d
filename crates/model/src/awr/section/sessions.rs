//! Who took the time: sessions, roles, applications, clients, databases.

use crate::ash::WaitClass;
use crate::ash::block::{Dimension, Key};
use crate::awr::active::{Active, class, is_foreground, is_idle};
use crate::awr::known::Known;
use crate::awr::page::{Cell, Section, Table};
use crate::sample::Unknown;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use utoipa::ToSchema;

/// Who took the time.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = AwrSessions)]
pub struct Sessions {
    /// The sessions that took most.
    pub sessions: Vec<SessionTime>,
    /// By role.
    pub users: Vec<ShareOfTime>,
    /// By what the clients call themselves.
    pub applications: Vec<ShareOfTime>,
    /// By the clients' address.
    pub clients: Vec<ShareOfTime>,
    /// By database.
    pub databases: Vec<ShareOfTime>,
    /// Why there are none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub unknown: Option<Unknown>,
}

/// The time of one session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = AwrSession)]
pub struct SessionTime {
    /// Its process id.
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
    /// Time in statements, waiting or not, in seconds.
    pub seconds: f64,
    /// Its share of DB time, in per cent.
    pub percent: f64,
    /// Processor time, in seconds; null where the agent is not on the server's host.
    pub cpu_seconds: Option<f64>,
    /// Time idle in a transaction, in seconds.
    pub idle_in_transaction_seconds: f64,
    /// Its time by wait class, in seconds.
    pub waits: BTreeMap<WaitClass, f64>,
}

/// The time of all sessions that have something in common.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = AwrShareOfTime)]
pub struct ShareOfTime {
    /// What they have in common; null where they have none.
    pub name: Option<String>,
    /// Their time, in seconds.
    pub seconds: f64,
    /// Sessions, on average.
    pub average_sessions: f64,
    /// Their share of DB time, in per cent.
    pub percent: f64,
}

const MOST: usize = 10;

impl Sessions {
    /// Works it out.
    pub fn build(known: &Known<'_>) -> Self {
        match &known.active {
            Err(unknown) => Self { unknown: Some(unknown.clone()), ..Self::default() },
            Ok(active) => Self {
                sessions: sessions(active),
                users: shares(active, Dimension::User),
                applications: shares(active, Dimension::Application),
                clients: shares(active, Dimension::Client),
                databases: shares(active, Dimension::Database),
                unknown: None,
            },
        }
    }

    /// How it is laid out.
    pub fn section(&self) -> Section {
        let mut section = Section::new("sessions", "Sessions, users, applications, clients", "")
            .missing(self.unknown.iter().map(|why| ("sessions", why)));
        if self.unknown.is_some() {
            return section;
        }
        let mostly =
            |row: &SessionTime| row.waits.iter().max_by(|a, b| a.1.total_cmp(b.1)).map_or("", |(class, _)| class.name()).to_owned();
        let text = |text: &Option<String>| Cell::from(text.as_deref().unwrap_or_default());
        let session = |row: &SessionTime| {
            [
                row.pid.to_string().into(),
                Cell::maybe(row.started_at, Cell::time),
                text(&row.user),
                text(&row.database),
                text(&row.application),
                row.client.as_deref().unwrap_or("(local)").into(),
                Cell::seconds(row.seconds),
                Cell::percent(row.percent).share(row.percent / 100.0),
                row.cpu_seconds.map_or_else(Cell::default, Cell::seconds),
                Cell::seconds(row.idle_in_transaction_seconds),
                mostly(row).into(),
            ]
        };
        let columns =
            [">pid", "started", "user", "database", "application", "client", ">time", ">of DB time", ">CPU", ">idle in tx", "mostly"];
        section = section.with(Table::new("Top sessions", &columns).rows(self.sessions.iter().map(session)).or("no session did anything"));
        let lists =
            [("Users", &self.users), ("Applications", &self.applications), ("Clients", &self.clients), ("Databases", &self.databases)];
        for (title, rows) in lists {
            let share = |row: &ShareOfTime| {
                [
                    row.name.as_deref().unwrap_or(if title == "Clients" { "(local)" } else { "(none)" }).into(),
                    Cell::seconds(row.seconds),
                    Cell::number(row.average_sessions),
                    Cell::percent(row.percent).share(row.percent / 100.0),
                ]
            };
            let columns = ["name", ">time", ">average sessions", ">of DB time"];
            section = section.with(Table::new(title, &columns).rows(rows.iter().map(share)).or("no session did anything"));
        }
        section
    }
}

/// What tells a session from others: it may change role and what it calls itself.
const SESSION: [Dimension; 5] = [Dimension::Session, Dimension::User, Dimension::Database, Dimension::Application, Dimension::Client];

fn percent(active: &Active, samples: u64) -> f64 {
    100.0 * active.sampled.seconds(samples) / active.sampled.seconds(active.busy()).max(f64::MIN_POSITIVE)
}

fn shares(active: &Active, by: Dimension) -> Vec<ShareOfTime> {
    let mut samples: BTreeMap<Option<&str>, u64> = BTreeMap::new();
    let who = &active.who;
    for (cell, count) in who.cells().filter(|(cell, _)| is_foreground(who, cell) && class(who, cell) != WaitClass::Idle) {
        *samples.entry(who.key(cell, by).text()).or_default() += count.samples;
    }
    let share = |(name, samples): (Option<&str>, u64)| ShareOfTime {
        name: name.map(str::to_owned),
        seconds: active.sampled.seconds(samples),
        average_sessions: active.sampled.average(samples),
        percent: percent(active, samples),
    };
    super::top(samples.into_iter().map(share).collect(), MOST, |share| share.seconds)
}

fn sessions(active: &Active) -> Vec<SessionTime> {
    let who = &active.who;
    let mut sessions: HashMap<[&Key; 5], SessionTime> = HashMap::new();
    for (cell, count) in who.cells().filter(|(cell, _)| is_foreground(who, cell)) {
        let Key::Session(pid, started) = *who.key(cell, Dimension::Session) else { continue };
        let text = |by: Dimension| who.key(cell, by).text().map(str::to_owned);
        let row = sessions.entry(SESSION.map(|by| who.key(cell, by))).or_insert_with(|| SessionTime {
            pid,
            started_at: started.and_then(|ms| Timestamp::from_millisecond(ms).ok()),
            user: text(Dimension::User),
            database: text(Dimension::Database),
            application: text(Dimension::Application),
            client: text(Dimension::Client),
            seconds: 0.0,
            percent: 0.0,
            cpu_seconds: None,
            idle_in_transaction_seconds: 0.0,
            waits: BTreeMap::new(),
        });
        let seconds = active.sampled.seconds(count.samples);
        match class(who, cell) {
            WaitClass::Idle if is_idle(who, cell) => row.idle_in_transaction_seconds += seconds,
            WaitClass::Idle => {}
            class => {
                row.seconds += seconds;
                row.percent += percent(active, count.samples);
                *row.waits.entry(class).or_default() += seconds;
            }
        }
        if count.cpu_known > 0 {
            *row.cpu_seconds.get_or_insert(0.0) += count.cpu_ms / 1000.0;
        }
    }
    let mut sessions: Vec<SessionTime> = sessions.into_values().collect();
    sessions.sort_by_key(|row| (row.pid, row.started_at));
    super::top(sessions, MOST, |row| row.seconds + row.idle_in_transaction_seconds / 1e6)
}
