//! All servers of the agent at once.

use super::Api;
use super::answer::Answer;
use axum::extract::State;
use pgtend_model::document::Document;
use pgtend_model::document::status::{Params, Servers, Status};
use pgtend_model::error::Result;

/// Where all servers are listed.
pub const PATH: &str = "/api/v1/servers";

/// How every server is, in the order of the configuration.
pub(super) async fn list(State(api): State<Api>) -> std::result::Result<Answer<Servers>, super::answer::Failed> {
    let agent = api.agent();
    let status = |server| agent.tell(server, |known| Status::build(known, &Params::default()));
    let servers = agent.servers().iter().map(status).collect::<Result<_>>()?;
    Ok(Answer::new(Servers { servers }))
}
