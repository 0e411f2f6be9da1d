//! Everything pgtend remembers.

pub mod state;
