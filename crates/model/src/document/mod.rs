//! Documents: what pgtend answers, each a pure function of what is known of a server.
//!
//! A document is defined once. The API serves it at its path, `pgtend` prints it from the agent's answer or, with `--connection`,
//! from a look of its own; both come from the same [`Document::build`].

pub mod ash;
#[cfg(test)]
pub mod by_hand;
pub mod connections;
pub mod databases;
mod dated;
pub mod health;
pub mod host;
pub mod load;
pub mod locks;
pub mod metrics;
pub mod monitoring;
#[cfg(test)]
mod of_its_own;
pub mod overview;
pub mod profiler;
pub mod replication;
mod retrospect;
pub mod sessions;
pub mod stats;
pub mod status;

pub use dated::Dated;
pub use overview::{Overview, Whole};
pub use retrospect::Retrospect;

use crate::ash::Ring;
use crate::error::Result;
use crate::health::Thresholds;
use crate::sample::{Probe, Unknown};
use crate::view::View;
use jiff::Timestamp;
use serde::{Serialize, de::DeserializeOwned};
use std::collections::BTreeMap;
use utoipa::{IntoParams, ToSchema};

/// What is known of one server, and the time.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// The newest readings.
    pub view: &'a View,
    /// The session history.
    pub ash: &'a Ring,
    /// What figures are held against.
    pub thresholds: Thresholds,
    /// Now, by the agent's clock.
    pub now: Timestamp,
}

/// One answer of pgtend.
pub trait Document: Serialize + DeserializeOwned + ToSchema + Send + 'static {
    /// What may be asked of it; the query parameters of its path.
    type Params: Serialize + DeserializeOwned + IntoParams + Default + Send + 'static;
    /// Where the API serves it.
    const PATH: &'static str;
    /// What it tells, in one line.
    const ABOUT: &'static str;
    /// The probes that it is made from: what a look without an agent has to run.
    const PROBES: &'static [Probe];
    /// Those of them that the agent reads again when their rows are older than half a second: cheap ones, where a person wants now.
    const FRESH: &'static [Probe] = &[];
    /// Whether it needs two readings some time apart.
    const NEEDS_RATES: bool = false;
    /// Whether the API tells it to everybody, without a token: only what names no statement, role or client.
    const OPEN: bool = false;

    /// Makes it.
    ///
    /// # Errors
    /// `Usage` when the parameters make no sense; `NotFound` when what they name does not exist. What is merely unknown is no error: it is
    /// null in the document, with the reason.
    fn build(known: &Known<'_>, params: &Self::Params) -> Result<Self>;
}

/// Why figures of a document are null, by their place in it (`memory.used_percent`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, serde::Deserialize, ToSchema)]
#[serde(transparent)]
pub struct Unknowns(BTreeMap<String, Unknown>);

impl Unknowns {
    /// The figure, or none with the reason noted at its place.
    pub fn take<T, U: Into<Unknown>>(&mut self, place: &str, figure: Result<T, U>) -> Option<T> {
        figure.map_err(|unknown| self.0.insert(place.to_owned(), unknown.into())).ok()
    }

    /// Notes why the figure at a place is not known.
    pub fn note(&mut self, place: &str, why: Unknown) {
        self.0.insert(place.to_owned(), why);
    }

    /// The reasons.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Unknown)> {
        self.0.iter().map(|(place, unknown)| (place.as_str(), unknown))
    }

    /// The reason at a place.
    pub fn get(&self, place: &str) -> Option<&Unknown> {
        self.0.get(place)
    }

    /// Whether everything is known.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<&Unknown> for Unknown {
    fn from(unknown: &Unknown) -> Self {
        unknown.clone()
    }
}
