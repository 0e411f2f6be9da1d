//! What the connection parameters say about TLS, checked as libpq checks them.

use super::super::environment::Environment;
use super::super::parameters::Settings;
use super::super::values::{self, Values};
use pgtend_model::error::{Error, Kind, Result};
use std::path::PathBuf;

/// How much TLS a connection must have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mode {
    /// Never.
    Disable,
    /// Only where the server insists.
    Allow,
    /// Where the server offers it.
    Prefer,
    /// Always; whose certificate it is does not matter, unless a root certificate is there to check it against.
    Require,
    /// Always, with a certificate that a trusted root signed.
    VerifyCa,
    /// Always, with such a certificate that is for this host.
    VerifyFull,
}

/// Where the trusted roots come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Roots {
    /// `sslrootcert=system`: the operating system's.
    System,
    /// A file; it need not exist unless the mode verifies.
    File(PathBuf),
    /// There is neither a parameter nor a home directory.
    Nowhere,
}

/// The TLS versions that may be spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// TLS 1.2.
    V12,
    /// TLS 1.3.
    V13,
}

/// The TLS part of a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsSettings {
    /// `sslmode`.
    pub mode: Mode,
    /// `sslnegotiation=direct`: TLS from the first byte, for PostgreSQL 17 and later.
    pub direct: bool,
    /// `sslrootcert`.
    pub roots: Roots,
    /// `sslcrl`: revocation lists, used where the file exists.
    pub revocations: Option<PathBuf>,
    /// `sslcert` and `sslkey`, used where the certificate exists; none with `sslcertmode=disable`.
    pub client: Option<(PathBuf, PathBuf)>,
    /// `sslsni`: whether the host name is sent in the clear when the handshake starts.
    pub send_name: bool,
    /// `ssl_min_protocol_version` and `ssl_max_protocol_version`.
    pub versions: (Version, Version),
}

impl TlsSettings {
    /// Reads the parameters; files are looked at only when a connection is opened.
    ///
    /// # Errors
    /// `Config` for values that do not exist and combinations that weaken what they ask for.
    pub fn read(settings: &Settings, environment: &Environment) -> Result<Self> {
        let in_home = |name: &str| environment.in_home(".postgresql").map(|directory| directory.join(name));
        let file = |parameter: &str, name: &str| settings.text(parameter).map(PathBuf::from).or_else(|| in_home(name));
        let roots = match settings.text("sslrootcert") {
            Some("system") => Roots::System,
            _ => file("sslrootcert", "root.crt").map_or(Roots::Nowhere, Roots::File),
        };
        let default = if roots == Roots::System { Mode::VerifyFull } else { Mode::Prefer };
        let read = Self {
            mode: settings.choice("sslmode", MODES)?.unwrap_or(default),
            direct: settings.choice("sslnegotiation", &[("postgres", false), ("direct", true)])?.unwrap_or(false),
            roots,
            revocations: file("sslcrl", "root.crl"),
            client: match settings.text("sslcertmode") {
                Some("disable") => None,
                _ => file("sslcert", "postgresql.crt").zip(file("sslkey", "postgresql.key")),
            },
            send_name: settings.switch("sslsni")?.unwrap_or(true),
            versions: versions(settings)?,
        };
        read.check()
    }

    fn check(self) -> Result<Self> {
        if self.roots == Roots::System && self.mode != Mode::VerifyFull {
            let what = format!("sslmode={} is too weak for sslrootcert=system", self.mode.name());
            return Err(
                Error::new(Kind::Config, what).hint("anybody can get a certificate from a public authority: use sslmode=verify-full")
            );
        }
        if self.direct && self.mode < Mode::Require {
            let what = format!("sslmode={} is too weak for sslnegotiation=direct", self.mode.name());
            return Err(Error::new(Kind::Config, what).hint("use sslmode=require, verify-ca or verify-full"));
        }
        Ok(self)
    }
}

const MODES: values::Choices<Mode> = &[
    ("disable", Mode::Disable),
    ("allow", Mode::Allow),
    ("prefer", Mode::Prefer),
    ("require", Mode::Require),
    ("verify-ca", Mode::VerifyCa),
    ("verify-full", Mode::VerifyFull),
];

impl Mode {
    /// The value of `sslmode`.
    pub fn name(self) -> &'static str {
        MODES.iter().find(|(_, mode)| *mode == self).map_or("", |(name, _)| name)
    }
}

fn versions(settings: &Settings) -> Result<(Version, Version)> {
    // Versions before 1.2 are as good as none: rustls does not speak them.
    let lowest = &[("TLSv1", Version::V12), ("TLSv1.1", Version::V12), ("TLSv1.2", Version::V12), ("TLSv1.3", Version::V13)];
    let highest = &[("TLSv1.2", Version::V12), ("TLSv1.3", Version::V13)];
    let least = settings.choice("ssl_min_protocol_version", lowest)?.unwrap_or(Version::V12);
    let most = settings.choice("ssl_max_protocol_version", highest)?.unwrap_or(Version::V13);
    if least > most {
        return Err(Error::new(Kind::Config, "ssl_min_protocol_version is above ssl_max_protocol_version"));
    }
    Ok((least, most))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(pairs: &[(&'static str, &str)]) -> Result<TlsSettings> {
        let settings = pairs.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        TlsSettings::read(&settings, &Environment { home: Some("/home/app".into()), ..Environment::default() })
    }

    #[test]
    fn defaults_are_libpqs() {
        let tls = reading(&[]).unwrap();
        assert_eq!(tls.mode, Mode::Prefer);
        assert_eq!(tls.roots, Roots::File("/home/app/.postgresql/root.crt".into()));
        assert_eq!(tls.client, Some(("/home/app/.postgresql/postgresql.crt".into(), "/home/app/.postgresql/postgresql.key".into())));
        assert_eq!(tls.versions, (Version::V12, Version::V13));
    }

    #[test]
    fn system_roots_verify_the_host() {
        assert_eq!(reading(&[("sslrootcert", "system")]).unwrap().mode, Mode::VerifyFull);
        for weak in ["disable", "allow", "prefer", "require", "verify-ca"] {
            let error = reading(&[("sslrootcert", "system"), ("sslmode", weak)]).unwrap_err();
            assert!(error.what.contains(weak), "{error}");
        }
    }

    #[test]
    fn direct_negotiation_needs_tls() {
        assert!(reading(&[("sslnegotiation", "direct")]).is_err());
        assert!(reading(&[("sslnegotiation", "direct"), ("sslmode", "require")]).unwrap().direct);
    }

    #[test]
    fn values_that_do_not_exist_are_refused() {
        let error = reading(&[("sslmode", "verify_full")]).unwrap_err();
        assert_eq!(error.what, "sslmode cannot be \"verify_full\"");
        assert_eq!(reading(&[("sslmode", "requirepassword=geheim")]).unwrap_err().what, "sslmode cannot be what it is");
        assert!(error.hint.contains("verify-full"), "{error}");
        assert!(reading(&[("ssl_min_protocol_version", "TLSv1.3"), ("ssl_max_protocol_version", "TLSv1.2")]).is_err());
    }
}
