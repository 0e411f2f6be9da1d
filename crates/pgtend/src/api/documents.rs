//! Documents at their paths.

use super::Api;
use super::answer::{Answer, Failed, Params};
use super::endpoint::{Endpoint, Routes};
use super::process;
use crate::blocking::blocking;
use axum::extract::State;
use pgtend_model::config::api::Role;
use pgtend_model::document::overview::Watched;
use pgtend_model::document::{Dated, Document, Overview, Retrospect, Whole};
use pgtend_model::sample::Probe;
use serde::Deserialize;
use std::sync::PoisonError;
use utoipa::IntoParams;

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

    /// A document about the past of one server.
    pub(super) fn retrospect<D: Retrospect>(self) -> Self {
        self.add(Endpoint::get(D::PATH, D::ABOUT).params::<Which>().params::<D::Params>().data::<D>(), retrospect::<D>)
    }

    /// A document about one server, now or in the past.
    pub(super) fn dated<D: Dated>(self) -> Self {
        self.add(Endpoint::get(D::PATH, D::ABOUT).params::<Which>().params::<D::Params>().data::<D>(), dated::<D>)
    }

    /// A document about the agent, or about all its servers.
    pub(super) fn overview<O: Overview>(self) -> Self {
        self.add(Endpoint::get(O::PATH, O::ABOUT).params::<O::Params>().data::<O>(), overview::<O>)
    }
}

async fn document<D: Document>(
    State(api): State<Api>,
    Params(which): Params<Which>,
    Params(params): Params<D::Params>,
) -> Result<Answer<D>, Failed> {
    let server = api.agent().server(which.server.as_deref())?;
    let config = api.agent().config();
    let on_demand: Vec<Probe> = D::PROBES.iter().copied().filter(|probe| config.probes.every(*probe).is_zero()).collect();
    server.read(&on_demand, D::FRESH).await;
    Ok(Answer::new(api.agent().tell(&server, |known| D::build(known, &params))?))
}

async fn retrospect<D: Retrospect>(
    State(api): State<Api>,
    Params(which): Params<Which>,
    Params(params): Params<D::Params>,
) -> Result<Answer<D>, Failed> {
    let past = api.agent().server(which.server.as_deref())?.whole_past().await;
    Ok(Answer::new(blocking(move || D::build(&past, jiff::Timestamp::now(), &params)).await?))
}

async fn dated<D: Dated>(
    State(api): State<Api>,
    Params(which): Params<Which>,
    Params(params): Params<D::Params>,
) -> Result<Answer<D>, Failed> {
    if !D::is_of_past(&params) {
        return document(State(api), Params(which), Params(params)).await;
    }
    let past = api.agent().server(which.server.as_deref())?.whole_past().await;
    Ok(Answer::new(blocking(move || D::of_past(&past, jiff::Timestamp::now(), &params)).await?))
}

async fn overview<O: Overview>(State(api): State<Api>, Params(params): Params<O::Params>) -> Result<Answer<O>, Failed> {
    let agent = api.agent();
    let watched = |server: crate::agent::Server| {
        let ash = server.ash().read().unwrap_or_else(PoisonError::into_inner).held();
        Watched { view: server.view(), ash }
    };
    let servers: Vec<Watched> = agent.servers().into_iter().map(watched).collect();
    let (config, process) = (agent.config(), process::now(agent));
    let whole = Whole { servers: &servers, config: &config, process: &process, now: jiff::Timestamp::now() };
    Ok(Answer::new(O::build(&whole, &params)?))
}
