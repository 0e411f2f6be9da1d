//! Makes rustls' configuration from the files that the settings name, read anew for each connection: certificates are renewed.

use super::settings::{Mode, Roots, TlsSettings, Version};
use super::verify::{Trust, Verifier};
use pgtend_model::error::{Error, Kind, Result};
use rustls::client::{ClientConfig, Resumption, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use rustls::version::{TLS12, TLS13};
use rustls::{RootCertStore, SupportedProtocolVersion};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::{fs, io};

impl TlsSettings {
    /// The configuration for a connection to a host of this name.
    ///
    /// # Errors
    /// `Config` for files that are missing or cannot be used, and for `verify-full` without a host name.
    pub fn client_config(&self, host: Option<&str>) -> Result<ClientConfig> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier = Verifier::new(&provider, self.trust(&provider)?, self.host_to_verify(host)?);
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&self.protocol_versions())
            .map_err(|error| Error::new(Kind::Internal, format!("TLS cannot be set up: {error}")))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let mut config = match self.identity()? {
            Some((chain, key)) => builder
                .with_client_auth_cert(chain, key)
                .map_err(|error| Error::new(Kind::Config, format!("the client certificate and its key cannot be used: {error}")))?,
            None => builder.with_no_client_auth(),
        };
        config.enable_sni = self.send_name;
        config.alpn_protocols = vec![b"postgresql".to_vec()];
        // PostgreSQL never resumes a TLS session.
        config.resumption = Resumption::disabled();
        Ok(config)
    }

    fn protocol_versions(&self) -> Vec<&'static SupportedProtocolVersion> {
        let (least, most) = self.versions;
        let all = [(Version::V13, &TLS13), (Version::V12, &TLS12)];
        all.into_iter().filter(|(version, _)| (least..=most).contains(version)).map(|(_, version)| version).collect()
    }

    fn host_to_verify(&self, host: Option<&str>) -> Result<Option<String>> {
        match (self.mode, host) {
            (Mode::VerifyFull, None) => Err(Error::new(Kind::Config, "sslmode=verify-full needs a host name, and only hostaddr is given")
                .hint("add host=NAME, the name that the server's certificate is for")),
            (Mode::VerifyFull, Some(host)) => Ok(Some(host.to_owned())),
            _ => Ok(None),
        }
    }

    /// As in libpq, a root certificate that is there is checked against in every mode; one that is missing is an error only
    /// where the mode verifies.
    fn trust(&self, provider: &Arc<CryptoProvider>) -> Result<Option<Trust>> {
        let (roots, source) = match &self.roots {
            Roots::System => (system_roots()?, "the operating system's roots".to_owned()),
            Roots::File(path) if is_there(path)? => (certificates(path)?, path.display().to_string()),
            _ if self.mode < Mode::VerifyCa => return Ok(None),
            Roots::File(path) => return Err(self.no_roots(&format!("the root certificate file {} does not exist", path.display()))),
            Roots::Nowhere => return Err(self.no_roots("there is no home directory with a root certificate file")),
        };
        let mut store = RootCertStore::empty();
        store.add_parsable_certificates(roots.iter().cloned());
        let chain = WebPkiServerVerifier::builder_with_provider(Arc::new(store), Arc::clone(provider))
            .with_crls(self.revocation_lists()?)
            .build()
            .map_err(|error| Error::new(Kind::Config, format!("{source} cannot be used to verify certificates: {error}")))?;
        let roots = if self.roots == Roots::System { Vec::new() } else { roots };
        Ok(Some(Trust { chain, roots, source }))
    }

    fn no_roots(&self, what: &str) -> Error {
        Error::new(Kind::Config, format!("{what}, and sslmode={} needs one", self.mode.name()))
            .hint("name the file with the authority's certificate by sslrootcert, or use sslrootcert=system or sslmode=require")
    }

    fn revocation_lists(&self) -> Result<Vec<CertificateRevocationListDer<'static>>> {
        match &self.revocations {
            Some(path) if is_there(path)? => {
                let lists = CertificateRevocationListDer::pem_file_iter(path).and_then(Iterator::collect);
                lists.map_err(|error| unusable(path, "revocation lists", &error))
            }
            _ => Ok(Vec::new()),
        }
    }

    /// The client certificate with its chain, and its key. As in libpq, no certificate file is no error.
    fn identity(&self) -> Result<Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>> {
        let Some((certificate, key)) = &self.client else { return Ok(None) };
        if !is_there(certificate)? {
            return Ok(None);
        }
        let chain = certificates(certificate)?;
        if !is_there(key)? {
            let what = format!("there is the client certificate {}, but not its key {}", certificate.display(), key.display());
            return Err(Error::new(Kind::Config, what).hint("name the key's file by sslkey"));
        }
        check_key_access(key)?;
        let key = PrivateKeyDer::from_pem_file(key).map_err(|error| unusable(key, "a key that is not encrypted", &error))?;
        Ok(Some((chain, key)))
    }
}

fn system_roots() -> Result<Vec<CertificateDer<'static>>> {
    let found = rustls_native_certs::load_native_certs();
    if found.certs.is_empty() {
        let why = found.errors.first().map(|error| format!(": {error}")).unwrap_or_default();
        return Err(Error::new(Kind::Config, format!("the operating system has no trusted root certificates{why}"))
            .hint("install the package ca-certificates, or name a file by sslrootcert"));
    }
    Ok(found.certs)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    match read {
        Ok(certificates) if certificates.is_empty() => {
            Err(Error::new(Kind::Config, format!("{} has no certificate in it", path.display())))
        }
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(unusable(path, "certificates", &error)),
    }
}

fn unusable(path: &Path, wanted: &str, error: &rustls::pki_types::pem::Error) -> Error {
    Error::new(Kind::Config, format!("{} cannot be read as {wanted}: {error}", path.display()))
}

/// Whether a file exists; it is an error when that cannot be found out.
fn is_there(path: &Path) -> Result<bool> {
    match fs::metadata(path) {
        Ok(_) => Ok(true),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(false),
        Err(error) => Err(Error::new(Kind::Config, format!("{} cannot be read: {error}", path.display()))),
    }
}

/// libpq's rule: a key of one's own is for oneself alone; one of root's may be for a group to read.
fn check_key_access(path: &Path) -> Result<()> {
    let metadata = fs::metadata(path).map_err(|error| Error::new(Kind::Config, format!("{} cannot be read: {error}", path.display())))?;
    let forbidden = if metadata.uid() == 0 { 0o037 } else { 0o077 };
    if metadata.mode() & forbidden == 0 {
        return Ok(());
    }
    Err(Error::new(Kind::Config, format!("others have access to the private key {}", path.display()))
        .hint(format!("run chmod 0600 {0}; 0640 will do where root owns it", path.display())))
}
