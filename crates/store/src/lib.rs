//! Everything pgtend remembers.

pub mod history;
pub mod repo;
pub mod state;
