//! The connection parameters that libpq knows, with their environment variables, and what becomes of each here.

use pgtend_model::error::{Error, Kind, Result};
use std::collections::BTreeMap;

/// Connection parameters by their libpq names, from one source or from all together.
pub type Settings = BTreeMap<&'static str, String>;

/// What becomes of a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Support {
    /// It has its effect, as in libpq.
    Honoured,
    /// It makes no difference here.
    Irrelevant,
    /// Only these values can be honoured.
    Only(&'static [&'static str]),
    /// It cannot be honoured; why.
    Refused(&'static str),
}

/// A parameter of libpq.
#[derive(Debug)]
pub struct Parameter {
    /// Its name in a DSN and in a service file.
    pub name: &'static str,
    /// The environment variable that gives it when nothing else does; empty when there is none.
    pub variable: &'static str,
    /// What becomes of it.
    pub support: Support,
}

use Support::{Honoured, Irrelevant, Only, Refused};

const GSS: Support = Refused("pgtend has no GSSAPI; authenticate by password or certificate");
const OAUTH: Support = Refused("pgtend has no OAuth; authenticate by password or certificate");

/// All of them, in libpq's order.
pub const PARAMETERS: &[Parameter] = &[
    row("service", "PGSERVICE", Honoured),
    row("servicefile", "PGSERVICEFILE", Honoured),
    row("user", "PGUSER", Honoured),
    row("password", "PGPASSWORD", Honoured),
    row("passfile", "PGPASSFILE", Honoured),
    row("channel_binding", "PGCHANNELBINDING", Honoured),
    row("connect_timeout", "PGCONNECT_TIMEOUT", Honoured),
    row("dbname", "PGDATABASE", Honoured),
    row("host", "PGHOST", Honoured),
    row("hostaddr", "PGHOSTADDR", Honoured),
    row("port", "PGPORT", Honoured),
    // Text travels as UTF-8 whatever the terminal's encoding is.
    row("client_encoding", "PGCLIENTENCODING", Irrelevant),
    row("options", "PGOPTIONS", Honoured),
    row("application_name", "PGAPPNAME", Honoured),
    row("fallback_application_name", "", Honoured),
    row("keepalives", "", Honoured),
    row("keepalives_idle", "", Honoured),
    row("keepalives_interval", "", Honoured),
    row("keepalives_count", "", Honoured),
    row("tcp_user_timeout", "", Honoured),
    row("sslmode", "PGSSLMODE", Honoured),
    row("sslnegotiation", "PGSSLNEGOTIATION", Honoured),
    row("sslcompression", "PGSSLCOMPRESSION", Only(&["0"])),
    row("sslcert", "PGSSLCERT", Honoured),
    row("sslkey", "PGSSLKEY", Honoured),
    row("sslcertmode", "PGSSLCERTMODE", Only(&["disable", "allow"])),
    row("sslpassword", "", Refused("pgtend reads only keys that are not encrypted; `openssl pkey -in KEY -out NEW` removes the password")),
    row("sslrootcert", "PGSSLROOTCERT", Honoured),
    row("sslcrl", "PGSSLCRL", Honoured),
    row("sslcrldir", "PGSSLCRLDIR", Refused("put the revocation lists into one file and name it by sslcrl")),
    row("sslsni", "PGSSLSNI", Honoured),
    row("sslkeylogfile", "", Refused("pgtend never writes session keys")),
    row("requirepeer", "PGREQUIREPEER", Refused("use a socket directory that only the server's user can write to")),
    row("require_auth", "PGREQUIREAUTH", Refused("use channel_binding=require, which accepts SCRAM only, or sslmode=verify-full")),
    row("ssl_min_protocol_version", "PGSSLMINPROTOCOLVERSION", Honoured),
    row("ssl_max_protocol_version", "PGSSLMAXPROTOCOLVERSION", Honoured),
    row("min_protocol_version", "PGMINPROTOCOLVERSION", Only(&["3.0"])),
    row("max_protocol_version", "PGMAXPROTOCOLVERSION", Only(&["3.0", "latest"])),
    row("gssencmode", "PGGSSENCMODE", Only(&["disable", "prefer"])),
    row("krbsrvname", "PGKRBSRVNAME", GSS),
    row("gsslib", "PGGSSLIB", GSS),
    row("gssdelegation", "PGGSSDELEGATION", GSS),
    row("replication", "", Only(&["false", "off", "no", "0"])),
    row("target_session_attrs", "PGTARGETSESSIONATTRS", Honoured),
    row("load_balance_hosts", "PGLOADBALANCEHOSTS", Honoured),
    row("scram_client_key", "", Refused("give the password itself, or a password file")),
    row("scram_server_key", "", Refused("give the password itself, or a password file")),
    row("oauth_issuer", "", OAUTH),
    row("oauth_client_id", "", OAUTH),
    row("oauth_client_secret", "", OAUTH),
    row("oauth_scope", "", OAUTH),
];

const fn row(name: &'static str, variable: &'static str, support: Support) -> Parameter {
    Parameter { name, variable, support }
}

/// Puts a value under its name, when there is such a parameter and the value can be honoured.
///
/// # Errors
/// `Config` for an unknown name, with the one that was probably meant, and for what cannot be honoured.
pub fn put(settings: &mut Settings, name: &str, value: String) -> Result<()> {
    let parameter = PARAMETERS.iter().find(|parameter| parameter.name == name).ok_or_else(|| unknown(name))?;
    match parameter.support {
        Refused(why) => return Err(refused(name, why)),
        Only(values) if !value.is_empty() && !values.contains(&value.as_str()) => {
            return Err(refused(&format!("{name}={value}"), &format!("{name} can be {}", values.join(" or "))));
        }
        Honoured | Irrelevant | Only(_) => {}
    }
    settings.insert(parameter.name, value);
    Ok(())
}

/// Adds what another source says about parameters that nothing has set so far.
pub fn fill(settings: &mut Settings, other: Settings) {
    for (name, value) in other {
        settings.entry(name).or_insert(value);
    }
}

fn refused(what: &str, why: &str) -> Error {
    Error::new(Kind::Config, format!("the connection parameter {what} cannot be honoured")).hint(why)
}

/// How alike two names must be (Jaro–Winkler, 0 to 1) before one is taken for a slip of the other.
const ALIKE: f64 = 0.84;

fn unknown(name: &str) -> Error {
    let error = Error::new(Kind::Config, format!("there is no connection parameter \"{name}\""));
    let likeness = |parameter: &Parameter| strsim::jaro_winkler(name, parameter.name);
    match PARAMETERS.iter().map(|parameter| (likeness(parameter), parameter.name)).max_by(|one, other| one.0.total_cmp(&other.0)) {
        Some((likeness, meant)) if likeness >= ALIKE => error.hint(format!("did you mean \"{meant}\"?")),
        _ => error.hint("the names are those of libpq: host, port, dbname, user, password, sslmode, …"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn putting(name: &str, value: &str) -> Result<Settings> {
        let mut settings = Settings::new();
        put(&mut settings, name, value.to_owned()).map(|()| settings)
    }

    #[test]
    fn a_slip_is_told_what_was_probably_meant() {
        for (slip, meant) in [("pasword", "password"), ("ssl_mode", "sslmode"), ("databasename", ""), ("dbnam", "dbname"), ("prot", "port")]
        {
            let error = putting(slip, "x").unwrap_err();
            assert_eq!(error.kind, Kind::Config);
            let expected = if meant.is_empty() { "the names are those of libpq".to_owned() } else { format!("did you mean \"{meant}\"?") };
            assert!(error.hint.starts_with(&expected), "{slip}: {}", error.hint);
        }
    }

    #[test]
    fn what_cannot_be_honoured_says_so() {
        assert!(putting("krbsrvname", "postgres").unwrap_err().hint.contains("GSSAPI"));
        assert!(putting("gssencmode", "require").unwrap_err().hint.contains("disable or prefer"));
        assert!(putting("gssencmode", "prefer").is_ok());
        assert!(putting("sslpassword", "geheim").unwrap_err().to_string().find("geheim").is_none());
    }

    #[test]
    fn the_first_source_stands() {
        let mut settings = putting("host", "dsn").unwrap();
        fill(&mut settings, putting("host", "environment").unwrap());
        fill(&mut settings, putting("port", "5433").unwrap());
        assert_eq!(settings, Settings::from([("host", "dsn".to_owned()), ("port", "5433".to_owned())]));
    }
}
