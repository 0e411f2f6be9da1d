//! Checks a server's certificate as `sslmode` asks: not at all, against trusted roots, or for this host too.

use super::names::Names;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms};
use rustls::crypto::{verify_tls12_signature, verify_tls13_signature, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, Error, OtherError, SignatureScheme};
use std::fmt;
use std::sync::Arc;
use x509_cert::der::{Decode, Encode};
use x509_cert::{Certificate, Version};

/// Why a certificate is not accepted, in words for a person.
#[derive(Debug)]
pub struct Refusal {
    /// What is wrong with it.
    pub what: String,
    /// What to do.
    pub hint: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for Refusal {}

/// The roots to check against.
#[derive(Debug)]
pub struct Trust {
    /// Follows the chain to a root, with revocation lists where there are any.
    pub chain: Arc<WebPkiServerVerifier>,
    /// The roots themselves: a server may present one of them as its own certificate.
    pub roots: Vec<CertificateDer<'static>>,
    /// Where they come from, for errors.
    pub source: String,
}

/// The check that a connection makes.
#[derive(Debug)]
pub struct Verifier {
    algorithms: WebPkiSupportedAlgorithms,
    trust: Option<Trust>,
    host: Option<String>,
}

impl Verifier {
    /// Without trust every certificate will do; with a host, the certificate must be for it.
    pub fn new(provider: &CryptoProvider, trust: Option<Trust>, host: Option<String>) -> Self {
        Self { algorithms: provider.signature_verification_algorithms, trust, host }
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if let Some(trust) = &self.trust {
            trust.check(certificate, intermediates, name, ocsp, now)?;
        }
        if let Some(host) = &self.host {
            check_host(certificate, host)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let verified = verify_tls13_signature(message, certificate, signed, &self.algorithms);
        // A certificate without extensions is of X.509 version 1, which webpki does not read; the key in it is as good.
        match (verified, public_key(certificate)) {
            (Err(_), Some(key)) => {
                verify_tls13_signature_with_raw_key(message, &SubjectPublicKeyInfoDer::from(key), signed, &self.algorithms)
            }
            (verified, _) => verified,
        }
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

fn signs_itself(certificate: &[u8]) -> bool {
    Certificate::from_der(certificate).is_ok_and(|parsed| parsed.tbs_certificate().issuer() == parsed.tbs_certificate().subject())
}

fn version(certificate: &[u8]) -> Option<Version> {
    Some(Certificate::from_der(certificate).ok()?.tbs_certificate().version())
}

fn public_key(certificate: &[u8]) -> Option<Vec<u8>> {
    Certificate::from_der(certificate).ok()?.tbs_certificate().subject_public_key_info().to_der().ok()
}

impl Trust {
    fn check(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<(), Error> {
        if self.roots.iter().any(|root| root == certificate) {
            return check_validity(certificate, now);
        }
        match self.chain.verify_server_cert(certificate, intermediates, name, ocsp, now) {
            // The name is looked at last, and by libpq's rules instead.
            Ok(_) | Err(Error::InvalidCertificate(CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. })) => {
                Ok(())
            }
            Err(Error::InvalidCertificate(why)) => Err(self.refusal(certificate, &why)),
            Err(other) => Err(other),
        }
    }

    fn refusal(&self, certificate: &[u8], why: &CertificateError) -> Error {
        let (what, hint) = match why {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => expired(),
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => not_yet_valid(),
            CertificateError::Revoked => ("the server's certificate is revoked".to_owned(), "give the server a new one".to_owned()),
            _ if signs_itself(certificate) => (
                format!("the server's certificate signs itself and is not in {}", self.source),
                "copy the certificate there, or name its file by sslrootcert".to_owned(),
            ),
            CertificateError::UnknownIssuer => (
                format!("the server's certificate is not signed by anybody in {}", self.source),
                "put the certificate of the authority that signed it there, or name its file by sslrootcert".to_owned(),
            ),
            _ if version(certificate) == Some(Version::V1) => (
                "the server's certificate is of X.509 version 1, which cannot be verified".to_owned(),
                "sign it again with extensions: openssl x509 -req … -extfile, with subjectAltName=DNS:… in the file".to_owned(),
            ),
            other => (
                format!("the server's certificate cannot be verified: {}", Error::InvalidCertificate(other.clone())),
                format!("it was checked against {}", self.source),
            ),
        };
        refused(what, hint)
    }
}

fn check_host(certificate: &[u8], host: &str) -> Result<(), Error> {
    let names = Names::of(certificate);
    if names.include(host) {
        return Ok(());
    }
    Err(refused(
        format!("the server's certificate is not for \"{host}\", it is for {}", names.list()),
        "connect by a name that the certificate has, or give the server a certificate with subjectAltName for this one".to_owned(),
    ))
}

fn check_validity(certificate: &[u8], now: UnixTime) -> Result<(), Error> {
    let malformed = |_| refused("the server's certificate cannot be read".to_owned(), String::new());
    let parsed = Certificate::from_der(certificate).map_err(malformed)?;
    let validity = parsed.tbs_certificate().validity();
    let (what, hint) = if now.as_secs() > validity.not_after.to_unix_duration().as_secs() {
        expired()
    } else if now.as_secs() < validity.not_before.to_unix_duration().as_secs() {
        not_yet_valid()
    } else {
        return Ok(());
    };
    Err(refused(what, hint))
}

fn expired() -> (String, String) {
    ("the server's certificate has expired".to_owned(), "give the server a new one; also compare this host's clock".to_owned())
}

fn not_yet_valid() -> (String, String) {
    ("the server's certificate is not valid yet".to_owned(), "compare the clocks of the server and of this host".to_owned())
}

fn refused(what: String, hint: String) -> Error {
    Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(Refusal { what, hint }))))
}
