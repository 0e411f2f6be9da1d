//! The WAL service of an agent: for every server that runs beside it, where there is a repository.

use crate::backup::open::{key_file, open, open_or_make};
use crate::wal::{Dropping, Options, Place, Places, Served, Service, socket_of};
use pgtend_model::backup::wal_bounds::WalBounds;
use pgtend_model::config::{Effective, Encryption, Repository as Configured};
use pgtend_model::error::Result;
use pgtend_store::repo::Repository;
use std::path::Path;

/// Starts it, where the configuration has a repository and a server whose data directory is here.
///
/// # Errors
/// When its socket cannot be had. A repository that cannot be opened is no error: PostgreSQL keeps the WAL until it can.
pub(super) fn start(config: &Effective, places: Places) -> Result<Option<Service>> {
    let here = |server: &pgtend_model::config::Server| {
        let data = server.data_directory.as_deref()?;
        Some(Served::server(&server.name, data).filed(server.in_repository()))
    };
    let servers: Vec<Served> = config.server.iter().filter_map(here).collect();
    if config.backup.repository.is_empty() || servers.is_empty() {
        return Ok(None);
    }
    let service = Service::start(&socket_of(config), servers, places, options(config))?;
    tracing::info!(socket = %service.socket().display(), "WAL is taken for the repositories");
    Ok(Some(service))
}

/// The repositories of a configuration.
pub fn places(config: &Effective) -> Places {
    let state = &config.agent.state_directory;
    let place = |configured: &Configured| {
        let (opens, state) = (configured.clone(), state.clone());
        Place::new(&configured.name, configured.required, move || open_or_make_first(&opens, &state))
    };
    Places::new(config.backup.repository.iter().map(place).collect())
}

/// How the service works, by a configuration.
pub fn options(config: &Effective) -> Options {
    let backup = &config.backup;
    Options {
        level: i32::try_from(backup.compression_level).unwrap_or(3),
        workers: backup.wal_workers,
        prefetch: backup.wal_prefetch,
        dropping: Some(Dropping { bounds: bounds(config), journal: config.agent.state_directory.join("wal-dropped") }),
    }
}

/// How much WAL may wait, by a configuration.
pub fn bounds(config: &Effective) -> WalBounds {
    let backup = &config.backup;
    WalBounds {
        most_waiting_bytes: backup.max_wal_waiting_bytes,
        least_free_bytes: backup.min_wal_free_bytes,
        drops: backup.drop_wal_beyond_limits,
    }
}

/// Makes a repository only as long as it has no key file. With one there was a repository; where it is missing now, its file system is not
/// mounted, and WAL must not go into the directory below.
fn open_or_make_first(configured: &Configured, state: &Path) -> Result<Repository> {
    let has_key = matches!(configured.encryption, Encryption::KeyFile | Encryption::Recipients);
    if has_key && !key_file(configured, state).exists() { open_or_make(configured, state) } else { open(configured, state) }
}
