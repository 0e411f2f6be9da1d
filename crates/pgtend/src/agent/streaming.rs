//! Streaming the WAL of the servers beside the agent, where the configuration wants it.

use super::settings::Settings;
use super::tasks::Tasks;
use crate::wal::Service;
use crate::wal::streaming::{Stream, Told};
use pgtend_model::backup::wal_stream::Streaming;
use pgtend_model::config::{Backup, Effective};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio_util::sync::CancellationToken;

/// The streaming of all servers. Clones share it.
#[derive(Debug, Clone)]
pub struct Streams(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: Backup,
    service: Option<Arc<Service>>,
    told: Mutex<BTreeMap<String, Arc<Told>>>,
    tasks: Tasks,
}

impl Streams {
    /// Of this configuration, with what keeps WAL.
    pub fn new(config: &Effective, service: Option<Arc<Service>>, tasks: &Tasks) -> Self {
        Self(Arc::new(Inner { config: config.backup.clone(), service, told: Mutex::default(), tasks: tasks.clone() }))
    }

    /// Streams the WAL of a server until it is no longer watched.
    pub(super) fn look_after(&self, settings: &Settings, ends: CancellationToken) {
        let config = &self.0.config;
        let (Some(data), Some(service)) = (settings.server.data_directory.clone(), self.0.service.clone()) else { return };
        if !config.stream_wal || !service.serves(&settings.server.name) {
            return;
        }
        let server = settings.server.name.clone();
        let told = Arc::clone(self.0.told.lock().unwrap_or_else(PoisonError::into_inner).entry(server.clone()).or_default());
        let filed = settings.server.in_repository().to_owned();
        let name = format!("WAL streaming of {server}");
        let (target, limits) = (settings.target.clone(), settings.limits());
        let (interval, slot) = (config.stream_interval, config.stream_slot.clone());
        let stream = Stream { server, filed, data, target, limits, interval, slot, service, told, ends };
        self.0.tasks.spawn(name, stream.run());
    }

    /// How it goes; none for a server that is not streamed.
    pub fn told(&self, server: &str) -> Option<Streaming> {
        self.0.told.lock().unwrap_or_else(PoisonError::into_inner).get(server).map(|told| told.now())
    }
}
