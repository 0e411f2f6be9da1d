//! `pgtend agent`: the daemon beside existing servers.

use super::Global;
use crate::agent::tasks::Tasks;
use crate::agent::{self, Databases, Settings};
use crate::api;
use clap::Args;
use pgtend_model::error::{Error, Kind, Result};
use pgtend_model::schedule::default_cadence;
use pgtend_postgres::connect::{Environment, Limits, Target};
use std::time::Duration;

/// Watches servers until it is told to end
#[derive(Debug, Args)]
pub(super) struct Agent {
    /// Where the API answers; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:8080")]
    api: std::net::SocketAddr,
}

impl Agent {
    pub(super) async fn run(&self, global: &Global) -> Result<u8> {
        let target = Target::resolve(global.connection.as_deref(), &Environment::from_process())?;
        let settings = Settings {
            name: "main".to_owned(),
            target,
            data_directory: None,
            limits: Limits::default(),
            round_budget: Duration::from_secs(3),
            cadence: default_cadence(),
            databases: Databases::All { except: Vec::new(), most: 50 },
            ash_samples: 86_400,
            ash_bytes: 32 << 20,
        };
        let agent = agent::Agent::start(vec![settings], Tasks::default());
        let socket = global.socket.clone().unwrap_or_else(|| "/tmp/pgtend.sock".into());
        let listening = api::serve(&agent, api::router(agent.clone()), self.api, &socket).await?;
        tracing::info!(api = %listening.api, socket = %socket.display(), "ready");
        tokio::signal::ctrl_c().await.map_err(|error| Error::new(Kind::System, error.to_string()))?;
        agent.tasks().cancel();
        let stragglers = agent.tasks().finished(Duration::from_secs(5)).await;
        if !stragglers.is_empty() {
            tracing::warn!(tasks = stragglers.join(", "), "tasks did not end in time");
        }
        Ok(0)
    }
}
