//! What went wrong with TLS, in words for a person.

use super::verify::Refusal;
use pgtend_model::error::{Error, Kind};
use rustls::{AlertDescription, CertificateError};
use std::io;

/// The error for an I/O error that TLS caused, during the handshake or after it; none when TLS had no part in it.
pub fn explain(error: &io::Error) -> Option<Error> {
    let cause = error.get_ref()?.downcast_ref::<rustls::Error>()?;
    Some(match cause {
        rustls::Error::InvalidCertificate(CertificateError::Other(other)) => match other.0.downcast_ref::<Refusal>() {
            Some(refusal) => Error::new(Kind::Authentication, &refusal.what).hint(&refusal.hint),
            None => Error::new(Kind::Authentication, format!("the server's certificate cannot be used: {other}")),
        },
        rustls::Error::InvalidCertificate(why) => {
            Error::new(Kind::Authentication, format!("the server's certificate cannot be used: {why}"))
        }
        rustls::Error::AlertReceived(alert) => refused_by_server(*alert),
        other => Error::new(Kind::Unsupported, format!("TLS cannot be set up: {other}"))
            .hint("compare ssl_min_protocol_version, ssl_max_protocol_version and ssl_ciphers on both sides"),
    })
}

fn refused_by_server(alert: AlertDescription) -> Error {
    use AlertDescription::{BadCertificate, CertificateExpired, CertificateRequired, CertificateUnknown, DecryptError, UnknownCA};
    match alert {
        UnknownCA | BadCertificate | CertificateUnknown | DecryptError | CertificateExpired | CertificateRequired => {
            Error::new(Kind::Authentication, format!("the server did not accept the client certificate ({alert:?})"))
                .hint("its authority must be in the server's ssl_ca_file; sslcert and sslkey name the certificate and the key here")
        }
        _ => Error::new(Kind::Unsupported, format!("the server broke off the TLS handshake ({alert:?})"))
            .hint("its log says why; compare ssl_min_protocol_version and ssl_ciphers on both sides"),
    }
}
