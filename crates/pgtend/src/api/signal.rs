//! Cancelling statements and ending sessions, each only if it is still what was seen.

use super::Api;
use super::access::Caller;
use super::answer::{Answer, Body, Failed, Params};
use super::documents::Which;
use crate::agent::{Order, Outcome};
use axum::extract::State;
use pgtend_model::error::{Error, Kind};
use pgtend_model::signal::{Fates, Request};

/// Where signals are sent.
pub const PATH: &str = "/api/v1/sessions/signal";

pub(super) async fn send(
    State(api): State<Api>,
    caller: Caller,
    Params(which): Params<Which>,
    Body(request): Body<Request>,
) -> Result<Answer<Fates>, Failed> {
    let server = api.agent().server(which.server.as_deref())?;
    let Request { signal, targets } = request;
    match server.order(Order::Signal { signal, targets: targets.clone() }).await? {
        Outcome::Signalled(fates) => {
            for (target, fate) in targets.iter().zip(&fates) {
                tracing::info!(target: "audit", who = caller.name, server = server.name(), signal = signal.name(), pid = target.pid, %fate, "session signalled");
            }
            Ok(Answer::new(Fates { fates }))
        }
        Outcome::Read => Err(Error::new(Kind::Internal, "a signal was answered as a reading").into()),
    }
}
