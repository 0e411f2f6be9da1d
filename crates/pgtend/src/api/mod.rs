//! The HTTP API: documents, actions and pages, over TCP and over the Unix socket that the command line uses.
//!
//! # How an endpoint is added
//!
//! - **Something to read** about a server: a [`Document`](pgtend_model::document::Document) in `model/src/document/`, a file of its own
//!   with its path, its parameters and a pure `build`; then one line, `.document::<IT>()`, in [`routes`]. About the agent itself, or
//!   about all its servers: the same with an [`Overview`](pgtend_model::document::Overview) and `.overview::<IT>()`.
//! - **Something to do**: a handler in a file here, and one line in [`routes`] that says path, role, body and answer
//!   ([`endpoint::Endpoint`]). What is done is decided by a pure function in the model and carried out by the agent.
//!
//! From that line follow the route, who may use it, the check of its parameters, its entry in `/api/v1/openapi.json` and in
//! `docs/reference/api.md`. Nothing else has to be touched.
//!
//! # How a request goes
//!
//! [`listen`] accepts it (with TLS, from [`tls`]) and notes who is at the other end; [`guard`] bounds its time and size and refuses what
//! other sites send; [`access`] finds out who asks; the route's own check compares that with what it needs; the handler answers, in the
//! envelope of [`answer`].

mod access;
mod answer;
mod ash;
pub mod awr;
pub mod backup_care;
pub mod backups;
mod documents;
pub mod drills;
mod endpoint;
pub mod explain;
mod guard;
mod health;
mod listen;
mod metrics;
mod openapi;
mod page;
mod process;
pub mod profiler;
mod pushed;
mod reference;
pub mod repositories;
mod routes;
pub mod servers;
pub mod signal;
pub mod sql;
mod tls;
pub mod tokens;
pub mod verify;
pub mod wal;

pub use answer::{Answer, Failure};
pub use listen::{Listening, serve};
pub use openapi::document as openapi;
pub use reference::reference;

use crate::agent::Agent;
use access::{Throttle, Tokens};
use axum::Router;
use pgtend_model::error::{Error, Kind, Result};
use pgtend_store::state::StateStore;
use pushed::PushedMetrics;
use std::sync::Arc;

/// What handlers work with. Clones share it.
#[derive(Debug, Clone)]
struct Api(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    agent: Agent,
    tokens: Tokens,
    pushed: PushedMetrics,
    throttle: Throttle,
}

impl Api {
    fn new(agent: Agent, state: Arc<StateStore>) -> Result<Self> {
        Ok(Self(Arc::new(Inner {
            agent,
            tokens: Tokens::load(Arc::clone(&state))?,
            pushed: PushedMetrics::load(state)?,
            throttle: Throttle::default(),
        })))
    }

    fn agent(&self) -> &Agent {
        &self.0.agent
    }

    fn tokens(&self) -> &Tokens {
        &self.0.tokens
    }

    fn pushed(&self) -> &PushedMetrics {
        &self.0.pushed
    }

    fn throttle(&self) -> &Throttle {
        &self.0.throttle
    }
}

impl axum::extract::FromRef<Api> for Agent {
    fn from_ref(api: &Api) -> Self {
        api.0.agent.clone()
    }
}

/// Everything, guarded.
fn router(api: &Api) -> Router {
    let config = api.agent().config();
    let routes = routes::all().into_router().fallback(nowhere).method_not_allowed_fallback(not_so);
    guard::guard(routes, api, &config.api).with_state(api.clone())
}

/// The listener for Prometheus: `/metrics` and nothing else.
fn metrics_router(api: &Api) -> Router {
    let config = api.agent().config();
    let routes = routes::metrics_only().into_router().fallback(only_metrics).method_not_allowed_fallback(not_so);
    guard::guard(routes, api, &config.api).with_state(api.clone())
}

async fn nowhere(uri: axum::http::Uri) -> answer::Failed {
    let what = format!("there is nothing at {}", uri.path());
    Error::new(Kind::NotFound, what).hint("GET /api/v1/openapi.json lists what there is").into()
}

async fn only_metrics(uri: axum::http::Uri) -> answer::Failed {
    let what = format!("there is nothing at {}", uri.path());
    Error::new(Kind::NotFound, what).hint("the metrics are at /metrics; everything else is at the address of api.listen").into()
}

async fn not_so(method: axum::http::Method, uri: axum::http::Uri) -> answer::Failed {
    let what = format!("{} does not take {method}", uri.path());
    let error = Error::new(Kind::Usage, what).hint("the header Allow says what it takes; so does GET /api/v1/openapi.json");
    answer::Failed::new(axum::http::StatusCode::METHOD_NOT_ALLOWED, error)
}
