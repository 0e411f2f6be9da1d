//! Listeners: the API over TCP and over its Unix socket, and the metrics over TCP.

use super::{metrics_router, router};
use crate::agent::Agent;
use axum::Router;
use pgtend_model::error::{Error, Kind, Result};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use tokio::net::{TcpListener, UnixListener};

/// Where the agent answers, with the ports that were taken where 0 was asked for.
#[derive(Debug, Clone)]
pub struct Listening {
    /// The API.
    pub api: Option<SocketAddr>,
    /// The metrics.
    pub metrics: Option<SocketAddr>,
    /// The API's Unix socket.
    pub socket: Option<PathBuf>,
}

/// Serves everything that the configuration wants until the agent ends.
///
/// # Errors
/// `System` when an address or the socket cannot be had.
pub async fn serve(agent: &Agent) -> Result<Listening> {
    let config = agent.config();
    let api = router(agent.clone());
    let mut listening = Listening { api: None, metrics: None, socket: None };
    if let Some(address) = config.api.listen.address() {
        listening.api = Some(over_tcp(agent, "api", address, api.clone()).await?);
    }
    if let Some(address) = config.metrics.listen.address() {
        listening.metrics = Some(over_tcp(agent, "metrics", address, metrics_router(agent.clone())).await?);
    }
    let socket = config.socket();
    over_socket(agent, &socket, api)?;
    listening.socket = Some(socket);
    Ok(listening)
}

async fn over_tcp(agent: &Agent, name: &str, address: SocketAddr, router: Router) -> Result<SocketAddr> {
    let listener = TcpListener::bind(address).await.map_err(|error| taken(&address.to_string(), &error))?;
    let address = listener.local_addr().map_err(|error| taken(&address.to_string(), &error))?;
    let ends = agent.tasks().clone();
    agent.tasks().spawn(format!("listen {name}"), async move {
        report(axum::serve(listener, router).with_graceful_shutdown(async move { ends.cancelled().await }).await);
    });
    Ok(address)
}

fn over_socket(agent: &Agent, path: &Path, router: Router) -> Result<()> {
    let _stale = std::fs::remove_file(path);
    let listener = UnixListener::bind(path).map_err(|error| taken(&path.display().to_string(), &error))?;
    let ends = agent.tasks().clone();
    agent.tasks().spawn("listen socket", async move {
        report(axum::serve(listener, router).with_graceful_shutdown(async move { ends.cancelled().await }).await);
    });
    Ok(())
}

fn report(outcome: std::io::Result<()>) {
    if let Err(error) = outcome {
        tracing::error!(%error, "a listener failed");
    }
}

fn taken(place: &str, error: &std::io::Error) -> Error {
    Error::new(Kind::System, format!("cannot listen: {error}")).at(place).hint("choose another address, or port 0 for a free one")
}
