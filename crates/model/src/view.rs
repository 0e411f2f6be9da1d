//! All that is known of one server now. Documents, metrics and checks are functions of it.

use crate::sample::{Readings, Reason, Unknown};

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

/// The server's first process, as the host shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Postmaster {
    /// The agent does not look: it is elsewhere, or was not told the data directory.
    NotWatched,
    /// It could not be looked at.
    Unknown(Unknown),
    /// There is none.
    Down {
        /// Since when, as far as the agent saw.
        since: jiff::Timestamp,
    },
    /// It runs.
    Running {
        /// Process id.
        pid: u32,
        /// Whether it is stopped by a signal (SIGSTOP) or a debugger: then nobody can connect.
        stopped: bool,
    },
}

/// Statement texts by query id, each asked for once.
pub type StatementTexts = std::sync::Arc<std::collections::HashMap<i64, crate::sample::Text>>;

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
    /// Its first process, where the agent runs beside it.
    pub postmaster: Postmaster,
    /// Texts of the statements in `readings.statements`, as far as they were fetched.
    pub statement_texts: StatementTexts,
    /// What the user's own queries gave last.
    pub custom: Vec<std::sync::Arc<crate::sample::custom::CustomReading>>,
    /// How its WAL gets into the repositories, where this agent takes it there.
    pub wal: Option<std::sync::Arc<crate::backup::wal_status::Archiving>>,
    /// How it stands with its backups, where this agent takes them.
    pub backups: std::sync::Arc<Vec<crate::backup::standing::Standing>>,
    /// What was proved of it and its backups.
    pub proofs: std::sync::Arc<crate::backup::proof::Proofs>,
    /// The newest rows of every probe.
    pub readings: Readings,
}

impl View {
    /// A server of which nothing is known yet.
    pub fn unseen(name: impl Into<String>, target: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            target: target.into(),
            link: Link::Connecting,
            data_directory: None,
            postmaster: Postmaster::NotWatched,
            statement_texts: StatementTexts::default(),
            custom: Vec::new(),
            wal: None,
            backups: std::sync::Arc::default(),
            proofs: std::sync::Arc::default(),
            readings: Readings::default(),
        }
    }

    /// Whether the role sees what the sessions of others do: without that, counts of sessions are counts of a part.
    ///
    /// # Errors
    /// `Privilege` with what would mend it, when it is known that it sees only its own.
    pub fn sees_all_sessions(&self) -> Result<(), Unknown> {
        let server = self.readings.server.latest.as_ref().and_then(|sample| sample.rows.first());
        match server {
            Some(row) if !row.sees_all_sessions => {
                Err(Unknown::new(Reason::Privilege, "the role sees only its own sessions; run: GRANT pg_monitor TO the role"))
            }
            _ => Ok(()),
        }
    }

    /// An instant of the agent's clock on the server's clock: ages of what the server dates are measured on the server's own.
    pub fn on_server_clock(&self, at: jiff::Timestamp) -> jiff::Timestamp {
        let Some(sample) = &self.readings.server.latest else { return at };
        sample.rows.first().map_or(at, |row| at + row.now.duration_since(sample.at))
    }
}
