//! From a host to a connected socket: names are resolved, each address is an endpoint of its own.

use super::error;
use super::host::{Host, Place};
use super::target::Tcp;
use super::tls::Socket;
use pgtend_model::error::Result;
use rustix::net::sockopt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use std::{fmt, io};
use tokio::net::{TcpStream, UnixStream};

/// One address of a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// A Unix socket.
    Socket {
        /// The host, for names and messages.
        host: Host,
        /// Its path.
        path: String,
    },
    /// A TCP address.
    Tcp {
        /// The host, for names and messages.
        host: Host,
        /// The address.
        address: SocketAddr,
    },
}

/// How soon an idle connection to a host that vanished is found out, where the target says nothing: 30 s + 3 × 10 s. The
/// kernel's own two hours are of no use to somebody who watches.
const KEEPALIVE: (Duration, Duration, u32) = (Duration::from_secs(30), Duration::from_secs(10), 3);

impl Endpoint {
    /// The endpoints of a host, in the resolver's order.
    ///
    /// # Errors
    /// `Unreachable` when the name cannot be resolved.
    pub async fn of(host: &Host) -> Result<Vec<Self>> {
        if let Some(path) = host.socket_path() {
            return Ok(vec![Self::Socket { host: host.clone(), path }]);
        }
        let addresses: Vec<SocketAddr> = match &host.place {
            Place::Address(address, _) => vec![SocketAddr::new(*address, host.port)],
            _ => {
                let found = tokio::net::lookup_host((host.name(), host.port)).await;
                found.map_err(|cause| error::unresolved(&host.name(), &cause))?.collect()
            }
        };
        Ok(addresses.into_iter().map(|address| Self::Tcp { host: host.clone(), address }).collect())
    }

    /// The host.
    pub fn host(&self) -> &Host {
        match self {
            Self::Socket { host, .. } | Self::Tcp { host, .. } => host,
        }
    }

    /// The IP address, unless it is a Unix socket.
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::Socket { .. } => None,
            Self::Tcp { address, .. } => Some(address.ip()),
        }
    }

    /// Connects to it.
    ///
    /// # Errors
    /// The operating system's.
    pub async fn dial(&self, tcp: &Tcp) -> io::Result<Socket> {
        match self {
            Self::Socket { path, .. } => Ok(Box::new(UnixStream::connect(path).await?)),
            Self::Tcp { address, .. } => {
                let stream = TcpStream::connect(address).await?;
                stream.set_nodelay(true)?;
                tune(&stream, tcp)?;
                Ok(Box::new(stream))
            }
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, address } if host.name() != address.ip().to_string() => write!(f, "{host} ({})", address.ip()),
            Self::Socket { host, .. } | Self::Tcp { host, .. } => host.fmt(f),
        }
    }
}

fn tune(stream: &TcpStream, tcp: &Tcp) -> io::Result<()> {
    if tcp.keepalives {
        let (idle, interval, count) = KEEPALIVE;
        sockopt::set_socket_keepalive(stream, true)?;
        sockopt::set_tcp_keepidle(stream, tcp.idle.unwrap_or(idle))?;
        sockopt::set_tcp_keepintvl(stream, tcp.interval.unwrap_or(interval))?;
        sockopt::set_tcp_keepcnt(stream, tcp.count.unwrap_or(count))?;
    }
    if let Some(timeout) = tcp.user_timeout {
        sockopt::set_tcp_user_timeout(stream, u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX))?;
    }
    Ok(())
}
