//! Locks: who held up whom, from when to when, and with which statement.

use super::statements::{anchor, excerpt};
use crate::ash::scope::Scope;
use crate::awr::known::Known;
use crate::awr::page::{Cell, Section, Table};
use crate::document::ash::blocking::{BlockedWait, Blocking as Found, Party, Root};
use crate::query_id::QueryId;
use crate::sample::{Reason, Unknown};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Who held up whom.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = AwrBlocking)]
pub struct Blocking {
    /// Time that sessions waited for others, all together, in ms.
    pub waited_ms: Option<f64>,
    /// The sessions that held up others while nobody held them up, each time that they did, the costliest first.
    pub roots: Vec<Root>,
    /// Who waited for whom directly and until when, the longest first.
    pub waits: Vec<BlockedWait>,
    /// Why there are none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub unknown: Option<Unknown>,
}

/// Roots that are told.
const ROOTS: usize = 10;
/// Waits that are told.
const WAITS: usize = 20;

impl Blocking {
    /// Works it out.
    pub fn build(known: &Known<'_>) -> Self {
        let unknown = |unknown| Self { unknown: Some(unknown), ..Self::default() };
        let sampled = match &known.active {
            Ok(active) => &active.sampled,
            Err(why) => return unknown(why.clone()),
        };
        match Found::of(known.period.past, &Scope::of(sampled.span), sampled, WAITS) {
            Ok(Found { waited_ms, mut roots, waits }) => {
                roots.truncate(ROOTS);
                Self { waited_ms: Some(waited_ms), roots, waits, unknown: None }
            }
            Err(error) => unknown(Unknown::new(Reason::Failed, error.what)),
        }
    }

    /// The statements that are named, with their texts.
    pub fn texts(&self) -> Vec<(QueryId, &str)> {
        let parties = self.waits.iter().flat_map(|wait| [&wait.waiter, &wait.blocker]);
        let parties = self.roots.iter().map(|root| &root.blocker).chain(parties);
        parties.filter_map(|party| party.sql_id.zip(party.sql_text.as_deref())).collect()
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
                text(&party.program),
                text(&party.session_state),
                Cell::seconds(row.waited_ms / 1000.0),
                Cell::count(i64::try_from(row.sessions_held_up).unwrap_or(i64::MAX)),
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
        let wait = |row: &BlockedWait| {
            [
                pid(&row.waiter),
                text(&row.waiter.user),
                row.wait_event.as_deref().unwrap_or_default().into(),
                Cell::seconds(row.duration_ms / 1000.0),
                clock(row.first_seen),
                clock(row.last_seen),
                pid(&row.blocker),
                statement(&row.waiter),
                statement(&row.blocker),
            ]
        };
        let columns =
            [">waiter", "user", "waited for", ">time", "from", "to", ">blocker", "*statement of the waiter", "*statement of the blocker"];
        section = section.with(roots);
        if self.roots.iter().any(|root| root.in_circle) {
            section = section.note("Some waited in a circle: a deadlock, until PostgreSQL cancelled one of them.");
        }
        section.with(Table::new("Who waited for whom", &columns).rows(self.waits.iter().map(wait)).or("nobody waited for anybody"))
    }
}

fn pid(party: &Party) -> Cell {
    if party.session_id == 0 { "prepared".into() } else { party.session_id.to_string().into() }
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
    let cell = Cell::from(excerpt(party.sql_text.as_deref()));
    match (party.sql_id, &party.sql_text) {
        (Some(id), Some(_)) => cell.to(anchor(id)),
        _ => cell,
    }
}
