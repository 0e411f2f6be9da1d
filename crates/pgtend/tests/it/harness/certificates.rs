//! Certificates for tests, made on the spot: authorities, what they sign, and what signs itself.

use rcgen::{BasicConstraints, CertificateParams, CertificateRevocationListParams, DistinguishedName, DnType, IsCa, Issuer};
use rcgen::{KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber};
use std::sync::atomic::{AtomicU64, Ordering};

/// A certificate and its key, in PEM.
pub struct Identity {
    /// The certificate.
    pub certificate: String,
    /// Its private key.
    pub key: String,
    serial: SerialNumber,
}

impl Identity {
    /// A certificate that signs itself, an authority's as well as a server's, as `openssl req -x509` makes them.
    pub fn self_signed(common_name: &str, names: &[&str]) -> Self {
        let mut parameters = parameters(common_name, names);
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Self::new(&parameters.self_signed(&key).unwrap(), &key, &parameters)
    }

    fn new(certificate: &rcgen::Certificate, key: &KeyPair, parameters: &CertificateParams) -> Self {
        let serial = parameters.serial_number.clone().unwrap();
        Self { certificate: certificate.pem(), key: key.serialize_pem(), serial }
    }
}

/// Somebody who signs certificates.
pub struct Authority {
    /// Its own certificate, for those who trust it.
    pub certificate: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// A new authority of this name.
    pub fn new(name: &str) -> Self {
        let mut parameters = parameters(name, &[]);
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().unwrap();
        Self { certificate: parameters.self_signed(&key).unwrap().pem(), issuer: Issuer::new(parameters, key) }
    }

    /// A list of revoked certificates, signed by the authority.
    pub fn revoke(&self, identities: &[&Identity]) -> String {
        let now = rcgen::date_time_ymd(2026, 1, 1);
        let revoked = |identity: &&Identity| RevokedCertParams {
            serial_number: identity.serial.clone(),
            revocation_time: now,
            reason_code: None,
            invalidity_date: None,
        };
        let list = CertificateRevocationListParams {
            this_update: now,
            next_update: rcgen::date_time_ymd(4096, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: identities.iter().map(revoked).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        list.signed_by(&self.issuer).unwrap().pem().unwrap()
    }

    /// A certificate for these host names or addresses; none leaves only the common name.
    pub fn issue(&self, common_name: &str, names: &[&str]) -> Identity {
        let key = KeyPair::generate().unwrap();
        let parameters = parameters(common_name, names);
        let certificate = parameters.signed_by(&key, &self.issuer).unwrap();
        Identity::new(&certificate, &key, &parameters)
    }
}

fn parameters(common_name: &str, names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let mut parameters = CertificateParams::new(names).unwrap();
    static SERIAL: AtomicU64 = AtomicU64::new(1);
    parameters.serial_number = Some(SerialNumber::from(SERIAL.fetch_add(1, Ordering::Relaxed)));
    parameters.distinguished_name = DistinguishedName::new();
    parameters.distinguished_name.push(DnType::CommonName, common_name);
    parameters
}
