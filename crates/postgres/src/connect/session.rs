//! One connection, guarded.

use super::error::classify;
use pgtend_model::error::{Error, Kind, Result};
use std::time::Duration;
use tokio_postgres::{Client, Config, NoTls};

/// Where connection parameters come from besides the DSN.
#[derive(Debug, Clone, Default)]
pub struct Environment;

impl Environment {
    /// The environment of this process.
    pub fn from_process() -> Self {
        Self
    }
}

/// Effective connection parameters.
#[derive(Debug, Clone)]
pub struct Target(Config);

impl Target {
    /// Reads the parameters.
    ///
    /// # Errors
    /// `Usage` when the DSN cannot be read.
    pub fn resolve(dsn: Option<&str>, _environment: &Environment) -> Result<Self> {
        dsn.unwrap_or("").parse().map(Self).map_err(|_| Error::new(Kind::Usage, "the connection string cannot be read"))
    }

    /// Host and port, without secrets.
    pub fn address(&self) -> String {
        format!("{:?}:{:?}", self.0.get_hosts().first(), self.0.get_ports().first())
    }

    /// The same server, another database.
    #[must_use]
    pub fn with_database(&self, name: &str) -> Self {
        let mut config = self.0.clone();
        config.dbname(name);
        Self(config)
    }

    /// The same, with this password.
    #[must_use]
    pub fn with_password(&self, password: &str) -> Self {
        let mut config = self.0.clone();
        config.password(password);
        Self(config)
    }

    /// The database.
    pub fn database(&self) -> &str {
        self.0.get_dbname().unwrap_or("")
    }
}

/// Bounds of a watching session.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// For the connection attempt.
    pub connect_timeout: Duration,
    /// For each statement.
    pub statement_timeout: Duration,
    /// For each lock.
    pub lock_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(2),
            lock_timeout: Duration::from_millis(200),
        }
    }
}

/// One connection.
#[derive(Debug)]
pub struct Session {
    client: Client,
    driver: tokio::task::JoinHandle<()>,
    version: u32,
}

impl Session {
    /// Opens it.
    ///
    /// # Errors
    /// As [`classify`].
    pub async fn open(target: &Target, _limits: &Limits, application_name: &str) -> Result<Self> {
        let mut config = target.0.clone();
        config.application_name(application_name);
        let (client, connection) = config.connect(NoTls).await.map_err(|error| classify(&error))?;
        let version = connection.parameter("server_version").map_or(0, |text| {
            let digits: String = text.chars().take_while(char::is_ascii_digit).collect();
            digits.parse::<u32>().unwrap_or(0) * 10_000
        });
        #[expect(clippy::disallowed_methods, reason = "the driver of a connection lives and dies with its session")]
        let driver = tokio::spawn(async move {
            let _ended = connection.await;
        });
        Ok(Self { client, driver, version })
    }

    /// The client.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// `server_version_num`.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// Resolves with the reason when the server goes away.
    pub async fn closed(&self) -> Error {
        while !self.is_closed() {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        Error::new(Kind::Unreachable, "the server closed the connection")
    }

    /// Whether the server went away.
    pub fn is_closed(&self) -> bool {
        self.client.is_closed()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.driver.abort();
    }
}
