//! `[probes.NAME]`: how often each probe runs and what it may cost.

use super::hints;
use super::key::{Key, Shape};
use super::secret::Secrets;
use super::section::{Section, section};
use super::setting::{At, Node, Setting};
use crate::sample::Probe;
use crate::sample::registry::SPECS;
use crate::schedule::Cadence;
use std::collections::BTreeMap;
use std::time::Duration;
use toml::de::{DeTable, DeValue};

section! {
    /// How often a probe runs and what it may cost.
    pub struct ProbeSettings, checked by check_probe {
        /// Whether it runs. What it would tell is then unknown, for the reason "disabled".
        enabled: bool = "true", now;
        /// How often it runs, at least 100ms. Not written: as often as [probes](probes.md) says. `"0s"`: only when somebody asks.
        every: Option<Duration> = none in "0s to 7d", now;
        /// How long it may take. Not written: the server's `statement_timeout`.
        timeout: Option<Duration> = none in "10ms to 10min", now;
        /// Rows kept of one run; when there are more, the rest is cut, and the reading says so.
        max_rows: usize = "100000" in "1 to 10000000", now;
    }
}

fn check_probe(settings: &mut ProbeSettings, section: &Section<'_>) {
    if settings.every.is_some_and(|every| !every.is_zero() && every < Duration::from_millis(100)) {
        section.reject(
            "every",
            format!("{}.every is less than 100ms", section.at.path),
            "write \"0s\" for a probe that runs only when somebody asks",
        );
    }
}

/// The settings of every probe.
#[derive(Debug, Clone, PartialEq)]
pub struct Probes(BTreeMap<Probe, ProbeSettings>);

impl Probes {
    /// The settings of one probe; `every` is always there.
    pub fn get(&self, probe: Probe) -> &ProbeSettings {
        &self.0[&probe]
    }

    /// How often a probe runs.
    pub fn every(&self, probe: Probe) -> Duration {
        self.get(probe).every.unwrap_or(probe.spec().every)
    }

    /// The probes that run by themselves, and how often.
    pub fn cadence(&self) -> Cadence {
        let running = self.0.iter().filter(|(_, settings)| settings.enabled);
        running.map(|(probe, _)| (*probe, self.every(*probe))).filter(|(_, every)| !every.is_zero()).collect()
    }

    /// Changes the settings of one probe.
    pub fn set(&mut self, probe: Probe, settings: ProbeSettings) {
        self.0.insert(probe, settings);
    }
}

impl Setting for Probes {
    const TYPE: &'static str = "section";
    const SHAPE: Shape = Shape::Tables;
    const KEYS: &'static [Key] = ProbeSettings::KEYS;

    fn read(node: &Node<'_>, at: &At<'_>) -> Option<Self> {
        let DeValue::Table(table) = node.get_ref() else {
            at.wrong_type(&format!("a section: {}", at.header()), node);
            return None;
        };
        let known: Vec<&str> = SPECS.iter().map(|spec| spec.name).collect();
        for (name, value) in table.iter().filter(|(name, _)| !known.contains(&name.get_ref().as_ref())) {
            hints::unknown_key(at, name, value, &known);
        }
        let nothing = Node::new(node.span(), DeValue::Table(DeTable::new()));
        let read = SPECS.iter().map(|spec| {
            let node = table.get(spec.name).unwrap_or(&nothing);
            let mut settings = ProbeSettings::read(node, &at.below(spec.name, node, None))?;
            settings.every.get_or_insert(spec.every);
            Some((spec.probe, settings))
        });
        let read: Vec<Option<(Probe, ProbeSettings)>> = read.collect();
        read.into_iter().collect::<Option<BTreeMap<_, _>>>().map(Self)
    }

    fn show(&self, unit: &str, secrets: Secrets) -> Option<toml::Value> {
        let table: toml::Table =
            SPECS.iter().filter_map(|spec| Some((spec.name.to_owned(), self.0.get(&spec.probe)?.show(unit, secrets)?))).collect();
        Some(toml::Value::Table(table))
    }
}
