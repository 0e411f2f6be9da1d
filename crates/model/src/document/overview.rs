//! What is known of the agent and of all its servers: the ground of documents that are about no single server.

use crate::ash::Held;
use crate::config::Effective;
use crate::error::Result;
use crate::view::{Link, View};
use jiff::{Timestamp, Unit};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::collections::BTreeMap;
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};

/// What is known of the agent and of all its servers, and the time.
#[derive(Debug, Clone, Copy)]
pub struct Whole<'a> {
    /// The servers, in the order of the configuration.
    pub servers: &'a [Watched],
    /// The configuration in force.
    pub config: &'a Effective,
    /// The agent's process.
    pub process: &'a Process,
    /// Now, by the agent's clock.
    pub now: Timestamp,
}

/// A server of the agent.
#[derive(Debug, Clone)]
pub struct Watched {
    /// All that is known of it.
    pub view: Arc<View>,
    /// How much of its session history is held.
    pub ash: Held,
}

/// The agent's process.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = AgentProcess)]
pub struct Process {
    /// Process id.
    pub pid: u32,
    /// pgtend's version.
    pub version: String,
    /// When it started.
    pub started_at: Timestamp,
    /// Resident memory, in bytes; null where /proc cannot be read.
    pub memory_bytes: Option<u64>,
    /// Processor time used since it started, in seconds; null where /proc cannot be read.
    pub cpu_seconds: Option<f64>,
    /// Threads; null where /proc cannot be read.
    pub threads: Option<u64>,
    /// Open files and connections; null where /proc cannot be read.
    pub open_files: Option<usize>,
    /// Tasks that run, by name, with how many of each.
    pub tasks: BTreeMap<String, usize>,
}

/// A document about the agent, or about all its servers.
pub trait Overview: Serialize + DeserializeOwned + ToSchema + Send + 'static {
    /// What may be asked of it; the query parameters of its path.
    type Params: Serialize + DeserializeOwned + IntoParams + Default + Send + 'static;
    /// Where the API serves it.
    const PATH: &'static str;
    /// What it tells, in one line.
    const ABOUT: &'static str;

    /// Makes it.
    ///
    /// # Errors
    /// As [`super::Document::build`].
    fn build(whole: &Whole<'_>, params: &Self::Params) -> Result<Self>;
}

/// Seconds between two instants; zero when they are the other way round.
pub(super) fn seconds(from: Timestamp, to: Timestamp) -> f64 {
    to.since(from).and_then(|span| span.total(Unit::Second)).unwrap_or(0.0).max(0.0)
}

/// `up`, `down` or `connecting`, since when, and why.
pub(super) fn link(link: &Link) -> (&'static str, Option<Timestamp>, Option<String>) {
    match link {
        Link::Connecting => ("connecting", None, None),
        Link::Up { since } => ("up", Some(*since), None),
        Link::Down { since, why, .. } => ("down", Some(*since), Some(why.what.clone())),
    }
}

#[cfg(test)]
pub mod by_hand {
    //! Agents made by hand.

    use super::*;
    use crate::ash::Ring;
    use serde_json::Value;

    /// The document, as JSON, about an agent of these servers, a minute after noon.
    pub fn built<O: Overview>(views: Vec<View>, change: impl FnOnce(&mut Effective), params: &O::Params) -> Value {
        let watched = |view: View| {
            let mut ring = Ring::new(100, usize::MAX);
            if let Ok(sample) = view.readings.activity.current() {
                ring.record(sample, &std::collections::HashMap::new());
            }
            Watched { view: Arc::new(view), ash: ring.held() }
        };
        let servers: Vec<Watched> = views.into_iter().map(watched).collect();
        let started_at = super::super::by_hand::at(0);
        let process = Process { pid: 42, version: "1.2.3".to_owned(), started_at, ..Process::default() };
        let mut config = Effective::default();
        change(&mut config);
        let whole = Whole { servers: &servers, config: &config, process: &process, now: super::super::by_hand::at(60) };
        let json = serde_json::to_value(O::build(&whole, params).unwrap()).unwrap();
        serde_json::from_value::<O>(json.clone()).expect("a document reads back");
        json
    }
}
