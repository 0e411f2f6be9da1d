//! The rows that a tab shows, filtered and sorted, and which of them is chosen.

use super::state::{Key, Order, Part, State, Tab};
use pgtend_model::document::databases::Database;
use pgtend_model::document::load::{EventLoad, QueryLoad};
use pgtend_model::document::locks::Blocker;
use pgtend_model::document::sessions::{Doing, Session};
use std::cmp::Ordering;

/// A session in a tree of waits, and for every level above whether the branch there was the last one.
#[derive(Debug, Clone)]
pub struct Place<'a> {
    /// The session.
    pub blocker: &'a Blocker,
    /// The way to it.
    pub path: Vec<bool>,
}

impl State {
    /// Sessions as the sessions' tab lists them.
    pub fn sessions(&self) -> Vec<&Session> {
        let Some(data) = &self.data else { return Vec::new() };
        let mut sessions: Vec<&Session> = data.sessions.sessions.iter().filter(|session| self.shows_session(session)).collect();
        sessions.sort_by(|a, b| {
            let order = compare(a, b, self.order);
            if self.reverse { order.reverse() } else { order }
        });
        sessions
    }

    /// Statements as the statements' tab lists them.
    pub fn queries(&self) -> Vec<&QueryLoad> {
        let queries = self.data.iter().flat_map(|data| &data.load.queries);
        queries.filter(|query| self.passes([Some(query.query.as_str()), query.user.as_deref(), query.database.as_deref()])).collect()
    }

    /// Wait events as the waits' tab lists them.
    pub fn events(&self) -> Vec<&EventLoad> {
        let events = self.data.iter().flat_map(|data| &data.load.events);
        events
            .filter(|event| self.passes([Some(event.wait_class.name()), event.wait_event_type.as_deref(), event.wait_event.as_deref()]))
            .collect()
    }

    /// Databases as the databases' tab lists them.
    pub fn databases(&self) -> Vec<&Database> {
        match self.data.as_ref().map(|data| &data.part) {
            Some(Part::Databases(document)) => {
                document.databases.iter().filter(|database| self.passes([Some(database.name.as_str())])).collect()
            }
            _ => Vec::new(),
        }
    }

    /// Sessions that wait for one another, root by root.
    pub fn places(&self) -> Vec<Place<'_>> {
        let Some(Part::Locks(locks)) = self.data.as_ref().map(|data| &data.part) else { return Vec::new() };
        let mut places = Vec::new();
        for root in &locks.roots {
            descend(root, &mut Vec::new(), &mut places);
        }
        places
    }

    /// What names the rows of the tab in front.
    pub fn keys(&self) -> Vec<Key> {
        match self.tab {
            Tab::Sessions => self.sessions().into_iter().map(Key::of).collect(),
            Tab::Queries => self.queries().iter().map(|query| Key::Query(query.query_id.0)).collect(),
            Tab::Waits => self.events().iter().map(|event| Key::Name(event_name(event))).collect(),
            Tab::Databases => self.databases().iter().map(|database| Key::Name(database.name.clone())).collect(),
            Tab::Blocking => self.places().iter().map(Place::key).collect(),
            Tab::Host | Tab::Replication => Vec::new(),
        }
    }

    /// The number of the chosen row of the tab in front: the first, unless another was chosen and is still there.
    pub fn chosen_row(&self) -> usize {
        let chosen = self.chosen.get(&self.tab);
        chosen.and_then(|chosen| self.keys().iter().position(|key| key == chosen)).unwrap_or(0)
    }

    /// The session that the chosen row is about.
    pub fn chosen_session(&self) -> Option<&Session> {
        match self.tab {
            Tab::Sessions => self.sessions().get(self.chosen_row()).copied(),
            Tab::Blocking => self.places().get(self.chosen_row()).and_then(|place| place.blocker.session.as_ref()),
            _ => None,
        }
    }

    /// The statement that the chosen row is about.
    pub fn chosen_query(&self) -> Option<&QueryLoad> {
        (self.tab == Tab::Queries).then(|| self.queries().get(self.chosen_row()).copied()).flatten()
    }

    fn shows_session(&self, session: &Session) -> bool {
        let pid = session.session_id.to_string();
        self.passes([
            Some(pid.as_str()),
            session.user.as_deref(),
            session.database.as_deref(),
            session.application_name.as_deref(),
            session.client.as_deref(),
            session.doing.map(Doing::name),
            session.wait_event.as_deref(),
            session.backend_type.as_deref(),
            session.query.as_deref(),
        ])
    }

    fn passes<'a>(&self, texts: impl IntoIterator<Item = Option<&'a str>>) -> bool {
        let wanted = self.filter.to_lowercase();
        wanted.is_empty() || texts.into_iter().flatten().any(|text| text.to_lowercase().contains(&wanted))
    }
}

impl Place<'_> {
    /// What names it: the session, or the process id alone where there is none.
    pub fn key(&self) -> Key {
        self.blocker.session.as_ref().map_or(Key::Session(self.blocker.pid, None), Key::of)
    }
}

/// `IO:DataFileRead`, `CPU`.
pub fn event_name(event: &EventLoad) -> String {
    match (&event.wait_event_type, &event.wait_event) {
        (Some(wait_type), Some(name)) => format!("{wait_type}:{name}"),
        _ => event.wait_class.name().to_owned(),
    }
}

fn descend<'a>(blocker: &'a Blocker, path: &mut Vec<bool>, places: &mut Vec<Place<'a>>) {
    places.push(Place { blocker, path: path.clone() });
    for (number, waiter) in blocker.waiters.iter().enumerate() {
        path.push(number + 1 == blocker.waiters.len());
        descend(waiter, path, places);
        path.pop();
    }
}

/// Sorts sessions.
pub fn sort_sessions(sessions: &mut [Session], order: Order) {
    sessions.sort_by(|a, b| compare(a, b, order));
}

/// What is unusual comes first; what is not known comes last.
fn compare(a: &Session, b: &Session, order: Order) -> Ordering {
    let larger_first = |figure: fn(&Session) -> Option<f64>| figure(b).unwrap_or(-1.0).total_cmp(&figure(a).unwrap_or(-1.0));
    let by_order = match order {
        Order::Time => rank(a).cmp(&rank(b)).then_with(|| larger_first(|session| session.seconds)),
        Order::Transaction => larger_first(|session| session.transaction_seconds),
        Order::Cpu => larger_first(|session| session.usage?.cpu_percent),
        #[expect(clippy::cast_precision_loss, reason = "an order needs no more than a double's precision")]
        Order::Memory => larger_first(|session| session.usage?.memory_bytes.map(|bytes| bytes as f64)),
        Order::State => state_rank(a).cmp(&state_rank(b)),
        Order::User => a.user.cmp(&b.user),
        Order::Database => a.database.cmp(&b.database),
    };
    by_order.then_with(|| larger_first(|session| session.seconds)).then_with(|| a.session_id.cmp(&b.session_id))
}

/// Clients come before processes of the server, and those at work before those that idle: an idle session is always the one that has been
/// doing what it does for longest.
fn rank(session: &Session) -> u8 {
    match (session.backend_type.as_deref(), session.doing) {
        (Some("client backend") | None, Some(Doing::Active | Doing::Waiting | Doing::Blocked)) => 0,
        (Some("client backend") | None, Some(Doing::IdleInTransaction)) => 1,
        (_, Some(Doing::Active | Doing::Waiting | Doing::Blocked)) => 2,
        _ => 3,
    }
}

fn state_rank(session: &Session) -> u8 {
    match session.doing {
        Some(Doing::Blocked) => 0,
        Some(Doing::IdleInTransaction) => 1,
        Some(Doing::Active) => 2,
        Some(Doing::Waiting) => 3,
        Some(Doing::Idle) => 4,
        None => 5,
    }
}
