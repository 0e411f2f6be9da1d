//! Listeners: the API over TCP (with TLS where there is a certificate) and over its Unix socket, and the metrics over TCP.

mod connection;
mod socket;

use super::access::{OsUser, Peer};
use super::tls::Certificate;
use super::{Api, metrics_router, router};
use crate::agent::Agent;
use axum::Router;
use connection::Connections;
use pgtend_model::error::{Error, Kind, Result};
use pgtend_store::state::StateStore;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, UnixListener};

/// How long to wait after an accept that failed for want of file descriptors, so that the log is not flooded.
const BREATHER: Duration = Duration::from_millis(200);

/// Where the agent answers, with the ports that were taken where 0 was asked for.
#[derive(Debug, Clone)]
pub struct Listening {
    /// The API.
    pub api: Option<SocketAddr>,
    /// The metrics.
    pub metrics: Option<SocketAddr>,
    /// The API's Unix socket.
    pub socket: Option<PathBuf>,
    certificate: Option<Arc<Certificate>>,
}

impl Listening {
    /// Reads the certificate again.
    ///
    /// # Errors
    /// When it cannot be used; then the old one stays in use.
    pub fn reload(&self) -> Result<()> {
        self.certificate.as_ref().map_or(Ok(()), |certificate| certificate.read_again())
    }

    /// Whether the API answers by HTTPS.
    pub fn has_tls(&self) -> bool {
        self.certificate.is_some()
    }
}

/// Serves everything that the configuration wants until the agent ends.
///
/// # Errors
/// `System` when an address or the socket cannot be had; `Config` when the certificate cannot be used.
pub async fn serve(agent: &Agent, state: Arc<StateStore>) -> Result<Listening> {
    let config = agent.config();
    let api = Api::new(agent.clone(), state)?;
    let routes = router(&api);
    let certificate = match (&config.api.tls_certificate, &config.api.tls_key) {
        (Some(certificate), Some(key)) => Some(Arc::new(Certificate::read(certificate, key)?)),
        _ => None,
    };
    let mut listening = Listening { api: None, metrics: None, socket: None, certificate: certificate.clone() };
    let limit = config.api.max_connections;
    if let Some(address) = config.api.listen.address() {
        let connections = Connections::new(agent, "api", limit, config.api.request_timeout, certificate);
        listening.api = Some(over_tcp(agent, address, routes.clone(), connections).await?);
    }
    if let Some(address) = config.metrics.listen.address() {
        let connections = Connections::new(agent, "metrics", limit, config.api.request_timeout, None);
        listening.metrics = Some(over_tcp(agent, address, metrics_router(&api), connections).await?);
    }
    let socket = config.socket();
    let listener = socket::bind(&socket, config.api.socket_group.as_deref())?;
    over_socket(agent, listener, routes, Connections::new(agent, "socket", limit, config.api.request_timeout, None));
    listening.socket = Some(socket);
    let tasks = agent.tasks().clone();
    agent.tasks().spawn("note token use", async move { api.tokens().note_use(&tasks).await });
    Ok(listening)
}

async fn over_tcp(agent: &Agent, address: SocketAddr, router: Router, connections: Connections) -> Result<SocketAddr> {
    let listener = TcpListener::bind(address).await.map_err(|error| taken(&address.to_string(), &error))?;
    let address = listener.local_addr().map_err(|error| taken(&address.to_string(), &error))?;
    let tasks = agent.tasks().clone();
    agent.tasks().spawn(connections.name(), async move {
        loop {
            let place = connections.place().await;
            let accepted = tokio::select! {
                () = tasks.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, address)) => {
                    let _best_effort = stream.set_nodelay(true);
                    connections.serve_tcp(stream, Peer::Remote(address), router.clone(), place);
                }
                Err(error) => breathe(&error).await,
            }
        }
    });
    Ok(address)
}

fn over_socket(agent: &Agent, listener: UnixListener, router: Router, connections: Connections) {
    let tasks = agent.tasks().clone();
    agent.tasks().spawn(connections.name(), async move {
        loop {
            let place = connections.place().await;
            let accepted = tokio::select! {
                () = tasks.cancelled() => return,
                accepted = listener.accept() => accepted.and_then(|(stream, _)| Ok((stream.peer_cred()?, stream))),
            };
            match accepted {
                Ok((who, stream)) => {
                    let user = tokio::task::spawn_blocking(move || OsUser::of(who.uid(), who.gid())).await;
                    let peer = user.map_or(Peer::Unknown, |user| Peer::Local(Arc::new(user)));
                    connections.serve(stream, peer, router.clone(), place);
                }
                Err(error) => breathe(&error).await,
            }
        }
    });
}

async fn breathe(error: &std::io::Error) {
    tracing::warn!(%error, "a connection could not be accepted");
    tokio::time::sleep(BREATHER).await;
}

fn taken(place: &str, error: &std::io::Error) -> Error {
    Error::new(Kind::System, format!("cannot listen: {error}")).at(place).hint("choose another address, or port 0 for a free one")
}

fn cannot(path: &Path, error: &dyn std::fmt::Display) -> Error {
    Error::new(Kind::System, format!("cannot listen: {error}"))
        .at(path.display().to_string())
        .hint("api.socket and agent.runtime_directory of the configuration say where the socket is; the agent must be able to write there")
}
