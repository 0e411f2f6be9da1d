//! Metrics of the user's own, by the API: registered once, then counted up or set by whoever knows the figure.

use super::family::Kind;
use super::scrape::Scrape;
use super::text::{Labels, Number, Text};
use crate::config::is_label_name;
use crate::error::{Error, Kind as ErrorKind, Result};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// Metrics that there may be.
pub const AT_MOST: usize = 1000;
/// Labels that one may have.
const LABELS_AT_MOST: usize = 20;
/// Bytes of a name, a help, or a label's value.
const TEXT_AT_MOST: usize = 1000;

/// What a pushed metric is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PushedKind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
}

impl PushedKind {
    /// Its name.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
        }
    }
}

/// A metric that somebody registered: one series.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Pushed {
    /// Its name, as Prometheus gets it.
    pub name: String,
    /// What it is.
    #[serde(rename = "type")]
    pub kind: PushedKind,
    /// What it says.
    #[serde(default)]
    pub help: String,
    /// Its labels.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Its value; it begins with 0.
    #[serde(default)]
    pub value: f64,
    /// When the value was changed last; null before the first time.
    #[serde(default)]
    pub changed: Option<Timestamp>,
}

/// A change of a value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Change {
    /// By so much.
    Add(f64),
    /// To this.
    Set(f64),
}

impl Pushed {
    /// Whether it may be a metric beside the others.
    ///
    /// # Errors
    /// `Usage` with what is wrong.
    pub fn check(&self) -> Result<()> {
        let wrong = |what: String, hint: &str| Err(Error::new(ErrorKind::Usage, what).hint(hint));
        let name = self.name.escape_debug();
        if !is_label_name(&self.name) || self.name.len() > TEXT_AT_MOST {
            return wrong(format!("\"{name}\" cannot be the name of a metric"), "use letters, digits and '_', and begin with a letter");
        }
        if super::is_taken(&self.name) || self.name == "pgtend" || self.name.starts_with("pgtend_") {
            return wrong(format!("\"{name}\" is a metric of pgtend itself"), "choose another name");
        }
        if let Some(label) = self.labels.keys().find(|label| !is_label_name(label)) {
            let what = format!("\"{}\" cannot be the name of a label", label.escape_debug());
            return wrong(what, "use letters, digits and '_', and begin with a letter");
        }
        let longest = self.labels.values().chain([&self.help]).map(String::len).max().unwrap_or(0);
        if self.labels.len() > LABELS_AT_MOST || longest > TEXT_AT_MOST {
            return wrong(
                format!("a metric may have {LABELS_AT_MOST} labels, and {TEXT_AT_MOST} bytes in its help and in each of them"),
                "what differs from row to row does not belong into labels",
            );
        }
        Ok(())
    }

    /// The value after a change.
    ///
    /// # Errors
    /// `Usage` when such a metric cannot change so.
    pub fn changed(&self, change: Change) -> Result<f64> {
        let wrong = |what: &str, hint: &str| Err(Error::new(ErrorKind::Usage, what).at(&self.name).hint(hint));
        let (Change::Add(value) | Change::Set(value)) = change;
        if !value.is_finite() {
            return wrong("the value is no number", "");
        }
        match (self.kind, change) {
            (PushedKind::Counter, Change::Set(_)) => wrong("a counter is not set", "count it up by …/inc, or register a gauge"),
            (PushedKind::Counter, Change::Add(by)) if by < 0.0 => wrong("a counter does not go down", "register a gauge"),
            (_, Change::Add(by)) => Ok(self.value + by),
            (_, Change::Set(to)) => Ok(to),
        }
    }
}

/// Writes them. One whose name the configuration has given away meanwhile is left out: a text that Prometheus refuses as a whole would be worse.
pub fn write(scrape: &Scrape<'_>, text: &mut Text<'_>) {
    let of_queries = |name: &str| {
        let mut columns = scrape.config.custom.iter().flat_map(|custom| custom.columns.keys().map(move |column| (custom, column)));
        columns.any(|(custom, column)| super::custom::family_name(custom, column) == name)
    };
    for pushed in scrape.pushed.iter().filter(|pushed| pushed.check().is_ok() && !of_queries(&pushed.name)) {
        let mut labels = Labels::default();
        labels.add(pushed.labels.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        let kind = match pushed.kind {
            PushedKind::Counter => Kind::Counter,
            PushedKind::Gauge => Kind::Gauge,
        };
        text.header(&pushed.name, kind, if pushed.help.is_empty() { "Registered by the API." } else { &pushed.help });
        text.series(&pushed.name, labels.get(0), Number::Float(pushed.value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metric(kind: PushedKind, name: &str) -> Pushed {
        Pushed { name: name.into(), kind, help: String::new(), labels: BTreeMap::new(), value: 40.0, changed: None }
    }

    #[test]
    fn a_counter_only_grows_and_a_gauge_does_as_it_is_told() {
        let (counter, gauge) = (metric(PushedKind::Counter, "events"), metric(PushedKind::Gauge, "queue_depth"));
        assert_eq!(counter.changed(Change::Add(2.0)).unwrap(), 42.0);
        assert!(counter.changed(Change::Add(-1.0)).is_err() && counter.changed(Change::Set(1.0)).is_err());
        assert_eq!(gauge.changed(Change::Add(-50.0)).unwrap(), -10.0);
        assert_eq!(gauge.changed(Change::Set(42.0)).unwrap(), 42.0);
        assert!(gauge.changed(Change::Set(f64::NAN)).is_err());
    }

    #[test]
    fn no_name_that_prometheus_or_pgtend_would_not_have() {
        for name in ["", "a-b", "1a", "__x", "pg_up", "pgtend_mine", "backup_status", "a\nb"] {
            assert!(metric(PushedKind::Gauge, name).check().is_err(), "{name:?}");
        }
        let mut labelled = metric(PushedKind::Gauge, "queue_depth");
        assert!(labelled.check().is_ok());
        labelled.labels.insert("le gal".into(), "x".into());
        assert!(labelled.check().is_err());
    }
}
