//! What a family of series is: its name, its kind, what it says, and what may be a value of it.

use super::scrape::Scrape;
use super::text::{Number, Text};
use crate::sample::Probe;
use std::borrow::Cow;

/// What Prometheus is to make of a family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Only grows until it is reset.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts by size.
    Histogram,
    /// Nobody said; postgres_exporter leaves it open for columns that it does not know.
    Untyped,
}

impl Kind {
    /// As the text format calls it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::Untyped => "untyped",
        }
    }

    /// What series of a family of this kind are called beyond its name.
    pub const fn suffixes(self) -> &'static [&'static str] {
        match self {
            Self::Histogram => &["", "_bucket", "_sum", "_count"],
            Self::Counter | Self::Gauge | Self::Untyped => &[""],
        }
    }
}

/// A family: its name, its kind, and what it says.
#[derive(Debug, Clone, Copy)]
pub struct Meta {
    /// Its name.
    pub name: &'static str,
    /// Its kind.
    pub kind: Kind,
    /// What it says, how it is made, and in which unit, for people.
    pub help: &'static str,
}

/// Families that are declared and written together.
pub trait Group: Sync {
    /// The families, in the order in which they are written.
    fn families(&self) -> Vec<Described>;
    /// Columns of probes that these families show, so that the generic ones need not.
    fn covers(&self) -> Vec<(Probe, &'static str)>;
    /// Writes them.
    fn write(&self, scrape: &Scrape<'_>, text: &mut Text<'_>);
}

/// A family as the reference shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Described {
    /// Its name.
    pub name: Cow<'static, str>,
    /// Its kind.
    pub kind: Kind,
    /// What it says.
    pub help: Cow<'static, str>,
    /// The names of its labels, without `server`.
    pub labels: Vec<&'static str>,
    /// Whether postgres_exporter 0.11 had it with the label `server`.
    pub inherited: bool,
}

impl Described {
    /// A declared family with these labels.
    pub fn new(meta: &Meta, labels: Vec<&'static str>, inherited: bool) -> Self {
        Self { name: Cow::Borrowed(meta.name), kind: meta.kind, help: Cow::Borrowed(meta.help), labels, inherited }
    }
}

/// Something that a family can show.
pub trait Figure {
    /// Its value; none when there is none to show.
    fn number(self) -> Option<Number>;
}

impl Figure for i64 {
    fn number(self) -> Option<Number> {
        Some(Number::Int(self))
    }
}

impl Figure for f64 {
    fn number(self) -> Option<Number> {
        Some(Number::Float(self))
    }
}

impl Figure for bool {
    fn number(self) -> Option<Number> {
        Some(Number::Int(i64::from(self)))
    }
}

impl Figure for jiff::Timestamp {
    #[expect(clippy::cast_precision_loss, reason = "microseconds since 1970 stay below 2^53 until 2255")]
    fn number(self) -> Option<Number> {
        Some(Number::Float(self.as_microsecond() as f64 / 1e6))
    }
}

impl<T: Figure> Figure for Option<T> {
    fn number(self) -> Option<Number> {
        self.and_then(Figure::number)
    }
}

macro_rules! kind {
    (counter) => {
        $crate::metric::family::Kind::Counter
    };
    (gauge) => {
        $crate::metric::family::Kind::Gauge
    };
    (histogram) => {
        $crate::metric::family::Kind::Histogram
    };
    (untyped) => {
        $crate::metric::family::Kind::Untyped
    };
}

pub(super) use kind;
