//! `[[server]]`: one PostgreSQL to watch.

use super::metrics::is_label_name;
use super::secret::Dsn;
use super::section::{Section, default_of, section};
use super::setting::Setting;
use super::values::Selection;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

section! {
    /// One PostgreSQL to watch.
    pub struct Server, checked by check_server {
        /// What this server is called: in the API, in metrics as the label `server`, on the command line as `--server`. Letters,
        /// digits, `.`, `_` and `-`.
        name: String = required, now;
        /// How to connect, as libpq takes it: `host=/var/run/postgresql user=pgtend`, `postgresql://pgtend@db1/postgres?sslmode=require`
        /// or `service=NAME`. What is not written comes from the PG* variables, the service file and .pgpass.
        dsn: Dsn = required, now;
        /// File whose first line is the password. Nobody but its owner and group may read it.
        password_file: Option<PathBuf> = none, now;
        /// The server's data directory, if it is on this machine. It opens what SQL does not tell: processes, memory, disks.
        data_directory: Option<PathBuf> = none, now;
        /// The server's log, where it is a file on this machine that the server's own settings do not tell: what `pg_ctl --log` or a service
        /// manager writes its standard error to. What the logging collector writes is found by itself from `data_directory`.
        log_file: Option<PathBuf> = none, now;
        /// Under which name its backups and WAL are kept: the same for a primary and its standbys, wherever their agents run. Not written: `name`.
        cluster: Option<String> = none, restart;
        /// When a backup of it is taken, instead of `backup.schedule`: `off` on those nodes of a cluster that are not to be burdened with it.
        backup_schedule: Option<String> = none, restart;
        /// Databases whose tables, indexes and sequences are watched.
        databases: Selection = "'all'", now;
        /// Databases left out of `databases = "all"`. Templates and databases that allow no connections always are.
        exclude_databases: Vec<String> = "[]", now;
        /// Databases watched at most; when there are more, the rest is named as not watched.
        max_databases: usize = "50" in "1 to 10000", now;
        /// What pgtend calls itself in `pg_stat_activity`.
        application_name: String = "'pgtend'", now;
        /// How long connecting may take.
        connect_timeout: Duration = "'5s'" in "100ms to 5min", now;
        /// `statement_timeout` of pgtend's sessions: how long one query may take.
        statement_timeout: Duration = "'3s'" in "10ms to 10min", now;
        /// `lock_timeout` of pgtend's sessions: how long a query may wait for a lock. Less than `statement_timeout`.
        lock_timeout: Duration = "'500ms'" in "1ms to 1min", now;
        /// How long all probes of one round may take together. Those whose turn does not come are unknown until the next round.
        round_budget: Duration = "'3s'" in "100ms to 10min", now;
        /// Labels added to every metric of this server.
        labels: BTreeMap<String, String> = none, now;
    }
}

impl Server {
    /// A server with this name and connection string, and defaults for the rest.
    pub fn new(name: impl Into<String>, dsn: Dsn) -> Self {
        fn default<T: Setting>(name: &str) -> T {
            #[expect(clippy::expect_used, reason = "called below with the names of its own fields only")]
            default_of(Server::KEYS.iter().find(|key| key.name == name).expect("a key of [[server]]"))
        }
        Self {
            name: name.into(),
            dsn,
            password_file: None,
            data_directory: None,
            log_file: None,
            cluster: None,
            backup_schedule: None,
            databases: default("databases"),
            exclude_databases: Vec::new(),
            max_databases: default("max_databases"),
            application_name: default("application_name"),
            connect_timeout: default("connect_timeout"),
            statement_timeout: default("statement_timeout"),
            lock_timeout: default("lock_timeout"),
            round_budget: default("round_budget"),
            labels: BTreeMap::new(),
        }
    }

    /// What it is called in backup repositories.
    pub fn in_repository(&self) -> &str {
        self.cluster.as_deref().unwrap_or(&self.name)
    }

    /// Whether a database is to be watched, as far as its name goes.
    pub fn watches(&self, database: &str) -> bool {
        match &self.databases {
            Selection::All => !self.exclude_databases.iter().any(|excluded| excluded == database),
            only @ Selection::Only(_) => only.includes(database),
        }
    }
}

fn check_name(key: &str, name: &str, section: &Section<'_>) {
    let legal = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if name.is_empty() || name.len() > 63 || !name.chars().all(legal) {
        section.reject(key, format!("\"{name}\" cannot be the name of a server"), "use up to 63 letters, digits, '.', '_' and '-'");
    }
    if name.starts_with(crate::backup::tree::PREFIX) {
        section.reject(key, format!("\"{name}\" is how file trees are called in a backup repository"), "begin with something else");
    }
}

fn check_server(server: &mut Server, section: &Section<'_>) {
    for (key, name) in [("name", Some(&server.name)), ("cluster", server.cluster.as_ref())] {
        if let Some(name) = name {
            check_name(key, name, section);
        }
    }
    if server.lock_timeout >= server.statement_timeout {
        let what = "server.lock_timeout is not less than statement_timeout, which would always end the query first";
        section.reject("lock_timeout", what, "lower lock_timeout, or raise statement_timeout");
    }
    if server.databases != Selection::All && !server.exclude_databases.is_empty() {
        section.reject("exclude_databases", "server.exclude_databases has no meaning beside a list of databases", "remove one of the two");
    }
    if server.application_name.len() > 63 || !server.application_name.chars().all(|c| (' '..='~').contains(&c)) {
        section.reject("application_name", "server.application_name must be up to 63 printable ASCII characters", "");
    }
    for label in server.labels.keys().filter(|label| !is_label_name(label) || *label == "server") {
        let hint = "labels are letters, digits and '_', and begin with a letter; \"server\" is taken by the server's name";
        let what = format!("\"{label}\" cannot be a label in [server.labels]");
        section.reject_at(&["labels".into(), label.as_str().into()], what, hint);
    }
}
