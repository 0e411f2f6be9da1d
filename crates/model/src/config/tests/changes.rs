//! What a reload says of two configurations.

use super::super::{diff, parse};

fn changes(old: &str, new: &str) -> String {
    let read = |text: &str| parse(text, "pgtend.toml").unwrap().effective;
    let lines: Vec<String> = diff(&read(old), &read(new)).iter().map(ToString::to_string).collect();
    lines.join("\n")
}

const OLD: &str = r#"
    [[server]]
    name = "main"
    dsn = "postgresql://pgtend:geheim@db1/postgres"

    [[server]]
    name = "gone"
    dsn = "host=db2 password=geheim"

    [logging.components]
    api = "debug"
"#;

const NEW: &str = r#"
    [[server]]
    name = "added"
    dsn = "host=db3 password='ganz geheim'"

    [[server]]
    name = "main"
    dsn = "postgresql://pgtend:geheimer@db1/postgres"
    password_file = "/etc/pgtend/main.password"
    labels = { env = "prod" }

    [probes.database]
    enabled = false

    [ash]
    sample_interval_seconds = 0.5
    retention_hours = 48

    [metrics]
    listen = "127.0.0.1:9188"

    [[metrics.custom]]
    name = "orders"
    query = "SELECT 1 AS n"
    columns.n = { usage = "GAUGE" }

    [logging]
    level = "debug"
    components = { probe = "trace" }
"#;

#[test]
fn a_reload_says_what_changes_and_when() {
    let text = changes(OLD, NEW);
    assert!(!text.contains("geheim"), "{text}");
    insta::assert_snapshot!(text);
}

#[test]
fn nothing_changes_between_equal_files() {
    assert_eq!(changes(NEW, NEW), "");
}

#[test]
fn the_order_of_servers_is_no_change() {
    let (first, second) = ("[[server]]\nname = \"a\"\ndsn = \"\"\n", "[[server]]\nname = \"b\"\ndsn = \"\"\n");
    assert_eq!(changes(&format!("{first}{second}"), &format!("{second}{first}")), "");
}
