//! Senses and touches one PostgreSQL and its host: connections, probes, processes, files.

pub mod connect;
pub mod host;
pub mod probe;
pub mod process;
pub mod signal;
