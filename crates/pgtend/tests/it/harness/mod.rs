//! Real servers for the tests: PostgreSQL clusters in temporary directories that end with the test that started them.
//!
//! `Cluster::start(15).await` gives a running server with its own port and socket directory; `Cluster::builder(15)` takes
//! configuration, `pg_hba.conf` lines and files first. Dropping a cluster stops it at once and removes its directory.
//! A server that is not installed fails the test: `cargo xtask servers` installs them.

pub mod account;
mod agent;
pub mod certificates;
pub mod chromium;
mod cluster;
mod proxy;
mod s3;
pub mod servers;
mod template;
mod terminal;
mod tests;

pub use agent::Agent;
pub use cluster::{Builder, Cluster};
pub use proxy::{Fault, Proxy};
pub use s3::S3;
pub use terminal::Terminal;
