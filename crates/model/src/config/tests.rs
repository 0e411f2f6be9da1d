//! What a configuration file yields, and what is said of one that is wrong.

use super::{Dsn, Effective, Secrets, Server, Setting, parse};
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
    assert_eq!(expected.ash.max_memory_bytes, 64 << 20);
    assert_eq!(expected.socket().to_str(), Some("/run/pgtend/pgtend.sock"));
    assert_eq!(expected.logging.directives(), "warn,pgtend=info,pgtend_model=info,pgtend_postgres=info,pgtend_store=info");
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
