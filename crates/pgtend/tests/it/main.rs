//! The integration tests: everything that needs a real server, in one binary.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod api;
mod ash;
mod awr;
mod backup;
mod cli;
mod config;
mod connect;
mod explain;
mod faults;
mod files;
mod harness;
mod history;
mod host;
mod load;
mod logs;
mod metrics;
mod page_restore;
mod probes;
mod process;
mod recover;
mod repair;
mod repo;
mod repo_s3;
mod restore;
mod scratch;
mod screenshots;
mod sql;
mod up;
mod verify;
mod wal;
mod watch;
