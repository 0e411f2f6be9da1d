//! Senses and touches one PostgreSQL and its host: connections, probes, plans, processes, files.

pub mod backup;
pub mod connect;
pub mod doctor;
pub mod dump;
pub mod explain;
pub mod files;
pub mod host;
pub mod probe;
pub mod process;
pub mod serverlog;
pub mod signal;
pub mod verify;
pub mod wal_session;
pub mod writing;
