//! Families over the rows of one probe, a line each.

use super::family::{Described, Group, Meta};
use super::scrape::{Scrape, Subject};
use super::text::{Labels, Number, Text};
use crate::sample::{self, Probe, Readings, Row, Slot};
use jiff::Timestamp;
use std::borrow::Cow;

/// The families over the rows of one probe.
pub struct Table<R: 'static> {
    /// The probe.
    pub probe: Probe,
    /// Its rows.
    pub rows: fn(&Readings) -> &Slot<R>,
    /// Which of them.
    pub wanted: fn(&R) -> bool,
    /// Whether postgres_exporter 0.11 had the families, and with them the label `server`.
    pub inherited: bool,
    /// The labels: their names, and their values in a row.
    pub labels: &'static [Label<R>],
    /// The families.
    pub families: &'static [Column<R>],
}

/// A label: its name, and its value in a row.
pub type Label<R> = (&'static str, fn(&R) -> Cow<'_, str>);

/// One family.
pub struct Column<R> {
    /// Name, kind, help.
    pub meta: Meta,
    /// The value in a row, at this time by the server's clock; none writes no series.
    pub value: fn(&R, Timestamp) -> Option<Number>,
    /// The columns that it is made of.
    pub shows: &'static [&'static str],
}

/// A column that can be a label.
pub trait Named {
    /// Its text; empty when there is none, which Prometheus takes for no label.
    fn shown(&self) -> Cow<'_, str>;
}

impl Named for sample::Text {
    fn shown(&self) -> Cow<'_, str> {
        Cow::Borrowed(self)
    }
}

impl Named for i64 {
    fn shown(&self) -> Cow<'_, str> {
        Cow::Owned(self.to_string())
    }
}

impl Named for bool {
    fn shown(&self) -> Cow<'_, str> {
        Cow::Borrowed(if *self { "true" } else { "false" })
    }
}

impl<T: Named> Named for Option<T> {
    fn shown(&self) -> Cow<'_, str> {
        self.as_ref().map_or(Cow::Borrowed(""), Named::shown)
    }
}

impl<R: Row> Group for Table<R> {
    fn families(&self) -> Vec<Described> {
        let labels: Vec<&'static str> = self.labels.iter().map(|(name, _)| *name).collect();
        self.families.iter().map(|family| Described::new(&family.meta, labels.clone(), self.inherited)).collect()
    }

    fn covers(&self) -> Vec<(Probe, &'static str)> {
        self.families.iter().flat_map(|family| family.shows).map(|column| (self.probe, *column)).collect()
    }

    fn write(&self, scrape: &Scrape<'_>, text: &mut Text<'_>) {
        let mut labels = Labels::default();
        let mut rows: Vec<(&R, Timestamp)> = Vec::new();
        for subject in &scrape.subjects {
            self.collect(scrape, subject, &mut labels, &mut rows);
        }
        for family in self.families {
            let mut values = rows.iter().enumerate().filter_map(|(index, (row, now))| Some((index, (family.value)(row, *now)?))).peekable();
            if text.is_stopped() || values.peek().is_none() {
                continue;
            }
            text.family(&family.meta);
            for (index, value) in values {
                text.series(family.meta.name, labels.get(index), value);
            }
        }
    }
}

impl<R: Row> Table<R> {
    /// The rows of a server and their labels; of rows with the same labels the first.
    fn collect<'s>(&self, scrape: &'s Scrape<'_>, subject: &'s Subject<'_>, labels: &mut Labels, rows: &mut Vec<(&'s R, Timestamp)>) {
        let Ok(sample) = (self.rows)(&subject.view.readings).current() else { return };
        let own: Vec<&str> = self.labels.iter().map(|(name, _)| *name).collect();
        let common = scrape.labels(subject, self.inherited, &own);
        let selected = subject.selected(self.probe, sample).into_iter().map(|index| &sample.rows[index]);
        for row in selected.filter(|row| (self.wanted)(row)) {
            let named = self.labels.iter().map(|(name, value)| (*name, value(row)));
            if labels.add_new(common.iter().map(|(name, value)| (*name, Cow::Borrowed(*value))).chain(named)) {
                rows.push((row, subject.server_now));
            }
        }
    }
}

/// Declares the families over the rows of one probe, a line each: kind, name, the columns that it is made of, how it is made of them
/// unless it is the column as it stands, and what it says.
macro_rules! table {
    (
        $(#[doc = $doc:literal])+
        $static:ident: $probe:ident of $slot:ident($row:ty) $(as $inherited:ident)? $(where |$w:ident| $wanted:expr)?;
        labels { $($label:ident $(= |$l:ident| $labelled:expr)?),* $(,)? }
        $($kind:ident $name:ident($($shown:ident),* $(,)?) $(= |$r:ident, $now:ident| $made:expr)?, $help:literal;)+
    ) => {
        $(#[doc = $doc])+
        pub static $static: $crate::metric::table::Table<$row> = $crate::metric::table::Table {
            probe: $crate::sample::Probe::$probe,
            rows: |readings| &readings.$slot,
            wanted: $crate::metric::table::wanted!($(|$w| $wanted)?),
            inherited: $crate::metric::table::inherited!($($inherited)?),
            labels: &[$((stringify!($label), $crate::metric::table::label!($label $(, |$l| $labelled)?))),*],
            families: &[$($crate::metric::table::Column {
                meta: $crate::metric::family::Meta {
                    name: stringify!($name),
                    kind: $crate::metric::family::kind!($kind),
                    help: $help,
                },
                value: $crate::metric::table::value!($row, ($($shown),*) $(, |$r, $now| $made)?),
                shows: &[$(stringify!($shown)),*],
            }),+],
        };
    };
}

macro_rules! wanted {
    () => {
        |_| true
    };
    (|$row:ident| $wanted:expr) => {
        |$row| $wanted
    };
}

macro_rules! inherited {
    () => {
        false
    };
    (inherited) => {
        true
    };
}

macro_rules! label {
    ($label:ident) => {
        |row| $crate::metric::table::Named::shown(&row.$label)
    };
    ($label:ident, |$row:ident| $made:expr) => {
        |$row| $made
    };
}

macro_rules! value {
    ($row:ty, ($shown:ident)) => {
        |row: &$row, _| $crate::metric::family::Figure::number(row.$shown.clone())
    };
    ($row:ty, ($($shown:ident),*), |$r:ident, $now:ident| $made:expr) => {
        |$r: &$row, $now| $crate::metric::family::Figure::number($made)
    };
}

pub(super) use {inherited, label, table, value, wanted};
