//! One attempt at one endpoint: socket, TLS, authentication, and the session's settings; and what a failure leaves to try.

use super::dial::Endpoint;
use super::driver::Driver;
use super::secure::{NoWire, Step, secure};
use super::session::Limits;
use super::startup::{self, Bounds};
use super::target::Target;
use super::tls::{Established, Wire};
use super::{error, version};
use pgtend_model::error::{Error, Kind};
use std::time::Duration;
use tokio::time::{Instant, timeout_at};
use tokio_postgres::config::{SslMode, SslNegotiation};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Config, SimpleQueryMessage};

/// What an attempt needs to know.
#[derive(Clone, Copy)]
pub struct Attempt<'a> {
    /// Where, as whom, and how.
    pub target: &'a Target,
    /// The session's bounds.
    pub limits: &'a Limits,
    /// The name for `pg_stat_activity`, unless the target has one of its own.
    pub application_name: &'a str,
    /// When the session's bounds are set.
    pub bounds: Bounds,
}

/// What a failed attempt leaves to try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    /// The same endpoint with the session's bounds in the startup packet.
    BoundsAtStartup,
    /// The same endpoint with or without TLS.
    OtherEncryption,
    /// Another endpoint.
    OtherEndpoint,
    /// Nothing: the server has spoken.
    Nothing,
}

/// Why an attempt failed.
#[derive(Debug)]
pub struct Failure {
    /// For a person.
    pub error: Error,
    /// What is left to try.
    pub left: Left,
}

/// A connection that is ready for queries.
pub struct Opened {
    /// The client.
    pub client: Client,
    /// Its driver.
    pub driver: Driver,
    /// Whether it is encrypted.
    pub encrypted: bool,
    /// The server's `version_num`.
    pub version: u32,
    /// The pid of the server process.
    pub backend_pid: i32,
    /// Whether the server is in recovery.
    pub standby: bool,
    /// Whether transactions of this role are read-only without our doing.
    pub read_only: bool,
}

impl Attempt<'_> {
    /// The time that an endpoint has.
    pub fn patience(&self) -> Duration {
        self.target.connect_timeout.unwrap_or(self.limits.connect_timeout)
    }

    /// Goes through with it.
    pub async fn run(&self, endpoint: &Endpoint, step: Step) -> Result<Opened, Failure> {
        let patience = self.patience();
        let deadline = Instant::now() + patience;
        let socket = match timeout_at(deadline, endpoint.dial(&self.target.tcp)).await {
            Err(_) => return Err(elsewhere(error::no_answer(patience))),
            Ok(Err(cause)) => return Err(elsewhere(error::not_connected(endpoint.ip().is_none(), &cause))),
            Ok(Ok(socket)) => socket,
        };
        let conversation = async {
            let wire = secure(socket, endpoint, &self.target.tls, step).await.map_err(|why| without_wire(why, step))?;
            self.log_in(wire, endpoint, step).await
        };
        // The futures of TLS and authentication are large; one box for both keeps the caller's small.
        timeout_at(deadline, Box::pin(conversation)).await.unwrap_or_else(|_| Err(elsewhere(error::silent(patience))))
    }

    async fn log_in(&self, wire: Wire, endpoint: &Endpoint, step: Step) -> Result<Opened, Failure> {
        let encrypted = wire.is_tls();
        let config = self.config(endpoint, encrypted);
        let connected = config.connect_raw(wire, Established).await;
        let (client, connection) = connected.map_err(|cause| self.refused(&cause, encrypted, step))?;
        let version = version::parse(connection.parameter("server_version").unwrap_or_default()).map_err(final_word)?;
        let driver = Driver::start(connection);
        let messages = client.simple_query(&startup::settle(version, self.limits)).await;
        let messages = messages.map_err(|cause| self.unsettled(&cause))?;
        let row = messages.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        });
        let text = |column: usize| row.and_then(|row| row.get(column)).unwrap_or_default();
        let (backend_pid, standby, read_only) = (text(0).parse().unwrap_or_default(), text(1) == "t", text(2) == "on");
        Ok(Opened { backend_pid, standby, read_only, client, driver, encrypted, version })
    }

    fn config(&self, endpoint: &Endpoint, encrypted: bool) -> Config {
        let mut config = Config::new();
        config.user(&self.target.user).dbname(&self.target.database).channel_binding(self.target.channel_binding);
        config.options(startup::options(&self.target.options, self.limits, self.bounds));
        config.application_name(self.target.application_name.as_deref().unwrap_or(self.application_name));
        if let Some(password) = self.target.password(endpoint.host()) {
            config.password(password);
        }
        if encrypted {
            // `Direct` keeps tokio-postgres from negotiating what is already there.
            config.ssl_mode(SslMode::Require).ssl_negotiation(SslNegotiation::Direct);
        } else {
            config.ssl_mode(SslMode::Disable);
        }
        config
    }

    /// What it means that the first statements failed: a role's own `statement_timeout` may be shorter than even they take.
    fn unsettled(&self, cause: &tokio_postgres::Error) -> Failure {
        let is_hurried = cause.code() == Some(&SqlState::QUERY_CANCELED) && self.bounds == Bounds::First;
        let left = if is_hurried { Left::BoundsAtStartup } else { Left::Nothing };
        Failure { error: error::classify(cause), left }
    }

    /// What it means that the server did not let us in.
    fn refused(&self, cause: &tokio_postgres::Error, encrypted: bool, step: Step) -> Failure {
        let mut error = startup::explain(cause);
        if error.kind == Kind::Authentication
            && let Some(complaint) = self.target.passfile_complaint()
        {
            error.hint = complaint;
        }
        let code = cause.code().map_or("", |code| code.code());
        let left = match code {
            // Which TLS a host must use is for pg_hba.conf to say.
            _ if code.starts_with("28") && step == Step::Offered && encrypted => Left::OtherEncryption,
            _ if code.starts_with("28") && step == Step::Plain => Left::OtherEncryption,
            "57P03" => Left::OtherEndpoint,
            "" if error.kind == Kind::Unreachable => Left::OtherEndpoint,
            _ => Left::Nothing,
        };
        Failure { error, left }
    }
}

fn without_wire(why: NoWire, step: Step) -> Failure {
    match why {
        NoWire::Network(error) => elsewhere(error),
        NoWire::Tls(error) if step == Step::Offered => Failure { error, left: Left::OtherEncryption },
        NoWire::Tls(error) => final_word(error),
    }
}

fn elsewhere(error: Error) -> Failure {
    Failure { error, left: Left::OtherEndpoint }
}

fn final_word(error: Error) -> Failure {
    Failure { error, left: Left::Nothing }
}
