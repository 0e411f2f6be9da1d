//! Everything pgtend remembers.

pub mod history;
pub mod state;
