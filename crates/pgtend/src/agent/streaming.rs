//! Streaming the WAL of the servers beside the agent, where the configuration wants it.

use super::settings::Settings;
use super::tasks::Tasks;
use crate::wal::Service;
use crate::wal::streaming::{Stream, Told};
use pgtend_model::backup::wal_stream::{StreamState, Streaming, left_over, slot_name};
use pgtend_model::config::{Backup, Effective};
use pgtend_model::sample::slots::ReplicationSlot;
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

    /// How it goes, with a slot that nothing moves on any more; none for a server that is not streamed and has no such slot.
    pub fn told(&self, view: &View) -> Option<Streaming> {
        let told = self.0.told.lock().unwrap_or_else(PoisonError::into_inner).get(&*view.name).map(|told| told.now());
        match (told, self.left_over(view)) {
            // Which slot is its own shows when it has begun.
            (Some(told), Some(left)) if told.slot.is_none() && !matches!(told.state, StreamState::Starting | StreamState::Failing) => {
                Some(Streaming { error: told.error.or(left.error), slot: left.slot, slot_held_bytes: left.slot_held_bytes, ..told })
            }
            (told, left) => told.or(left),
        }
    }

    /// What a server still keeps for streaming by a slot that is not used, as far as it was looked.
    fn left_over(&self, view: &View) -> Option<Streaming> {
        let name = slot_name(&view.name);
        let names = [self.0.config.stream_slot.as_deref().unwrap_or(&name), &name];
        let slots = view.readings.slots.current().ok()?;
        let is_ours = |slot: &&ReplicationSlot| names.contains(&&*slot.slot_name) && &*slot.slot_type == "physical" && !slot.active;
        let slot = slots.rows.iter().find(is_ours)?;
        Some(left_over(&slot.slot_name, slot.retained_bytes.and_then(|bytes| u64::try_from(bytes).ok())))
    }
}
