//! What may be asked of a watched server's connection beyond its probes. Each order is decided elsewhere; here it is only carried out.

use pgtend_model::error::{Error, Kind, Result};
use pgtend_model::past::Snapshot;
use pgtend_model::sample::Probe;
use pgtend_model::signal::{Signal, Target};
use pgtend_postgres::connect::Session;
use std::time::Duration;

/// An order.
#[derive(Debug, Clone)]
pub enum Order {
    /// Cancel or terminate these sessions, each only if it is still the one that was seen.
    Signal {
        /// Cancel the statement, or end the session.
        signal: Signal,
        /// The sessions as they were seen.
        targets: Vec<Target>,
    },
    /// Run these probes now, unless their newest rows are only just taken: probes that do not run by themselves, or do so rarely.
    Read(Vec<Probe>),
    /// Read everything that is remembered, remember it, and make a snapshot of that instant. The word says why.
    Snapshot(&'static str),
}

/// What an order gave.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// What became of each session, in the order of the targets.
    Signalled(Vec<pgtend_model::signal::Fate>),
    /// The rows, or why there are none, are in the view.
    Read,
    /// The snapshot.
    Snapshot(Snapshot),
}

pub(super) async fn send(session: &Session, signal: Signal, targets: &[Target], patience: Duration) -> Result<Outcome> {
    match tokio::time::timeout(patience, pgtend_postgres::signal::send(session, signal, targets)).await {
        Ok(fates) => fates.map(Outcome::Signalled),
        Err(_) => {
            Err(Error::new(Kind::Timeout, format!("the server did not answer within {patience:?}; whether the signal was sent is unknown"))
                .hint("look at the session again before you send another"))
        }
    }
}

pub(super) fn not_connected(server: &str) -> Error {
    Error::new(Kind::Unreachable, format!("server {server} is not connected")).hint("pgtend status says since when and why")
}
