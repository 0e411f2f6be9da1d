//! Connections to PostgreSQL: parameters as libpq reads them, TLS as libpq means it, and one guarded session.
//!
//! [`Target::resolve`] gathers parameters from a connection string, a service file, the environment and the defaults;
//! [`Session::open`] connects, and [`ping`] only asks whether that would make sense. Errors say what to check.

mod attempt;
mod dial;
mod driver;
mod dsn;
mod environment;
pub mod error;
mod host;
mod libpq;
mod open;
mod parameters;
mod passfile;
mod ping;
mod reference;
mod secure;
mod service;
mod session;
mod startup;
mod target;
mod tls;
mod values;
mod version;

pub use environment::Environment;
pub use libpq::libpq_names;
pub use ping::{Ping, ping};
pub use reference::reference;
pub use session::{Limits, Session};
pub use target::Target;
