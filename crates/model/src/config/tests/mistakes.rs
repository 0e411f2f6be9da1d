//! What is said of typical mistakes: the messages are one snapshot, which reads as a book of them.

use super::super::parse;
use super::MINIMAL;
use proptest::prelude::*;
use std::fmt::Write;

/// The text that is told, or the notices of a file without a mistake.
fn told(text: &str) -> String {
    match parse(text, "/etc/pgtend/pgtend.toml") {
        Err(problems) => problems.to_string(),
        Ok(parsed) => parsed.notices.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"),
    }
}

fn with(text: &str) -> String {
    format!("{MINIMAL}{text}")
}

fn mistakes() -> Vec<(&'static str, String)> {
    vec![
        ("typo in a key", with("[ash]\nsample_intervall_seconds = 1\n")),
        ("key that resembles nothing", with("[logging]\ncolour = true\n")),
        ("typo in a section", with("[metric]\nlisten = \"127.0.0.1:9187\"\n")),
        ("key before any section", format!("level = \"info\"\n{MINIMAL}")),
        ("wrong type", with("[ash]\nenabled = \"yes\"\nmax_samples = \"many\"\ncapture_sql_text = 1\n")),
        ("out of range", with("[ash]\nsample_interval_seconds = 0.01\nmax_samples = -5\nmax_memory_bytes = \"1kB\"\n")),
        ("duplicate server name", with("[[server]]\nname = \"main\"\ndsn = \"\"\n")),
        ("bad duration", with("[metrics]\ncustom_budget = \"5 fortnights\"\n")),
        ("duration without unit", with("[metrics]\ncustom_budget = 500\n[api]\nrequest_timeout = \"30\"\n")),
        ("syntax", "[[server]]\nname = \"main\ndsn = \"postgresql://u:geheim@h/d\"\n".into()),
        ("key written twice", with("name = \"other\"\n")),
        ("one server as a table", "[server]\nname = \"main\"\ndsn = \"password=geheim\"\n".into()),
        ("section as a list", with("[[ash]]\nenabled = true\n")),
        ("no server", "[ash]\nenabled = true\n".into()),
        ("server without dsn", "[[server]]\nname = \"main\"\n".into()),
        ("connection parameters beside the dsn", with("host = \"db1\"\npassword = \"geheim\"\n")),
        ("dsn of the wrong type", "[[server]]\nname = \"main\"\ndsn = [\"password=geheim\"]\n".into()),
        ("probe against ash", with("[probes.activity]\nevery = \"5s\"\n")),
        ("probe too often", with("[probes.database]\nevery = \"10ms\"\n")),
        ("listen without address", with("[metrics]\nlisten = \":9187\"\n[api]\nlisten = \"localhost:8080\"\n")),
        ("word that is none of a few", with("[logging]\nlevel = \"verbose\"\nformat = \"jsno\"\n")),
        ("component that is none", with("[logging.components]\nquery_executor = \"debug\"\n")),
        ("log files", with("[logging]\nlog_directory = \"/var/log/pgtend\"\nmax_files = 3\n")),
        ("relative path", with("password_file = \"secrets/main\"\n")),
        ("databases as one name", with("databases = \"shop\"\n")),
        ("empty databases", with("databases = []\n")),
        ("lock timeout beyond statement timeout", with("lock_timeout = \"5s\"\n")),
        ("labels that prometheus refuses", with("[server.labels]\nenv = \"prod\"\n\"1st\" = \"x\"\nserver = \"x\"\n")),
        (
            "thresholds in the wrong order",
            with("[health_checks.disk_space]\nwarning_threshold_percent = 90\n[health_checks.buffer_pool]\ncritical_hit_ratio = 0.95\n"),
        ),
        ("thresholds that are none", with("[health_checks.memory]\nwarning_threshold_percent = 101\ncritical_threshold_percent = nan\n")),
        ("tls without key", with("[api]\ntls_certificate = \"/etc/pgtend/api.crt\"\n")),
        ("custom metric without value", with("[[metrics.custom]]\nname = \"orders\"\nquery = \"SELECT 1\"\n")),
        (
            "custom metric on an unknown server",
            with("[[metrics.custom]]\nname = \"o\"\nquery = \"SELECT 1 AS n\"\nservers = [\"mian\"]\ncolumns.n = { usage = \"GAUGE\" }\n"),
        ),
        (
            "custom metric with an unknown usage",
            with(
                "[[metrics.custom]]\nname = \"o\"\nquery = \"SELECT 1 AS n\"\n[metrics.custom.columns]\nn = { usage = \"GUAGE\", hlep = \"\" }\n",
            ),
        ),
        // A backup that is not taken is worse than an agent that does not start.
        ("section that somebody would rely on", with("[backup]\nrepository = \"/backups\"\n")),
        // Less is seen than was asked for: a notice.
        ("section of a later version", with("[diagnostics]\nenabled = true\nmax_incidents = 30\n[awr]\ncapture_wait_events = false\n")),
        ("typo in a section of a later version", with("[awr]\nretention = 30\n")),
        ("section of a later version that asks for nothing", with("[backup]\nenabled = false\n[awr]\nenabled = false\n")),
        ("api open to other machines", with("[api]\nlisten = \"0.0.0.0:8080\"\nanonymous = \"viewer\"\n")),
    ]
}

#[test]
fn a_mistake_is_told_with_its_line_and_its_remedy() {
    let mut book = String::new();
    for (title, text) in mistakes() {
        let told = told(&text);
        assert!(!told.contains("geheim"), "a secret is shown: {told}");
        let _ = write!(
            book,
            "# {title}\n{}\n--\n{}\n\n",
            text.trim_end().replace("geheim", "…"),
            if told.is_empty() { "(nothing)" } else { &told }
        );
    }
    insta::assert_snapshot!(book);
}

#[test]
fn a_probe_that_is_none_is_told_with_the_nearest_one() {
    let told = told(&with("[probes.activty]\nevery = \"1s\"\n"));
    assert!(told.contains("unknown key \"activty\" in [probes]") && told.contains("did you mean \"activity\"?"), "{told}");
}

const SECRETS: &str = r#"[[server]]
name = "main"
dsn = "postgresql://pgtend:geheim@db1/postgres"

[[server]]
name = "other"
databases = ["shop"]
dsn = "host=db2 password=geheim user=pgtend"
[server.labels]
environment = "production"

[logging]
level = "info"
"#;

/// Whatever is missing from a file, and wherever that puts a password, it is not told.
#[test]
fn no_mistake_shows_a_secret() {
    for from in 0..SECRETS.len() {
        for to in from..SECRETS.len().min(from + 40) {
            let text = format!("{}{}", &SECRETS[..from], &SECRETS[to..]);
            let told = told(&text);
            assert!(!told.contains("geheim"), "{text}\n\n{told}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever a file holds, it is read or refused.
    #[test]
    fn any_text_is_answered(text in "[ -~\\n\\[\\]=\"'.{}]{0,200}") {
        let _answered = told(&text);
    }
}

#[test]
fn the_sections_of_the_guide_are_accepted() {
    let text = r#"
        [ash]
        enabled = true
        sample_interval_seconds = 1
        max_samples = 86400  # 24 hours of history
        retention_hours = 24
        capture_sql_text = true
        capture_wait_events = true
        capture_blocking_sessions = true
        capture_resource_usage = true

        [awr]
        enabled = true
        snapshot_interval_minutes = 60
        retention_days = 30
        baseline_retention_days = 90
        capture_sql_stats = true
        capture_wait_events = true
        capture_io_stats = true
        capture_buffer_pool_stats = true
        capture_ash_aggregation = true

        [health_checks]
        enabled = true
        interval_seconds = 30
        [health_checks.connection_pool]
        warning_threshold_percent = 80
        critical_threshold_percent = 95
        [health_checks.memory]
        warning_threshold_percent = 80
        critical_threshold_percent = 90
        [health_checks.disk_space]
        warning_threshold_percent = 75
        critical_threshold_percent = 85
        [health_checks.replication_lag]
        warning_threshold_seconds = 10
        critical_threshold_seconds = 30
        [health_checks.buffer_pool]
        warning_hit_ratio = 0.90
        critical_hit_ratio = 0.80

        [diagnostics]
        enabled = true
        adr_base = "/var/lib/pgtend/diagnostics"
        max_incidents = 10000
        auto_dump_on_critical = true

        [logging]
        level = "INFO"
    "#;
    let parsed = parse(&with(text), "pgtend.toml").unwrap();
    let notices: Vec<&str> = parsed.notices.iter().map(|notice| notice.text.split(' ').next().unwrap()).collect();
    assert_eq!(notices, ["awr.capture_wait_events", "awr.capture_ash_aggregation", "health_checks.interval_seconds", "[diagnostics]"]);
}
