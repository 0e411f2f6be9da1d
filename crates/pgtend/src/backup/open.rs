//! Opening the repositories of a configuration.

use pgtend_model::config::{ConditionalWrites, Encryption, ObjectLock as ConfiguredLock, Repository as Configured};
use pgtend_model::error::{Error, Kind, Result};
use pgtend_store::repo::Repository;
use pgtend_store::repo::keys::{Access, Identity, Passphrase};
use pgtend_store::repo::storage::{Directory, ObjectLock, S3, S3Options, Storage};
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const KEY_FILE: &str = "the key file";

/// Where the key of a repository is.
pub fn key_file(configured: &Configured, state_directory: &Path) -> PathBuf {
    configured.key_file.clone().unwrap_or_else(|| state_directory.join(format!("repository-{}.key", configured.name)))
}

/// Opens a repository.
///
/// # Errors
/// What the storage says; `Authentication` when the key does not open it; `NotFound` when there is none.
pub fn open(configured: &Configured, state_directory: &Path) -> Result<Repository> {
    let storage = storage(configured, false)?;
    Repository::open(storage, &access(configured, state_directory, false)?)
}

/// Opens a repository, or makes it with its key file when there is none.
///
/// # Errors
/// As [`open`].
pub fn open_or_make(configured: &Configured, state_directory: &Path) -> Result<Repository> {
    let storage = storage(configured, true)?;
    Repository::create(storage, &access(configured, state_directory, true)?, jiff::Timestamp::now())
}

fn storage(configured: &Configured, make: bool) -> Result<Arc<dyn Storage>> {
    match (&configured.path, &configured.url) {
        (Some(path), _) if make => Ok(Arc::new(Directory::make(path)?)),
        (Some(path), _) => Ok(Arc::new(Directory::open(path)?)),
        (None, Some(url)) => Ok(Arc::new(S3::open(bucket(configured, url)?)?)),
        (None, None) => Err(Error::new(Kind::Config, "a repository is either a directory (path) or a bucket (url)")),
    }
}

fn bucket(configured: &Configured, url: &str) -> Result<S3Options> {
    let keys = match (&configured.access_key_id, &configured.secret_access_key_file) {
        (Some(id), Some(file)) => {
            let text = fs::read_to_string(file).map_err(|error| unreadable("the secret access key", file, &error))?;
            Some((id.clone(), Passphrase::from(text.trim())))
        }
        _ => None,
    };
    let authorities = configured.ca_file.as_ref().map(|file| fs::read(file).map_err(|error| unreadable("ca_file", file, &error)));
    let compliance = configured.object_lock == ConfiguredLock::Compliance;
    let lock = (configured.object_lock != ConfiguredLock::Off).then_some(ObjectLock { compliance, days: configured.object_lock_days });
    Ok(S3Options {
        endpoint: configured.endpoint.clone(),
        region: configured.region.clone(),
        keys,
        authorities: authorities.transpose()?,
        storage_class: configured.storage_class.clone(),
        server_side_encryption: configured.server_side_encryption.clone().map(|kind| (kind, configured.kms_key_id.clone())),
        object_lock: lock,
        unsafe_writes: configured.conditional_writes == ConditionalWrites::Unsafe,
        max_upload_bytes_per_second: configured.max_upload_bytes_per_second,
        timeout: configured.timeout,
        retry_for: configured.retry_for,
        ..S3Options::new(url)
    })
}

fn access(configured: &Configured, state_directory: &Path, make: bool) -> Result<Access> {
    let identity = || identity(&key_file(configured, state_directory), make);
    match configured.encryption {
        Encryption::None => Ok(Access::Plain),
        Encryption::KeyFile => Ok(Access::Identity(identity()?)),
        Encryption::Recipients => Ok(Access::WriteOnly { host: identity()?, readers: configured.recipients.clone() }),
        Encryption::Passphrase => {
            let path = configured.passphrase_file.clone().unwrap_or_default();
            let text = fs::read_to_string(&path).map_err(|error| unreadable("the passphrase", &path, &error))?;
            let first = text.lines().next().unwrap_or_default();
            if first.is_empty() {
                return Err(Error::new(Kind::Config, "the passphrase is empty").at(path.display().to_string()));
            }
            Ok(Access::Passphrase(Passphrase::from(first)))
        }
    }
}

fn identity(path: &Path, make: bool) -> Result<Identity> {
    match fs::read_to_string(path) {
        Ok(text) => Identity::read(&text).map_err(|error| error.at(path.display().to_string())),
        Err(error) if error.kind() == io::ErrorKind::NotFound && make => make_key_file(path),
        Err(error) => Err(unreadable(KEY_FILE, path, &error)),
    }
}

fn make_key_file(path: &Path) -> Result<Identity> {
    let identity = Identity::generate();
    let write = || -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(identity.key_file().as_bytes())?;
        file.sync_all()?;
        fs::File::open(path.parent().unwrap_or(Path::new("/")))?.sync_all()
    };
    write().map_err(|error| Error::new(Kind::System, format!("the key file cannot be made: {error}")).at(path.display().to_string()))?;
    tracing::warn!(key_file = %path.display(), "a key was made for the backup repository: without it there is no restore, so keep a copy of it elsewhere");
    Ok(identity)
}

fn unreadable(what: &str, path: &Path, error: &io::Error) -> Error {
    let hint = match error.kind() {
        io::ErrorKind::NotFound if what == KEY_FILE => "it was made with the repository: bring it back from where it is kept",
        io::ErrorKind::NotFound => "the configuration names it",
        io::ErrorKind::PermissionDenied => "pgtend must run as the user that owns it",
        _ => "",
    };
    Error::new(Kind::System, format!("{what} cannot be read: {error}")).at(path.display().to_string()).hint(hint)
}
