//! Which port PostgreSQL gets.

use super::Port;
use crate::error::{Error, Kind, Result};

/// The port, and what should be said about it. Somebody who names a port relies on it, so a taken one is an error; the usual port is
/// only a habit, so a taken one gives way to a free one nearby.
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

fn none_free() -> Error {
    Error::new(Kind::System, "no TCP port of this machine is free").hint("name one with --pg-port")
}
