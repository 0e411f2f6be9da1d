//! What may be asked of a watched server's connection beyond its probes. Each order is decided elsewhere; here it is only carried out.

use pgtend_model::error::{Error, Kind, Result};
use pgtend_model::signal::{Signal, Target};
use pgtend_postgres::connect::Session;

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
}

/// What an order gave.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// What became of each session, in the order of the targets.
    Signalled(Vec<pgtend_model::signal::Fate>),
}

pub(super) async fn carry_out(session: &Session, order: &Order) -> Result<Outcome> {
    match order {
        Order::Signal { signal, targets } => pgtend_postgres::signal::send(session, *signal, targets).await.map(Outcome::Signalled),
    }
}

pub(super) fn not_connected(server: &str) -> Error {
    Error::new(Kind::Unreachable, format!("server {server} is not connected")).hint("pgtend status says since when and why")
}
