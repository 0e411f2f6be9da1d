//! Who blocks whom: sessions that wait for locks as trees, with what to do about the roots.

use super::sessions::{Doing, OTHERS, Params as Which, Session, Sessions};
use super::{Document, Known, Unknowns};
use crate::error::Result;
use crate::locktree::{self, Node};
use crate::sample::Probe;
use crate::sample::lock_waits::LockWait;
use crate::signal::Spared;
use crate::units::show_seconds;
use jiff::{Timestamp, Unit};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use utoipa::{IntoParams, ToSchema};

/// Who blocks whom.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Locks {
    /// When it was looked at.
    pub at: Option<Timestamp>,
    /// Sessions that wait for a lock.
    pub blocked: usize,
    /// Those that hold up others and wait for no lock themselves, most victims first.
    pub roots: Vec<Blocker>,
    /// Why something is missing.
    pub unknown: Unknowns,
}

/// A session in a tree of waits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Blocker {
    /// Process id; 0 stands for a prepared transaction.
    pub pid: i64,
    /// The session; null for a prepared transaction, and for one that ended meanwhile.
    pub session: Option<Session>,
    /// The lock that it waits for; null for roots.
    pub waits_for: Option<Awaited>,
    /// Others that it waits for besides the one above it.
    pub also_blocked_by: Vec<i64>,
    /// Whether it waits in a circle, a deadlock.
    pub in_circle: bool,
    /// Sessions below it.
    pub victims: usize,
    /// What to do; for roots.
    pub remedy: Option<Remedy>,
    /// Those that wait for it.
    #[schema(no_recursion)]
    pub waiters: Vec<Blocker>,
}

/// A lock that is waited for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Awaited {
    /// `relation`, `tuple`, `transactionid`, `advisory`, …
    pub locktype: String,
    /// Mode that it wants.
    pub mode: Option<String>,
    /// The table or index, or what else is locked, as far as it has a name.
    pub object: Option<String>,
    /// Seconds since it began to wait; before PostgreSQL 14 the age of its statement.
    pub seconds: Option<f64>,
}

/// What holds the others up, and what to do about it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Remedy {
    /// What holds the others up.
    pub cause: Cause,
    /// The same in words, with what to do.
    pub text: String,
    /// The command that does it; null where there is none.
    pub command: Option<String>,
}

/// What holds others up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// A client that left its transaction open.
    OpenTransaction,
    /// A client that keeps a lock of its session without a transaction.
    SessionLock,
    /// A statement that runs.
    Statement,
    /// A prepared transaction that nobody finished.
    PreparedTransaction,
    /// A process of the server: autovacuum, replay on a standby, a walsender.
    ServerProcess,
    /// A deadlock.
    Deadlock,
    /// A session of which the role may not see what it does.
    Hidden,
    /// A session that ended meanwhile.
    Gone,
}

/// Parameters of [`Locks`].
#[derive(Debug, Clone, Default, Serialize, Deserialize, IntoParams)]
pub struct Params {}

impl Document for Locks {
    type Params = Params;
    const PATH: &'static str = "/api/v1/locks";
    const ABOUT: &'static str = "Who blocks whom, as trees, with what to do about the roots";
    const PROBES: &'static [Probe] = &[Probe::Server, Probe::Sessions, Probe::LockWaits];

    fn build(known: &Known<'_>, _params: &Params) -> Result<Self> {
        let mut document = Self::default();
        let sessions = Sessions::of(known, known.view.readings.sessions.current(), &Which::default());
        for place in ["sessions", OTHERS] {
            sessions.unknown.get(place).into_iter().for_each(|why| document.unknown.note(place, why.clone()));
        }
        let waits = document.unknown.take("waits", known.view.readings.lock_waits.current());
        document.at = sessions.at;
        let rows = waits.map_or(&[][..], |sample| &sample.rows);
        let edges = edges(&sessions, rows);
        let now = known.view.on_server_clock(waits.map_or(known.now, |sample| sample.at));
        let parts = Parts {
            sessions: sessions.sessions.iter().map(|session| (session.session_id, session)).collect(),
            waits: rows.iter().map(|row| (row.pid, row)).collect(),
            now,
        };
        document.blocked = edges.len();
        document.roots = locktree::trees(&edges).iter().map(|node| parts.root(node)).collect();
        Ok(document)
    }
}

/// Who waits for whom: from the locks, and from the sessions where those could not be read.
fn edges(sessions: &Sessions, waits: &[LockWait]) -> BTreeMap<i64, Vec<i64>> {
    let wide = |pids: &[i32]| pids.iter().copied().map(i64::from).collect::<Vec<_>>();
    if waits.is_empty() {
        return sessions
            .sessions
            .iter()
            .filter(|session| !session.blocked_by.is_empty())
            .map(|session| (session.session_id, wide(&session.blocked_by)))
            .collect();
    }
    waits.iter().filter(|row| !row.blocked_by.is_empty()).map(|row| (row.pid, wide(&row.blocked_by))).collect()
}

struct Parts<'a> {
    sessions: HashMap<i64, &'a Session>,
    waits: HashMap<i64, &'a LockWait>,
    now: Timestamp,
}

impl Parts<'_> {
    fn root(&self, node: &Node) -> Blocker {
        let mut root = self.blocker(node);
        root.remedy = Some(remedy(&root));
        root
    }

    fn blocker(&self, node: &Node) -> Blocker {
        let session = self.sessions.get(&node.pid).copied();
        let mut waiters: Vec<Blocker> = node.waiters.iter().map(|waiter| self.blocker(waiter)).collect();
        let waited = |blocker: &Blocker| blocker.waits_for.as_ref().and_then(|lock| lock.seconds).unwrap_or(0.0);
        waiters.sort_by(|a, b| waited(b).total_cmp(&waited(a)));
        Blocker {
            pid: node.pid,
            session: session.cloned(),
            waits_for: self.awaited(node.pid, session),
            also_blocked_by: node.also.clone(),
            in_circle: node.in_circle,
            victims: node.victims(),
            remedy: None,
            waiters,
        }
    }

    fn awaited(&self, pid: i64, session: Option<&Session>) -> Option<Awaited> {
        let of_statement = session.and_then(|session| session.query_seconds);
        let Some(row) = self.waits.get(&pid) else {
            let blocked = session.filter(|session| !session.blocked_by.is_empty())?;
            let locktype = blocked.wait_event.clone().unwrap_or_default();
            return Some(Awaited { locktype, mode: None, object: None, seconds: of_statement });
        };
        let since = row.wait_start.map(|since| (self.now - since).total(Unit::Second).unwrap_or(0.0).max(0.0));
        Some(Awaited {
            locktype: row.locktype.to_string(),
            mode: Some(row.mode.to_string()),
            object: object(row),
            seconds: since.or(of_statement),
        })
    }
}

fn object(row: &LockWait) -> Option<String> {
    let relation = || {
        row.relation.as_deref().map(str::to_owned).or_else(|| {
            let relid = row.relid?;
            let database = row.datname.as_deref().unwrap_or("the shared catalogues");
            Some(format!("relation {relid} of {database}"))
        })
    };
    if let Some(advisory) = &row.advisory {
        return Some(format!("advisory lock {advisory}"));
    }
    match (relation(), row.page, row.tuple, row.transactionid) {
        (Some(relation), Some(page), Some(tuple), _) => Some(format!("{relation} row ({page},{tuple})")),
        (Some(relation), ..) => Some(relation),
        (None, _, _, Some(xid)) => Some(format!("transaction {xid}")),
        _ => None,
    }
}

fn remedy(root: &Blocker) -> Remedy {
    let (pid, victims) = (root.pid, root.victims);
    let terminate = || Some(format!("pgtend connections terminate --pid {pid}"));
    let age = |seconds: Option<f64>| seconds.map_or_else(|| "an unknown time".to_owned(), show_seconds);
    let (cause, text, command) = match &root.session {
        _ if root.in_circle => (Cause::Deadlock, DEADLOCK.to_owned(), None),
        None if pid == 0 => (Cause::PreparedTransaction, PREPARED.to_owned(), None),
        None => (Cause::Gone, "the session ended meanwhile: look again".to_owned(), None),
        Some(session) if session.is_hidden() => (Cause::Hidden, HIDDEN.to_owned(), None),
        Some(session) if matches!(session.spared, Some(Spared::Background | Spared::Replication)) => {
            let kind = session.backend_type.as_deref().unwrap_or("server process");
            (Cause::ServerProcess, format!("{kind}: {BACKGROUND}"), None)
        }
        Some(session) => match session.doing {
            Some(Doing::IdleInTransaction) => {
                let text =
                    format!("the client left its transaction open {} ago and holds up {victims}: end the session", age(session.seconds));
                (Cause::OpenTransaction, text, terminate())
            }
            Some(Doing::Idle) => {
                let text = format!(
                    "an idle session keeps a lock of its own and holds up {victims}: have its client release it, or end the session"
                );
                (Cause::SessionLock, text, terminate())
            }
            _ => {
                let text = format!("its statement has run for {} and holds up {victims}: wait for it, or cancel it", age(session.seconds));
                (Cause::Statement, text, Some(format!("pgtend query cancel --pid {pid}")))
            }
        },
    };
    Remedy { cause, text, command }
}

const DEADLOCK: &str = "a deadlock: PostgreSQL ends one of them after deadlock_timeout; have transactions take locks in the same order";
const PREPARED: &str = "a prepared transaction: find it in pg_prepared_xacts, then COMMIT PREPARED or ROLLBACK PREPARED";
const HIDDEN: &str = "this role may not see what the session does: grant pg_monitor to it, or look as a superuser";
const BACKGROUND: &str =
    "a process of the server, which pgtend does not end; an autovacuum gives way by itself unless it prevents wraparound";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::sessions::fixtures::session;

    fn root(session: Option<Session>) -> Blocker {
        Blocker {
            pid: session.as_ref().map_or(0, |session| session.session_id),
            session,
            waits_for: None,
            also_blocked_by: Vec::new(),
            in_circle: false,
            victims: 3,
            remedy: None,
            waiters: Vec::new(),
        }
    }

    #[test]
    fn each_cause_has_its_remedy() {
        let doing = |doing: Doing| Some(Session { doing: Some(doing), ..session(7) });
        for (cause, session) in [
            (Cause::OpenTransaction, doing(Doing::IdleInTransaction)),
            (Cause::SessionLock, doing(Doing::Idle)),
            (Cause::Statement, doing(Doing::Active)),
            (Cause::PreparedTransaction, None),
            (Cause::ServerProcess, Some(Session { spared: Some(Spared::Background), ..session(7) })),
            (Cause::Hidden, Some(Session { doing: None, ..session(7) })),
        ] {
            assert_eq!(remedy(&root(session)).cause, cause);
        }
        assert_eq!(remedy(&Blocker { in_circle: true, ..root(doing(Doing::Active)) }).cause, Cause::Deadlock);
    }

    #[test]
    fn a_remedy_names_the_command() {
        let remedy = remedy(&root(Some(Session { doing: Some(Doing::IdleInTransaction), seconds: Some(90.0), ..session(7) })));
        assert_eq!(remedy.text, "the client left its transaction open 1 min 30 s ago and holds up 3: end the session");
        assert_eq!(remedy.command.as_deref(), Some("pgtend connections terminate --pid 7"));
    }
}
