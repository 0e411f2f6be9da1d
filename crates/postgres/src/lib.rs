//! Senses and touches one PostgreSQL and its host: connections, probes, processes, files.

pub mod connect;
pub mod probe;
pub mod signal;
