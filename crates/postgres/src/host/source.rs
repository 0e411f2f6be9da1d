//! Reading a file of /proc or /sys, with the reason in words when that fails.

use pgtend_model::sample::{Reason, Unknown};
use procfs::FromRead;
use std::io;
use std::path::Path;

/// A whole file as text.
pub fn text(path: impl AsRef<Path>) -> Result<String, Unknown> {
    std::fs::read_to_string(path.as_ref()).map_err(|error| unreadable(path.as_ref(), &error))
}

/// A whole file as one of the types that the procfs library parses.
pub fn parsed<T: FromRead>(path: impl AsRef<Path>) -> Result<T, Unknown> {
    let path = path.as_ref();
    parse(path, &text(path)?)
}

/// Text as one of the types that the procfs library parses.
pub fn parse<T: FromRead>(path: &Path, text: &str) -> Result<T, Unknown> {
    T::from_read(text.as_bytes()).map_err(|error| misshapen(path, &error.to_string()))
}

/// Why a file could not be read.
pub fn unreadable(path: &Path, error: &io::Error) -> Unknown {
    let reason = match error.kind() {
        io::ErrorKind::PermissionDenied => Reason::Privilege,
        io::ErrorKind::NotFound => Reason::Absent,
        _ => Reason::Failed,
    };
    Unknown::new(reason, format!("{} cannot be read: {error}", path.display()))
}

/// That a file does not say what it should.
pub fn misshapen(path: &Path, problem: &str) -> Unknown {
    Unknown::new(Reason::Failed, format!("{} is not as expected: {problem}", path.display()))
}
