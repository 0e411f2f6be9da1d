//! One connection, from its acceptance to its end: bounded in number, in silence and in farewell.

use super::super::access::Peer;
use super::super::tls::Certificate;
use crate::agent::Agent;
use crate::agent::tasks::Tasks;
use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tokio_io_timeout::TimeoutStream;
use tower::ServiceExt;

/// How long a client may take for the header of a request, and how long a connection may rest between two of them: longer than
/// Prometheus' usual interval, so that its connection stays.
const SILENCE: Duration = Duration::from_secs(20);
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long a request that runs when the agent ends may go on.
const FAREWELL: Duration = Duration::from_secs(3);

/// The connections of one listener. Clones share their number.
#[derive(Debug, Clone)]
pub(super) struct Connections {
    name: &'static str,
    tasks: Tasks,
    places: Arc<Semaphore>,
    /// How long a client may take none of its answer.
    write_timeout: Duration,
    certificate: Option<Arc<Certificate>>,
}

impl Connections {
    pub(super) fn new(
        agent: &Agent,
        name: &'static str,
        most: usize,
        write_timeout: Duration,
        certificate: Option<Arc<Certificate>>,
    ) -> Self {
        Self { name, tasks: agent.tasks().clone(), places: Arc::new(Semaphore::new(most)), write_timeout, certificate }
    }

    /// The name of the listener's task.
    pub(super) fn name(&self) -> String {
        format!("listen {}", self.name)
    }

    /// Waits until there is room for one more.
    pub(super) async fn place(&self) -> Option<OwnedSemaphorePermit> {
        self.places.clone().acquire_owned().await.ok()
    }

    /// Serves a connection over TCP, after the handshake where there is a certificate.
    pub(super) fn serve_tcp(&self, stream: TcpStream, peer: Peer, router: Router, place: Option<OwnedSemaphorePermit>) {
        let Some(certificate) = self.certificate.clone() else { return self.serve(stream, peer, router, place) };
        let connections = self.clone();
        self.tasks.spawn(format!("{} handshake", self.name), async move {
            match timeout(HANDSHAKE, certificate.acceptor().accept(stream)).await {
                Ok(Ok(stream)) => connections.serve(stream, peer, router, place),
                Ok(Err(error)) => tracing::debug!(%peer, %error, "a TLS handshake failed"),
                Err(_) => tracing::debug!(%peer, "a TLS handshake took too long"),
            }
        });
    }

    /// Serves a connection.
    pub(super) fn serve<S>(&self, stream: S, peer: Peer, router: Router, place: Option<OwnedSemaphorePermit>)
    where
        S: AsyncRead + AsyncWrite + Send + 'static,
    {
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(self.write_timeout));
        let tasks = self.tasks.clone();
        self.tasks.spawn(format!("{} connection", self.name), async move {
            let _until_it_ends = place;
            converse(stream, peer, router, &tasks).await;
        });
    }
}

async fn converse<S>(stream: TimeoutStream<S>, peer: Peer, router: Router, tasks: &Tasks)
where
    S: AsyncRead + AsyncWrite + Send + 'static,
{
    let noted = peer.clone();
    let service = router.map_request(move |request: Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(noted.clone());
        request
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(SILENCE);
    let mut connection = pin!(http.serve_connection(TokioIo::new(Box::pin(stream)), TowerToHyperService::new(service)));
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = tasks.cancelled() => {
            connection.as_mut().graceful_shutdown();
            timeout(FAREWELL, connection).await.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%peer, %error, "a connection ended early");
    }
}
