//! Channel binding of the type `tls-server-end-point` (RFC 5929): a hash of the server's certificate.

use aws_lc_rs::digest;
use x509_cert::Certificate;
use x509_cert::der::Decode;

/// What SCRAM binds to; none where the certificate's signature names no hash (Ed25519, RSA-PSS).
pub fn server_end_point(certificate: &[u8]) -> Option<Vec<u8>> {
    let parsed = Certificate::from_der(certificate).ok()?;
    let algorithm = hash_of(&parsed.signature_algorithm().oid.to_string())?;
    Some(digest::digest(algorithm, certificate).as_ref().to_vec())
}

/// The hash of a signature algorithm; SHA-256 stands in for MD5 and SHA-1.
fn hash_of(signature: &str) -> Option<&'static digest::Algorithm> {
    Some(match signature {
        // md5WithRSAEncryption, sha1WithRSAEncryption, sha256WithRSAEncryption, ecdsa-with-SHA1, ecdsa-with-SHA256
        "1.2.840.113549.1.1.4" | "1.2.840.113549.1.1.5" | "1.2.840.113549.1.1.11" | "1.2.840.10045.4.1" | "1.2.840.10045.4.3.2" => {
            &digest::SHA256
        }
        // sha224WithRSAEncryption, ecdsa-with-SHA224
        "1.2.840.113549.1.1.14" | "1.2.840.10045.4.3.1" => &digest::SHA224,
        // sha384WithRSAEncryption, ecdsa-with-SHA384
        "1.2.840.113549.1.1.12" | "1.2.840.10045.4.3.3" => &digest::SHA384,
        // sha512WithRSAEncryption, ecdsa-with-SHA512
        "1.2.840.113549.1.1.13" | "1.2.840.10045.4.3.4" => &digest::SHA512,
        _ => return None,
    })
}
