//! File trees into a repository and back: what guides do with rsync and tar.

pub mod restore;
pub mod store;
pub mod take;
mod walk;
