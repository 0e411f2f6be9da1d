//! One guarded connection to one server.

use super::attempt::{Attempt, Opened};
use super::dial::Endpoint;
use super::driver::Driver;
use super::error;
use super::open::open;
use super::secure::{NoWire, Step, secure};
use super::startup::Bounds;
use super::target::Target;
use super::tls::Established;
use pgtend_model::error::{Error, Result};
use std::time::Duration;
use tokio_postgres::Client;

/// Bounds of a session that watches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// For connecting to one address, login included, unless the target has a `connect_timeout` of its own; also for cancelling.
    pub connect_timeout: Duration,
    /// For each statement.
    pub statement_timeout: Duration,
    /// For waiting for each lock.
    pub lock_timeout: Duration,
    /// For standing idle in a transaction.
    pub idle_in_transaction_timeout: Duration,
    /// Whether everything else is as in any session of the role: `search_path`, `jit` and the like.
    pub as_the_role: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(2),
            lock_timeout: Duration::from_millis(200),
            idle_in_transaction_timeout: Duration::from_secs(10),
            as_the_role: false,
        }
    }
}

/// One connection that bounds what it does to the server: statements and lock waits time out, transactions are read-only.
///
/// Dropping it ends the connection at once.
pub struct Session {
    client: Client,
    driver: Driver,
    endpoint: Endpoint,
    target: Target,
    patience: Duration,
    encrypted: bool,
    version: u32,
    backend_pid: i32,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Session({}, pid {})", self.endpoint, self.backend_pid)
    }
}

impl Session {
    /// Opens a connection to the first server of the target that will do. `application_name` is what `pg_stat_activity` shows,
    /// unless the target names another.
    ///
    /// # Errors
    /// `Unreachable`, `Rejecting`, `Timeout`, `Authentication`, `Privilege`, `NotFound` (the database), `Unsupported`, `Config`,
    /// with the address.
    pub async fn open(target: &Target, limits: &Limits, application_name: &str) -> Result<Self> {
        let attempt = Attempt { target, limits, application_name, bounds: Bounds::First };
        let (opened, endpoint) = open(attempt).await?;
        let Opened { client, driver, encrypted, version, backend_pid, .. } = opened;
        Ok(Self { client, driver, endpoint, target: target.clone(), patience: attempt.patience(), encrypted, version, backend_pid })
    }

    /// The client to run queries with.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The server's version as `server_version_num` has it: 150018 is 15.18.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// The pid of the server process that serves this session.
    pub fn backend_pid(&self) -> i32 {
        self.backend_pid
    }

    /// Whether the connection is encrypted by TLS.
    pub fn is_encrypted(&self) -> bool {
        self.encrypted
    }

    /// The server that was chosen, as `host:port` or the path of the socket, with the IP address where that says more.
    pub fn address(&self) -> String {
        self.endpoint.to_string()
    }

    /// Whether the connection has ended.
    pub fn is_closed(&self) -> bool {
        self.client.is_closed() || self.driver.end().is_some()
    }

    /// Waits until the connection has ended, and says why.
    pub async fn closed(&self) -> Error {
        self.driver.ended().await.at(self.address())
    }

    /// Asks the server to cancel the statement that runs in this session; whether it was still running nobody says.
    ///
    /// # Errors
    /// As for opening, when the server cannot be reached within the time for connecting.
    pub async fn cancel(&self) -> Result<()> {
        let request = async {
            let dialled = self.endpoint.dial(&self.target.tcp).await;
            let socket = dialled.map_err(|cause| error::not_connected(self.endpoint.ip().is_none(), &cause))?;
            let step = if self.encrypted { Step::Required } else { Step::Plain };
            let wire = secure(socket, &self.endpoint, &self.target.tls, step).await;
            let wire = wire.map_err(|(NoWire::Network(error) | NoWire::Tls(error))| error)?;
            self.client.cancel_token().cancel_query_raw(wire, Established).await.map_err(|cause| error::classify(&cause))
        };
        let outcome = tokio::time::timeout(self.patience, Box::pin(request)).await;
        outcome.unwrap_or_else(|_| Err(error::silent(self.patience))).map_err(|error| error.at(self.address()))
    }

    /// Says goodbye, so that the server does not log a lost connection, and waits for the end, at most for `patience`.
    pub async fn close(self, patience: Duration) {
        let Self { client, driver, .. } = self;
        drop(client);
        let _ended = tokio::time::timeout(patience, driver.ended()).await;
    }
}
