//! Active Session History: what was sampled, how, and how much of it is held.

mod asked;
pub mod blocking;
pub mod config;
pub mod figures;
pub mod report;
pub mod samples;
pub mod session_stats;
pub mod sql_stats;
pub mod stats;
#[cfg(test)]
mod tests;
pub mod timeline;
pub mod top;

pub use asked::Coverage;
pub(super) use asked::period;
pub(super) use sql_stats::statements_of;
