//! The server's log, read: jsonlog, csvlog and stderr with any `log_line_prefix`, as typed events.
//!
//! [`Decoder`] takes bytes as they come and gives events; [`auto_explain`] finds plans in them, [`redact`] takes secrets out, [`Tally`]
//! counts and chooses what is kept.

pub mod auto_explain;
mod csv;
mod decode;
mod instant;
mod json;
mod prefix;
mod redact;
mod severity;
mod stderr;
mod tally;
#[cfg(test)]
mod tests;

pub use decode::{Decoder, Format};
pub use prefix::Prefix;
pub use redact::redact;
pub use severity::Severity;
pub use tally::{Tally, kept};

use jiff::Timestamp;
use std::path::PathBuf;

/// One message of the server's log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Event {
    /// When it was written; none where the log does not say it.
    pub at: Option<Timestamp>,
    /// How bad it is.
    pub severity: Severity,
    /// SQLSTATE, where the log has it.
    pub sqlstate: Option<String>,
    /// Process id.
    pub pid: Option<i64>,
    /// Role.
    pub user: Option<String>,
    /// Database.
    pub database: Option<String>,
    /// What the client calls itself.
    pub application: Option<String>,
    /// The client's address.
    pub client: Option<String>,
    /// Kind of process.
    pub backend_type: Option<String>,
    /// The message.
    pub message: String,
    /// Its details.
    pub detail: Option<String>,
    /// What the server advises.
    pub hint: Option<String>,
    /// Where in functions it happened.
    pub context: Option<String>,
    /// The statement.
    pub query: Option<String>,
    /// The statement's identifier, from 14 on.
    pub query_id: Option<i64>,
}

impl Event {
    /// The first two characters of the SQLSTATE, which name its class; empty where the log has none.
    pub fn sqlstate_class(&self) -> &str {
        self.sqlstate.as_deref().and_then(|state| state.get(..2)).unwrap_or_default()
    }

    /// Without secrets that stand in its texts.
    #[must_use]
    pub fn redacted(mut self) -> Self {
        self.message = redact(&self.message);
        for text in [&mut self.detail, &mut self.hint, &mut self.context, &mut self.query].into_iter().flatten() {
            *text = redact(text);
        }
        self
    }
}

/// How far a log was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// The file.
    pub file: PathBuf,
    /// Its number in its file system: another file of the same name has another one.
    pub inode: u64,
    /// Bytes of it of which everything is known.
    pub offset: u64,
}

/// A text that is there and not empty. What PostgreSQL has no value for, in a prefix, is `[unknown]`.
fn some(text: &str) -> Option<String> {
    (!text.is_empty() && text != "[unknown]").then(|| text.to_owned())
}

/// A statement's identifier; zero is none.
fn query_id(text: &str) -> Option<i64> {
    text.parse().ok().filter(|id| *id != 0)
}
