//! The task that moves a connection's bytes, bound to the life of its session.

use super::error::classify;
use super::tls::Wire;
use pgtend_model::error::{Error, Kind};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_postgres::Connection;

/// A connection as `tokio-postgres` makes it.
pub type Line = Connection<Wire, Wire>;

/// The running task; dropping it ends the task and with it the connection.
#[derive(Debug)]
pub struct Driver {
    task: JoinHandle<()>,
    ended: watch::Receiver<Option<Error>>,
}

impl Driver {
    /// Starts moving bytes.
    pub fn start(line: Line) -> Self {
        let (report, ended) = watch::channel(None);
        #[expect(clippy::disallowed_methods, reason = "a driver ends with its session, which aborts it")]
        // tidy: allow(spawn) it ends with its session, so it can neither leak nor outlive a shutdown
        let task = tokio::spawn(async move {
            let why = match line.await {
                Ok(()) => Error::new(Kind::Unreachable, "the connection was closed on this side"),
                Err(error) => classify(&error),
            };
            report.send_replace(Some(why));
        });
        Self { task, ended }
    }

    /// Waits until the connection has ended, and says why.
    pub async fn ended(&self) -> Error {
        let mut ended = self.ended.clone();
        let why = ended.wait_for(Option::is_some).await.ok().and_then(|why| why.clone());
        why.unwrap_or_else(|| Error::new(Kind::Unreachable, "the connection was dropped on this side"))
    }

    /// Why the connection has ended, if it has.
    pub fn end(&self) -> Option<Error> {
        self.ended.borrow().clone()
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.task.abort();
    }
}
