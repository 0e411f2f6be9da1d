//! Connections to PostgreSQL: parameters as libpq reads them, and one guarded session.

pub mod error;
mod session;

pub use session::{Environment, Limits, Session, Target};
