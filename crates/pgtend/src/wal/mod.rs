//! WAL on its way to the repositories and back: the service that does the work, and the small client that PostgreSQL runs.
//!
//! `archive_command` and `restore_command` start a process a segment, so that process does next to nothing: it says over a Unix socket what
//! PostgreSQL wants and hands on the answer ([`client`]). The service behind the socket ([`Service`]) reads, compresses, encrypts and
//! stores, on threads of its own and ahead of what is asked for. The agent serves its servers; a restore serves the one that it recovers.

pub mod catching_up;
pub mod client;
mod connection;
mod dropping;
mod fetching;
mod health;
mod origin;
mod places;
pub mod protocol;
mod pushing;
mod service;
pub mod status;
pub mod streaming;

pub use dropping::{Dropping, Waiting};
pub use health::{Archived, Health};
pub use places::{Place, Places, open_piece};
pub use service::{Options, Served, Service};

use pgtend_model::config::Effective;
use std::path::{Path, PathBuf};

/// Where the WAL service of the agent with this API socket is: the same name that ends in `.wal`, since whatever ends in `.sock` there is
/// taken for an agent.
pub fn socket_beside(api_socket: &Path) -> PathBuf {
    api_socket.with_extension("wal")
}

/// Where the WAL service of an agent with this configuration is.
pub fn socket_of(config: &Effective) -> PathBuf {
    config.backup.wal_socket.clone().unwrap_or_else(|| socket_beside(&config.socket()))
}
