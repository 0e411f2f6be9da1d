//! All that is known of one server now. Documents, metrics and checks are functions of it.

use crate::sample::Readings;

/// Whether the server answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Link {
    /// No attempt has ended yet.
    Connecting,
    /// Connected.
    Up {
        /// Since when.
        since: jiff::Timestamp,
    },
    /// Not reachable.
    Down {
        /// Since when.
        since: jiff::Timestamp,
        /// Why, in words.
        why: crate::error::Error,
        /// When the next attempt is due.
        retry_at: jiff::Timestamp,
    },
}

/// All that is known of one server now.
#[derive(Debug, Clone)]
pub struct View {
    /// Its name in the configuration.
    pub name: String,
    /// Where it is, as `host:port`, without user or password.
    pub target: String,
    /// Whether it answers.
    pub link: Link,
    /// Its data directory, where the agent runs beside it.
    pub data_directory: Option<std::path::PathBuf>,
    /// The newest rows of every probe.
    pub readings: Readings,
}
