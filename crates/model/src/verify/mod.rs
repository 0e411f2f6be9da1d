//! Verification of a data directory: what counts as damage, and the report of it.
//!
//! Reading is done in `pgtend_postgres`; what a reading means is decided here.

pub mod kept;
mod report;
pub mod sample;
pub mod segments;
pub mod suspect;

pub use report::{
    Checked, Damage, DamageKind, Depth, ERRORS_AT_MOST, Notice, RelationKind, RelationName, ServerState, Unchecked, Verdict, Verification,
};
