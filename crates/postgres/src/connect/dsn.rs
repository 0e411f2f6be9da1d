//! Connection strings as libpq reads them: URIs, and lists of `key=value`.

use super::parameters::{Settings, put};
use pgtend_model::error::{Error, Kind, Result};
use std::iter::Peekable;
use std::str::Chars;

/// Reads a connection string. A word that is neither a URI nor a list of `key=value` names a database, as for `psql`.
///
/// # Errors
/// `Config` when it cannot be read; the message never quotes a value, which may be a password.
pub fn parse(dsn: &str) -> Result<Settings> {
    let uri = ["postgresql://", "postgres://"].iter().find_map(|designator| dsn.strip_prefix(designator));
    let read = match uri {
        Some(rest) => parse_uri(rest),
        None if dsn.contains('=') => parse_pairs(dsn),
        None if dsn.trim().is_empty() => Ok(Settings::new()),
        None => parse_name(dsn),
    };
    read.map_err(|error| Error { what: format!("the connection string cannot be read: {}", error.what), ..error })
}

fn parse_name(dsn: &str) -> Result<Settings> {
    if dsn.contains([':', '/', ' ', '@']) {
        let error = Error::new(Kind::Config, "this is neither a connection URI, nor key=value, nor the name of a database");
        return Err(error.hint("write postgresql://USER@HOST:PORT/DATABASE or host=HOST port=PORT dbname=DATABASE user=USER"));
    }
    Ok(Settings::from([("dbname", dsn.to_owned())]))
}

/// `key = value` pairs. A value with spaces is in single quotes; a backslash takes the next character as it is.
fn parse_pairs(text: &str) -> Result<Settings> {
    let mut settings = Settings::new();
    let mut rest = text.chars().peekable();
    while skip_spaces(&mut rest) {
        let mut name = String::new();
        while let Some(next) = rest.next_if(|next| *next != '=' && !next.is_ascii_whitespace()) {
            name.push(next);
        }
        skip_spaces(&mut rest);
        if rest.next() != Some('=') {
            return Err(Error::new(Kind::Config, "a word is followed by no \"=\"").hint("put values with spaces in single quotes"));
        }
        skip_spaces(&mut rest);
        let value = if rest.next_if_eq(&'\'').is_some() { quoted(&mut rest)? } else { unquoted(&mut rest) };
        put(&mut settings, &name, value)?;
    }
    Ok(settings)
}

/// Whether anything follows the spaces.
fn skip_spaces(rest: &mut Peekable<Chars<'_>>) -> bool {
    while rest.next_if(char::is_ascii_whitespace).is_some() {}
    rest.peek().is_some()
}

fn unquoted(rest: &mut Peekable<Chars<'_>>) -> String {
    let mut value = String::new();
    while let Some(next) = rest.next_if(|next| !next.is_ascii_whitespace()) {
        value.extend(if next == '\\' { rest.next() } else { Some(next) });
    }
    value
}

fn quoted(rest: &mut Peekable<Chars<'_>>) -> Result<String> {
    let mut value = String::new();
    loop {
        match rest.next() {
            None => return Err(Error::new(Kind::Config, "a quoted value has no closing quote")),
            Some('\'') => return Ok(value),
            Some('\\') => value.extend(rest.next()),
            Some(next) => value.push(next),
        }
    }
}

/// What follows the designator: `[user[:password]@][host[:port],…][/database][?name=value&…]`.
fn parse_uri(rest: &str) -> Result<Settings> {
    let mut settings = Settings::new();
    let authority_end = rest.find('/').unwrap_or(rest.len());
    let (credentials, rest) = match rest[..authority_end].find('@') {
        Some(at) => (Some(&rest[..at]), &rest[at + 1..]),
        None => (None, rest),
    };
    if let Some(credentials) = credentials {
        let (user, password) = credentials.split_once(':').unwrap_or((credentials, ""));
        put_unless_empty(&mut settings, "user", decode(user)?)?;
        put_unless_empty(&mut settings, "password", decode(password)?)?;
    }
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (hosts, database) = rest.split_once('/').unwrap_or((rest, ""));
    parse_hosts(hosts, &mut settings)?;
    put_unless_empty(&mut settings, "dbname", decode(database)?)?;
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        parse_query_pair(pair, &mut settings)?;
    }
    Ok(settings)
}

fn parse_hosts(hosts: &str, settings: &mut Settings) -> Result<()> {
    let (mut names, mut ports) = (Vec::new(), Vec::new());
    for host in hosts.split(',') {
        let (name, port) = parse_host(host)?;
        names.push(decode(name)?);
        ports.push(decode(port)?);
    }
    for (parameter, values) in [("host", names), ("port", ports)] {
        if values.iter().any(|value| !value.is_empty()) {
            put(settings, parameter, values.join(","))?;
        }
    }
    Ok(())
}

/// The name and the port of one host; a name in brackets is an IPv6 address.
fn parse_host(host: &str) -> Result<(&str, &str)> {
    let Some(bracketed) = host.strip_prefix('[') else {
        return Ok(host.split_once(':').unwrap_or((host, "")));
    };
    let malformed = || Error::new(Kind::Config, "an IPv6 address in a URI is written [ADDRESS] or [ADDRESS]:PORT");
    let (address, after) = bracketed.split_once(']').ok_or_else(malformed)?;
    let port = if after.is_empty() { Some("") } else { after.strip_prefix(':') };
    match port {
        Some(port) if !address.is_empty() => Ok((address, port)),
        _ => Err(malformed()),
    }
}

fn parse_query_pair(pair: &str, settings: &mut Settings) -> Result<()> {
    let (name, value) = pair.split_once('=').ok_or_else(|| Error::new(Kind::Config, "a URI parameter has no \"=\""))?;
    if value.contains('=') {
        return Err(Error::new(Kind::Config, "a URI parameter has a second \"=\"").hint("write %3D for \"=\" within a value"));
    }
    let (name, value) = (decode(name)?, decode(value)?);
    // JDBC's spelling, which libpq takes too.
    if name == "ssl" && value == "true" {
        return put(settings, "sslmode", "require".to_owned());
    }
    put(settings, &name, value)
}

fn put_unless_empty(settings: &mut Settings, name: &str, value: String) -> Result<()> {
    if value.is_empty() { Ok(()) } else { put(settings, name, value) }
}

/// Resolves `%XX`. A plus sign is a plus sign.
fn decode(text: &str) -> Result<String> {
    let malformed = |what: &str| Error::new(Kind::Config, format!("{what} in a connection URI")).hint("write %25 for \"%\"");
    let mut bytes = Vec::with_capacity(text.len());
    let mut parts = text.split('%');
    bytes.extend(parts.next().unwrap_or_default().bytes());
    for part in parts {
        let code = part.get(..2).filter(|code| code.bytes().all(|digit| digit.is_ascii_hexdigit()));
        let byte =
            code.and_then(|code| u8::from_str_radix(code, 16).ok()).ok_or_else(|| malformed("\"%\" without two hexadecimal digits"))?;
        if byte == 0 {
            return Err(malformed("the forbidden %00"));
        }
        bytes.push(byte);
        bytes.extend(part[2..].bytes());
    }
    String::from_utf8(bytes).map_err(|_| malformed("a percent-encoded value that is not UTF-8"))
}

#[cfg(test)]
#[path = "dsn_tests.rs"]
mod tests;
