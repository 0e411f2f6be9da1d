//! Whether the agent lives, and whether what it watches can take work.

use crate::agent::Agent;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Html;
use pgtend_model::view::Link;
use serde_json::json;

pub(super) async fn live() -> Json<serde_json::Value> {
    Json(json!({ "status": "alive", "timestamp": jiff::Timestamp::now() }))
}

pub(super) async fn ready(State(agent): State<Agent>) -> (StatusCode, Json<serde_json::Value>) {
    let ready = agent.servers().iter().all(|server| matches!(server.view().link, Link::Up { .. }));
    let (status, word) = if ready { (StatusCode::OK, "ready") } else { (StatusCode::SERVICE_UNAVAILABLE, "not ready") };
    (status, Json(json!({ "status": word, "checks": { "database": ready }, "timestamp": jiff::Timestamp::now() })))
}

pub(super) async fn page() -> Html<&'static str> {
    Html("<!doctype html><title>pgtend</title><p>pgtend is running; see <a href=\"/api/v1/status\">/api/v1/status</a>")
}
