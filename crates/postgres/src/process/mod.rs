//! One PostgreSQL as processes and files: finding its programs, making a cluster, starting, stopping and adopting a postmaster.
//!
//! Everything here blocks (a child process, a file, `/proc`); asynchronous callers give it a thread. Nothing here decides whether a
//! thing should be done: the plan does, in `pgtend_model`.

pub mod clients;
pub mod create;
pub mod find;
mod install_hint;
mod log_tail;
pub mod machine;
pub mod os_user;
pub mod passfile;
pub mod port;
pub mod running;
pub mod start;

use pgtend_model::error::{Error, Kind};
use std::io;
use std::path::Path;

/// What the operating system refused, as a person reads it, with what to do where the reason is known.
pub fn system(what: impl Into<String>, path: &Path, error: &io::Error) -> Error {
    let failed = Error::new(Kind::System, format!("{}: {error}", what.into())).at(path.display().to_string());
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            failed.hint("the user who runs pgtend may not do this here: choose another directory, or another user")
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            failed.hint("make room on this file system, or choose a directory on another one")
        }
        io::ErrorKind::ReadOnlyFilesystem => failed.hint("the file system is mounted read-only: choose a directory on another one"),
        _ => failed,
    }
}
