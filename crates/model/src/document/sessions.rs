//! Sessions: who is connected, what each does and for how long, what it waits for and what it uses.

use super::{Document, Known, Unknowns};
use crate::ash::{State, WaitClass, class_of, state_of};
use crate::error::Result;
use crate::query_id::QueryId;
use crate::sample::activity::Activity;
use crate::sample::{Probe, Text};
use crate::signal::{self, Spared};
use crate::usage::{self, Usage};
use jiff::{Timestamp, Unit};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// The place in a document at which is said that sessions of other roles are missing, or shown without what they do.
pub const OTHERS: &str = "sessions.others";

/// Sessions.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Sessions {
    /// When they were looked at.
    pub at: Option<Timestamp>,
    /// The sessions, longest transaction first.
    pub sessions: Vec<Session>,
    /// Sessions of which the role may not see enough to tell whether they were asked for.
    pub hidden: usize,
    /// Why there is nothing to show, or only a part (`sessions.others`).
    pub unknown: Unknowns,
}

/// One session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Session {
    /// Process id: the session's name in guide 3's API.
    pub session_id: i64,
    /// The leader of the parallel query, or the apply worker, that it works for.
    pub leader_pid: Option<i64>,
    /// When it started; with `session_id` this names the session for good.
    pub backend_start: Option<Timestamp>,
    /// Role.
    pub user: Option<String>,
    /// Database.
    pub database: Option<String>,
    /// What the client calls itself.
    pub application_name: Option<String>,
    /// The client's address; null for a Unix socket.
    pub client: Option<String>,
    /// What kind of process it is; null when the role may not see it.
    pub backend_type: Option<String>,
    /// What it does; null when the role may not see it.
    pub doing: Option<Doing>,
    /// ACTIVE, WAITING, BLOCKED or IDLE (in a transaction).
    pub state: State,
    /// PostgreSQL's own word for the state.
    pub pg_state: Option<String>,
    /// Class of what it waits for; CPU when it does not wait.
    pub wait_class: WaitClass,
    /// PostgreSQL's wait event type.
    pub wait_event_type: Option<String>,
    /// PostgreSQL's wait event.
    pub wait_event: Option<String>,
    /// Process ids that it waits for.
    pub blocked_by: Vec<i32>,
    /// For how long it has been doing what it does: age of its statement while it runs one, time since the last one otherwise. In seconds.
    pub seconds: Option<f64>,
    /// Age of its transaction, in seconds.
    pub transaction_seconds: Option<f64>,
    /// Age of its statement (the last one when none runs), in seconds.
    pub query_seconds: Option<f64>,
    /// When its statement started.
    pub query_start: Option<Timestamp>,
    /// Statement identifier.
    pub query_id: Option<QueryId>,
    /// The statement, or the last one.
    pub query: Option<String>,
    /// What its process uses of the host; null where that is not known.
    pub usage: Option<Usage>,
    /// Why it is never cancelled or terminated; null for a session that may be.
    pub spared: Option<Spared>,
}

/// What a session does, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Doing {
    /// Runs a statement, on a processor as far as PostgreSQL knows.
    Active,
    /// Runs a statement, and waits for something other than a lock.
    Waiting,
    /// Runs a statement, and waits for a lock that another session holds.
    Blocked,
    /// Waits for its client in an open transaction.
    IdleInTransaction,
    /// Waits for its client.
    Idle,
}

impl Doing {
    /// The word as people read it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Waiting => "waiting",
            Self::Blocked => "blocked",
            Self::IdleInTransaction => "idle in transaction",
            Self::Idle => "idle",
        }
    }

    fn of(row: &Activity) -> Option<Self> {
        match (row.state.as_deref(), state_of(row)) {
            (None | Some("disabled"), _) if row.backend_type.is_none() => None,
            (Some("idle"), _) => Some(Self::Idle),
            (_, State::Idle) => Some(Self::IdleInTransaction),
            (_, State::Blocked) => Some(Self::Blocked),
            (_, State::Waiting) => Some(Self::Waiting),
            (_, State::Active) => Some(Self::Active),
        }
    }
}

/// States that can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Wanted {
    /// Runs a statement, whether it waits or not.
    Active,
    /// Runs a statement and waits for something other than a lock.
    Waiting,
    /// Waits for a lock.
    Blocked,
    /// Waits for its client in an open transaction.
    IdleInTransaction,
    /// Waits for its client, outside a transaction.
    Idle,
}

impl Wanted {
    fn is(self, doing: Doing) -> bool {
        match self {
            Self::Active => matches!(doing, Doing::Active | Doing::Waiting | Doing::Blocked),
            Self::Waiting => doing == Doing::Waiting,
            Self::Blocked => doing == Doing::Blocked,
            Self::IdleInTransaction => doing == Doing::IdleInTransaction,
            Self::Idle => doing == Doing::Idle,
        }
    }
}

/// Which sessions: those that meet every condition. Names may contain `*`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, IntoParams)]
#[serde(default)]
pub struct Params {
    /// This process id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid: Option<i64>,
    /// In this state.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(inline)]
    pub state: Option<Wanted>,
    /// Of this role.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// In this database.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub database: Option<String>,
    /// Of this application.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub application: Option<String>,
    /// From this address; `local` for Unix sockets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    /// Doing what they do for at least so many seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_seconds: Option<f64>,
    /// In a transaction that is at least so many seconds old.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_transaction_seconds: Option<f64>,
    /// Using at least so many per cent of one core.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_cpu_percent: Option<f64>,
    /// Using at least so many bytes of memory of their own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_memory_bytes: Option<i64>,
    /// Only clients: no process of the server itself.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub clients: bool,
    /// At most so many sessions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

impl Document for Sessions {
    type Params = Params;
    const PATH: &'static str = "/api/v1/sessions";
    const ABOUT: &'static str = "The sessions that do something now, longest transaction first";
    const PROBES: &'static [Probe] = &[Probe::Server, Probe::Activity, Probe::HostProcess];

    fn build(known: &Known<'_>, params: &Params) -> Result<Self> {
        Ok(Self::of(known, known.view.readings.activity.current(), params))
    }
}

impl Sessions {
    /// The sessions of a reading that are asked for.
    pub(super) fn of(
        known: &Known<'_>,
        reading: Result<&crate::sample::Sample<Activity>, &crate::sample::Unknown>,
        params: &Params,
    ) -> Self {
        let mut document = Self::default();
        let used = document.unknown.take("sessions.usage", usage::by_pid(&known.view.readings.host_process)).unwrap_or_default();
        document.unknown.take(OTHERS, known.view.sees_all_sessions());
        let Some(sample) = document.unknown.take("sessions", reading) else { return document };
        document.at = Some(sample.at);
        let now = known.view.on_server_clock(sample.at);
        for session in sample.rows.iter().map(|row| session(row, now, used.get(&row.pid).copied())) {
            match params.wants(&session) {
                Some(true) => document.sessions.push(session),
                Some(false) => {}
                None => document.hidden += 1,
            }
        }
        let age = |session: &Session| session.transaction_seconds.unwrap_or(-1.0);
        document.sessions.sort_by(|a, b| age(b).total_cmp(&age(a)).then_with(|| by_time(b).total_cmp(&by_time(a))));
        document.sessions.truncate(params.limit.unwrap_or(usize::MAX));
        document
    }
}

fn by_time(session: &Session) -> f64 {
    session.seconds.unwrap_or(-1.0)
}

impl Params {
    /// Whether a session is asked for; none when the role may not see enough of it to tell.
    fn wants(&self, session: &Session) -> Option<bool> {
        let named =
            |wanted: &Option<String>, name: Option<&str>| wanted.as_deref().is_none_or(|wanted| matches(wanted, name.unwrap_or("")));
        let at_least = |least: Option<f64>, figure: Option<f64>| least.is_none_or(|least| figure.is_some_and(|figure| figure >= least));
        let client = session.client.as_deref().unwrap_or("local");
        let visible = self.pid.is_none_or(|pid| pid == session.session_id)
            && named(&self.user, session.user.as_deref())
            && named(&self.database, session.database.as_deref())
            && named(&self.application, session.application_name.as_deref());
        if !visible {
            return Some(false);
        }
        if session.is_hidden() {
            return (!self.asks_for_more_than_names()).then_some(true);
        }
        let usage = session.usage.unwrap_or_default();
        #[expect(clippy::cast_precision_loss, reason = "a threshold needs no more than a double's precision")]
        let bytes = |count: i64| count as f64;
        Some(
            self.state.is_none_or(|wanted| session.doing.is_some_and(|doing| wanted.is(doing)))
                && named(&self.client, Some(client))
                && at_least(self.min_seconds, session.seconds)
                && at_least(self.min_transaction_seconds, session.transaction_seconds)
                && at_least(self.min_cpu_percent, usage.cpu_percent)
                && at_least(self.min_memory_bytes.map(bytes), usage.memory_bytes.map(bytes))
                && (!self.clients || session.backend_type.as_deref() == Some("client backend")),
        )
    }

    /// Whether anything is asked that only a role with pg_monitor sees of other roles' sessions.
    fn asks_for_more_than_names(&self) -> bool {
        self.state.is_some()
            || self.client.is_some()
            || self.min_seconds.is_some()
            || self.min_transaction_seconds.is_some()
            || self.min_cpu_percent.is_some()
            || self.min_memory_bytes.is_some()
    }

    /// Whether all sessions are asked for: a mistake in front of a signal.
    pub fn is_everybody(&self) -> bool {
        !self.asks_for_more_than_names()
            && self.pid.is_none()
            && self.user.is_none()
            && self.database.is_none()
            && self.application.is_none()
    }
}

impl Session {
    /// Whether the role may not see what it does.
    pub fn is_hidden(&self) -> bool {
        self.doing.is_none()
    }

    /// The session as a target of a signal, or why it is spared.
    ///
    /// # Errors
    /// The reason why it is never touched.
    pub fn target(&self) -> Result<signal::Target, Spared> {
        match (self.spared, self.backend_start) {
            (Some(spared), _) => Err(spared),
            (None, None) => Err(Spared::Unidentified),
            (None, Some(backend_start)) => Ok(signal::Target { pid: self.session_id, backend_start, query_start: self.query_start }),
        }
    }
}

/// Whether a name is the wanted one, in which `*` stands for anything.
fn matches(wanted: &str, name: &str) -> bool {
    let Some((start, rest)) = wanted.split_once('*') else { return wanted == name };
    let Some(name) = name.strip_prefix(start) else { return false };
    (0..=name.len()).filter(|from| name.is_char_boundary(*from)).any(|from| matches(rest, &name[from..]))
}

fn session(row: &Activity, now: Timestamp, usage: Option<Usage>) -> Session {
    let text = |text: &Option<Text>| text.as_deref().map(str::to_owned);
    let age = |since: Option<Timestamp>| since.map(|since| (now - since).total(Unit::Second).unwrap_or(0.0).max(0.0));
    let doing = Doing::of(row);
    let began = match doing {
        Some(Doing::Idle | Doing::IdleInTransaction) => row.state_change,
        _ => row.query_start,
    };
    Session {
        session_id: row.pid,
        leader_pid: row.leader_pid,
        backend_start: row.backend_start,
        user: text(&row.usename),
        database: text(&row.datname),
        application_name: text(&row.application_name),
        client: text(&row.client_addr),
        backend_type: text(&row.backend_type),
        doing,
        state: state_of(row),
        pg_state: text(&row.state),
        wait_class: class_of(row),
        wait_event_type: text(&row.wait_event_type),
        wait_event: text(&row.wait_event),
        blocked_by: row.blocked_by.clone().unwrap_or_default(),
        seconds: age(began),
        transaction_seconds: age(row.xact_start),
        query_seconds: age(row.query_start),
        query_start: row.query_start,
        query_id: row.query_id.map(QueryId),
        query: text(&row.query),
        usage,
        spared: signal::target(row).err(),
    }
}

#[cfg(test)]
pub mod fixtures {
    //! Sessions made by hand.

    use super::*;
    use crate::sample::testing::active;

    /// An active session of joe in the database app that has run a statement for ten seconds.
    pub fn session(pid: i64) -> Session {
        let row = Activity {
            application_name: Some("api-7f".into()),
            client_addr: Some("10.0.0.9".into()),
            xact_start: Timestamp::from_second(80).ok(),
            query_start: Timestamp::from_second(90).ok(),
            state_change: Timestamp::from_second(95).ok(),
            query_id: Some(42),
            query: Some("select 1".into()),
            ..active(pid)
        };
        super::session(&row, Timestamp::from_second(100).unwrap_or_default(), None)
    }
}

#[cfg(test)]
mod tests {
    use super::fixtures::session;
    use super::*;

    fn wants(params: Params, session: &Session) -> Option<bool> {
        params.wants(session)
    }

    #[test]
    fn names_may_contain_stars() {
        for (wanted, name, is) in [
            ("api", "api", true),
            ("api", "api-7f", false),
            ("api*", "api-7f", true),
            ("*-7*", "api-7f", true),
            ("*x", "api", false),
            ("*", "", true),
        ] {
            assert_eq!(matches(wanted, name), is, "{wanted} {name}");
        }
    }

    #[test]
    fn every_condition_must_be_met() {
        let one = session(7);
        for (params, is) in [
            (Params { user: Some("joe".into()), state: Some(Wanted::Active), min_seconds: Some(10.0), ..Params::default() }, true),
            (Params { user: Some("joe".into()), state: Some(Wanted::Idle), ..Params::default() }, false),
            (Params { min_seconds: Some(10.1), ..Params::default() }, false),
            (Params { min_transaction_seconds: Some(20.0), ..Params::default() }, true),
            (Params { client: Some("10.0.0.*".into()), ..Params::default() }, true),
            (Params { client: Some("local".into()), ..Params::default() }, false),
            (Params { pid: Some(8), ..Params::default() }, false),
            (Params { min_cpu_percent: Some(1.0), ..Params::default() }, false),
        ] {
            assert_eq!(wants(params.clone(), &one), Some(is), "{params:?}");
        }
    }

    #[test]
    fn time_is_counted_from_the_last_statement_while_idle() {
        let active = session(7);
        assert_eq!((active.seconds, active.transaction_seconds), (Some(10.0), Some(20.0)));
    }

    #[test]
    fn what_the_role_may_not_see_is_neither_in_nor_out() {
        let hidden = Session { doing: None, backend_type: None, backend_start: None, ..session(7) };
        assert_eq!(wants(Params { state: Some(Wanted::Idle), ..Params::default() }, &hidden), None);
        assert_eq!(wants(Params { user: Some("ann".into()), state: Some(Wanted::Idle), ..Params::default() }, &hidden), Some(false));
        assert_eq!(wants(Params { user: Some("joe".into()), ..Params::default() }, &hidden), Some(true));
    }

    #[test]
    fn everybody_is_told_from_some() {
        assert!(Params { limit: Some(3), clients: true, ..Params::default() }.is_everybody());
        assert!(!Params { client: Some("local".into()), ..Params::default() }.is_everybody());
    }
}
