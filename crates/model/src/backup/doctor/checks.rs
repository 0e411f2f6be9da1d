//! Making checks, and figures for people.

use super::{Check, State};
use crate::error::Error;
use crate::units::{show_bytes, show_seconds};
use jiff::SignedDuration;

/// All is well.
pub fn ok(id: &str, subject: &str, found: impl Into<String>) -> Check {
    check(id, subject, State::Ok, found, "")
}

/// It will be in the way.
pub fn warn(id: &str, subject: &str, found: impl Into<String>, fix: impl Into<String>) -> Check {
    check(id, subject, State::Warn, found, fix)
}

/// It is in the way.
pub fn fail(id: &str, subject: &str, found: impl Into<String>, fix: impl Into<String>) -> Check {
    check(id, subject, State::Fail, found, fix)
}

/// Nobody can tell.
pub fn unknown(id: &str, subject: &str, found: impl Into<String>, fix: impl Into<String>) -> Check {
    check(id, subject, State::Unknown, found, fix)
}

/// An error is in the way.
pub fn failed(id: &str, subject: &str, error: &Error) -> Check {
    let place = if error.place.is_empty() { String::new() } else { format!(" ({})", error.place) };
    fail(id, subject, format!("{}{place}", error.what), error.hint.clone())
}

/// An error keeps it from being known.
pub fn not_known(id: &str, subject: &str, error: &Error) -> Check {
    unknown(id, subject, error.what.clone(), error.hint.clone())
}

fn check(id: &str, subject: &str, state: State, found: impl Into<String>, fix: impl Into<String>) -> Check {
    Check { id: id.to_owned(), subject: subject.to_owned(), state, found: found.into(), fix: fix.into() }
}

/// Bytes for people.
#[expect(clippy::cast_precision_loss, reason = "figures for people")]
pub fn bytes(bytes: u64) -> String {
    show_bytes(bytes as f64)
}

/// Time for people.
pub fn time(time: SignedDuration) -> String {
    show_seconds(time.as_secs_f64().abs())
}
