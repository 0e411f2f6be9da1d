//! SQL over history.

use super::Api;
use super::answer::{Answer, Body, Failed, Params};
use super::documents::Which;
use super::endpoint::{Endpoint, Routes};
use crate::blocking::blocking;
use axum::extract::State;
use pgtend_model::config::api::Role;
use pgtend_model::sql::{self, Query};
use serde::Deserialize;
use tokio::sync::Semaphore;
use utoipa::IntoParams;

/// Where questions in SQL are answered.
pub const PATH: &str = "/api/v1/sql";

/// Queries that run at once; others wait for their turn. Each may use a core and some memory, and watching comes first.
static TURNS: Semaphore = Semaphore::const_new(2);

/// A question in the address.
#[derive(Debug, Deserialize, IntoParams)]
struct Asked {
    /// One statement that reads.
    query: String,
    /// Most rows of the answer: 10,000 unless said otherwise.
    limit: Option<usize>,
    /// How long it may take, in ms: 30,000 unless said otherwise.
    timeout_ms: Option<u64>,
}

impl Routes {
    /// The endpoints that answer questions in SQL.
    pub(super) fn sql(self) -> Self {
        let about = "Answers a question in SQL about everything that is remembered, or about one server";
        let get = Endpoint::get(PATH, about).params::<Which>().params::<Asked>().data::<sql::Answer>();
        let post = Endpoint::post(PATH, about).needs(Role::Viewer).params::<Which>().body::<Query>().data::<sql::Answer>();
        self.add(get, by_address).add(post, by_body)
    }
}

async fn by_address(
    State(api): State<Api>,
    Params(which): Params<Which>,
    Params(asked): Params<Asked>,
) -> Result<Answer<sql::Answer>, Failed> {
    let usual = Query::new(asked.query);
    let query = Query { limit: asked.limit.unwrap_or(usual.limit), timeout_ms: asked.timeout_ms.unwrap_or(usual.timeout_ms), ..usual };
    answer(&api, which, query).await
}

async fn by_body(State(api): State<Api>, Params(which): Params<Which>, Body(query): Body<Query>) -> Result<Answer<sql::Answer>, Failed> {
    answer(&api, which, query).await
}

async fn answer(api: &Api, which: Which, query: Query) -> Result<Answer<sql::Answer>, Failed> {
    let _turn = TURNS.acquire().await;
    api.agent().recording().flushed().await;
    let history = api.agent().recording().history().clone();
    Ok(Answer::new(blocking(move || history.query(&query, which.server.as_deref())).await?))
}
