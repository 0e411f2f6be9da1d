//! What is asked of the session history: a period and conditions, the same for every document about it.

use super::super::{Known, Unknowns};
use crate::ash::block::{Dimension, Key};
use crate::ash::sampled::Sampled;
use crate::ash::scope::Scope;
use crate::error::Result;
use crate::past::{Memory, Past, Span};
use crate::sample::{Probe, Reason, Taken, Unknown};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a look without an agent reads for these documents.
pub(super) const PROBES: &[Probe] = &[Probe::Server, Probe::HostProcess, Probe::Activity];
/// The period where none is asked for ends now and is so long.
const USUAL: SignedDuration = SignedDuration::from_hours(1);

/// How much of a period was sampled.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = AshCoverage)]
pub struct Coverage {
    /// Instants of the period at which the sessions were sampled, also those at which none did anything.
    pub samples_taken: usize,
    /// Seconds from one to the next: the time that a session in a sample stands for. All times here are samples times this.
    pub sample_interval_seconds: Option<f64>,
    /// Stretches in which nothing was sampled: the agent did not run, or the server did not answer.
    pub not_sampled: Vec<Span>,
}

impl Coverage {
    /// How much of a period was sampled; why nothing was is noted.
    pub(super) fn of(sampled: &Result<Sampled, Unknown>, span: Span, unknown: &mut Unknowns) -> Self {
        match unknown.take("samples", sampled.as_ref()) {
            None => Self { samples_taken: 0, sample_interval_seconds: None, not_sampled: vec![span] },
            Some(sampled) => Self {
                samples_taken: sampled.ticks.len(),
                sample_interval_seconds: Some(sampled.pace_seconds),
                not_sampled: sampled.gaps.clone(),
            },
        }
    }
}

/// Parameters with the conditions that every document about the session history knows.
macro_rules! asked {
    ($(#[$about:meta])* $name:ident { $($own:tt)* }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Default, serde::Serialize, serde::Deserialize, utoipa::IntoParams)]
        pub struct $name {
            $($own)*
            /// The period's begin, as 2026-01-31T10:00:00Z: an hour before its end unless said otherwise.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub start: Option<jiff::Timestamp>,
            /// The period's end: now unless said otherwise.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub end: Option<jiff::Timestamp>,
            /// At most so many rows of a kind: 20 unless said otherwise.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub limit: Option<usize>,
            /// Only of this process id.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub session_id: Option<i64>,
            /// Only of this role.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub user: Option<String>,
            /// Only in this database.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub database: Option<String>,
            /// Only of clients that call themselves so.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub program: Option<String>,
            /// Only of clients at this address; `local` for Unix sockets.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub client: Option<String>,
            /// Only with this statement.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub sql_id: Option<$crate::query_id::QueryId>,
            /// Only waiting for something of this class; CPU for those that do not wait.
            #[serde(skip_serializing_if = "Option::is_none")]
            #[param(inline)]
            pub wait_class: Option<$crate::ash::WaitClass>,
            /// Count the server's own processes too, not only what works for clients.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub background: Option<bool>,
        }

        impl $name {
            /// The samples that are meant.
            pub(super) fn scope(&self, now: jiff::Timestamp) -> $crate::error::Result<$crate::ash::scope::Scope> {
                $crate::document::ash::asked::Conditions {
                    session_id: self.session_id,
                    user: self.user.as_deref(),
                    database: self.database.as_deref(),
                    program: self.program.as_deref(),
                    client: self.client.as_deref(),
                    sql_id: self.sql_id,
                    state: None,
                    wait_class: self.wait_class,
                    background: self.background.unwrap_or(false),
                }
                .scope($crate::document::ash::asked::period(self.start, self.end, now)?)
            }

            /// How many rows are wanted.
            pub(super) fn rows(&self) -> usize {
                self.limit.unwrap_or(20)
            }
        }
    };
}
pub(super) use asked;

/// Conditions on samples.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Conditions<'a> {
    pub session_id: Option<i64>,
    pub user: Option<&'a str>,
    pub database: Option<&'a str>,
    pub program: Option<&'a str>,
    pub client: Option<&'a str>,
    pub sql_id: Option<crate::query_id::QueryId>,
    pub state: Option<crate::ash::State>,
    pub wait_class: Option<crate::ash::WaitClass>,
    pub background: bool,
}

impl Conditions<'_> {
    /// The samples of a period that meet them.
    pub(super) fn scope(self, span: Span) -> Result<Scope> {
        let name = |name: &str| Key::Text(name.into());
        let client = |client: &str| if client == "local" { Key::None } else { name(client) };
        let conditions = [
            (Dimension::User, self.user.map(name)),
            (Dimension::Database, self.database.map(name)),
            (Dimension::Application, self.program.map(name)),
            (Dimension::Client, self.client.map(client)),
            (Dimension::Query, self.sql_id.map(|id| Key::Query(id.0))),
            (Dimension::State, self.state.map(|state| name(state.word()))),
            (Dimension::WaitClass, self.wait_class.map(|class| name(class.name()))),
        ];
        let only = conditions.into_iter().filter_map(|(dimension, key)| key.map(|key| (dimension, vec![key]))).collect();
        Ok(Scope { span, only, pid: self.session_id, background: self.background })
    }
}

/// The period that is meant.
pub(in crate::document) fn period(start: Option<Timestamp>, end: Option<Timestamp>, now: Timestamp) -> Result<Span> {
    let end = end.unwrap_or(now);
    let start = start.unwrap_or_else(|| end.saturating_sub(USUAL).unwrap_or(end));
    Span::asked(start, end)
}

/// What a look without an agent has seen, as a past of a few seconds.
pub(super) fn just_seen(known: &Known<'_>) -> Memory {
    let mut seen = Memory::default();
    seen.add_ring(known.ash);
    if let Ok(server) = known.view.readings.server.current() {
        seen.put(server.at, Taken::Server(server.clone()));
    }
    seen
}

/// Notes that the role saw only its own sessions, if that was so at an instant.
pub(super) fn note_others(past: &dyn Past, at: Timestamp, place: &str, unknown: &mut Unknowns) -> Result<()> {
    let readings = past.readings(at, &[Probe::Server])?;
    if readings.server.latest.as_ref().and_then(|sample| sample.rows.first()).is_some_and(|row| !row.sees_all_sessions) {
        let why = "the role saw only its own sessions; run: GRANT pg_monitor TO the role";
        unknown.note(place, Unknown::new(Reason::Privilege, why));
    }
    Ok(())
}
