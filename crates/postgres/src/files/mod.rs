//! PostgreSQL's files as they lie in a data directory: what is in them, decoded, never changed.
//!
//! No SQL and no server is needed for anything here. All of it blocks; asynchronous callers give it a thread. Layouts are those of
//! 64-bit little-endian machines (x86-64, aarch64), which [`control::read`] makes sure of.
//!
//! - [`control`] reads `global/pg_control`: whose files these are, how far they are, and the sizes that everything else depends on.
//! - [`page`] knows page headers and page checksums.
//! - [`walk`] lists a data directory with its tablespaces, by the rules of [`pgtend_model::pgdata::exclusion`].
//! - [`scan`] reads all pages of a data directory and says which are damaged.
//! - [`summaries`] reads which pages WAL changed, from 17 on.
//! - [`wal`] reads the first page of a WAL segment, and says whether the segment belongs to this server.
//!
//! File names are decoded in [`pgtend_model::pgdata`].

mod bytes;
pub mod control;
pub mod page;
pub mod scan;
pub mod summaries;
pub mod wal;
pub mod walk;
