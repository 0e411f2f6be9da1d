//! One watched server as the rest of the agent sees it: what is known of it now, and a way to ask something of its connection.

use arc_swap::ArcSwap;
use pgtend_model::ash::Ring;
use pgtend_model::error::{Error, Kind, Result};
use pgtend_model::schedule::Cadence;
use pgtend_model::view::{Link, View};
use pgtend_postgres::connect::{Limits, Target};
use std::path::PathBuf;
use std::sync::{Arc, RwLock};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

use super::order::{Order, Outcome};

/// How one server is watched.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Its name in the configuration.
    pub name: String,
    /// How to connect.
    pub target: Target,
    /// Its data directory where the agent runs beside it.
    pub data_directory: Option<PathBuf>,
    /// Bounds of its session.
    pub limits: Limits,
    /// Most time that the probes of one round may take together.
    pub round_budget: Duration,
    /// How often each probe runs.
    pub cadence: Cadence,
    /// Which databases the per-database probes visit besides the connected one.
    pub databases: Databases,
    /// Most samples of sessions that are kept in memory.
    pub ash_samples: usize,
    /// Most bytes that samples of sessions may take in memory.
    pub ash_bytes: usize,
}

/// Which databases the per-database probes visit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Databases {
    /// Every database that allows connections and is no template, up to a number, largest first.
    All {
        /// Left out by name.
        except: Vec<String>,
        /// Most databases visited.
        most: usize,
    },
    /// These.
    Only(Vec<String>),
}

/// One watched server. Clones share it.
#[derive(Debug, Clone)]
pub struct Server {
    view: Arc<ArcSwap<View>>,
    ash: Arc<RwLock<Ring>>,
    orders: mpsc::Sender<(Order, oneshot::Sender<Result<Outcome>>)>,
}

/// The watch's side of a [`Server`].
#[derive(Debug)]
pub(super) struct Inbox {
    pub(super) orders: mpsc::Receiver<(Order, oneshot::Sender<Result<Outcome>>)>,
}

impl Server {
    pub(super) fn new(settings: &Settings) -> (Self, Inbox) {
        let view = View {
            name: settings.name.clone(),
            target: settings.target.address(),
            link: Link::Connecting,
            data_directory: settings.data_directory.clone(),
            readings: Default::default(),
        };
        let (sender, orders) = mpsc::channel(16);
        let ash = Ring::new(settings.ash_samples, settings.ash_bytes);
        let server = Self { view: Arc::new(ArcSwap::from_pointee(view)), ash: Arc::new(RwLock::new(ash)), orders: sender };
        (server, Inbox { orders })
    }

    /// All that is known of it now.
    pub fn view(&self) -> Arc<View> {
        self.view.load_full()
    }

    /// Its active session history.
    pub fn ash(&self) -> &RwLock<Ring> {
        &self.ash
    }

    pub(super) fn publish(&self, view: &View) {
        self.view.store(Arc::new(view.clone()));
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
