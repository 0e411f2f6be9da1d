//! What pgtend says of itself: its probes, what it cut, its process.

use super::family::{Described, Group, Kind, Meta};
use super::scrape::{About, Scrape};
use super::single::singles;
use super::text::{Labels, Number, Text};
use crate::sample::registry::SPECS;
use crate::sample::{Probe, Reason, Scope, Unknown};
use jiff::{Timestamp, Unit};

singles! {
    /// Of each probe of each server.
    PROBES;
    gauge pgtend_probe_up { probe }, "Whether the newest attempt to read the probe gave rows. There is no series for a probe that this server, its host or the configuration does not have: pgtend_probe_unknown says why.",
    |subject, series| each_probe(|probe, name| match subject.view.readings.state(probe).2 {
        None => series.add(&[name], 1_i64),
        Some(unknown) if is_failure(unknown) => series.add(&[name], 0_i64),
        Some(_) => (),
    });
    gauge pgtend_probe_unknown { probe, reason }, "Probes without rows now, always 1, with the reason: pending, unreachable, privilege, version, extension, timeout, lock, remote, disabled, absent, reset, budget or failed.",
    |subject, series| each_probe(|probe, name| {
        let unknown = subject.view.readings.state(probe).2.filter(|unknown| unknown.reason != Reason::Pending || runs_by_itself(probe));
        if let Some(unknown) = unknown {
            series.add(&[name, unknown.reason.word()], 1_i64);
        }
    });
    gauge pgtend_probe_age_seconds { probe }, "Time since the newest rows of the probe were asked for.",
    |subject, series| each_probe(|probe, name| series.add(&[name], subject.view.readings.state(probe).0.map(|at| seconds(at, subject.now))));
    gauge pgtend_probe_duration_seconds { probe }, "Time that the newest rows of the probe took.",
    |subject, series| each_probe(|probe, name| series.add(&[name], subject.view.readings.state(probe).1.map(|took| took.as_secs_f64())));
    gauge pgtend_probe_missing { probe }, "Parts of the probe's newest rows that could not be had: databases not visited, directories that did not answer.",
    |subject, series| each_probe(|probe, name| {
        let missing = subject.view.readings.current(probe).ok().map(|rows| rows.missing().len());
        series.add(&[name], count(missing.filter(|missing| *missing > 0 || probe.spec().scope == Scope::Database)));
    });
    gauge pgtend_series_cut { probe }, "Rows of the probe (tables, indexes, statements, …) that have no series because there are more than [metrics] max_tables, max_indexes, max_statements or, for any other probe, 1000: the least active ones.",
    |subject, series| each_probe(|probe, name| {
        let cut = subject.view.readings.current(probe).ok().and_then(|rows| subject.cut(probe, rows.len()));
        series.add(&[name], count(cut));
    });
}

/// Whether the probe is not one of those that run on demand only.
fn runs_by_itself(probe: Probe) -> bool {
    !probe.spec().every.is_zero()
}

fn each_probe(mut add: impl FnMut(Probe, &str)) {
    for spec in SPECS {
        add(spec.probe, spec.name);
    }
}

fn count(number: Option<usize>) -> Option<i64> {
    number.and_then(|number| i64::try_from(number).ok())
}

/// Seconds from one instant to another.
pub fn seconds(from: Timestamp, to: Timestamp) -> f64 {
    (to - from).total(Unit::Second).unwrap_or(0.0)
}

/// Whether something is amiss, rather than merely not to be had here.
pub fn is_failure(unknown: &Unknown) -> bool {
    match unknown.reason {
        Reason::Unreachable | Reason::Privilege | Reason::Timeout | Reason::Lock | Reason::Budget | Reason::Failed => true,
        Reason::Pending | Reason::Version | Reason::Extension | Reason::Remote | Reason::Disabled | Reason::Absent | Reason::Reset => false,
    }
}

/// The agent's own process: one series each, whatever the number of servers.
pub struct Process;

type Own = (Kind, &'static str, &'static str, fn(&About) -> Option<Number>);

const OWN: &[Own] = &[
    (Kind::Counter, "pgtend_scrapes_total", "Answers with metrics since the agent started.", |about| int(Some(about.scrapes))),
    (Kind::Counter, "process_cpu_seconds_total", "Processor time of the agent.", |about| about.cpu_seconds.map(Number::Float)),
    (Kind::Gauge, "process_max_fds", "Files that the agent may have open.", |about| int(about.max_files)),
    (Kind::Gauge, "process_open_fds", "Files that the agent has open.", |about| int(about.open_files)),
    (Kind::Gauge, "process_resident_memory_bytes", "Resident memory of the agent.", |about| int(about.resident_bytes)),
    (Kind::Gauge, "process_start_time_seconds", "When the agent started, in seconds since 1970.", |about| {
        about.started_at.and_then(super::family::Figure::number)
    }),
    (Kind::Gauge, "process_virtual_memory_bytes", "Virtual memory of the agent.", |about| int(about.virtual_bytes)),
];
const BUILD: Meta = Meta { name: "pgtend_build_info", kind: Kind::Gauge, help: "Always 1; the labels say which pgtend answers." };

fn int(value: Option<u64>) -> Option<Number> {
    value.and_then(|value| i64::try_from(value).ok()).map(Number::Int)
}

impl Group for Process {
    fn families(&self) -> Vec<Described> {
        let own = OWN.iter().map(|(kind, name, help, _)| Described::new(&Meta { name, kind: *kind, help }, Vec::new(), false));
        [Described::new(&BUILD, vec!["version"], false)].into_iter().chain(own).collect()
    }

    fn covers(&self) -> Vec<(Probe, &'static str)> {
        Vec::new()
    }

    fn write(&self, scrape: &Scrape<'_>, text: &mut Text<'_>) {
        let mut labels = Labels::default();
        labels.add([("version", scrape.about.version)]);
        text.family(&BUILD);
        text.series(BUILD.name, labels.get(0), Number::Int(1));
        for (kind, name, help, value) in OWN {
            if let Some(value) = value(scrape.about) {
                text.header(name, *kind, help);
                text.series(name, "", value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_had_here_is_no_failure() {
        assert!(is_failure(&Unknown::new(Reason::Lock, "")));
        assert!(!is_failure(&Unknown::new(Reason::Version, "")));
    }
}
