//! Logical backups: what pg_dump and pg_dumpall write, in the same repository as everything else.

mod program;
pub mod restore;
mod staging;
pub mod take;
