//! A family for every counter and gauge of every probe that no other family shows, from the columns' declarations alone.

use super::family::{Described, Group, Kind};
use super::scrape::Scrape;
use super::text::{Labels, Number, Text};
use crate::sample::registry::SPECS;
use crate::sample::{self, Probe, Rows, Spec, Value};
use std::borrow::Cow;
use std::collections::HashSet;

/// Probes without series, as those that run on demand only: their rows are single sessions, which come and go. The API shows them.
const LEFT_OUT: &[&str] = &["activity", "host_process", "backend_io"];
/// Labels that change while the row stays what it is: as labels of counters they would break series apart.
const STATES: &[(&str, &str)] = &[
    ("slots", "wal_status"),
    ("replication", "state"),
    ("replication", "sync_state"),
    ("wal_receiver", "status"),
    ("wal_receiver", "pid"),
];

/// The families over one probe's columns.
#[derive(Debug)]
pub struct Plain {
    probe: Probe,
    labels: Vec<(usize, &'static str)>,
    families: Vec<Family>,
}

#[derive(Debug)]
struct Family {
    column: usize,
    name: String,
    kind: Kind,
    help: &'static str,
    scale: Option<f64>,
}

/// The families over the columns that are not among those `covered`.
pub fn groups(covered: &HashSet<(Probe, &'static str)>) -> Vec<Plain> {
    let shown = SPECS.iter().filter(|spec| !spec.every.is_zero() && !LEFT_OUT.contains(&spec.name));
    shown.map(|spec| plain(spec, covered)).filter(|plain| !plain.families.is_empty()).collect()
}

fn plain(spec: &'static Spec, covered: &HashSet<(Probe, &'static str)>) -> Plain {
    let columns = || spec.columns.iter().enumerate();
    let is_label = |column: &sample::Column| column.kind == sample::Kind::Label && !STATES.contains(&(spec.name, column.name));
    let labels = columns().filter(|(_, column)| is_label(column)).map(|(number, column)| (number, column.name)).collect();
    let families = columns().filter(|(_, column)| !covered.contains(&(spec.probe, column.name)));
    Plain { probe: spec.probe, labels, families: families.filter_map(|(number, column)| family(spec, number, column)).collect() }
}

fn family(spec: &Spec, number: usize, column: &'static sample::Column) -> Option<Family> {
    let kind = match column.kind {
        sample::Kind::Counter => Kind::Counter,
        sample::Kind::Gauge => Kind::Gauge,
        sample::Kind::Label | sample::Kind::Info => return None,
    };
    let scale = (column.unit == "ms").then_some(0.001);
    Some(Family { column: number, name: name(spec.name, column, kind), kind, help: column.help, scale })
}

/// `pgtend_PROBE_COLUMN`, with the unit at the end as Prometheus wants it: seconds instead of milliseconds, `_total` for counters.
fn name(probe: &str, column: &sample::Column, kind: Kind) -> String {
    // A gauge called ..._count would pass for a part of a histogram: it is called by what it counts.
    let plain = if column.name == "count" { column.unit } else { column.name };
    let own = plain.strip_prefix(probe).and_then(|rest| rest.strip_prefix('_')).unwrap_or(plain);
    let unit = match column.unit {
        "ms" | "seconds" => "_seconds",
        "bytes" => "_bytes",
        "ratio" => "_ratio",
        "percent" => "_percent",
        _ => "",
    };
    let bare = own.strip_suffix("_ms").unwrap_or(own);
    let bare = bare.strip_suffix(unit).unwrap_or(bare);
    let total = if kind == Kind::Counter { "_total" } else { "" };
    format!("pgtend_{probe}_{bare}{unit}{total}")
}

impl Group for Plain {
    fn families(&self) -> Vec<Described> {
        let labels: Vec<&'static str> = self.labels.iter().map(|(_, name)| *name).collect();
        let described = |family: &Family| Described {
            name: Cow::Owned(family.name.clone()),
            kind: family.kind,
            help: Cow::Borrowed(family.help),
            labels: labels.clone(),
            inherited: false,
        };
        self.families.iter().map(described).collect()
    }

    fn covers(&self) -> Vec<(Probe, &'static str)> {
        self.families.iter().map(|family| (self.probe, self.probe.spec().columns[family.column].name)).collect()
    }

    fn write(&self, scrape: &Scrape<'_>, text: &mut Text<'_>) {
        let mut labels = Labels::default();
        let mut rows: Vec<(&dyn Rows, usize)> = Vec::new();
        for subject in &scrape.subjects {
            let Ok(sample) = subject.view.readings.current(self.probe) else { continue };
            let names: Vec<&str> = self.labels.iter().map(|(_, name)| *name).collect();
            let common = scrape.labels(subject, false, &names);
            for row in subject.selected(self.probe, sample) {
                let own = self.labels.iter().map(|(column, name)| (*name, shown(sample.value(row, *column))));
                if labels.add_new(common.iter().map(|(name, value)| (*name, Cow::Borrowed(*value))).chain(own)) {
                    rows.push((sample, row));
                }
            }
        }
        for family in &self.families {
            family.write(&rows, &labels, text);
        }
    }
}

impl Family {
    fn write(&self, rows: &[(&dyn Rows, usize)], labels: &Labels, text: &mut Text<'_>) {
        let value = |(index, (sample, row)): (usize, &(&dyn Rows, usize))| Some((index, self.number(sample.value(*row, self.column))?));
        let mut values = rows.iter().enumerate().filter_map(value).peekable();
        if text.is_stopped() || values.peek().is_none() {
            return;
        }
        text.header(&self.name, self.kind, self.help);
        for (index, value) in values {
            text.series(&self.name, labels.get(index), value);
        }
    }

    fn number(&self, value: Value<'_>) -> Option<Number> {
        match (value, self.scale) {
            (Value::Int(value), None) => Some(Number::Int(value)),
            (value, scale) => value.number().map(|value| Number::Float(value * scale.unwrap_or(1.0))),
        }
    }
}

fn shown(value: Value<'_>) -> Cow<'_, str> {
    match value {
        Value::Text(text) => Cow::Borrowed(text),
        Value::Int(number) => Cow::Owned(number.to_string()),
        Value::Bool(value) => Cow::Borrowed(if value { "true" } else { "false" }),
        Value::Time(at) => Cow::Owned(at.to_string()),
        Value::Null | Value::Float(_) | Value::Ints(_) => Cow::Borrowed(""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(name: &'static str, unit: &'static str) -> sample::Column {
        sample::Column { name, kind: sample::Kind::Gauge, ty: "i64", unit, help: "" }
    }

    #[test]
    fn names_end_with_their_unit() {
        let gauge = |probe, name_, unit| name(probe, &column(name_, unit), Kind::Gauge);
        let counter = |probe, name_, unit| name(probe, &column(name_, unit), Kind::Counter);
        assert_eq!(gauge("recovery", "replay_lag_ms", "ms"), "pgtend_recovery_replay_lag_seconds");
        assert_eq!(counter("wal", "wal_write_time", "ms"), "pgtend_wal_write_time_seconds_total");
        assert_eq!(counter("host_cpu", "user_seconds", "seconds"), "pgtend_host_cpu_user_seconds_total");
        assert_eq!(gauge("slots", "safe_wal_size", "bytes"), "pgtend_slots_safe_wal_size_bytes");
        assert_eq!(gauge("ssl", "count", "connections"), "pgtend_ssl_connections");
        assert_eq!(counter("slru", "blks_hit", "blocks"), "pgtend_slru_blks_hit_total");
        assert_eq!(gauge("host_memory", "huge_pages", "pages"), "pgtend_host_memory_huge_pages");
    }

    #[test]
    fn labels_that_are_states_are_labels() {
        for (probe, label) in STATES {
            if let Some(spec) = SPECS.iter().find(|spec| spec.name == *probe) {
                assert!(spec.columns.iter().any(|column| column.name == *label && column.kind == sample::Kind::Label), "{probe}.{label}");
            }
        }
    }
}
