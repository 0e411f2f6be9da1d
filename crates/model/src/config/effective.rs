//! What follows from a configuration file: the only type that the rest of the code sees.

use super::api::Api;
use super::backup::Backup;
use super::choice::choice;
use super::drill::Drill;
use super::files::Files;
use super::health::HealthChecks;
use super::hints;
use super::metrics::Metrics;
use super::probes::Probes;
use super::section::{Section, Step, default_of, section};
use super::server::Server;
use super::setting::Setting;
use super::verify::Verify;
use crate::sample::Probe;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::PathBuf;
use std::time::Duration;

section! {
    /// The whole configuration.
    pub struct Effective, checked by check_effective {
        /// One PostgreSQL to watch. There can be several; names must differ.
        server: Vec<Server> = none, now;
        /// How often each probe runs and what it may cost. Every probe has its section; [probes](probes.md) lists them.
        probes: Probes = none, now;
        /// Active Session History: sessions that do something, sampled at short intervals, kept in memory and on disk.
        ash: Ash = none, now;
        /// What is remembered of every probe, and snapshots for reports between two of them.
        awr: Awr = none, now;
        /// A copy of the history elsewhere.
        history: History = none, now;
        /// Backups and WAL.
        backup: Backup = none, now;
        /// Verification on schedule.
        verify: Verify = none, now;
        /// Trees of files that are backed up as well.
        files: Vec<Files> = none, restart;
        /// Drills on schedule.
        drill: Drill = none, now;
        /// Metrics for Prometheus.
        metrics: Metrics = none, now;
        /// The HTTP API, on TCP and on a Unix socket.
        api: Api = none, now;
        /// From where on a part of a server is worth a look, and from where on it is an emergency.
        health_checks: HealthChecks = none, now;
        /// pgtend's own log, which goes to standard error.
        logging: Logging = none, now;
        /// The agent's process.
        agent: Agent = none, now;
    }
}

section! {
    /// Active Session History.
    pub struct Ash {
        /// Whether sessions are sampled.
        enabled: bool = "true", now;
        /// Seconds from one sample to the next. Fractions are allowed.
        sample_interval_seconds: Duration as "seconds" = "1" in "0.1 to 60", now;
        /// Samples kept for each server, the oldest going first. A sample holds every session that did something at that instant.
        max_samples: usize = "86400" in "60 to 10000000", now;
        /// Memory for the samples of one server; when it is used up, the oldest go, whatever `max_samples` says.
        max_memory_bytes: u64 as "bytes" = "'32MB'" in "1MB to 64GB", now;
        /// Hours for which samples are kept on disk. A day with 50 active sessions takes 6 to 15 MB.
        retention_hours: u32 as "hours" = "168" in "1 to 87600", now;
        /// Disk space for the samples of all servers together; when it is used up, the oldest go, whatever `retention_hours` says.
        max_disk_bytes: u64 as "bytes" = "'2GB'" in "1MB to 10TB", now;
        /// Whether the text of statements is kept; without it, sessions carry the statement's identifier only.
        capture_sql_text: bool = "true", now;
        /// Whether wait events are kept.
        capture_wait_events: bool = "true", now;
        /// Whether the sessions that a session waits for are kept. They are asked for sessions that wait for a lock only.
        capture_blocking_sessions: bool = "true", now;
        /// Whether CPU and memory of each session are read from /proc, where the agent runs beside the server.
        capture_resource_usage: bool = "true", now;
    }
}

section! {
    /// Automatic Workload Repository: the history of counters, and snapshots for reports between two of them.
    pub struct Awr {
        /// Whether readings of probes are kept on disk, and snapshots taken on schedule.
        enabled: bool = "true", now;
        /// Minutes from one snapshot to the next.
        snapshot_interval_minutes: u32 as "minutes" = "60" in "1 to 1440", now;
        /// Days for which readings and snapshots are kept.
        retention_days: u32 as "days" = "30" in "1 to 3650", now;
        /// Days for which baselines, and what belongs to them, are kept.
        baseline_retention_days: u32 as "days" = "90" in "1 to 3650", now;
        /// Disk space for the readings of all servers together; when it is used up, the oldest go, whatever `retention_days` says.
        max_disk_bytes: u64 as "bytes" = "'4GB'" in "1MB to 10TB", now;
        /// Whether figures of statements are kept.
        capture_sql_stats: bool = "true", now;
        /// Whether figures of I/O are kept: by kind of object and process, of the small caches, of the host's disks.
        capture_io_stats: bool = "true", now;
        /// Whether figures of shared buffers are kept.
        capture_buffer_pool_stats: bool = "true", now;
        /// Wait events are in the session history, which `[ash]` governs: this key changes nothing.
        capture_wait_events: bool = "true", not_yet;
        /// Reports count the session history itself, which `[ash]` governs: this key changes nothing.
        capture_ash_aggregation: bool = "true", not_yet;
    }
}

section! {
    /// A copy of the history's files elsewhere, laid out so that DuckDB, ClickHouse and Trino read them in place. Nothing is copied unless
    /// `copy_to` is set. What is copied is never removed there when its time is over here: the store's own lifecycle rules do that.
    pub struct History {
        /// Where to: `s3://bucket/prefix`, or `file:///directory`.
        copy_to: Option<String> = none, restart;
        /// The S3 service's address, where it is not Amazon's: `https://minio.example.com:9000`.
        copy_endpoint: Option<String> = none, restart;
        /// The bucket's region. Without it, `AWS_REGION` says it.
        copy_region: Option<String> = none, restart;
        /// The access key's identifier. Without it, credentials come from the environment (`AWS_ACCESS_KEY_ID`, …) or from the machine's role.
        copy_access_key_id: Option<String> = none, restart;
        /// A file that holds the secret access key and nothing else.
        copy_secret_access_key_file: Option<PathBuf> = none, restart;
    }
}

choice! {
    /// How much is logged.
    pub enum Level {
        /// What failed.
        Error = "error",
        /// What will fail if nobody looks.
        Warn = "warn",
        /// What happened.
        Info = "info",
        /// Why it happened.
        Debug = "debug",
        /// Every step.
        Trace = "trace",
    }
}

choice! {
    /// What a line of the log looks like.
    pub enum LogFormat {
        /// For people.
        Text = "text",
        /// One JSON object a line.
        Json = "json",
    }
}

section! {
    /// pgtend's own log.
    pub struct Logging, checked by check_components {
        /// How much is logged.
        level: Level = "'info'", now;
        /// What a line looks like.
        format: LogFormat = "'text'", restart;
        /// Levels of single components, which override `level`: `agent`, `api`, `ash`, `backup`, `connect`, `host`, `metrics`, `probe`,
        /// `process`, `store`.
        components: BTreeMap<String, Level> = none, now;
    }
}

/// The components that have a level of their own, and the code that belongs to them.
const COMPONENTS: &[(&str, &str)] = &[
    ("agent", "pgtend::agent"),
    ("api", "pgtend::api"),
    ("ash", "pgtend::agent::ash"),
    ("backup", "pgtend::backup"),
    ("connect", "pgtend_postgres::connect"),
    ("host", "pgtend_postgres::host"),
    ("metrics", "pgtend::metrics"),
    ("probe", "pgtend_postgres::probe"),
    ("process", "pgtend_postgres::process"),
    ("store", "pgtend_store"),
];

impl Logging {
    /// The filter for `tracing`: other people's code is heard from `warn` on, pgtend's own at the configured levels. Who did what
    /// (`audit`) is always told.
    pub fn directives(&self) -> String {
        let others = self.level.min(Level::Warn);
        let level = self.level;
        let mut text = format!("{others},audit=info,pgtend={level},pgtend_model={level},pgtend_postgres={level},pgtend_store={level}");
        for (component, level) in &self.components {
            if let Some((_, target)) = COMPONENTS.iter().find(|(name, _)| name == component) {
                let _ = write!(text, ",{target}={level}");
            }
        }
        text
    }
}

fn check_components(logging: &mut Logging, section: &Section<'_>) {
    let known: Vec<&str> = COMPONENTS.iter().map(|(name, _)| *name).collect();
    for component in logging.components.keys().filter(|name| !known.contains(&name.as_str())) {
        let (what, hint) = hints::unknown_word(component, "a component of [logging.components]", &known);
        section.reject_at(&["components".into(), component.as_str().into()], what, hint);
    }
}

section! {
    /// The agent's process.
    pub struct Agent {
        /// Where the agent keeps what it must remember: tokens, and later history. Made by systemd's `StateDirectory`.
        state_directory: PathBuf = "'/var/lib/pgtend'", restart;
        /// Where the agent keeps its Unix socket. Made by systemd's `RuntimeDirectory`.
        runtime_directory: PathBuf = "'/run/pgtend'", restart;
        /// Threads that do the agent's work. Two watch dozens of servers.
        worker_threads: usize = "2" in "1 to 64", restart;
    }
}

impl Default for Effective {
    /// The defaults, with no server.
    fn default() -> Self {
        Self {
            server: Vec::new(),
            probes: default_of(&Self::KEYS[1]),
            ash: default_of(&Self::KEYS[2]),
            awr: default_of(&Self::KEYS[3]),
            history: default_of(&Self::KEYS[4]),
            backup: default_of(&Self::KEYS[5]),
            verify: default_of(&Self::KEYS[6]),
            files: Vec::new(),
            drill: default_of(&Self::KEYS[8]),
            metrics: default_of(&Self::KEYS[9]),
            api: default_of(&Self::KEYS[10]),
            health_checks: default_of(&Self::KEYS[11]),
            logging: default_of(&Self::KEYS[12]),
            agent: default_of(&Self::KEYS[13]),
        }
    }
}

impl Effective {
    /// Where the Unix socket of the API is.
    pub fn socket(&self) -> PathBuf {
        self.api.socket.clone().unwrap_or_else(|| self.agent.runtime_directory.join("pgtend.sock"))
    }

    /// The configuration as TOML, with every default spelled out.
    pub fn to_toml(&self, secrets: super::Secrets) -> toml::Value {
        self.show("", secrets).unwrap_or_else(|| toml::Table::new().into())
    }
}

/// Checks what concerns several sections. The sampler is the probe `activity`, so `[ash]` says how often that one runs.
fn check_effective(config: &mut Effective, section: &Section<'_>) {
    check_sampler(config, section);
    if config.server.is_empty() {
        section.reject("server", "no server is configured", "add [[server]] with name = \"main\" and dsn = \"host=/var/run/postgresql\"");
    }
    same_names("server", "server", config.server.iter().map(|server| server.name.as_str()), section);
    clusters(config, section);
    same_names("file tree", "files", config.files.iter().map(|files| files.name.as_str()), section);
    if !config.files.is_empty() && config.backup.repository.is_empty() {
        section.reject("files", "file trees have nowhere to go", "add [[backup.repository]] with path = \"/directory\"");
    }
    for (index, custom) in config.metrics.custom.iter().enumerate() {
        let super::Selection::Only(names) = &custom.servers else { continue };
        for name in names.iter().filter(|name| !config.server.iter().any(|server| server.name == **name)) {
            let known: Vec<&str> = config.server.iter().map(|server| server.name.as_str()).collect();
            let (what, hint) = hints::unknown_word(name, "metrics.custom.servers", &known);
            section.reject_at(&["metrics".into(), "custom".into(), index.into(), "servers".into()], what, hint);
        }
    }
}

/// A cluster may have the name of one of its nodes, but not that of a server that belongs to another one.
fn clusters(config: &Effective, section: &Section<'_>) {
    for (index, server) in config.server.iter().enumerate() {
        let Some(cluster) = &server.cluster else { continue };
        let stranger = config.server.iter().find(|other| other.name == *cluster && other.in_repository() != cluster);
        if let Some(other) = stranger {
            let what = format!(
                "server \"{}\" is called \"{}\" in repositories, so that nobody else can be \"{cluster}\" there",
                other.name,
                other.in_repository()
            );
            section.reject_at(
                &["server".into(), index.into(), "cluster".into()],
                what,
                "give all nodes of the cluster the same name there",
            );
        }
    }
}

fn check_sampler(config: &mut Effective, section: &Section<'_>) {
    let mut sampler = config.probes.get(Probe::Activity).clone();
    if !config.ash.enabled {
        return;
    }
    let written = |key: &str| section.node("probes").and_then(|probes| probes.get_ref().get("activity")?.get_ref().get(key)).is_some();
    let interval = config.ash.sample_interval_seconds;
    let place = |key| ["probes".into(), "activity".into(), Step::Key(key)];
    if !sampler.enabled {
        let what = "[ash] takes its samples with the probe activity";
        section.reject_at(&place("enabled"), what, "set enabled = false in [ash] too");
    }
    if sampler.every != Some(interval) && written("every") {
        let hint = format!("leave it out, or set sample_interval_seconds = {} there", sampler.every.unwrap_or(interval).as_secs_f64());
        let what = "how often the probe activity runs is set by sample_interval_seconds in [ash]";
        section.reject_at(&place("every"), what, hint);
    }
    sampler.every = Some(interval);
    config.probes.set(Probe::Activity, sampler);
}

/// Notes every element of a list whose name an earlier one has.
pub(super) fn same_names<'n>(what: &str, key: &str, names: impl Iterator<Item = &'n str>, section: &Section<'_>) {
    let mut seen: Vec<&str> = Vec::new();
    for (index, name) in names.enumerate() {
        if seen.contains(&name) {
            let place = [key.into(), index.into(), "name".into()];
            section.reject_at(&place, format!("two {what}s are called \"{name}\""), "give each its own name");
        }
        seen.push(name);
    }
}
