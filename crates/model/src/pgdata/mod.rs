//! What PostgreSQL's files are called, which of them a copy needs, and how the few are laid out that tell of databases.
//!
//! The files are read in `pgtend_postgres::files`. Everything here holds for PostgreSQL 13 to 18.

pub mod catalog_page;
pub mod exclusion;
pub mod filenode_map;
pub mod lsn;
pub mod relation;
pub mod wal;

pub use lsn::Lsn;
pub use relation::{Fork, RelationFile};
