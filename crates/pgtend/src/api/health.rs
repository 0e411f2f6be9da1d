//! Whether the agent lives, and whether what it watches can take work.

use super::Api;
use super::answer::Failed;
use crate::agent::{Agent, Server};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use jiff::Timestamp;
use pgtend_model::document::Document;
use pgtend_model::document::status::{Params, Status};
use pgtend_model::error::Error;
use pgtend_model::health::Level;
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

/// What was checked, of every server.
#[derive(Debug, Serialize, ToSchema)]
struct Checks {
    /// Whether they answer.
    database: bool,
    /// Whether standbys among them are less behind than `[health_checks.replication_lag]` calls critical.
    replication: bool,
    /// Whether ordinary roles find a free connection.
    connections_available: bool,
}

impl Checks {
    fn of(agent: &Agent) -> Result<Self, Error> {
        let status = |server: &Server| agent.tell(server, |known| Status::build(known, &Params::default()));
        let servers: Vec<Status> = agent.servers().iter().map(status).collect::<Result<_, _>>()?;
        let is_far_behind = |status: &Status| status.role.as_deref() == Some("standby") && status.replication.level == Level::Down;
        let is_full = |status: &Status| status.connections.used_percent >= Some(100.0);
        Ok(Self {
            database: servers.iter().all(|status| status.state == "up"),
            replication: !servers.iter().any(is_far_behind),
            connections_available: !servers.iter().any(is_full),
        })
    }

    fn pass(&self) -> bool {
        self.database && self.replication && self.connections_available
    }
}

pub(super) async fn live() -> Json<Live> {
    Json(Live { status: "alive", timestamp: Timestamp::now() })
}

pub(super) async fn ready(State(api): State<Api>) -> Result<(StatusCode, Json<Ready>), Failed> {
    let checks = Checks::of(api.agent())?;
    let (code, status) = if checks.pass() { (StatusCode::OK, "ready") } else { (StatusCode::SERVICE_UNAVAILABLE, "not ready") };
    Ok((code, Json(Ready { status, checks, timestamp: Timestamp::now() })))
}
