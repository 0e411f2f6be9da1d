//! All servers of the agent at once.

use super::Api;
use super::answer::Answer;
use axum::extract::State;
use pgtend_model::document::status::{Params, Servers, Status};
use pgtend_model::document::{Document, Known};
use pgtend_model::error::Result;
use std::sync::PoisonError;

/// Where all servers are listed.
pub const PATH: &str = "/api/v1/servers";

/// How every server is, in the order of the configuration.
pub(super) async fn list(State(api): State<Api>) -> std::result::Result<Answer<Servers>, super::answer::Failed> {
    let status = |server: crate::agent::Server| {
        let view = server.view();
        let ash = server.ash().read().unwrap_or_else(PoisonError::into_inner);
        Status::build(&Known { view: &view, ash: &ash, now: jiff::Timestamp::now() }, &Params::default())
    };
    let servers = api.agent().servers().into_iter().map(status).collect::<Result<_>>()?;
    Ok(Answer::new(Servers { servers }))
}
