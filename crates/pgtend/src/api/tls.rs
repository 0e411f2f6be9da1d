//! The certificate with which the API answers, read again at every reload so that a renewed one is used without a restart.

use arc_swap::ArcSwap;
use pgtend_model::error::{Error, Kind, Result};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;

/// A certificate and its key, in files.
#[derive(Debug)]
pub(super) struct Certificate {
    certificate: PathBuf,
    key: PathBuf,
    config: ArcSwap<ServerConfig>,
}

impl Certificate {
    /// Reads both.
    ///
    /// # Errors
    /// `Config` when a file cannot be read, or they do not belong together.
    pub(super) fn read(certificate: &Path, key: &Path) -> Result<Self> {
        let config = ArcSwap::new(read(certificate, key)?);
        Ok(Self { certificate: certificate.to_owned(), key: key.to_owned(), config })
    }

    /// Reads both again; connections from now on get them.
    ///
    /// # Errors
    /// As [`Certificate::read`]; then the old ones stay in use.
    pub(super) fn read_again(&self) -> Result<()> {
        self.config.store(read(&self.certificate, &self.key)?);
        Ok(())
    }

    /// Takes a connection with what is in use now.
    pub(super) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.config.load_full())
    }
}

fn read(certificate: &Path, key: &Path) -> Result<Arc<ServerConfig>> {
    let wrong = |what: &str, path: &Path, error: &dyn std::fmt::Display| {
        Error::new(Kind::Config, format!("the {what} of the API cannot be used: {error}")).at(path.display().to_string())
    };
    let chain = CertificateDer::pem_file_iter(certificate).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let chain = chain.map_err(|error| wrong("certificate", certificate, &error))?;
    let private = PrivateKeyDer::from_pem_file(key).map_err(|error| wrong("private key", key, &error))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let versions = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = versions.map_err(|error| wrong("TLS library", certificate, &error))?;
    let mut config = builder.with_no_client_auth().with_single_cert(chain, private).map_err(|error| {
        wrong("certificate", certificate, &error).hint("certificate and key must belong together: compare them with openssl x509 and pkey")
    })?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
