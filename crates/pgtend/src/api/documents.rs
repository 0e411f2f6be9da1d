//! Documents at their paths.

use super::Api;
use super::answer::{Answer, Failed, Params};
use super::endpoint::{Endpoint, Routes};
use crate::agent::Order;
use axum::extract::State;
use pgtend_model::config::api::Role;
use pgtend_model::document::{Document, Known};
use pgtend_model::sample::Probe;
use serde::Deserialize;
use std::sync::PoisonError;
use std::time::Duration;
use tokio::time::timeout;
use utoipa::IntoParams;

/// How long an answer waits for readings made for it; then it tells what there is.
const PATIENCE: Duration = Duration::from_secs(2);

/// Which server a document is about.
#[derive(Debug, Deserialize, IntoParams)]
pub(super) struct Which {
    /// The server's name in the configuration; needed when there are several.
    pub(super) server: Option<String>,
}

impl Routes {
    /// A document about one server.
    pub(super) fn document<D: Document>(self) -> Self {
        let needs = (!D::OPEN).then_some(Role::Viewer);
        self.add(Endpoint::get(D::PATH, D::ABOUT).needs(needs).params::<Which>().params::<D::Params>().data::<D>(), document::<D>)
    }
}

async fn document<D: Document>(
    State(api): State<Api>,
    Params(which): Params<Which>,
    Params(params): Params<D::Params>,
) -> Result<Answer<D>, Failed> {
    let server = api.agent().server(which.server.as_deref())?;
    let on_demand = D::PROBES.iter().filter(|probe| probe.spec().every.is_zero());
    let now: Vec<Probe> = on_demand.chain(D::FRESH).copied().collect();
    if !now.is_empty() {
        let _the_view_says_why_not = timeout(PATIENCE, server.order(Order::Read(now))).await;
    }
    let view = server.view();
    let ash = server.ash().read().unwrap_or_else(PoisonError::into_inner);
    let known = Known { view: &view, ash: &ash, now: jiff::Timestamp::now() };
    Ok(Answer::new(D::build(&known, &params)?))
}
