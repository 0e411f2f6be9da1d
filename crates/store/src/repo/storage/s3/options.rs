//! How a bucket is reached, and what its objects are written with.

use super::super::super::keys::Passphrase;
use age::secrecy::ExposeSecret as _;
use jiff::Timestamp;
use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey, Checksum};
use object_store::path::Path as Key;
use object_store::{BackoffConfig, Certificate, ClientOptions, HeaderMap, HeaderValue, RetryConfig};
use pgtend_model::error::{Error, Kind, Result};
use std::time::Duration;

/// A bucket, and how it is used.
#[derive(Debug, Clone)]
pub struct S3Options {
    /// `s3://bucket/prefix`.
    pub url: String,
    /// The service's address, where it is not Amazon's.
    pub endpoint: Option<String>,
    /// The bucket's region; without it `AWS_REGION` says it, or it is `us-east-1`.
    pub region: Option<String>,
    /// Access key and secret; without them the environment's or the machine's own.
    pub keys: Option<(String, Passphrase)>,
    /// Certificates (PEM) of authorities that are trusted besides the system's.
    pub authorities: Option<Vec<u8>>,
    /// The storage class of packs and WAL; without it the bucket's own.
    pub storage_class: Option<String>,
    /// By what the service itself encrypts (`AES256`, `aws:kms`), and the key's identifier.
    pub server_side_encryption: Option<(String, Option<String>)>,
    /// Until when objects are to be immutable, where the bucket has Object Lock.
    pub object_lock: Option<ObjectLock>,
    /// Whether a service that cannot write on a condition is used all the same.
    pub unsafe_writes: bool,
    /// Bytes a second that are sent at most, in the mean over objects; 0 for as many as go.
    pub max_upload_bytes_per_second: u64,
    /// How long an answer may take, besides the time that the bytes need on the way.
    pub timeout: Duration,
    /// How long a failure that may pass is tried again.
    pub retry_for: Duration,
}

/// Objects that nobody can remove or replace for some time after they were written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ObjectLock {
    /// Whether nobody at all can (`COMPLIANCE`), or only those with a special right (`GOVERNANCE`).
    pub compliance: bool,
    /// For how many days.
    pub days: u32,
}

impl S3Options {
    /// A bucket, with nothing special.
    pub fn new(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            endpoint: None,
            region: None,
            keys: None,
            authorities: None,
            storage_class: None,
            server_side_encryption: None,
            object_lock: None,
            unsafe_writes: false,
            max_upload_bytes_per_second: 0,
            timeout: Duration::from_secs(30),
            retry_for: Duration::from_secs(120),
        }
    }

    /// The bucket's name and the prefix of every key, without slashes around it.
    pub(super) fn place(&self) -> Result<(String, String)> {
        let wrong = |why: &str| Error::new(Kind::Config, format!("\"{}\" is no bucket: {why}", self.url)).hint("write s3://bucket/prefix");
        let rest = self.url.strip_prefix("s3://").ok_or_else(|| wrong("it does not begin with s3://"))?;
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        if bucket.len() < 3 {
            return Err(wrong("a bucket's name has at least three characters"));
        }
        let prefix = Key::parse(prefix).map_err(|_| wrong("its prefix cannot be part of a key"))?;
        Ok((bucket.to_owned(), prefix.to_string()))
    }

    /// The client. It tries nothing again by itself: who tries again must know what may have come of the first try.
    pub(super) fn client(&self, bucket: &str, immutable_until: Option<Timestamp>) -> Result<AmazonS3> {
        let mut builder = match &self.keys {
            // The environment may hold the token of other credentials.
            Some((id, secret)) => AmazonS3Builder::new().with_access_key_id(id).with_secret_access_key(secret.expose_secret()),
            None => AmazonS3Builder::from_env(),
        };
        let from_env = || ["AWS_REGION", "AWS_DEFAULT_REGION"].into_iter().find_map(|name| std::env::var(name).ok());
        if let Some(region) = self.region.clone().or_else(from_env) {
            builder = builder.with_region(region);
        }
        if let Some(endpoint) = &self.endpoint {
            builder = builder.with_endpoint(endpoint.trim_end_matches('/'));
        }
        if let Some((kind, key)) = &self.server_side_encryption {
            builder = with(builder, "aws_server_side_encryption", kind)?;
            if let Some(key) = key {
                builder = with(builder, "aws_sse_kms_key_id", key)?;
            }
        }
        let retry = RetryConfig { backoff: BackoffConfig::default(), max_retries: 0, retry_timeout: Duration::ZERO };
        builder
            .with_bucket_name(bucket)
            .with_client_options(self.connection(immutable_until)?)
            .with_retry(retry)
            // The service compares it before it keeps an object; Object Lock demands it. It is part of the signature anyway.
            .with_checksum_algorithm(Checksum::SHA256)
            // One right less that a key needs, and not every service knows the other way.
            .with_disable_bulk_delete(true)
            .build()
            .map_err(|error| Error::new(Kind::Config, format!("the bucket cannot be used: {error}")).at(self.url.clone()))
    }

    fn connection(&self, immutable_until: Option<Timestamp>) -> Result<ClientOptions> {
        let plain = self.endpoint.as_ref().is_some_and(|endpoint| endpoint.starts_with("http://"));
        // Each wait has its own limit, by what is waited for.
        let mut options = ClientOptions::new().with_allow_http(plain).with_timeout_disabled().with_connect_timeout(self.timeout);
        if let Some(pem) = &self.authorities {
            let wrong = |error| Error::new(Kind::Config, format!("ca_file of the repository cannot be used: {error}")).at(self.url.clone());
            for certificate in Certificate::from_pem_bundle(pem).map_err(wrong)? {
                options = options.with_root_certificate(certificate);
            }
        }
        if let (Some(lock), Some(until)) = (self.object_lock, immutable_until) {
            let mode = if lock.compliance { "COMPLIANCE" } else { "GOVERNANCE" };
            let mut headers = HeaderMap::new();
            headers.insert("x-amz-object-lock-mode", HeaderValue::from_static(mode));
            // Some services want to be told which checksum comes, besides the checksum.
            headers.insert("x-amz-sdk-checksum-algorithm", HeaderValue::from_static("SHA256"));
            let until = HeaderValue::try_from(until.strftime("%Y-%m-%dT%H:%M:%SZ").to_string());
            let until = until.map_err(|error| Error::new(Kind::Internal, format!("a time cannot be written: {error}")))?;
            headers.insert("x-amz-object-lock-retain-until-date", until);
            options = options.with_default_headers(headers);
        }
        Ok(options)
    }
}

/// Sets what the builder has no function for.
fn with(builder: AmazonS3Builder, key: &str, value: &str) -> Result<AmazonS3Builder> {
    let key: AmazonS3ConfigKey =
        key.parse().map_err(|error| Error::new(Kind::Internal, format!("the S3 client knows no {key}: {error}")))?;
    Ok(builder.with_config(key, value))
}
