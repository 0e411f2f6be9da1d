//! `pgtend agent`: the daemon beside existing servers.

use super::Global;
use crate::config::ConfigFile;
use crate::daemon::{Daemon, Told};
use clap::Args;
use pgtend_model::config::{Effective, Notice};
use pgtend_model::error::Result;
use std::net::SocketAddr;

/// Watches servers until it is told to end
///
/// SIGHUP makes it read its configuration again; SIGTERM and SIGINT end it. PostgreSQL is never touched by either.
#[derive(Debug, Args)]
pub(super) struct Agent {
    #[command(flatten)]
    file: ConfigFile,
}

impl Agent {
    /// As configured; a configuration that cannot be used is told when the agent starts.
    pub(super) fn worker_threads(&self) -> usize {
        self.file.load().map_or(2, |parsed| parsed.effective.agent.worker_threads)
    }

    pub(super) async fn run(&self, _global: &Global) -> Result<u8> {
        let config = self.file.load()?;
        let mut daemon = Daemon::start(config.effective).await?;
        tell(&config.notices);
        daemon.ready();
        let place = |address: Option<SocketAddr>| address.map_or_else(|| "off".to_owned(), |address| address.to_string());
        tracing::info!(api = place(daemon.listening.api), metrics = place(daemon.listening.metrics), "ready");
        while daemon.told().await == Told::Reload {
            daemon.reload(load(&self.file));
        }
        tracing::info!("told to end");
        daemon.stop().await.stop_archive().await;
        Ok(0)
    }
}

fn load(file: &ConfigFile) -> Result<Effective> {
    let parsed = file.load()?;
    tell(&parsed.notices);
    Ok(parsed.effective)
}

fn tell(notices: &[Notice]) {
    for notice in notices {
        tracing::warn!(place = notice.place, "{}", notice.text);
    }
}
