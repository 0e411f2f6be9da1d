//! Bringing a backup back: what is there is looked at, a plan is made, then files are written, and WAL is replayed.

mod databases;
pub mod files;
pub mod known;
pub mod manifest;
pub mod place;
pub mod private;
pub mod recover;
pub mod run;
pub mod settings;
pub mod wal_source;
