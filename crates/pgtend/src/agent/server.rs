//! One watched server as the rest of the agent sees it: what is known of it now, and a way to ask something of its connection.

use super::order::{Order, Outcome};
use super::recording::Recording;
use super::settings::Settings;
use arc_swap::ArcSwap;
use pgtend_model::ash::Ring;
use pgtend_model::error::{Error, Kind, Result};
use pgtend_model::past::NewPlan;
use pgtend_model::sample::registry::SPECS;
use pgtend_model::sample::{Probe, Reason, Unknown};
use pgtend_model::view::View;
use pgtend_store::history::Remembered;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// How long somebody who asks waits for readings made for them; then they get what there is.
const PATIENCE: Duration = Duration::from_secs(2);

/// An order with the place where its outcome is waited for.
pub(super) type Envelope = (Order, oneshot::Sender<Result<Outcome>>);

/// One watched server. Clones share it.
#[derive(Debug, Clone)]
pub struct Server {
    name: Arc<str>,
    view: Arc<ArcSwap<View>>,
    working: Arc<Mutex<View>>,
    ash: Arc<RwLock<Ring>>,
    orders: mpsc::Sender<Envelope>,
    recording: Recording,
}

impl Server {
    /// A server of which nothing is known yet, and the orders that its watch has to take.
    pub(super) fn new(settings: &Settings, recording: &Recording) -> (Self, mpsc::Receiver<Envelope>) {
        Self::knowing(View::unseen(&settings.server.name, settings.target.address()), settings, recording)
    }

    /// A server of which something is known already.
    fn knowing(mut view: View, settings: &Settings, recording: &Recording) -> (Self, mpsc::Receiver<Envelope>) {
        view.data_directory.clone_from(&settings.server.data_directory);
        for spec in SPECS {
            if let Some(unknown) = settings.never(spec.probe) {
                view.readings.fail(spec.probe, unknown);
            }
        }
        let (most_samples, most_bytes) = ash_bounds(settings);
        let ash = Ring::new(most_samples, most_bytes).capturing(settings.capture());
        let (sender, orders) = mpsc::channel(16);
        let server = Self {
            name: settings.server.name.as_str().into(),
            view: Arc::new(ArcSwap::from_pointee(view.clone())),
            working: Arc::new(Mutex::new(view)),
            ash: Arc::new(RwLock::new(ash)),
            orders: sender,
            recording: recording.clone(),
        };
        (server, orders)
    }

    /// The same server under new settings: its session history is kept, and what was read of it, as long as it is at the same address.
    /// So figures go on, and totals that were added up from reading to reading do not start anew.
    pub(super) fn renewed(&self, settings: &Settings) -> (Self, mpsc::Receiver<Envelope>) {
        let mut view = View::unseen(&settings.server.name, settings.target.address());
        let known = self.view();
        if known.target == view.target {
            view.readings = known.readings.clone();
            view.statement_texts = known.statement_texts.clone();
        }
        let (mut server, orders) = Self::knowing(view, settings, &self.recording);
        server.ash = self.ash.clone();
        let mut ring = server.ash.write().unwrap_or_else(PoisonError::into_inner);
        let (most_samples, most_bytes) = ash_bounds(settings);
        ring.set_bounds(most_samples, most_bytes);
        ring.set_capture(settings.capture());
        drop(ring);
        (server, orders)
    }

    /// Its name in the configuration.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// All that is known of it now.
    pub fn view(&self) -> Arc<View> {
        self.view.load_full()
    }

    /// Its active session history.
    pub fn ash(&self) -> &RwLock<Ring> {
        &self.ash
    }

    /// What is remembered of it, as far as it is on disk.
    pub fn past(&self) -> Remembered {
        self.recording.history().server(&self.name)
    }

    /// What is remembered of it, up to now.
    pub async fn whole_past(&self) -> Remembered {
        self.recording.flushed().await;
        self.past()
    }

    /// Remembers plans of its statements.
    pub(super) fn remember_plans(&self, plans: Vec<NewPlan>) {
        self.recording.plans(&self.name, plans);
    }

    /// Samples of all servers that are lost since the agent started.
    pub fn lost_samples(&self) -> u64 {
        self.recording.lost_samples()
    }

    /// Whether both are the same watch, not merely of the same server.
    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.view, &other.view)
    }

    /// Changes what is known of it. Readers see the change as a whole.
    pub(super) fn update<T>(&self, change: impl FnOnce(&mut View) -> T) -> T {
        let mut working = self.working.lock().unwrap_or_else(PoisonError::into_inner);
        let outcome = change(&mut working);
        self.view.store(Arc::new(working.clone()));
        outcome
    }

    /// Has probes run now: those that do not run by themselves, and those that shall be read anew. Why one of the former could not be
    /// read is in the view; of the latter there is an earlier reading.
    pub async fn read(&self, on_demand: &[Probe], anew: &[Probe]) {
        let probes: Vec<Probe> = on_demand.iter().chain(anew).copied().collect();
        if probes.is_empty() {
            return;
        }
        let unknown = match tokio::time::timeout(PATIENCE, self.order(Order::Read(probes))).await {
            Ok(Ok(_)) => return,
            Ok(Err(error)) => Unknown::new(Reason::Unreachable, error.what),
            Err(_) => Unknown::new(Reason::Timeout, format!("the server's connection was busy for {PATIENCE:?}; ask again")),
        };
        self.update(|view| on_demand.iter().for_each(|probe| view.readings.fail(*probe, unknown.clone())));
    }

    /// Has its one connection carry out an order, after the probe that is running now.
    ///
    /// # Errors
    /// `Unreachable` while there is no connection, otherwise what the order met.
    pub async fn order(&self, order: Order) -> Result<Outcome> {
        let (sender, receiver) = oneshot::channel();
        let gone = || Error::new(Kind::Unreachable, "the agent no longer watches this server");
        self.orders.send((order, sender)).await.map_err(|_| gone())?;
        receiver.await.map_err(|_| gone())?
    }
}

fn ash_bounds(settings: &Settings) -> (usize, usize) {
    (settings.ash.max_samples, usize::try_from(settings.ash.max_memory_bytes).unwrap_or(usize::MAX))
}
