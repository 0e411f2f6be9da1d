//! Taking backups and bringing them back: PostgreSQL's files on one side, the repository on the other.
//!
//! Copying and restoring block, on threads of their own; what is said to PostgreSQL is async.

pub mod adopt;
pub mod check;
pub mod copy;
pub mod cron;
pub mod doctor;
pub mod expire;
pub mod logical;
mod nice;
pub mod open;
mod pages;
pub mod progress;
pub mod repo_verify;
pub mod restore;
mod standby;
pub mod take;
pub mod tree;
mod wal_needed;

pub use progress::{Phase, Progress};
