//! Prometheus text.

use crate::agent::Agent;
use axum::extract::State;

pub(super) async fn prometheus(State(agent): State<Agent>) -> String {
    let up = |server: &crate::agent::Server| u8::from(matches!(server.view().link, pgtend_model::view::Link::Up { .. }));
    agent.servers().iter().map(|server| format!("pg_up {}\n", up(server))).collect()
}
