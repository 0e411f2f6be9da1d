//! Connection strings, whose passwords are shown to nobody.

use super::setting::{At, Node, Setting};
use std::fmt;
use std::ops::Range;

/// Whether secrets are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Secrets {
    /// Three stars stand for them.
    Masked,
    /// As they are: only for what goes back into a private file.
    Shown,
}

const MASK: &str = "***";
/// Parameters of a connection string that everybody may see (libpq 18). Any other is masked: a misspelt `password` holds one too.
const HARMLESS_PARAMETERS: &str = "\
    application_name channel_binding client_encoding connect_timeout dbname fallback_application_name gssdelegation gssencmode gsslib \
    host hostaddr keepalives keepalives_count keepalives_idle keepalives_interval krbsrvname load_balance_hosts max_protocol_version \
    min_protocol_version oauth_client_id oauth_issuer oauth_scope options passfile port replication require_auth requirepeer \
    requiressl service servicefile ssl_max_protocol_version ssl_min_protocol_version sslcert sslcertmode sslcompression sslcrl \
    sslcrldir sslkey sslkeylogfile sslmode sslnegotiation sslrootcert sslsni target_session_attrs tcp_user_timeout user";

/// A connection string as libpq takes it: `host=… user=…` or `postgresql://…`. Debug, Display and Serialize mask its passwords.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Dsn(String);

impl Dsn {
    /// Takes a connection string.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The whole text, for connecting.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether a password stands in it.
    pub fn has_secret(&self) -> bool {
        self.masked() != self.0
    }

    /// The text with three stars for every secret. A text that cannot be understood is masked as a whole.
    pub fn masked(&self) -> String {
        let text = self.0.trim();
        let uri = ["postgresql://", "postgres://"].iter().find_map(|scheme| Some((scheme, text.strip_prefix(scheme)?)));
        match uri {
            Some((scheme, rest)) => format!("{scheme}{}", mask_uri(rest)),
            None => match secret_values(text) {
                Some(ranges) => replace(text, &ranges),
                None => MASK.to_owned(),
            },
        }
    }
}

/// Masks the password before the last `@` (an unescaped one in a password is a mistake that must not show it), and parameters.
fn mask_uri(rest: &str) -> String {
    let (user, tail) = match rest.rfind('@') {
        Some(end) => match rest[..end].split_once(':') {
            Some((user, _)) => (format!("{user}:{MASK}"), &rest[end..]),
            None => (rest[..end].to_owned(), &rest[end..]),
        },
        None => (String::new(), rest),
    };
    let Some((place, query)) = tail.split_once('?') else { return format!("{user}{tail}") };
    let parameters: Vec<String> = query.split('&').map(mask_parameter).collect();
    format!("{user}{place}?{}", parameters.join("&"))
}

fn mask_parameter(parameter: &str) -> String {
    match parameter.split_once('=') {
        Some((name, _)) if is_harmless(name) => parameter.to_owned(),
        Some((name, _)) => format!("{name}={MASK}"),
        None => parameter.to_owned(),
    }
}

fn is_harmless(name: &str) -> bool {
    HARMLESS_PARAMETERS.split(' ').any(|harmless| harmless == name)
}

/// Where the values of secret parameters stand in `name = value` pairs; none when the text is not made of such pairs.
fn secret_values(text: &str) -> Option<Vec<Range<usize>>> {
    let bytes = text.as_bytes();
    let mut found = Vec::new();
    let mut at = skip_spaces(bytes, 0);
    while at < bytes.len() {
        let name_end = (at..bytes.len()).find(|i| bytes[*i] == b'=' || bytes[*i].is_ascii_whitespace())?;
        let name = &text[at..name_end];
        let equals = skip_spaces(bytes, name_end);
        if bytes.get(equals) != Some(&b'=') {
            return None;
        }
        let start = skip_spaces(bytes, equals + 1);
        let end = value_end(bytes, start)?;
        if !is_harmless(name) {
            found.push(start..end);
        }
        at = skip_spaces(bytes, end);
    }
    Some(found)
}

fn skip_spaces(bytes: &[u8], from: usize) -> usize {
    (from..bytes.len()).find(|i| !bytes[*i].is_ascii_whitespace()).unwrap_or(bytes.len())
}

/// The end of a value: after the closing quote, or at the next space; a backslash takes the next byte as it is.
fn value_end(bytes: &[u8], start: usize) -> Option<usize> {
    let quoted = bytes.get(start) == Some(&b'\'');
    let mut at = if quoted { start + 1 } else { start };
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 1,
            b'\'' if quoted => return Some(at + 1),
            byte if !quoted && byte.is_ascii_whitespace() => return Some(at),
            _ => {}
        }
        at += 1;
    }
    (!quoted).then_some(bytes.len())
}

fn replace(text: &str, ranges: &[Range<usize>]) -> String {
    let mut masked = text.to_owned();
    for range in ranges.iter().rev() {
        masked.replace_range(range.clone(), MASK);
    }
    masked
}

impl fmt::Debug for Dsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Dsn({:?})", self.masked())
    }
}

impl fmt::Display for Dsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.masked())
    }
}

impl serde::Serialize for Dsn {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.masked())
    }
}

impl Setting for Dsn {
    const TYPE: &'static str = "connection string";

    fn read(node: &Node<'_>, at: &At<'_>) -> Option<Self> {
        String::read(node, at).map(Self)
    }

    fn show(&self, _: &str, secrets: Secrets) -> Option<toml::Value> {
        Some(match secrets {
            Secrets::Masked => self.masked().into(),
            Secrets::Shown => self.0.as_str().into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_masked_in_both_forms() {
        let cases = [
            ("host=db1 user=u password=geheim dbname=d", "host=db1 user=u password=*** dbname=d"),
            ("host=db1 password = 'ge\\'heim x' user=u", "host=db1 password = *** user=u"),
            ("password=ge\\ heim host=x", "password=*** host=x"),
            ("host=x sslkey=/k sslpassword=geheim", "host=x sslkey=/k sslpassword=***"),
            ("postgresql://u:geheim@h:5432/d?sslmode=require", "postgresql://u:***@h:5432/d?sslmode=require"),
            ("postgres://u@h/d?password=geheim&application_name=x", "postgres://u@h/d?password=***&application_name=x"),
            ("postgresql://u:p@geheim@h/d", "postgresql://u:***@h/d"),
            ("postgresql://u:p/geheim@h/d", "postgresql://u:***@h/d"),
            ("postgresql://u:p?geheim@h/d", "postgresql://u:***@h/d"),
            ("postgresql://h/d?pass%77ord=geheim", "postgresql://h/d?pass%77ord=***"),
            ("host=x passwd=geheim", "host=x passwd=***"),
            ("", ""),
            ("service=prod", "service=prod"),
            ("postgresql://h1:5432,h2:5433/d?target_session_attrs=any", "postgresql://h1:5432,h2:5433/d?target_session_attrs=any"),
        ];
        for (text, masked) in cases {
            let dsn = Dsn::new(text);
            assert_eq!(dsn.masked(), masked);
            assert_eq!(dsn.has_secret(), text != masked, "{text}");
            assert!(!format!("{dsn:?} {dsn}").contains("heim"));
            assert!(!serde_json::to_string(&dsn).unwrap().contains("geheim"));
        }
    }

    #[test]
    fn what_cannot_be_understood_is_masked_as_a_whole() {
        for text in ["geheim", "host=x password='geheim", "host=x geheim", "mysql://u:geheim@h/d", "password geheim"] {
            assert!(!Dsn::new(text).masked().contains("geheim"), "{text}");
        }
    }
}
