//! Plans of statements that somebody gives.
//!
//! Not for viewers: to plan a statement the server runs functions in it that are declared immutable or stable, with the rights of the
//! agent's role, and an error tells what they found. Whoever may ask for plans can read what that role can read.

use super::Api;
use super::access::{self, Caller};
use super::answer::{Answer, Body, Failed, Params};
use super::documents::Which;
use super::endpoint::{Endpoint, Routes};
use axum::extract::State;
use pgtend_model::config::api::Role;
use pgtend_model::error::{Error, Kind, Result};
use pgtend_model::plan::Explained;
use pgtend_model::plan::ask::Request;
use pgtend_model::units::{exact_duration, one_line};
use std::time::Duration;

/// Where plans are asked for.
pub const PATH: &str = "/api/v1/explain";

/// Time that a request has beside what the server does: connecting, the answer.
const BESIDE: Duration = Duration::from_secs(3);

impl Routes {
    /// The endpoint for plans.
    pub(super) fn explain(self) -> Self {
        let about =
            "The plan of a statement and what is wrong with it; executed only when asked, always rolled back; allow_writes needs admin";
        self.add(Endpoint::post(PATH, about).params::<Which>().body::<Request>().data::<Explained>(), explain)
    }
}

async fn explain(
    State(api): State<Api>,
    caller: Caller,
    Params(which): Params<Which>,
    Body(request): Body<Request>,
) -> Result<Answer<Explained>, Failed> {
    Ok(Answer::new(carry_out(&api, &caller, which.server.as_deref(), &request).await?))
}

/// The plan that somebody asks for, if they may.
pub(super) async fn carry_out(api: &Api, caller: &Caller, server: Option<&str>, request: &Request) -> Result<Explained> {
    if request.allow_writes {
        access::allow(Some(caller), Role::Admin)?;
    }
    in_time(request, api.agent().config().api.request_timeout)?;
    let server = api.agent().server(server)?;
    let outcome = api.agent().explain(&server, request).await;
    if request.analyze {
        let fate = outcome.as_ref().map_or_else(|error| error.what.clone(), |_| "done".to_owned());
        let sql: String = one_line(&request.sql).chars().take(500).collect();
        let (who, server) = (&caller.name, server.name());
        tracing::info!(target: "audit", who, server, allow_writes = request.allow_writes, sql, fate, "statement executed for its plan");
    }
    outcome
}

fn in_time(request: &Request, limit: Duration) -> Result<()> {
    let most = limit.saturating_sub(BESIDE).max(Duration::from_millis(500));
    if request.timeout() <= most {
        return Ok(());
    }
    let what = format!("the agent gives an answer {}, and a plan {} of it", exact_duration(limit), exact_duration(most));
    Err(Error::new(Kind::Usage, what)
        .hint("--timeout takes no more; api.request_timeout of the configuration allows more, and so does --connection"))
}
