//! Whether a server accepts connections, with the meaning and the exit codes of `pg_isready`.

use super::dial::Endpoint;
use super::error;
use super::secure::{NoWire, secure, steps};
use super::target::Target;
use super::tls::Wire;
use pgtend_model::error::{Error, Kind};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout_at};

/// What a server makes of a connection attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ping {
    /// It takes connections. Whether it would take this user's is another question.
    Accepting,
    /// It answers, but takes none now: it starts up, shuts down or recovers.
    Rejecting(Error),
    /// It does not answer, or cannot be reached.
    NoResponse(Error),
    /// The parameters make no attempt possible.
    NotAttempted(Error),
}

impl Ping {
    /// The exit code of `pg_isready`.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Accepting => 0,
            Self::Rejecting(_) => 1,
            Self::NoResponse(_) => 2,
            Self::NotAttempted(_) => 3,
        }
    }
}

/// Asks the servers of a target, each for at most `timeout`; the first that answers decides.
///
/// Nobody is authenticated: a server that asks for a password accepts connections. The database and the user need not exist.
pub async fn ping(target: &Target, timeout: Duration) -> Ping {
    let mut last = Ping::NotAttempted(Error::new(Kind::Unreachable, "the host name has no address"));
    for host in &target.hosts {
        let endpoints = match Endpoint::of(host).await {
            Ok(endpoints) => endpoints,
            Err(error) => {
                last = Ping::NoResponse(error.at(host.to_string()));
                continue;
            }
        };
        for endpoint in endpoints {
            let asked = timeout_at(Instant::now() + timeout, Box::pin(ask(target, &endpoint))).await;
            let answer = asked.unwrap_or_else(|_| Ping::NoResponse(error::silent(timeout)));
            last = match answer {
                Ping::Accepting => return Ping::Accepting,
                Ping::Rejecting(error) => return Ping::Rejecting(error.at(endpoint.to_string())),
                Ping::NoResponse(error) => Ping::NoResponse(error.at(endpoint.to_string())),
                Ping::NotAttempted(error) => Ping::NotAttempted(error.at(endpoint.to_string())),
            };
        }
    }
    last
}

/// Asks one endpoint, where `sslmode` wants it with TLS and then without.
async fn ask(target: &Target, endpoint: &Endpoint) -> Ping {
    let mut outcome = None;
    for step in steps(target.tls.mode, endpoint) {
        let socket = match endpoint.dial(&target.tcp).await {
            Ok(socket) => socket,
            Err(cause) => return Ping::NoResponse(error::not_connected(endpoint.ip().is_none(), &cause)),
        };
        match secure(socket, endpoint, &target.tls, *step).await {
            Ok(wire) => return first_word(wire, target).await.unwrap_or_else(|cause| Ping::NoResponse(error::broken(&cause))),
            Err(NoWire::Network(error)) => return Ping::NoResponse(error),
            Err(NoWire::Tls(error)) if error.kind == Kind::Config => outcome = Some(Ping::NotAttempted(error)),
            Err(NoWire::Tls(error)) => outcome = Some(Ping::NoResponse(error)),
        }
    }
    outcome.unwrap_or_else(|| unreachable!("every mode makes an attempt"))
}

/// Sends a startup packet and judges the first message by its tag, and an error by its SQLSTATE.
async fn first_word(mut wire: Wire, target: &Target) -> std::io::Result<Ping> {
    let parameters = [("user", target.user()), ("database", target.database())];
    let mut packet = bytes::BytesMut::new();
    postgres_protocol::message::frontend::startup_message(parameters, &mut packet)?;
    wire.write_all(&packet).await?;
    let tag = wire.read_u8().await?;
    let length = wire.read_u32().await?.saturating_sub(4);
    let mut body = vec![0; usize::try_from(length).unwrap_or(0).min(LONGEST_ERROR)];
    wire.read_exact(&mut body).await?;
    Ok(match tag {
        b'R' => Ping::Accepting,
        b'E' => judge(&body),
        _ => Ping::NoResponse(
            Error::new(Kind::Unreachable, "what answers there is no PostgreSQL").hint("compare the port with the server's port setting"),
        ),
    })
}

/// No error message of PostgreSQL's is longer than this, in bytes.
const LONGEST_ERROR: usize = 30_000;

/// `cannot_connect_now` is a rejection; any other SQLSTATE comes from a server that accepts connections.
fn judge(fields: &[u8]) -> Ping {
    let field = |tag: u8| {
        let found = fields.split(|byte| *byte == 0).find(|field| field.first() == Some(&tag))?;
        Some(String::from_utf8_lossy(&found[1..]).into_owned())
    };
    let message = field(b'M').unwrap_or_default();
    match field(b'C').as_deref() {
        Some("57P03") => Ping::Rejecting(
            Error::new(Kind::Rejecting, message).hint("it answers as soon as it has started or recovered; its log says how far it is"),
        ),
        Some(code) if code.len() == 5 => Ping::Accepting,
        _ => Ping::NoResponse(Error::new(Kind::Unreachable, format!("what answers there is no PostgreSQL: {message}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_cannot_connect_now_is_a_rejection() {
        let starting = judge(b"SFATAL\0VFATAL\0C57P03\0Mthe database system is starting up\0\0");
        assert_eq!(starting.exit_code(), 1);
        assert_eq!(judge(b"SFATAL\0C3D000\0Mdatabase \"x\" does not exist\0\0"), Ping::Accepting);
        assert_eq!(judge(b"SFATAL\0C53300\0Msorry, too many clients already\0\0"), Ping::Accepting);
        assert_eq!(judge(b"garbage").exit_code(), 2);
    }
}
