//! What an error of the driver or of the server means to a person.

use pgtend_model::error::{Error, Kind};
use pgtend_model::sample::{Reason, Unknown};

/// The error as a person reads it.
pub fn classify(error: &tokio_postgres::Error) -> Error {
    Error::new(Kind::Unreachable, error.to_string())
}

/// Why a probe's query gave nothing.
pub fn unknown(error: &tokio_postgres::Error) -> Unknown {
    let reason = match error.code().map(tokio_postgres::error::SqlState::code) {
        Some("42501") => Reason::Privilege,
        Some("55P03") => Reason::Lock,
        Some("57014") => Reason::Timeout,
        _ => Reason::Failed,
    };
    Unknown::new(reason, error.as_db_error().map_or_else(|| error.to_string(), |error| error.message().to_owned()))
}
