//! The effective parameters of a connection, gathered as libpq gathers them.

use super::environment::Environment;
use super::host::{self, Host};
use super::parameters::{PARAMETERS, Settings, fill, put};
use super::passfile::{self, Wanted};
use super::tls::TlsSettings;
use super::values::{Choices, Values};
use super::{dsn, service};
use pgtend_model::error::{Error, Kind, Result};
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;
use tokio_postgres::config::ChannelBinding;

/// Text that shows itself as `***`.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Secret(pub(super) String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Which of several servers will do: `target_session_attrs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wants {
    Any,
    ReadWrite,
    ReadOnly,
    Primary,
    Standby,
    PreferStandby,
}

const WANTS: Choices<Wants> = &[
    ("any", Wants::Any),
    ("read-write", Wants::ReadWrite),
    ("read-only", Wants::ReadOnly),
    ("primary", Wants::Primary),
    ("standby", Wants::Standby),
    ("prefer-standby", Wants::PreferStandby),
];

/// The `keepalives…` parameters and `tcp_user_timeout`; nothing given leaves it to [`super::dial`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tcp {
    pub keepalives: bool,
    pub idle: Option<Duration>,
    pub interval: Option<Duration>,
    pub count: Option<u32>,
    pub user_timeout: Option<Duration>,
}

/// Where to connect, as whom, and how. Its debug form masks the password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    pub(super) hosts: Vec<Host>,
    pub(super) shuffle: bool,
    pub(super) wants: Wants,
    pub(super) user: String,
    pub(super) database: String,
    pub(super) options: String,
    pub(super) application_name: Option<String>,
    pub(super) connect_timeout: Option<Duration>,
    pub(super) channel_binding: ChannelBinding,
    pub(super) tls: TlsSettings,
    pub(super) tcp: Tcp,
    pub(super) password: Option<Secret>,
    pub(super) passfile: Option<PathBuf>,
    /// What was given, without the password, for programs that connect by libpq.
    pub(super) given: Settings,
}

impl Target {
    /// Gathers the parameters: the connection string first, then the service file, then the environment, then the defaults.
    ///
    /// # Errors
    /// `Config`, with the place, for what cannot be read, does not exist, or cannot be honoured.
    pub fn resolve(dsn: Option<&str>, environment: &Environment) -> Result<Self> {
        let mut settings = dsn.map(dsn::parse).transpose()?.unwrap_or_default();
        let surroundings = variables(environment)?;
        let of = |name| settings.get(name).or_else(|| surroundings.get(name)).filter(|value| !value.is_empty());
        let service = match of("service") {
            Some(service) => service::read(service, of("servicefile").map(String::as_str), environment)?,
            None => Settings::new(),
        };
        fill(&mut settings, service);
        fill(&mut settings, surroundings);
        let target = Self::effective(&settings, environment)?;
        if let Some(complaint) = target.passfile_complaint() {
            tracing::warn!("{complaint}");
        }
        Ok(target)
    }

    fn effective(settings: &Settings, environment: &Environment) -> Result<Self> {
        let owned = |name: &str| settings.text(name).map(str::to_owned);
        let user = owned("user").or_else(|| Some(environment.user.clone()).filter(|user| !user.is_empty()));
        let user = user.ok_or_else(|| Error::new(Kind::Config, "no database user is given").hint("add user=NAME or set PGUSER"))?;
        let binding = [("disable", ChannelBinding::Disable), ("prefer", ChannelBinding::Prefer), ("require", ChannelBinding::Require)];
        Ok(Self {
            hosts: host::read(settings)?,
            shuffle: settings.choice("load_balance_hosts", &[("disable", false), ("random", true)])?.unwrap_or(false),
            wants: settings.choice("target_session_attrs", WANTS)?.unwrap_or(Wants::Any),
            database: owned("dbname").unwrap_or_else(|| user.clone()),
            user,
            options: owned("options").unwrap_or_default(),
            application_name: owned("application_name").or_else(|| owned("fallback_application_name")),
            connect_timeout: seconds(settings, "connect_timeout")?,
            channel_binding: settings.choice("channel_binding", &binding)?.unwrap_or(ChannelBinding::Prefer),
            tls: TlsSettings::read(settings, environment)?,
            tcp: Tcp {
                keepalives: settings.number::<i64>("keepalives")? != Some(0),
                idle: seconds(settings, "keepalives_idle")?,
                interval: seconds(settings, "keepalives_interval")?,
                count: settings.number("keepalives_count")?.filter(|count| *count > 0),
                user_timeout: settings.number("tcp_user_timeout")?.filter(|ms| *ms > 0).map(Duration::from_millis),
            },
            password: owned("password").map(Secret),
            passfile: owned("passfile").map(PathBuf::from).or_else(|| environment.in_home(".pgpass")),
            given: settings.iter().filter(|(name, _)| **name != "password").map(|(name, value)| (*name, value.clone())).collect(),
        })
    }

    /// The same server, another database.
    #[must_use]
    pub fn with_database(&self, name: &str) -> Self {
        Self { database: name.to_owned(), ..self.clone() }
    }

    /// The same server with this password, whatever the password file says.
    #[must_use]
    pub fn with_password(&self, password: impl Into<String>) -> Self {
        Self { password: Some(Secret(password.into())), ..self.clone() }
    }

    /// The same server as another role. A password that was given is not that role's; the password file may have it.
    #[must_use]
    pub fn with_user(&self, name: &str) -> Self {
        Self { user: name.to_owned(), password: None, ..self.clone() }
    }

    /// Whether there is a password for the first host: given, or in the password file.
    pub fn has_password(&self) -> bool {
        self.hosts.first().is_some_and(|host| self.password(host).is_some())
    }

    /// Where the server is, as `host:port` or the path of the socket; several hosts are separated by commas.
    pub fn address(&self) -> String {
        self.hosts.iter().map(Host::to_string).collect::<Vec<_>>().join(",")
    }

    /// The database.
    pub fn database(&self) -> &str {
        &self.database
    }

    /// The user.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The first host: a name, an address or a socket directory.
    pub fn host(&self) -> String {
        self.hosts.first().map(Host::name).unwrap_or_default()
    }

    /// The first host's port.
    pub fn port(&self) -> u16 {
        self.hosts.first().map_or(0, |host| host.port)
    }

    /// The password for a host: the one given, or the password file's, which is read each time because it may change.
    pub(super) fn password(&self, host: &Host) -> Option<String> {
        if let Some(Secret(password)) = &self.password {
            return Some(password.clone());
        }
        let name = host.password_file_name();
        let wanted = Wanted { host: &name, port: host.port, database: &self.database, user: &self.user };
        passfile::lookup(self.passfile.as_deref()?, wanted)
    }

    /// Why the password file is ignored, when it is and matters.
    pub(super) fn passfile_complaint(&self) -> Option<String> {
        let passfile = self.passfile.as_deref().filter(|_| self.password.is_none())?;
        passfile::complaint(passfile)
    }
}

/// What the environment's variables say.
fn variables(environment: &Environment) -> Result<Settings> {
    let mut settings = Settings::new();
    for parameter in PARAMETERS.iter().filter(|parameter| !parameter.variable.is_empty()) {
        if let Some(value) = environment.variable(parameter.variable) {
            let place = || format!("environment variable {}", parameter.variable);
            put(&mut settings, parameter.name, value.to_owned()).map_err(|error| error.at(place()))?;
        }
    }
    Ok(settings)
}

/// A number of seconds; zero and less stand for the default.
fn seconds(settings: &Settings, name: &str) -> Result<Option<Duration>> {
    let number: Option<i64> = settings.number(name)?;
    Ok(number.and_then(|number| u64::try_from(number).ok()).filter(|number| *number > 0).map(Duration::from_secs))
}

#[cfg(test)]
#[path = "target_tests.rs"]
mod tests;
