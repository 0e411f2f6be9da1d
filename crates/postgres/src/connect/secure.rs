//! From a socket to a wire: whether TLS is asked for, offered, and set up, by `sslmode`.

use super::dial::Endpoint;
use super::error;
use super::tls::{self, Mode, Socket, TlsSettings, Wire};
use pgtend_model::error::{Error, Kind};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// How one attempt treats TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Without.
    Plain,
    /// With it where the server offers it.
    Offered,
    /// With it or not at all.
    Required,
}

/// The attempts that a mode makes at an endpoint, in order; a later one only where the earlier failed for want or excess of TLS.
/// TLS never runs over Unix sockets.
pub fn steps(mode: Mode, endpoint: &Endpoint) -> &'static [Step] {
    match (endpoint, mode) {
        (Endpoint::Socket { .. }, _) | (_, Mode::Disable) => &[Step::Plain],
        (_, Mode::Allow) => &[Step::Plain, Step::Required],
        (_, Mode::Prefer) => &[Step::Offered, Step::Plain],
        (_, Mode::Require | Mode::VerifyCa | Mode::VerifyFull) => &[Step::Required],
    }
}

/// Why there is no wire.
#[derive(Debug)]
pub enum NoWire {
    /// The network failed; another address may do.
    Network(Error),
    /// TLS failed; without it the same address may do.
    Tls(Error),
}

/// Sets up what a step asks for on a socket.
pub async fn secure(mut socket: Socket, endpoint: &Endpoint, settings: &TlsSettings, step: Step) -> Result<Wire, NoWire> {
    let Some(ip) = endpoint.ip().filter(|_| step != Step::Plain) else { return Ok(Wire::plain(socket)) };
    if !settings.direct && !offered(&mut socket).await? {
        return match step {
            Step::Required => Err(NoWire::Tls(not_offered(settings.mode))),
            Step::Plain | Step::Offered => Ok(Wire::plain(socket)),
        };
    }
    let name = endpoint.host().certified_name();
    let config = settings.client_config(name).map_err(NoWire::Tls)?;
    tls::handshake(socket, config, name, ip).await.map_err(|cause| NoWire::Tls(error::broken(&cause)))
}

/// A packet of eight bytes with the protocol number 1234.5679.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];

/// Asks whether the server speaks TLS.
async fn offered(socket: &mut Socket) -> Result<bool, NoWire> {
    let answer = async {
        socket.write_all(&SSL_REQUEST).await?;
        socket.read_u8().await
    };
    match answer.await.map_err(|cause| NoWire::Network(error::broken(&cause)))? {
        b'S' => Ok(true),
        b'N' => Ok(false),
        _ => Err(NoWire::Network(
            Error::new(Kind::Unreachable, "the server answers the request for TLS with something else")
                .hint("it may have failed to start a process for the connection (see its log), or it is no PostgreSQL"),
        )),
    }
}

fn not_offered(mode: Mode) -> Error {
    Error::new(Kind::Unsupported, format!("the server does not offer TLS, and sslmode={} needs it", mode.name()))
        .hint("set ssl = on with ssl_cert_file and ssl_key_file on the server and reload, or use sslmode=prefer")
}
