//! AWR: snapshots, reports, baselines.

use super::Api;
use super::access::Caller;
use super::answer::{Answer, Body, Failed, InPath, Params};
use super::documents::Which;
use super::endpoint::{Endpoint, Routes};
use crate::agent::{Order, Outcome};
use crate::awr::html;
use crate::blocking::blocking;
use axum::extract::State;
use axum::http::HeaderValue;
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use pgtend_model::awr::compare::{CompareRequest, Comparison};
use pgtend_model::awr::lists::{BASELINES, BaselineList, NewBaseline, SNAPSHOTS, SnapshotDetails, SnapshotList};
use pgtend_model::awr::report::Report;
use pgtend_model::awr::request::{Form, Paged, ReportRequest};
use pgtend_model::awr::trend::Trend;
use pgtend_model::config::api::Role;
use pgtend_model::error::{Error, Kind, Result};
use pgtend_model::past::{Baseline, Snapshot};
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;

/// Where reports are made.
pub const REPORT: &str = "/api/v1/awr/report";
/// Where periods are compared.
pub const COMPARE: &str = "/api/v1/awr/compare";

/// Which snapshot.
#[derive(Debug, Deserialize, IntoParams)]
struct Id {
    /// Its number.
    id: i64,
}

/// Which baseline.
#[derive(Debug, Deserialize, IntoParams)]
struct Name {
    /// Its name.
    name: String,
}

/// Why a snapshot is taken.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// Somebody wants one.
    #[default]
    Manual,
    /// It is an end of a performance snapshot.
    Perf,
}

/// How a snapshot is taken.
#[derive(Debug, Clone, Default, Serialize, Deserialize, IntoParams)]
pub struct NewSnapshot {
    /// Why: `manual` unless said otherwise.
    #[serde(default)]
    #[param(inline)]
    pub reason: Why,
}

impl Routes {
    /// The endpoints of AWR.
    pub(super) fn awr(self) -> Self {
        let take = Endpoint::post(SNAPSHOTS, "Reads everything now and keeps it as a snapshot").params::<Which>().params::<NewSnapshot>();
        let look = Endpoint::get("/api/v1/awr/snapshots/{id}", "A snapshot, and what was read for it").in_path::<Id>().params::<Which>();
        let about = "The report of a period, as HTML, text or JSON";
        let report = Endpoint::post(REPORT, about).needs(Role::Viewer).params::<Which>().body::<ReportRequest>().data::<Report>();
        let about = "Keeps the period between two snapshots, for longer than others";
        let keep = Endpoint::post(BASELINES, about).params::<Which>().body::<NewBaseline>().data::<Baseline>();
        let about = "Gives up a baseline; its snapshots go when their time comes";
        let forget = Endpoint::delete("/api/v1/awr/baselines/{name}", about).in_path::<Name>().params::<Which>().data::<BaselineList>();
        let about = "Two periods, or a period and a baseline, side by side, as HTML, text or JSON";
        let compare = Endpoint::post(COMPARE, about).needs(Role::Viewer).params::<Which>().body::<CompareRequest>().data::<Comparison>();
        self.retrospect::<SnapshotList>()
            .add(take.data::<Snapshot>(), take_snapshot)
            .add(look.data::<SnapshotDetails>(), look_at_snapshot)
            .add(report, make_report)
            .add(compare, make_comparison)
            .retrospect::<Trend>()
            .retrospect::<BaselineList>()
            .add(keep, add_baseline)
            .add(forget, remove_baseline)
    }
}

async fn take_snapshot(
    State(api): State<Api>,
    caller: Caller,
    Params(which): Params<Which>,
    Params(new): Params<NewSnapshot>,
) -> Result<Answer<Snapshot>, Failed> {
    let server = api.agent().server(which.server.as_deref())?;
    let reason = match new.reason {
        Why::Manual => "manual",
        Why::Perf => "perf",
    };
    match server.order(Order::Snapshot(reason)).await? {
        Outcome::Snapshot(snapshot) => {
            tracing::info!(target: "audit", who = caller.name, server = server.name(), snapshot = snapshot.id, reason, "snapshot taken");
            Ok(Answer::new(snapshot))
        }
        _ => Err(Error::new(Kind::Internal, "a snapshot was answered as something else").into()),
    }
}

async fn look_at_snapshot(
    State(api): State<Api>,
    InPath(Id { id }): InPath<Id>,
    Params(which): Params<Which>,
) -> Result<Answer<SnapshotDetails>, Failed> {
    let past = api.agent().server(which.server.as_deref())?.whole_past().await;
    Ok(Answer::new(blocking(move || SnapshotDetails::of(&past, id)).await?))
}

async fn make_report(State(api): State<Api>, Params(which): Params<Which>, Body(request): Body<ReportRequest>) -> Result<Response, Failed> {
    let server = api.agent().server(which.server.as_deref())?;
    let past = server.whole_past().await;
    Ok(blocking(move || answer(&request.report(&past, server.name(), Timestamp::now())?, request.format)).await?)
}

async fn make_comparison(
    State(api): State<Api>,
    Params(which): Params<Which>,
    Body(request): Body<CompareRequest>,
) -> Result<Response, Failed> {
    let server = api.agent().server(which.server.as_deref())?;
    let past = server.whole_past().await;
    Ok(blocking(move || answer(&request.compare(&past, server.name(), Timestamp::now())?, request.format)).await?)
}

/// A document in the form that was asked for.
fn answer<T: Paged>(document: &T, form: Form) -> Result<Response> {
    Ok(match form {
        Form::Json => Answer::new(document).into_response(),
        Form::Text => ([(CONTENT_TYPE, "text/plain; charset=utf-8")], document.text()).into_response(),
        Form::Html => {
            let policy = HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'");
            let headers = [(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")), (CONTENT_SECURITY_POLICY, policy)];
            (headers, html(&document.page())?).into_response()
        }
    })
}

async fn add_baseline(
    State(api): State<Api>,
    caller: Caller,
    Params(which): Params<Which>,
    Body(new): Body<NewBaseline>,
) -> Result<Answer<Baseline>, Failed> {
    let server = api.agent().server(which.server.as_deref())?;
    let past = server.past();
    let baseline = blocking(move || {
        let baseline = new.resolve(&past, Timestamp::now())?;
        past.add_baseline(&baseline)?;
        Ok(baseline)
    })
    .await?;
    tracing::info!(target: "audit", who = caller.name, server = server.name(), baseline = baseline.name, "baseline made");
    Ok(Answer::new(baseline))
}

async fn remove_baseline(
    State(api): State<Api>,
    caller: Caller,
    InPath(Name { name }): InPath<Name>,
    Params(which): Params<Which>,
) -> Result<Answer<BaselineList>, Failed> {
    let server = api.agent().server(which.server.as_deref())?;
    let (past, removed) = (server.past(), name.clone());
    let left = blocking(move || {
        past.remove_baseline(&removed)?;
        Ok(BaselineList { baselines: pgtend_model::past::Past::baselines(&past)? })
    })
    .await?;
    tracing::info!(target: "audit", who = caller.name, server = server.name(), baseline = name, "baseline removed");
    Ok(Answer::new(left))
}
