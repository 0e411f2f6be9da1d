//! Profiles of statements: by identifier, for viewers; by text, for those who may have it planned.

use super::Api;
use super::access::Caller;
use super::answer::{Answer, Body, Failed, InPath, Params};
use super::documents::Which;
use super::endpoint::{Endpoint, Routes};
use super::explain;
use crate::agent::Server;
use crate::blocking::blocking;
use axum::extract::State;
use jiff::Timestamp;
use pgtend_model::document::profiler::{self, Materials, Profile, Request};
use pgtend_model::error::{Error, Kind, Result};
use pgtend_model::past::Past;
use pgtend_model::plan::Explained;
use pgtend_model::plan::ask::Request as ExplainRequest;
use pgtend_model::query_id::QueryId;
use pgtend_model::sample::{Probe, Reason, Text, Unknown};
use serde::Deserialize;
use std::sync::PoisonError;
use utoipa::IntoParams;

/// Where profiles are asked for by a statement's text; by its identifier, that follows.
pub const PATH: &str = "/api/v1/profiler/query";

/// Which statement.
#[derive(Debug, Deserialize, IntoParams)]
struct Statement {
    /// Its identifier, as `/api/v1/stats/queries` has it.
    id: String,
}

impl Routes {
    /// The endpoints for profiles.
    pub(super) fn profiler(self) -> Self {
        let about = "The profile of a statement: plan, cost over a period, waits, who runs it";
        let by_id = Endpoint::get("/api/v1/profiler/query/{id}", about)
            .in_path::<Statement>()
            .params::<Which>()
            .params::<profiler::Params>()
            .data::<Profile>();
        let by_text = Endpoint::post(PATH, "The same of a statement by its text, which is planned, and executed only when asked")
            .params::<Which>()
            .body::<Request>()
            .data::<Profile>();
        self.add(by_id, show).add(by_text, find)
    }
}

async fn show(
    State(api): State<Api>,
    InPath(Statement { id }): InPath<Statement>,
    Params(which): Params<Which>,
    Params(params): Params<profiler::Params>,
) -> Result<Answer<Profile>, Failed> {
    let id = id.parse().map(QueryId).map_err(|_| {
        let what = format!("\"{}\" is not the identifier of a statement", id.escape_debug());
        Error::new(Kind::Usage, what).hint("a 64-bit number, as /api/v1/stats/queries has it")
    })?;
    params.period(Timestamp::now())?;
    let server = api.agent().server(which.server.as_deref())?;
    server.read(&[], &[Probe::Statements]).await;
    let text = text(&server, id).await?;
    let plan = match (&text, params.plan) {
        (_, Some(false)) => Err(Unknown::new(Reason::Disabled, "not asked for: plan=false")),
        (None, _) => Err(Unknown::new(Reason::Absent, "the text of the statement is not known")),
        (Some(text), _) => {
            let database = profiler::database(&server.view(), id);
            let request = ExplainRequest { database, ..ExplainRequest::of(&**text) };
            api.agent().explain(&server, &request).await.map_err(|error| no_plan(&error))
        }
    };
    Ok(Answer::new(build(&server, id, text, plan, params).await?))
}

async fn find(
    State(api): State<Api>,
    caller: Caller,
    Params(which): Params<Which>,
    Body(request): Body<Request>,
) -> Result<Answer<Profile>, Failed> {
    let params = profiler::Params { from: request.from, to: request.to, plan: None };
    params.period(Timestamp::now())?;
    let server = api.agent().server(which.server.as_deref())?;
    let asked = &request.explain;
    let plan = match explain::carry_out(&api, &caller, which.server.as_deref(), asked).await {
        // What it costs is told also where it cannot be planned.
        Err(error) if asked.analyze || asked.allow_writes || error.kind == Kind::Usage => return Err(error.into()),
        outcome => outcome.map_err(|error| no_plan(&error)),
    };
    server.read(&[], &[Probe::Statements]).await;
    let view = server.view();
    let computed = plan.as_ref().ok().and_then(|explained| explained.query_id);
    let rows = view.readings.statements.latest.as_ref().map_or(&[][..], |sample| &sample.rows);
    let id = profiler::find(computed, &asked.sql, rows, view.statement_texts.iter().map(|(id, text)| (*id, text)));
    let text = text(&server, id).await?;
    Ok(Answer::new(build(&server, id, text, plan, params).await?))
}

fn no_plan(error: &Error) -> Unknown {
    let reason = match error.kind {
        Kind::Privilege => Reason::Privilege,
        Kind::Timeout => Reason::Timeout,
        Kind::Unreachable | Kind::Rejecting => Reason::Unreachable,
        _ => Reason::Failed,
    };
    Unknown::new(reason, if error.hint.is_empty() { error.what.clone() } else { format!("{}; {}", error.what, error.hint) })
}

/// The text of a statement: as the server has it, as a session was seen to send it, or as it is remembered.
async fn text(server: &Server, id: QueryId) -> Result<Option<Text>> {
    let view = server.view();
    if let Some(text) = view.statement_texts.get(&id.0) {
        return Ok(Some(text.clone()));
    }
    let sent = server.ash().read().unwrap_or_else(PoisonError::into_inner).text(id.0).map(Text::from);
    if sent.is_some() {
        return Ok(sent);
    }
    let past = server.past();
    blocking(move || past.text(id.0)).await
}

async fn build(
    server: &Server,
    id: QueryId,
    text: Option<Text>,
    plan: Result<Explained, Unknown>,
    params: profiler::Params,
) -> Result<Profile> {
    let (view, past) = (server.view(), server.whole_past().await);
    let make = move || Profile::build(Materials { view: &view, past: &past, text, plan, now: Timestamp::now() }, id, &params);
    blocking(make).await
}
