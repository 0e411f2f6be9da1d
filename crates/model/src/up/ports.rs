//! Which port PostgreSQL gets, and where the agent answers.
//!
//! Somebody who names a port relies on it, so a taken one is an error; the usual port is only a habit, so a taken one gives way to a
//! free one, and that is said.

use super::{Listener, Port};
use crate::config::Listen;
use crate::error::{Error, Kind, Result};
use core::net::SocketAddr;

/// The port of PostgreSQL, and what should be said about it.
pub(super) fn choose(port: &Port) -> Result<(u16, Option<String>)> {
    let wanted = port.wanted;
    match (port.asked, &port.holder) {
        (Some(0), _) => Ok((port.any.ok_or_else(none_free)?, None)),
        (_, None) => Ok((wanted, None)),
        (Some(_), Some(holder)) => Err(Error::new(Kind::Conflict, format!("port {wanted} is taken by {holder}"))
            .hint("stop it, choose another port with --pg-port, or take a free one with --pg-port 0")),
        (None, Some(holder)) => {
            let free = port.nearby.or(port.any).ok_or_else(none_free)?;
            Ok((free, Some(format!("port {wanted} is taken by {holder}: PostgreSQL listens on {free}; choose with --pg-port"))))
        }
    }
}

/// Where a listener of the agent goes, and what should be said about it. Port 0 is any free one, found when it is taken.
pub(super) fn listen(listener: &Listener) -> Result<(Listen, Option<String>)> {
    let Listener { name, option, asked, usual, holder } = listener;
    match (asked, holder) {
        (Some(Listen::Off), _) => Ok((Listen::Off, None)),
        (asked, None) => Ok((asked.unwrap_or(Listen::At(*usual)), None)),
        (Some(asked), Some(holder)) => Err(Error::new(Kind::Conflict, format!("{asked} is taken by {holder}, and {name} cannot be there"))
            .hint(format!(
                "stop it, choose another address with {option}, or a free port with {option} {}",
                SocketAddr::new(usual.ip(), 0)
            ))),
        (None, Some(holder)) => {
            let anywhere = SocketAddr::new(usual.ip(), 0);
            Ok((Listen::At(anywhere), Some(format!("{usual} is taken by {holder}: {name} gets a free port; choose with {option}"))))
        }
    }
}

fn none_free() -> Error {
    Error::new(Kind::System, "no TCP port of this machine is free").hint("name one with --pg-port")
}
