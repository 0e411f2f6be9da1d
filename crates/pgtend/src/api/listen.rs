//! Listeners: TCP and the Unix socket.

use crate::agent::Agent;
use axum::Router;
use pgtend_model::error::{Error, Kind, Result};
use std::net::SocketAddr;
use std::path::Path;
use tokio::net::{TcpListener, UnixListener};

/// Where the API answers.
#[derive(Debug, Clone)]
pub struct Listening {
    /// The address, with the port that was taken where 0 was asked for.
    pub api: SocketAddr,
}

/// Serves the API over TCP and over a Unix socket until the agent ends.
///
/// # Errors
/// `System` when an address or the socket cannot be had.
pub async fn serve(agent: &Agent, router: Router, api: SocketAddr, socket: &Path) -> Result<Listening> {
    let tcp = TcpListener::bind(api).await.map_err(|error| taken(&api.to_string(), &error))?;
    let address = tcp.local_addr().map_err(|error| taken(&api.to_string(), &error))?;
    let _stale = std::fs::remove_file(socket);
    let unix = UnixListener::bind(socket).map_err(|error| taken(&socket.display().to_string(), &error))?;
    let (tasks, ends, also_ends) = (agent.tasks(), agent.tasks().clone(), agent.tasks().clone());
    let (over_tcp, over_unix) = (router.clone(), router);
    tasks.spawn("api tcp", async move {
        report(axum::serve(tcp, over_tcp).with_graceful_shutdown(async move { ends.cancelled().await }).await);
    });
    tasks.spawn("api socket", async move {
        report(axum::serve(unix, over_unix).with_graceful_shutdown(async move { also_ends.cancelled().await }).await);
    });
    Ok(Listening { api: address })
}

fn report(outcome: std::io::Result<()>) {
    if let Err(error) = outcome {
        tracing::error!(%error, "a listener failed");
    }
}

fn taken(place: &str, error: &std::io::Error) -> Error {
    Error::new(Kind::System, format!("cannot listen: {error}")).at(place).hint("choose another address, or port 0 for a free one")
}
