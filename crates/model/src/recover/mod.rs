//! A server that does not start: why, what to try in which order on a copy, and what is lost by it.
//!
//! [`facts::Facts`] is what was seen, [`diagnose::findings`] what is wrong, [`plan::plan`] what to do about it on a copy, and [`failure::next`] what
//! to try when the copy does not start either. Nothing here touches a file.

pub mod diagnose;
pub mod facts;
pub mod failure;
pub mod plan;
pub mod report;
pub mod resetwal;

#[cfg(test)]
mod tests;
