//! The configuration: from the text of `pgtend.toml` to the one type that the rest of the code sees.
//!
//! [`raw`] is the text with its lines, [`effective`] what follows from it. A key is declared once, with [`section::section`]: that
//! one declaration gives the field, how it is read, its default and its range, whether a reload applies it, and its entry in the
//! reference. Everything here is pure; reading the file and its permissions is the business of the binary.

mod choice;
mod diff;
mod hints;
mod key;
mod later;
mod map;
mod raw;
mod reference;
mod section;
mod setting;
mod values;

pub mod api;
pub mod backup;
pub mod drill;
pub mod effective;
pub mod files;
pub mod health;
pub mod metrics;
pub mod probes;
pub mod secret;
pub mod server;
pub mod verify;

pub use backup::{Backup, ConditionalWrites, Encryption, Logical, ObjectLock, RepoVerify, Repository};
pub use diff::{Change, diff};
pub use drill::{Drill, DrillCheck};
pub use effective::{Effective, Level};
pub use files::Files;
pub use hints::did_you_mean;
pub use key::{Applies, Default, Key, Shape};
pub(crate) use metrics::is_label_name;
pub use raw::{Notice, Parsed, Problems, parse};
pub use reference::reference;
pub use secret::{Dsn, Secrets};
pub use server::Server;
pub use setting::Setting;
pub use values::{Listen, Selection};
pub use verify::{Verify, VerifyDepth};

#[cfg(test)]
mod tests;
