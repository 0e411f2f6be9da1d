//! `pgtend agent`: the daemon beside existing servers.

use super::Global;
use crate::daemon::{Daemon, Told};
use clap::Args;
use pgtend_model::config::{self, Effective};
use pgtend_model::error::{Error, Kind, Result};
use std::path::{Path, PathBuf};

/// Watches servers until it is told to end
///
/// SIGHUP makes it read its configuration again; SIGTERM and SIGINT end it. PostgreSQL is never touched by either.
#[derive(Debug, Args)]
pub(super) struct Agent {
    /// The configuration.
    #[arg(long, value_name = "FILE", env = "PGTEND_CONFIG", default_value = "/etc/pgtend/pgtend.toml")]
    config: PathBuf,
}

impl Agent {
    pub(super) async fn run(&self, _global: &Global) -> Result<u8> {
        let mut daemon = Daemon::start(load(&self.config)?).await?;
        daemon.ready();
        tracing::info!(api = ?daemon.listening.api, metrics = ?daemon.listening.metrics, "ready");
        while daemon.told().await == Told::Reload {
            daemon.reload(load(&self.config));
        }
        daemon.stop().await;
        Ok(0)
    }
}

fn load(file: &Path) -> Result<Effective> {
    let place = file.display().to_string();
    let text = std::fs::read_to_string(file).map_err(|error| {
        Error::new(Kind::Config, format!("the configuration cannot be read: {error}"))
            .at(&place)
            .hint("name another file with --config, or run pgtend up, which needs none")
    })?;
    let parsed = config::parse(&text, &place)?;
    for notice in &parsed.notices {
        tracing::warn!(place = notice.place, "{}", notice.text);
    }
    Ok(parsed.effective)
}
