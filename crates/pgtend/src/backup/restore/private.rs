//! A PostgreSQL over a restored directory that nobody else can reach: no TCP, a socket in a directory of its own, nothing archived, no subscription
//! followed, no library of the cluster's configuration loaded.

use super::recover::Recovered;
use crate::backup::Progress;
use pgtend_model::backup::Selection;
use pgtend_model::error::{Error, Kind, Result};
use pgtend_model::up::Installation;
use pgtend_postgres::files::control::{self, Capacity, State};
use pgtend_postgres::process::os_user::OsUser;
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How often it is looked at.
const PAUSE: Duration = Duration::from_millis(50);
/// Lines of the log that are kept for an error.
const KEPT: usize = 12;
/// How long a stop may take.
const STOP_PATIENCE: Duration = Duration::from_secs(120);
/// The number in the name of its socket. Nobody else has one in that directory.
pub const PORT: u16 = 5432;

/// What the server is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner<'a> {
    /// It replays WAL in a cluster that will be used: what it writes must last, and its own configuration counts where it has one.
    Lasting {
        /// Whether the cluster will archive: then what this server does is marked to be archived by the next.
        archives: bool,
        /// Whether databases are left out, whose pages WAL may refer to.
        partial: bool,
    },
    /// It is asked, and thrown away: nothing has to last, and nothing of the cluster's own configuration counts.
    Scratch {
        /// Libraries that the cluster cannot do without, as `shared_preload_libraries` has them.
        preload: &'a str,
        /// Whether databases are left out, whose pages WAL may refer to.
        partial: bool,
    },
}

/// What to start.
#[derive(Debug, Clone, Copy)]
pub struct Private<'a> {
    /// The programs, of the cluster's major.
    pub installation: &'a Installation,
    /// Who owns the cluster.
    pub user: &'a OsUser,
    /// The data directory.
    pub data: &'a Path,
    /// A directory of the user's for the socket and for configuration files, which nobody else uses.
    pub run_directory: &'a Path,
    /// What it is for.
    pub manner: Manner<'a>,
}

/// One that runs. Dropping it stops it at once.
#[derive(Debug)]
pub struct Running {
    child: Child,
    data: PathBuf,
    log: Arc<Mutex<Log>>,
    started: Instant,
}

impl Private<'_> {
    /// Starts it; it has not replayed anything when this returns.
    ///
    /// # Errors
    /// `System` when the program cannot be run.
    pub fn start(&self) -> Result<Running> {
        let postgres = self.installation.bindir.join("postgres");
        let capacity = control::read(self.data)?.control.capacity;
        let own = self.own_configuration()?;
        let spawn = || {
            let mut command = self.user.command(&postgres);
            command.arg("-D").arg(self.data);
            for (name, value) in self.settings(capacity, own) {
                command.arg("-c").arg(format!("{name}={value}"));
            }
            // What a terminal sends to us must not reach it: we stop it ourselves.
            command.process_group(0).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()
        };
        let child = self.user.run(spawn)?;
        let mut child = child.map_err(|error| {
            Error::new(Kind::System, format!("PostgreSQL could not be started: {error}")).at(postgres.display().to_string())
        })?;
        let log = Arc::<Mutex<Log>>::default();
        if let Some(stderr) = child.stderr.take() {
            let log = Arc::clone(&log);
            std::thread::spawn(move || read(stderr, &log));
        }
        Ok(Running { child, data: self.data.to_owned(), log, started: Instant::now() })
    }

    /// Has statements carried out, one a line, by PostgreSQL's bootstrap superuser while no server runs.
    ///
    /// # Errors
    /// `Server` with what it said.
    pub fn single_user(&self, database: &str, sql: &str) -> Result<()> {
        let capacity = control::read(self.data)?.control.capacity;
        let own = self.own_configuration()?;
        let run = || -> io::Result<Output> {
            let mut command = self.user.command(&self.installation.bindir.join("postgres"));
            command.arg("--single").arg("-D").arg(self.data);
            for (name, value) in self.settings(capacity, own) {
                command.arg("-c").arg(format!("{name}={value}"));
            }
            command.args(["-c", "exit_on_error=on", database]);
            let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
            if let Some(mut stdin) = child.stdin.take() {
                // One that ended early says why on its standard error.
                let _ = stdin.write_all(sql.as_bytes());
            }
            child.wait_with_output()
        };
        let output = self.user.run(run)?.map_err(|error| Error::new(Kind::System, format!("PostgreSQL could not be run: {error}")))?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        let last: Vec<&str> = said.lines().rev().take(KEPT).collect();
        let words: String = last.iter().rev().map(|line| format!("\n    {line}")).collect();
        Err(Error::new(Kind::Server, format!("PostgreSQL refused in single-user mode ({}):{words}", output.status))
            .at(self.data.display().to_string()))
    }

    /// Whether the cluster's configuration is ours: written for a scratch server, and where the cluster's is outside of the data directory, as Debian
    /// keeps it.
    fn own_configuration(&self) -> Result<bool> {
        let own = matches!(self.manner, Manner::Scratch { .. }) || !self.data.join("postgresql.conf").exists();
        if own {
            for (name, text) in [
                ("postgresql.conf", "# Everything is on the command line.\n"),
                ("pg_hba.conf", "local all all trust\n"),
                ("pg_ident.conf", ""),
            ] {
                let path = self.run_directory.join(name);
                let written = fs::write(&path, text).and_then(|()| fs::set_permissions(&path, fs::Permissions::from_mode(0o600)));
                written.map_err(|error| {
                    Error::new(Kind::System, format!("a configuration file cannot be written: {error}")).at(path.display().to_string())
                })?;
                self.user.own(&path)?;
            }
        }
        Ok(own)
    }

    /// The settings; on the command line they win over everything in the directory.
    fn settings(&self, capacity: Capacity, own_configuration: bool) -> Vec<(&'static str, String)> {
        let major = self.installation.major;
        let mut settings: Vec<(&str, String)> = ALWAYS.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        settings.push(("unix_socket_directories", self.run_directory.display().to_string()));
        settings.push(("port", PORT.to_string()));
        if own_configuration {
            for (name, file) in [("config_file", "postgresql.conf"), ("hba_file", "pg_hba.conf"), ("ident_file", "pg_ident.conf")] {
                settings.push((name, self.run_directory.join(file).display().to_string()));
            }
        }
        settings.push(("max_connections", capacity.connections.max(40).to_string()));
        settings.push(("max_worker_processes", capacity.worker_processes.max(8).to_string()));
        settings.push(("max_prepared_transactions", capacity.prepared_transactions.max(50).to_string()));
        settings.push(("max_locks_per_transaction", capacity.locks_per_transaction.max(64).to_string()));
        let (Manner::Lasting { partial, .. } | Manner::Scratch { partial, .. }) = self.manner;
        if partial {
            settings.push(("ignore_invalid_pages", "on".to_owned()));
        }
        match self.manner {
            Manner::Lasting { archives, .. } => {
                settings.push(("shared_preload_libraries", String::new()));
                if own_configuration {
                    settings.push(("archive_mode", if archives { "on" } else { "off" }.to_owned()));
                }
            }
            Manner::Scratch { preload, .. } => {
                settings.extend(SCRATCH.iter().map(|(name, value)| (*name, (*value).to_owned())));
                settings.push(("shared_preload_libraries", preload.to_owned()));
                if major >= 17 {
                    settings.push(("event_triggers", "off".to_owned()));
                }
            }
        }
        settings
    }
}

/// What holds for each of them. A subscription that came with the backup must not take the changes that are meant for the server it was copied from; a
/// command of the former server must not run here.
const ALWAYS: &[(&str, &str)] = &[
    ("listen_addresses", ""),
    ("unix_socket_permissions", "0700"),
    ("unix_socket_group", ""),
    ("archive_command", ""),
    ("archive_cleanup_command", ""),
    ("recovery_end_command", ""),
    ("primary_conninfo", ""),
    ("primary_slot_name", ""),
    ("recovery_min_apply_delay", "0"),
    ("max_logical_replication_workers", "0"),
    ("max_wal_senders", "0"),
    ("synchronous_standby_names", ""),
    ("session_preload_libraries", ""),
    ("local_preload_libraries", ""),
    ("logging_collector", "off"),
    ("log_destination", "stderr"),
    ("log_line_prefix", ""),
    ("log_min_messages", "warning"),
    ("lc_messages", "C"),
    ("ssl", "off"),
    ("hot_standby", "off"),
    ("autovacuum", "off"),
    ("huge_pages", "off"),
    ("shared_buffers", "128MB"),
    ("restart_after_crash", "off"),
];

/// What holds for one that is thrown away.
const SCRATCH: &[(&str, &str)] = &[
    ("archive_mode", "off"),
    ("fsync", "off"),
    ("full_page_writes", "off"),
    ("synchronous_commit", "off"),
    ("max_wal_size", "1GB"),
    ("log_min_error_statement", "panic"),
    ("zero_damaged_pages", "off"),
    ("ignore_checksum_failure", "off"),
    ("jit", "off"),
];

impl Running {
    /// Waits until recovery is over and it accepts connections.
    ///
    /// # Errors
    /// `Server` with the last lines of the log when it ends before; `Conflict` when somebody wants it to stop.
    pub fn wait(&mut self, progress: &Progress) -> Result<Recovered> {
        loop {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(self.failure(status));
            }
            progress.check()?;
            // The first connections are accepted before the control file says so.
            if self.log().ready && control::read(&self.data).is_ok_and(|reading| reading.control.state == State::InProduction) {
                return Ok(Recovered { seconds: self.started.elapsed().as_secs_f64(), ..self.log().recovered.clone() });
            }
            std::thread::sleep(PAUSE);
        }
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Where databases are left out, PostgreSQL overlooks pages that are missing: those of databases that were brought back must have been there.
    ///
    /// # Errors
    /// `Conflict` with the first one that was not.
    pub fn lacks_nothing_of(&self, selection: &Selection) -> Result<()> {
        match self.log().invalid.iter().find(|(path, _)| selection.needs(path)) {
            None => Ok(()),
            Some((_, page)) => Err(Error::new(Kind::Conflict, format!("WAL refers to what the backup does not have: {page}"))
                .at(self.data.display().to_string())
                .hint("the backup or the WAL is damaged: `pgtend repo verify` reads all of it; an older backup may do (--backup)")),
        }
    }

    /// Its last words.
    pub fn last_words(&self) -> String {
        self.log().last.join("\n    ")
    }

    /// Ends its sessions and stops it: everything is on disk then.
    pub fn stop(&mut self) -> Recovered {
        stop(&mut self.child, rustix::process::Signal::INT);
        // What it said last comes a moment later.
        std::thread::sleep(PAUSE);
        self.log().recovered.clone()
    }

    fn log(&self) -> std::sync::MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failure(&self, status: ExitStatus) -> Error {
        std::thread::sleep(PAUSE);
        let said = self.last_words();
        Error::new(Kind::Server, format!("PostgreSQL ended while it replayed WAL ({status}):\n    {said}"))
            .at(self.data.display().to_string())
            .hint(diagnosis(&said))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        stop(&mut self.child, rustix::process::Signal::QUIT);
    }
}

/// What its last words mean.
fn diagnosis(said: &str) -> &'static str {
    let cases = [
        (
            "recovery ended before configured recovery target was reached",
            "the WAL ends before the target: name no target, or an earlier time; a time is reached only by a transaction that commits after it",
        ),
        (
            "maximum number of prepared transactions",
            "there were more prepared transactions than its settings allow: restore with --no-recovery, raise max_prepared_transactions there, and start it",
        ),
        ("could not access file", "a library that the cluster uses is not installed here: install the extension's package"),
        ("resource manager with ID", "an extension writes WAL of its own: its library has to be loaded (--preload)"),
        ("No space left on device", "make room on this disk, or choose a directory on another one"),
        ("could not map anonymous shared memory", "this machine does not have the memory free that PostgreSQL asks for"),
        (
            "invalid value for parameter",
            "postgresql.auto.conf of the backup has a setting that these programs do not know: they were built otherwise than the server's",
        ),
    ];
    cases.iter().find(|(words, _)| said.contains(words)).map_or("the directory is left as it is, for you to look", |(_, hint)| hint)
}

/// What the log has told so far.
#[derive(Debug, Default)]
struct Log {
    recovered: Recovered,
    last: Vec<String>,
    /// By the paths of relations, what was said first of a page that WAL refers to and that was not there.
    invalid: BTreeMap<String, String>,
    ready: bool,
}

impl Log {
    fn take(&mut self, line: String) {
        if let Some(text) = line.split_once("LOG:").map(|(_, text)| text.trim()) {
            self.fact(text);
        } else if let Some(text) = line.strip_prefix("WARNING:").map(str::trim)
            && text.starts_with("page ")
            && (text.ends_with("does not exist") || text.ends_with("is uninitialized"))
        {
            let path = text.split_once(" of relation ").and_then(|(_, rest)| rest.split_whitespace().next());
            self.invalid.entry(path.unwrap_or_default().to_owned()).or_insert_with(|| text.to_owned());
        }
        if self.last.len() == KEPT {
            self.last.remove(0);
        }
        self.last.push(line);
    }

    fn fact(&mut self, text: &str) {
        let recovered = &mut self.recovered;
        if let Some(rest) = text.strip_prefix("redo done at ") {
            recovered.replayed_to = rest.split_whitespace().next().map(str::to_owned);
        } else if let Some(time) = text.strip_prefix("last completed transaction was at log time ") {
            recovered.last_commit = Some(time.to_owned());
        } else if text.starts_with("recovery stopping") {
            recovered.stopped = Some(text.to_owned());
        } else if let Some(timeline) = text.strip_prefix("selected new timeline ID: ") {
            recovered.timeline = timeline.trim().parse().ok();
        } else if text.starts_with("database system is ready to accept connections") {
            self.ready = true;
        }
    }
}

fn read(stderr: ChildStderr, log: &Mutex<Log>) {
    for line in BufReader::new(stderr).split(b'\n').map_while(Result::ok) {
        log.lock().unwrap_or_else(PoisonError::into_inner).take(String::from_utf8_lossy(&line).into_owned());
    }
}

fn stop(child: &mut Child, signal: rustix::process::Signal) {
    if !matches!(child.try_wait(), Ok(None)) {
        return;
    }
    if let Some(pid) = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw) {
        let _ = rustix::process::kill_process(pid, signal);
    }
    let deadline = Instant::now() + STOP_PATIENCE;
    while Instant::now() < deadline {
        if !matches!(child.try_wait(), Ok(None)) {
            return;
        }
        std::thread::sleep(PAUSE / 2);
    }
    let _ = child.kill();
    let _ = child.wait();
}
