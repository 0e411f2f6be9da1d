//! Cancelling statements and ending sessions, each only if it is still what was seen. Whatever was asked, and whatever came of it, is
//! in the log.

use super::Api;
use super::access::Caller;
use super::answer::{Answer, Body, Failed, InPath, Params};
use super::documents::Which;
use super::endpoint::{Endpoint, Routes};
use crate::agent::{Order, Outcome, Server};
use axum::extract::State;
use jiff::Timestamp;
use pgtend_model::error::{Error, Kind, Result};
use pgtend_model::sample::Probe;
use pgtend_model::signal::{Fate, Fates, Request, Signal, Target, decide};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Where signals are sent.
pub const PATH: &str = "/api/v1/sessions/signal";

/// A session as it was seen, named by its path.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[schema(as = SignalOne)]
#[serde(deny_unknown_fields)]
pub struct One {
    /// When the session started, as `/api/v1/sessions` says it.
    pub backend_start: Timestamp,
    /// When its statement started. Without it a cancel is refused, and a terminate ends the session whatever it does now.
    pub query_start: Option<Timestamp>,
    /// Why, for the agent's log.
    pub reason: Option<String>,
    /// Whether to say only what would be done.
    #[serde(default)]
    pub dry_run: bool,
}

/// What became of the session.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Fated {
    /// Its process id.
    pub session_id: i64,
    /// What became of it.
    #[serde(flatten)]
    pub fate: Fate,
}

/// Which session.
#[derive(Debug, Deserialize, IntoParams)]
struct Session {
    /// Its process id.
    pid: i64,
}

impl Routes {
    /// The endpoints that send signals.
    pub(super) fn signals(self) -> Self {
        let about = "Cancels statements or ends sessions, each only if it is still what was seen";
        let many = Endpoint::post(PATH, about).params::<Which>().body::<Request>().data::<Fates>();
        let one = |path, about| Endpoint::post(path, about).in_path::<Session>().params::<Which>().body::<One>().data::<Fated>();
        self.add(many, send)
            .add(one("/api/v1/sessions/{pid}/cancel", "Cancels a session's statement if it is still the one that was seen"), cancel)
            .add(one("/api/v1/sessions/{pid}/terminate", "Ends a session if it is still the one that was seen"), terminate)
    }
}

async fn send(
    State(api): State<Api>,
    caller: Caller,
    Params(which): Params<Which>,
    Body(request): Body<Request>,
) -> Result<Answer<Fates>, Failed> {
    let server = api.agent().server(which.server.as_deref())?;
    Ok(Answer::new(Fates { fates: carry_out(&server, &caller, &request).await? }))
}

async fn cancel(
    api: State<Api>,
    caller: Caller,
    InPath(session): InPath<Session>,
    Params(which): Params<Which>,
    Body(one): Body<One>,
) -> Result<Answer<Fated>, Failed> {
    if one.query_start.is_none() {
        let error = Error::new(Kind::Usage, "which statement is to be cancelled?");
        return Err(error.hint("send query_start as /api/v1/sessions says it: the session may run another statement by now").into());
    }
    send_one(api, caller, Signal::Cancel, session, which, one).await
}

async fn terminate(
    api: State<Api>,
    caller: Caller,
    InPath(session): InPath<Session>,
    Params(which): Params<Which>,
    Body(one): Body<One>,
) -> Result<Answer<Fated>, Failed> {
    send_one(api, caller, Signal::Terminate, session, which, one).await
}

async fn send_one(
    State(api): State<Api>,
    caller: Caller,
    signal: Signal,
    Session { pid }: Session,
    which: Which,
    one: One,
) -> Result<Answer<Fated>, Failed> {
    let server = api.agent().server(which.server.as_deref())?;
    let target = Target { pid, backend_start: one.backend_start, query_start: one.query_start };
    let request = Request { signal, targets: vec![target], reason: one.reason, dry_run: one.dry_run };
    let fate = carry_out(&server, &caller, &request).await?.pop().unwrap_or(Fate::Changed);
    match fate {
        Fate::Signalled | Fate::Planned => Ok(Answer::new(Fated { session_id: pid, fate })),
        Fate::Changed => Err(Error::new(Kind::Conflict, format!("session {pid} is {fate}")).hint("look at the sessions again").into()),
        Fate::Spared(_) | Fate::Refused(_) => Err(Error::new(Kind::Privilege, format!("session {pid} is {fate}")).into()),
    }
}

/// Looks at the sessions, decides, sends what is left to send, and logs every fate.
async fn carry_out(server: &Server, caller: &Caller, request: &Request) -> Result<Vec<Fate>> {
    server.read(&[Probe::Sessions], &[]).await;
    let view = server.view();
    let sessions = view.readings.sessions.current().map_err(|unknown| {
        Error::new(Kind::Unreachable, format!("the sessions cannot be looked at: {unknown}")).at(format!("server {}", server.name()))
    })?;
    let decided = decide(request.signal, &request.targets, &sessions.rows);
    let cleared: Vec<Target> =
        request.targets.iter().zip(&decided).filter(|(_, verdict)| verdict.is_ok()).map(|(t, _)| t.clone()).collect();
    let mut sent = match request.dry_run || cleared.is_empty() {
        true => vec![Fate::Planned; cleared.len()],
        false => match server.order(Order::Signal { signal: request.signal, targets: cleared.clone() }).await {
            Ok(Outcome::Signalled(fates)) => fates,
            Ok(Outcome::Read | Outcome::Snapshot(_)) => return Err(Error::new(Kind::Internal, "a signal was answered as a reading")),
            Err(error) => {
                cleared.iter().for_each(|target| log(server, caller, request, target, &error.what));
                return Err(error);
            }
        },
    }
    .into_iter();
    let fates: Vec<Fate> = decided.into_iter().map(|verdict| verdict.err().or_else(|| sent.next()).unwrap_or(Fate::Changed)).collect();
    for (target, fate) in request.targets.iter().zip(&fates) {
        log(server, caller, request, target, fate);
    }
    Ok(fates)
}

fn log(server: &Server, caller: &Caller, request: &Request, target: &Target, fate: &dyn std::fmt::Display) {
    let reason = request.reason.as_deref().unwrap_or("not given");
    tracing::info!(
        target: "audit",
        who = caller.name,
        server = server.name(),
        signal = request.signal.name(),
        pid = target.pid,
        backend_start = %target.backend_start,
        reason = %reason.escape_debug(),
        %fate,
        "session signalled"
    );
}
