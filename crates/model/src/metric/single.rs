//! Families that are no plain columns of one probe: each is a function of all that is known of a server.

use super::family::{Described, Figure, Group, Meta};
use super::scrape::{Scrape, Subject};
use super::text::{Labels, Number, Text};
use crate::derive::Histogram;
use crate::sample::Probe;

/// A family made by a function.
pub struct Single {
    /// Name, kind, help.
    pub meta: Meta,
    /// The names of its labels.
    pub labels: &'static [&'static str],
    /// Whether postgres_exporter 0.11 had it, and with it the label `server`.
    pub inherited: bool,
    /// Columns that it shows, so that no generic family need do so.
    pub covers: &'static [(Probe, &'static str)],
    /// Adds its series for one server.
    pub make: fn(&Subject<'_>, &mut Series<'_>),
}

/// Several of them.
pub struct Singles(pub &'static [Single]);

/// The series of one family, as they are made.
pub struct Series<'a> {
    labels: Labels,
    values: Vec<(&'static str, Number)>,
    common: Vec<(&'a str, &'a str)>,
    names: &'static [&'static str],
}

impl Series<'_> {
    /// Adds a series with these values of the family's labels. A series that is there already stands.
    pub fn add(&mut self, labels: &[&str], value: impl Figure) {
        debug_assert_eq!(labels.len(), self.names.len());
        let own = self.names.iter().copied().zip(labels.iter().copied());
        if let Some(value) = value.number()
            && self.labels.add_new(self.common.iter().copied().chain(own))
        {
            self.values.push(("", value));
        }
    }

    /// Adds a histogram that was added up.
    pub fn add_histogram(&mut self, labels: &[&str], histogram: &Histogram) {
        self.add_buckets(labels, histogram.cumulative(), histogram.sum(), histogram.count());
    }

    /// Adds a histogram: for each bound (none: without bound) how many are no larger, their sum, and how many there are.
    pub fn add_buckets(&mut self, labels: &[&str], buckets: impl Iterator<Item = (Option<f64>, i64)>, sum: f64, count: i64) {
        let own = || self.common.iter().copied().chain(self.names.iter().copied().zip(labels.iter().copied()));
        for (bound, count) in buckets {
            let bound = bound.map_or_else(|| "+Inf".to_owned(), |bound| bound.to_string());
            self.labels.add(own().chain([("le", bound.as_str())]));
            self.values.push(("_bucket", Number::Int(count)));
        }
        self.labels.add(own());
        self.values.push(("_sum", Number::Float(sum)));
        self.labels.add(own());
        self.values.push(("_count", Number::Int(count)));
    }
}

impl Group for Singles {
    fn families(&self) -> Vec<Described> {
        self.0.iter().map(|family| Described::new(&family.meta, family.labels.to_vec(), family.inherited)).collect()
    }

    fn covers(&self) -> Vec<(Probe, &'static str)> {
        self.0.iter().flat_map(|family| family.covers).copied().collect()
    }

    fn write(&self, scrape: &Scrape<'_>, text: &mut Text<'_>) {
        for family in self.0 {
            family.write(scrape, text);
        }
    }
}

impl Single {
    fn write(&self, scrape: &Scrape<'_>, text: &mut Text<'_>) {
        let mut series = Series { labels: Labels::default(), values: Vec::new(), common: Vec::new(), names: self.labels };
        for subject in &scrape.subjects {
            series.common = scrape.labels(subject, self.inherited, self.labels);
            (self.make)(subject, &mut series);
        }
        if series.values.is_empty() || text.is_stopped() {
            return;
        }
        text.family(&self.meta);
        let mut name = String::from(self.meta.name);
        for (index, (suffix, value)) in series.values.iter().enumerate() {
            name.truncate(self.meta.name.len());
            name.push_str(suffix);
            text.series(&name, series.labels.get(index), *value);
        }
    }
}

/// Declares families that are made by functions: kind, name, labels, what columns they show, and what they say.
macro_rules! singles {
    ($(#[doc = $doc:literal])+ $static:ident; $(
        $kind:ident $name:ident $({ $($label:ident),* })? $(shows $($probe:ident.$column:ident),+)? $(as $inherited:ident)?, $help:literal,
        |$subject:ident, $series:ident| $make:expr;
    )+) => {
        $(#[doc = $doc])+
        pub static $static: $crate::metric::single::Singles = $crate::metric::single::Singles(&[$($crate::metric::single::Single {
            meta: $crate::metric::family::Meta {
                name: stringify!($name),
                kind: $crate::metric::family::kind!($kind),
                help: $help,
            },
            labels: &[$($(stringify!($label)),*)?],
            inherited: $crate::metric::table::inherited!($($inherited)?),
            covers: &[$($(($crate::sample::Probe::$probe, stringify!($column))),+)?],
            make: |$subject, $series| $make,
        }),+]);
    };
}

pub(super) use singles;
