//! Active Session History: what was sampled, how, and how much of it is held.

pub mod config;
pub mod samples;
pub mod stats;
