//! What PostgreSQL's files are called, and which of them a copy needs: names and rules, never bytes.
//!
//! The bytes are read in `pgtend_postgres::files`. Everything here holds for PostgreSQL 13 to 18.

pub mod exclusion;
pub mod lsn;
pub mod relation;
pub mod wal;

pub use lsn::Lsn;
pub use relation::{Fork, RelationFile};
