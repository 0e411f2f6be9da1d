//! Whether the server answers, what it is, and how reading it goes, as postgres_exporter tells it.

use crate::metric::about::is_failure;
use crate::metric::scrape::Subject;
use crate::metric::single::singles;
use crate::sample::registry::SPECS;
use crate::sample::{Origin, Probe};
use crate::view::Link;
use std::time::Duration;

/// postgres_exporter's collectors, each with the probes that give its figures.
const COLLECTORS: &[(&str, &[Probe])] = &[
    ("bgwriter", &[Probe::Bgwriter, Probe::Checkpointer]),
    ("buffercache_summary", &[Probe::Buffercache]),
    ("database", &[Probe::DatabaseSize, Probe::Database]),
    ("database_wraparound", &[Probe::Database]),
    ("locks", &[Probe::Locks, Probe::Database]),
    ("long_running_transactions", &[Probe::Activity]),
    ("postmaster", &[Probe::Server]),
    ("process_idle", &[Probe::IdleSessions]),
    ("replication", &[Probe::Server, Probe::Recovery]),
    ("replication_slot", &[Probe::Slots]),
    ("replication_slots", &[Probe::Slots]),
    ("roles", &[Probe::Roles]),
    ("settings", &[Probe::Settings]),
    ("stat_activity", &[Probe::Connections, Probe::Database]),
    ("stat_activity_autovacuum", &[Probe::Activity]),
    ("stat_archiver", &[Probe::Archiver]),
    ("stat_bgwriter", &[Probe::Bgwriter]),
    ("stat_checkpointer", &[Probe::Checkpointer]),
    ("stat_database", &[Probe::Database]),
    ("stat_progress_vacuum", &[Probe::Progress]),
    ("stat_replication", &[Probe::Replication]),
    ("stat_statements", &[Probe::Statements]),
    ("stat_user_tables", &[Probe::Tables]),
    ("stat_wal_receiver", &[Probe::WalReceiver]),
    ("statio_user_indexes", &[Probe::Indexes]),
    ("statio_user_tables", &[Probe::Tables]),
    ("wal", &[Probe::WalFiles]),
];

singles! {
    /// The server and its readings.
    SERVER;
    gauge pg_up, "Whether the server answers.",
    |subject, series| series.add(&[], matches!(subject.view.link, Link::Up { .. }));
    untyped pg_static { short_version, version } as inherited, "Always 1; the labels say which PostgreSQL it is.",
    |subject, series| if let Some(row) = subject.view.readings.server.current().ok().and_then(|sample| sample.rows.first()) {
        series.add(&[&short_version(row.version_num), &row.full_version], 1_i64);
    };
    gauge pg_exporter_last_scrape_duration_seconds, "Time that the newest readings of all probes of the server took together. A scrape itself is answered from memory.",
    |subject, series| series.add(&[], took(subject, queries()).as_secs_f64());
    gauge pg_exporter_last_scrape_error, "Whether the newest reading of any probe failed: 1 for yes. pgtend_probe_unknown says which and why.",
    |subject, series| series.add(&[], queries().any(|probe| failed(subject, probe)));
    counter pg_exporter_scrapes_total, "Answers with metrics since the agent started.",
    |subject, series| series.add(&[], i64::try_from(subject.about.scrapes).unwrap_or(i64::MAX));
    gauge pg_scrape_collector_duration_seconds { collector }, "Time that the newest readings of the probes took which give the figures of this collector of postgres_exporter.",
    |subject, series| each_collector(subject, |name, probes| series.add(&[name], took(subject, probes.iter().copied()).as_secs_f64()));
    gauge pg_scrape_collector_success { collector }, "Whether the newest readings of these probes succeeded.",
    |subject, series| each_collector(subject, |name, probes| series.add(&[name], !probes.iter().any(|probe| failed(subject, *probe))));
}

/// `15.18.0` for 150018.
fn short_version(version_num: i64) -> String {
    format!("{}.{}.0", version_num / 10_000, version_num % 10_000)
}

fn queries() -> impl Iterator<Item = Probe> {
    SPECS.iter().filter(|spec| spec.origin == Origin::Query).map(|spec| spec.probe)
}

fn took(subject: &Subject<'_>, probes: impl Iterator<Item = Probe>) -> Duration {
    probes.filter_map(|probe| subject.view.readings.state(probe).1).sum()
}

fn failed(subject: &Subject<'_>, probe: Probe) -> bool {
    subject.view.readings.state(probe).2.is_some_and(is_failure)
}

/// The collectors whose probes have been tried.
fn each_collector(subject: &Subject<'_>, mut add: impl FnMut(&str, &[Probe])) {
    let tried = |probe: &Probe| {
        let (at, _, unknown) = subject.view.readings.state(*probe);
        at.is_some() || unknown.is_some_and(is_failure)
    };
    for (name, probes) in COLLECTORS.iter().filter(|(_, probes)| probes.iter().any(tried)) {
        add(name, probes);
    }
}
