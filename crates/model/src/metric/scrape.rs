//! What one scrape is about: the servers, what is known of them, and what is to be shown.

use super::bounds::Bounds;
use super::pushed::Pushed;
use crate::config::Effective;
use crate::config::metrics::Metrics;
use crate::sample::{Probe, Rows};
use crate::view::View;
use jiff::Timestamp;

/// What the agent knows of itself.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct About {
    /// Its version.
    pub version: &'static str,
    /// Answers with metrics so far.
    pub scrapes: u64,
    /// Processor time used.
    pub cpu_seconds: Option<f64>,
    /// Resident memory.
    pub resident_bytes: Option<u64>,
    /// Virtual memory.
    pub virtual_bytes: Option<u64>,
    /// Files open.
    pub open_files: Option<u64>,
    /// Files that may be open.
    pub max_files: Option<u64>,
    /// When it started.
    pub started_at: Option<Timestamp>,
}

/// One server in a scrape.
#[derive(Debug)]
pub struct Subject<'a> {
    /// What is known of it.
    pub view: &'a View,
    /// The agent.
    pub about: &'a About,
    /// Now, by the agent's clock.
    pub now: Timestamp,
    /// Now, by the server's clock: ages of what the server dated are told by it.
    pub server_now: Timestamp,
    /// Labels that the configuration gives all its series.
    labels: Vec<(&'a str, &'a str)>,
    bounds: Bounds,
}

/// One scrape.
#[derive(Debug)]
pub struct Scrape<'a> {
    /// The servers.
    pub subjects: Vec<Subject<'a>>,
    /// The agent.
    pub about: &'a About,
    /// What somebody registered by the API.
    pub pushed: &'a [Pushed],
    /// What is shown, and how.
    pub config: &'a Metrics,
    /// Whether series carry their server's name.
    named: bool,
}

impl<'a> Scrape<'a> {
    /// A scrape of these servers. With one, series have no labels but their own, as postgres_exporter's; with several, every series of a
    /// server carries `server="NAME"`. Labels that the configuration gives a server come on top.
    pub fn new(views: impl IntoIterator<Item = &'a View>, config: &'a Effective, about: &'a About, now: Timestamp) -> Self {
        let bounds = Bounds::of(&config.metrics);
        let subject = |view: &'a View| {
            let server = config.server.iter().find(|server| server.name == view.name);
            let labels = server.into_iter().flat_map(|server| &server.labels).map(|(name, value)| (name.as_str(), value.as_str()));
            Subject { view, about, now, server_now: view.on_server_clock(now), labels: labels.collect(), bounds }
        };
        let subjects: Vec<Subject<'a>> = views.into_iter().map(subject).collect();
        let named = subjects.len() > 1;
        Self { subjects, about, pushed: &[], config: &config.metrics, named }
    }

    /// The labels of a server's series beyond those of their family, which are `own`. `inherited` says that postgres_exporter 0.11 has
    /// the family with the label `server`, which then holds `host:port`.
    pub fn labels<'s>(&self, subject: &'s Subject<'_>, inherited: bool, own: &[&str]) -> Vec<(&'s str, &'s str)> {
        let server = match (self.named, inherited) {
            (true, _) => Some(("server", subject.view.name.as_str())),
            (false, true) => Some(("server", subject.view.target.as_str())),
            (false, false) => None,
        };
        let given = subject.labels.iter().copied().filter(|(name, _)| !own.contains(name));
        server.into_iter().chain(given).collect()
    }
}

impl Subject<'_> {
    /// The numbers of the rows that have series, in the order of the sample.
    pub fn selected(&self, probe: Probe, rows: &dyn Rows) -> Vec<usize> {
        self.bounds.select(probe, rows)
    }

    /// How many rows have none, where that is worth telling.
    pub fn cut(&self, probe: Probe, rows: usize) -> Option<usize> {
        self.bounds.cut(probe, rows)
    }
}
