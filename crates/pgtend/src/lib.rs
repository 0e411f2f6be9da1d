//! The binary's parts: the agent, its API, the command line. Only wiring; what is known and decided is in `pgtend-model`.

pub mod agent;
pub mod api;
pub mod awr;
pub mod backup;
pub mod blocking;
pub mod cli;
pub mod client;
pub mod config;
pub mod daemon;
pub mod drill;
pub mod log;
pub mod observe;
pub mod psql;
pub mod recover;
pub mod repair;
pub mod runtime_dir;
pub mod scratch;
pub mod source;
pub mod tables;
pub mod tui;
pub mod up;
pub mod verify;
pub mod wal;
