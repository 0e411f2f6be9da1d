//! A session that may change something, unlike those that watch.

use crate::connect::error::classify;
use crate::connect::{Limits, Session, Target};
use pgtend_model::error::{Error, Result};
use pgtend_model::signal::APPLICATION_NAME;
use std::time::Duration;

/// How long a session may take to say goodbye.
const GOODBYE: Duration = Duration::from_millis(500);
/// How long a session may hold a lock while something else is done.
const HELD: Duration = Duration::from_secs(24 * 3600);

/// Such a session.
#[derive(Debug)]
pub struct Writing(Session);

impl Writing {
    /// Opens it. Waiting for a lock is bounded; the work itself is not.
    ///
    /// # Errors
    /// As for connecting.
    pub async fn open(target: &Target, lock_timeout: Duration) -> Result<Self> {
        let limits = Limits { statement_timeout: Duration::ZERO, lock_timeout, idle_in_transaction_timeout: HELD, ..Limits::default() };
        let writing = Self(Session::open(target, &limits, APPLICATION_NAME).await?);
        writing.run("set default_transaction_read_only = off").await?;
        Ok(writing)
    }

    /// Runs a statement.
    ///
    /// # Errors
    /// What the server says.
    pub async fn run(&self, sql: &str) -> Result<()> {
        self.0.client().batch_execute(sql).await.map_err(|error| self.said(&error))
    }

    /// The first column of the first row, as text; none when there is no row, or nothing in it.
    ///
    /// # Errors
    /// What the server says.
    pub async fn ask(&self, sql: &str) -> Result<Option<String>> {
        Ok(self.row(sql).await?.into_iter().next().flatten())
    }

    /// The first row, as texts.
    ///
    /// # Errors
    /// What the server says.
    pub async fn row(&self, sql: &str) -> Result<Vec<Option<String>>> {
        let messages = self.0.client().simple_query(sql).await.map_err(|error| self.said(&error))?;
        let row = messages.into_iter().find_map(|message| match message {
            tokio_postgres::SimpleQueryMessage::Row(row) => Some((0..row.len()).map(|column| row.get(column).map(str::to_owned)).collect()),
            _ => None,
        });
        Ok(row.unwrap_or_default())
    }

    /// `server_version_num`.
    pub fn version(&self) -> u32 {
        self.0.version()
    }

    /// Ends it.
    pub async fn close(self) {
        self.0.close(GOODBYE).await;
    }

    fn said(&self, error: &tokio_postgres::Error) -> Error {
        classify(error).at(self.0.address())
    }
}

/// A text as SQL writes it.
pub fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
