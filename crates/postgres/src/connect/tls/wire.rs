//! What the protocol runs on: a socket, or TLS over it, already set up when `tokio-postgres` gets it.
//!
//! TLS is negotiated here and not by `tokio-postgres`, because `sslmode` needs to know at which step an attempt failed.

use super::binding;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::tls::{ChannelBinding, TlsConnect, TlsStream};
use tokio_rustls::TlsConnector;

/// A byte stream in both directions.
pub trait Duplex: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Duplex for T {}

/// A connected socket, TCP or Unix.
pub type Socket = Box<dyn Duplex>;

/// What PostgreSQL's protocol runs on.
pub struct Wire {
    stream: Box<dyn Duplex>,
    tls: bool,
    end_point: Option<Vec<u8>>,
}

impl Wire {
    /// The bare socket.
    pub fn plain(socket: Socket) -> Self {
        Self { stream: socket, tls: false, end_point: None }
    }

    /// Whether it is TLS.
    pub fn is_tls(&self) -> bool {
        self.tls
    }
}

/// Sets up TLS on a socket. `name` is the host's, `address` stands in where there is none or it is no DNS name.
///
/// # Errors
/// The socket's, or rustls' within an I/O error.
pub async fn handshake(socket: Socket, config: ClientConfig, name: Option<&str>, address: IpAddr) -> io::Result<Wire> {
    let dns = name.and_then(|name| ServerName::try_from(name.to_owned()).ok());
    let server = dns.unwrap_or_else(|| ServerName::from(address));
    let stream = TlsConnector::from(Arc::new(config)).connect(server, socket).await?;
    let certificates = stream.get_ref().1.peer_certificates().unwrap_or_default();
    let end_point = certificates.first().and_then(|certificate| binding::server_end_point(certificate));
    Ok(Wire { stream: Box::new(stream), tls: true, end_point })
}

/// Tells `tokio-postgres` that its TLS is already there.
pub struct Established;

impl TlsConnect<Wire> for Established {
    type Stream = Wire;
    type Error = Infallible;
    type Future = Ready<Result<Wire, Infallible>>;

    fn connect(self, wire: Wire) -> Self::Future {
        ready(Ok(wire))
    }
}

impl TlsStream for Wire {
    fn channel_binding(&self) -> ChannelBinding {
        self.end_point.clone().map_or_else(ChannelBinding::none, ChannelBinding::tls_server_end_point)
    }
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
