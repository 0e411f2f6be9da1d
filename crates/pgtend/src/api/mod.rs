//! The HTTP API: documents at their paths, over TCP and over the Unix socket that the command line uses.

mod answer;
mod documents;
mod health;
mod listen;
mod metrics;

pub use answer::Answer;
pub use listen::{Listening, serve};

use crate::agent::Agent;
use axum::Router;
use axum::routing::get;
use pgtend_model::error::{Error, Kind};

/// All routes. A document is one line in [`documents`]; anything else has a file of its own here.
pub fn router(agent: Agent) -> Router {
    Router::new()
        .route("/", get(health::page))
        .route("/api/v1/health/live", get(health::live))
        .route("/api/v1/health/ready", get(health::ready))
        .route("/api/v1/metrics/prometheus", get(metrics::prometheus))
        .merge(documents::routes())
        .fallback(nowhere)
        .with_state(agent)
}

/// The listener for Prometheus: `/metrics` and nothing else.
pub fn metrics_router(agent: Agent) -> Router {
    Router::new().route("/metrics", get(metrics::prometheus)).fallback(nowhere).with_state(agent)
}

async fn nowhere(uri: axum::http::Uri) -> answer::Failed {
    let what = format!("there is nothing at {}", uri.path());
    answer::Failed(Error::new(Kind::NotFound, what).hint("GET /api/v1/openapi.json lists what there is"))
}
