//! Whether the agent lives, and whether what it watches can take work.

use super::Api;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use jiff::Timestamp;
use pgtend_model::view::Link;
use serde::Serialize;
use utoipa::ToSchema;

/// That the agent lives.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Live {
    /// `alive`.
    status: &'static str,
    /// Now.
    timestamp: Timestamp,
}

/// Whether what the agent watches can take work.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Ready {
    /// `ready` or `not ready`.
    status: &'static str,
    /// What was checked.
    checks: Checks,
    /// Now.
    timestamp: Timestamp,
}

/// What was checked.
#[derive(Debug, Serialize, ToSchema)]
struct Checks {
    /// Whether every server answers.
    database: bool,
}

pub(super) async fn live() -> Json<Live> {
    Json(Live { status: "alive", timestamp: Timestamp::now() })
}

pub(super) async fn ready(State(api): State<Api>) -> (StatusCode, Json<Ready>) {
    let ready = api.agent().servers().iter().all(|server| matches!(server.view().link, Link::Up { .. }));
    let (code, status) = if ready { (StatusCode::OK, "ready") } else { (StatusCode::SERVICE_UNAVAILABLE, "not ready") };
    (code, Json(Ready { status, checks: Checks { database: ready }, timestamp: Timestamp::now() }))
}
