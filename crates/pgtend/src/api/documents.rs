//! Every document at its path.

use super::answer::{Answer, Failed};
use crate::agent::Agent;
use axum::Router;
use axum::extract::{Query, State};
use axum::routing::get;
use pgtend_model::document::{Document, Known, sessions::Sessions, status::Status};
use pgtend_model::error::{Error, Kind};
use serde::Deserialize;
use std::sync::PoisonError;

/// Which server a document is about.
#[derive(Debug, Deserialize)]
struct Which {
    server: Option<String>,
}

pub(super) fn routes() -> Router<Agent> {
    let router = Router::new();
    let router = add::<Status>(router);
    add::<Sessions>(router)
}

fn add<D: Document>(router: Router<Agent>) -> Router<Agent> {
    router.route(D::PATH, get(document::<D>))
}

async fn document<D: Document>(
    State(agent): State<Agent>,
    which: Result<Query<Which>, axum::extract::rejection::QueryRejection>,
    params: Result<Query<D::Params>, axum::extract::rejection::QueryRejection>,
) -> Result<Answer<D>, Failed> {
    let (Query(which), Query(params)) = (which.map_err(unreadable)?, params.map_err(unreadable)?);
    let server = agent.server(which.server.as_deref())?;
    let view = server.view();
    let ash = server.ash().read().unwrap_or_else(PoisonError::into_inner);
    let known = Known { view: &view, ash: &ash, now: jiff::Timestamp::now() };
    Ok(Answer::new(D::build(&known, &params)?))
}

fn unreadable(rejection: axum::extract::rejection::QueryRejection) -> Error {
    Error::new(Kind::Usage, format!("the query parameters cannot be read: {rejection}"))
}
