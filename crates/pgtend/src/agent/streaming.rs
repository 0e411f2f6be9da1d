//! Streaming the WAL of the servers beside the agent, where the configuration wants it.

use super::settings::Settings;
use super::tasks::Tasks;
use crate::wal::Service;
use crate::wal::streaming::{Stream, Told};
use pgtend_model::backup::wal_stream::{Streaming, left_over, slot_name};
use pgtend_model::config::{Backup, Effective};
use pgtend_model::view::View;
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

    /// What a server still keeps for streaming that is switched off, as far as it was looked.
    pub fn left_over(&self, view: &View) -> Option<Streaming> {
        if self.0.config.stream_wal {
            return None;
        }
        let name = self.0.config.stream_slot.clone().unwrap_or_else(|| slot_name(&view.name));
        let slots = view.readings.slots.current().ok()?;
        let slot = slots.rows.iter().find(|slot| *slot.slot_name == *name && &*slot.slot_type == "physical" && !slot.active)?;
        Some(left_over(&name, slot.retained_bytes.and_then(|bytes| u64::try_from(bytes).ok())))
    }

    /// How it goes; none for a server that is not streamed.
    pub fn told(&self, server: &str) -> Option<Streaming> {
        self.0.told.lock().unwrap_or_else(PoisonError::into_inner).get(server).map(|told| told.now())
    }
}
