//! Whether a certificate is for a host, by libpq's rules, which also accept a common name where RFC 6125 does not.

use std::net::IpAddr;
use x509_cert::Certificate;
use x509_cert::der::Decode;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

/// The names that a certificate is for.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Names {
    dns: Vec<String>,
    addresses: Vec<IpAddr>,
    common: Option<String>,
}

impl Names {
    /// Reads them; nothing where the certificate cannot be read.
    pub fn of(certificate: &[u8]) -> Self {
        let Ok(certificate) = Certificate::from_der(certificate) else { return Self::default() };
        let body = certificate.tbs_certificate();
        let common = body.subject().common_name().ok().flatten().map(|name| name.value().into_owned());
        let mut names = Self { common, ..Self::default() };
        let alternatives = body.get_extension::<SubjectAltName>().ok().flatten().map(|(_, alternatives)| alternatives.0);
        for name in alternatives.unwrap_or_default() {
            match name {
                GeneralName::DnsName(name) => names.dns.push(name.to_string()),
                GeneralName::IpAddress(bytes) => names.addresses.extend(address(bytes.as_bytes())),
                _ => {}
            }
        }
        names
    }

    /// Whether they include the host.
    ///
    /// The common name counts only where no alternative name is of the host's own sort: a DNS name, or an address.
    pub fn include(&self, host: &str) -> bool {
        let address: Option<IpAddr> = host.parse().ok();
        let common_counts = if address.is_some() { self.addresses.is_empty() } else { self.dns.is_empty() };
        self.dns.iter().any(|name| matches(name, host))
            || address.is_some_and(|address| self.addresses.contains(&address))
            || common_counts && self.common.as_ref().is_some_and(|name| matches(name, host))
    }

    /// All of them, for an error.
    pub fn list(&self) -> String {
        let addresses = self.addresses.iter().map(ToString::to_string);
        let alternatives: Vec<String> = self.dns.iter().cloned().chain(addresses).collect();
        match &self.common {
            Some(common) if alternatives.is_empty() => common.clone(),
            _ if alternatives.is_empty() => "nobody".to_owned(),
            _ => alternatives.join(", "),
        }
    }
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    let four = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    four.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from)).ok()
}

/// Equal, case aside; a leading `*.` stands for exactly one label.
fn matches(pattern: &str, host: &str) -> bool {
    match pattern.strip_prefix("*.") {
        Some(parent) => host.split_once('.').is_some_and(|(label, rest)| !label.is_empty() && rest.eq_ignore_ascii_case(parent)),
        None => pattern.eq_ignore_ascii_case(host),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(dns: &[&str], addresses: &[&str], common: &str) -> Names {
        Names {
            dns: dns.iter().map(ToString::to_string).collect(),
            addresses: addresses.iter().map(|address| address.parse().unwrap()).collect(),
            common: Some(common.to_owned()).filter(|common| !common.is_empty()),
        }
    }

    #[test]
    fn the_common_name_counts_only_without_alternatives_of_its_sort() {
        assert!(names(&[], &[], "db.example.org").include("DB.example.org"));
        assert!(!names(&["other"], &[], "db.example.org").include("db.example.org"));
        assert!(names(&[], &["10.0.0.1"], "db.example.org").include("db.example.org"));
        assert!(names(&["db"], &[], "10.0.0.1").include("10.0.0.1"));
        assert!(!names(&[], &["10.0.0.2"], "10.0.0.1").include("10.0.0.1"));
        assert!(!names(&[], &[], "").include("db"));
    }

    #[test]
    fn addresses_are_compared_as_addresses() {
        assert!(names(&[], &["2001:db8::1"], "").include("2001:db8:0::1"));
        assert!(!names(&[], &["10.0.0.1"], "").include("10.0.0.2"));
    }

    #[test]
    fn a_star_stands_for_one_label() {
        let wild = names(&["*.example.org"], &[], "");
        assert!(wild.include("db.example.org"));
        assert!(!wild.include("example.org"));
        assert!(!wild.include("a.db.example.org"));
        assert!(!wild.include(".example.org"));
        assert!(!names(&["d*.example.org"], &[], "").include("db.example.org"));
    }
}
