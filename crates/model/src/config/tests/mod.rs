//! What a configuration file yields, and what is said of one that is wrong.

mod changes;
mod mistakes;
mod round_trip;

use super::{Dsn, Effective, Key, Secrets, Server, Setting, parse};
use crate::sample::Probe;
use std::time::Duration;

const MINIMAL: &str = "[[server]]\nname = \"main\"\ndsn = \"host=/run/postgresql password=geheim\"\n";

#[test]
fn a_minimal_file_gives_the_defaults() {
    let parsed = parse(MINIMAL, "pgtend.toml").unwrap();
    let mut expected = Effective::default();
    expected.server.push(Server::new("main", Dsn::new("host=/run/postgresql password=geheim")));
    assert_eq!(parsed.effective, expected);
    assert_eq!(parsed.notices, []);
    assert_eq!(expected.ash.sample_interval_seconds, Duration::from_secs(1));
    assert_eq!(expected.ash.max_memory_bytes, 32 << 20);
    assert_eq!(expected.socket().to_str(), Some("/run/pgtend/pgtend.sock"));
    assert_eq!(expected.logging.directives(), "warn,audit=info,pgtend=info,pgtend_model=info,pgtend_postgres=info,pgtend_store=info");
}

#[test]
fn the_written_part_is_what_the_file_sets_with_secrets_masked() {
    let parsed = parse(&format!("[ash]\nmax_samples = 100\n{MINIMAL}"), "pgtend.toml").unwrap();
    let written = toml::to_string(&parsed.written).unwrap();
    assert_eq!(written, "[[server]]\nname = \"main\"\ndsn = \"host=/run/postgresql password=***\"\n\n[ash]\nmax_samples = 100\n");
}

#[test]
fn what_is_shown_reads_back_as_the_same() {
    let first = parse(MINIMAL, "pgtend.toml").unwrap().effective;
    let shown = toml::to_string(&first.show("", Secrets::Shown).unwrap()).unwrap();
    let again = parse(&shown, "shown").unwrap().effective;
    assert_eq!(first, again);
}

#[test]
fn every_limit_can_be_read() {
    fn check(keys: &[Key]) {
        for key in keys {
            let limits = key.limits();
            assert_eq!(limits.is_some(), !key.range.is_empty(), "{}: {}", key.name, key.range);
            assert!(limits.is_none_or(|(from, to)| from < to), "{}: {}", key.name, key.range);
            assert!(key.about.trim().ends_with('.'), "{}: its description is no sentence", key.name);
            check(key.keys);
        }
    }
    check(Effective::KEYS);
}

#[test]
fn every_number_has_limits() {
    fn check(keys: &[Key]) {
        for key in keys {
            let number = ["integer", "number", "duration"].contains(&key.ty);
            assert!(!number || !key.range.is_empty(), "{} has no limits", key.name);
            check(key.keys);
        }
    }
    check(Effective::KEYS);
}

#[test]
fn ash_says_how_often_its_probe_runs() {
    let config = parse(&format!("{MINIMAL}[ash]\nsample_interval_seconds = 0.25\n"), "pgtend.toml").unwrap().effective;
    assert_eq!(config.probes.cadence()[&Probe::Activity], Duration::from_millis(250));
}

#[test]
fn a_disabled_probe_does_not_run() {
    let config = parse(&format!("{MINIMAL}[probes.database]\nenabled = false\n"), "pgtend.toml").unwrap().effective;
    assert!(!config.probes.cadence().contains_key(&Probe::Database));
    let config = parse(&format!("{MINIMAL}[probes.database]\nevery = \"0s\"\n"), "pgtend.toml").unwrap().effective;
    assert!(!config.probes.cadence().contains_key(&Probe::Database));
}

#[test]
fn components_have_their_own_levels() {
    let text = format!("{MINIMAL}[logging]\nlevel = \"ERROR\"\n[logging.components]\nprobe = \"debug\"\n");
    let config = parse(&text, "pgtend.toml").unwrap().effective;
    assert_eq!(
        config.logging.directives(),
        "error,audit=info,pgtend=error,pgtend_model=error,pgtend_postgres=error,pgtend_store=error,pgtend_postgres::probe=debug"
    );
}

#[test]
fn only_the_first_problem_is_told_with_the_number_of_the_others() {
    let problems = parse("[ash]\nenabeld = true\nmax_samples = 1\n", "pgtend.toml").unwrap_err();
    assert_eq!(problems.0.len(), 2);
    let error = crate::error::Error::from(problems);
    assert!(error.what.ends_with("(and 1 more: see pgtend config check)"), "{error}");
    assert_eq!(error.place, "pgtend.toml:2");
}
