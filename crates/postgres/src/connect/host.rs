//! Where a server may be: hosts, addresses, sockets and ports, as lists that belong together.

use super::parameters::Settings;
use super::values::{Values, unreadable};
use pgtend_model::error::{Error, Kind, Result};
use std::fmt;
use std::net::IpAddr;

/// The socket directories to try when nothing names a host: Debian's and PGDG's, then PostgreSQL's own.
pub const DEFAULT_DIRECTORIES: [&str; 2] = ["/var/run/postgresql", "/tmp"];

/// The port when nothing names one.
const DEFAULT_PORT: u16 = 5432;

/// How a host is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// The directory of a Unix socket, or `@name` for an abstract one.
    Socket(String),
    /// A name to be resolved, or an address written as one.
    Name(String),
    /// `hostaddr`, with the name for certificates and password files where there is one.
    Address(IpAddr, Option<String>),
}

/// One host of a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// How it is reached.
    pub place: Place,
    /// The TCP port; for a socket, the number in its name.
    pub port: u16,
}

impl Host {
    /// The name as it was given, an address or socket directory where there is no name.
    pub fn name(&self) -> String {
        match &self.place {
            Place::Socket(name) | Place::Name(name) | Place::Address(_, Some(name)) => name.clone(),
            Place::Address(address, None) => address.to_string(),
        }
    }

    /// The name as password files have it.
    pub fn password_file_name(&self) -> String {
        match &self.place {
            Place::Socket(directory) if DEFAULT_DIRECTORIES.contains(&directory.as_str()) => "localhost".to_owned(),
            _ => self.name(),
        }
    }

    /// The name that a certificate must be for; none for a bare `hostaddr` and for a socket.
    pub fn certified_name(&self) -> Option<&str> {
        match &self.place {
            Place::Name(name) | Place::Address(_, Some(name)) => Some(name),
            Place::Socket(_) | Place::Address(_, None) => None,
        }
    }

    /// The path of the socket; an abstract one starts with a zero byte.
    pub fn socket_path(&self) -> Option<String> {
        let Place::Socket(directory) = &self.place else { return None };
        let start = directory.strip_prefix('@').map_or_else(|| directory.clone(), |name| format!("\0{name}"));
        Some(format!("{start}/.s.PGSQL.{}", self.port))
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Socket(directory) => write!(f, "{directory}/.s.PGSQL.{}", self.port),
            _ if self.name().contains(':') => write!(f, "[{}]:{}", self.name(), self.port),
            _ => write!(f, "{}:{}", self.name(), self.port),
        }
    }
}

/// The hosts that `host`, `hostaddr` and `port` describe together.
///
/// # Errors
/// `Config` when the lists do not fit each other or a value is none.
pub fn read(settings: &Settings) -> Result<Vec<Host>> {
    let names = list(settings, "host");
    let addresses = list(settings, "hostaddr");
    let count = names.len().max(addresses.len()).max(1);
    for (parameter, values) in [("host", &names), ("hostaddr", &addresses)] {
        if !values.is_empty() && values.len() != count {
            let what = format!("{parameter} lists {} hosts, but there are {count}", values.len());
            return Err(Error::new(Kind::Config, what).hint("host and hostaddr have the same number of entries, in the same order"));
        }
    }
    let ports = ports(settings, count)?;
    let mut hosts = Vec::new();
    for (index, port) in ports.into_iter().enumerate() {
        let entry = |values: &Vec<&str>| values.get(index).copied().unwrap_or_default().to_owned();
        hosts.extend(places(entry(&names), &entry(&addresses))?.into_iter().map(|place| Host { place, port }));
    }
    Ok(hosts)
}

fn list<'s>(settings: &'s Settings, name: &str) -> Vec<&'s str> {
    settings.text(name).map(|value| value.split(',').map(str::trim).collect()).unwrap_or_default()
}

fn places(name: String, address: &str) -> Result<Vec<Place>> {
    if !address.is_empty() {
        let parsed = address.parse().map_err(|_| unreadable("hostaddr", "an IP address"))?;
        return Ok(vec![Place::Address(parsed, Some(name).filter(|name| !name.is_empty()))]);
    }
    Ok(match name.chars().next() {
        None => DEFAULT_DIRECTORIES.map(|directory| Place::Socket(directory.to_owned())).to_vec(),
        Some('/' | '@') => vec![Place::Socket(name)],
        // The rest of a password with an "@" in it.
        Some(_) if name.contains('@') => return Err(unreadable("host", "a host name")),
        Some(_) => vec![Place::Name(name)],
    })
}

fn ports(settings: &Settings, count: usize) -> Result<Vec<u16>> {
    let given = list(settings, "port");
    if given.len() > 1 && given.len() != count {
        let what = format!("port lists {} ports, but there are {count} hosts", given.len());
        return Err(Error::new(Kind::Config, what).hint("give one port for all hosts, or one for each"));
    }
    let parse = |text: &str| match text {
        "" => Ok(DEFAULT_PORT),
        _ => text.parse().ok().filter(|port| *port > 0).ok_or_else(|| unreadable("port", "a number from 1 to 65535")),
    };
    (0..count).map(|index| parse(given.get(index).or(given.first()).copied().unwrap_or_default())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(pairs: &[(&'static str, &str)]) -> Result<String> {
        let settings = pairs.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        Ok(read(&settings)?.iter().map(Host::to_string).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn lists_belong_together() {
        assert_eq!(shown(&[]).unwrap(), "/var/run/postgresql/.s.PGSQL.5432 /tmp/.s.PGSQL.5432");
        assert_eq!(shown(&[("host", "a,b"), ("port", "6")]).unwrap(), "a:6 b:6");
        assert_eq!(shown(&[("host", "a, ::1"), ("port", "6,")]).unwrap(), "a:6 [::1]:5432");
        assert_eq!(shown(&[("host", "/tmp,@pg")]).unwrap(), "/tmp/.s.PGSQL.5432 @pg/.s.PGSQL.5432");
        assert_eq!(shown(&[("hostaddr", "10.0.0.1,::1"), ("port", "7")]).unwrap(), "10.0.0.1:7 [::1]:7");
        assert_eq!(shown(&[("host", "db,"), ("hostaddr", "10.0.0.1,10.0.0.2")]).unwrap(), "db:5432 10.0.0.2:5432");
    }

    #[test]
    fn lists_that_do_not_fit_are_refused() {
        for pairs in [
            [("host", "a,b,c"), ("port", "1,2")],
            [("host", "a,b"), ("hostaddr", "10.0.0.1")],
            [("host", "a"), ("hostaddr", "db.example.org")],
            [("host", "a"), ("port", "0")],
            [("host", "a"), ("port", "70000")],
            [("host", "a"), ("port", "six")],
            [("host", "a@b"), ("port", "1")],
        ] {
            assert_eq!(shown(&pairs).unwrap_err().kind, Kind::Config, "{pairs:?}");
        }
    }

    #[test]
    fn abstract_sockets_have_abstract_paths() {
        let host = Host { place: Place::Socket("@pg".into()), port: 6 };
        assert_eq!(host.socket_path().unwrap(), "\0pg/.s.PGSQL.6");
    }
}
