//! Replaying WAL in a restored cluster: PostgreSQL is started for itself alone, watched until recovery is over, and stopped.

use crate::backup::{Phase, Progress};
use pgtend_model::error::{Error, Kind, Result};
use pgtend_model::up::Installation;
use pgtend_postgres::files::control::{self, State};
use pgtend_postgres::process::os_user::OsUser;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// How often the control file is looked at.
const PAUSE: Duration = Duration::from_millis(100);
/// Lines of the log that are kept for an error.
const KEPT: usize = 12;
/// How long a stop may take.
const STOP_PATIENCE: Duration = Duration::from_secs(120);

/// A recovery to be run.
#[derive(Debug)]
pub struct Recover<'a> {
    /// The programs, of the cluster's major.
    pub installation: &'a Installation,
    /// Who owns the cluster.
    pub user: &'a OsUser,
    /// The data directory.
    pub data: &'a Path,
    /// A directory for the socket, which nobody else uses.
    pub socket_directory: &'a Path,
}

/// What was recovered, as the server's own log tells it.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
pub struct Recovered {
    /// Up to which position WAL was replayed.
    pub replayed_to: Option<String>,
    /// When the last transaction committed that was replayed.
    pub last_commit: Option<String>,
    /// Why recovery stopped where it did.
    pub stopped: Option<String>,
    /// The timeline that the cluster goes on with.
    pub timeline: Option<u32>,
    /// How long replaying took, in seconds.
    pub seconds: f64,
}

impl Recover<'_> {
    /// Replays until recovery is over, and stops the server.
    ///
    /// # Errors
    /// `Server` with the last lines of the log when it ends before.
    pub fn run(&self, progress: &Progress) -> Result<Recovered> {
        progress.enter(Phase::Recovering);
        let started = Instant::now();
        let mut child = self.start()?;
        let lines = read_lines(&mut child);
        let mut log = Log::default();
        let outcome = self.watch(&mut child, &lines, &mut log, progress);
        if let Err(error) = outcome {
            stop(&mut child, rustix::process::Signal::QUIT);
            return Err(error);
        }
        stop(&mut child, rustix::process::Signal::INT);
        while let Ok(line) = lines.recv_timeout(PAUSE) {
            log.take(line);
        }
        Ok(Recovered { seconds: started.elapsed().as_secs_f64(), ..log.recovered })
    }

    /// Nobody else can reach it, nothing is archived by it, and its log comes to us.
    fn start(&self) -> Result<Child> {
        let postgres = self.installation.bindir.join("postgres");
        let socket = self.socket_directory.display().to_string();
        let settings = [
            "listen_addresses=".to_owned(),
            format!("unix_socket_directories={socket}"),
            "port=5432".to_owned(),
            "archive_command=".to_owned(),
            "logging_collector=off".to_owned(),
            "log_destination=stderr".to_owned(),
            "log_line_prefix=".to_owned(),
            "log_min_messages=log".to_owned(),
            "lc_messages=C".to_owned(),
            "ssl=off".to_owned(),
            "hot_standby=on".to_owned(),
            "shared_preload_libraries=".to_owned(),
        ];
        let spawn = || {
            let mut command = self.user.command(&postgres);
            command.arg("-D").arg(self.data);
            for setting in &settings {
                command.arg("-c").arg(setting);
            }
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()
        };
        let child = self.user.run(spawn)?;
        child.map_err(|error| {
            Error::new(Kind::System, format!("PostgreSQL could not be started: {error}")).at(postgres.display().to_string())
        })
    }

    fn watch(&self, child: &mut Child, lines: &Receiver<String>, log: &mut Log, progress: &Progress) -> Result<()> {
        loop {
            match lines.recv_timeout(PAUSE) {
                Ok(line) => log.take(line),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => std::thread::sleep(PAUSE),
            }
            if let Ok(Some(status)) = child.try_wait() {
                while let Ok(line) = lines.recv_timeout(PAUSE) {
                    log.take(line);
                }
                return Err(self.failure(&format!("{status}"), log));
            }
            progress.check()?;
            if log.ready && control::read(self.data).is_ok_and(|reading| reading.control.state == State::InProduction) {
                return Ok(());
            }
        }
    }

    fn failure(&self, status: &str, log: &Log) -> Error {
        let said = log.last.join("\n    ");
        let hint = if said.contains("recovery ended before configured recovery target was reached") {
            "the WAL ends before the target: restore to --latest, or to an earlier time; a time is reached only by a transaction that commits after it"
        } else if said.contains("insufficient parameter settings") || said.contains("is a lower setting than on the primary") {
            "the settings named above must not be lower than they were on the primary: raise them in postgresql.conf of the restored directory"
        } else if said.contains("could not access file") {
            "a library that the cluster uses is not installed here: install the extension's package"
        } else {
            "the directory is left as it is, for you to look"
        };
        Error::new(Kind::Server, format!("PostgreSQL ended while it replayed WAL ({status}):\n    {said}"))
            .at(self.data.display().to_string())
            .hint(hint)
    }
}

/// What the log has told so far.
#[derive(Debug, Default)]
struct Log {
    recovered: Recovered,
    last: Vec<String>,
    ready: bool,
}

impl Log {
    fn take(&mut self, line: String) {
        if let Some(text) = line.split_once("LOG:").map(|(_, text)| text.trim()) {
            self.fact(text);
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

fn read_lines(child: &mut Child) -> Receiver<String> {
    let (send, receive) = channel();
    if let Some(stderr) = child.stderr.take() {
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                if send.send(line).is_err() {
                    return;
                }
            }
        });
    }
    receive
}

fn stop(child: &mut Child, signal: rustix::process::Signal) {
    let pid = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw);
    if let Some(pid) = pid {
        let _ = rustix::process::kill_process(pid, signal);
    }
    let deadline = Instant::now() + STOP_PATIENCE;
    while Instant::now() < deadline {
        if !matches!(child.try_wait(), Ok(None)) {
            return;
        }
        std::thread::sleep(PAUSE / 4);
    }
    let _ = child.kill();
    let _ = child.wait();
}

/// A directory for a socket, short enough for its name, that is the user's.
///
/// # Errors
/// `System` when it cannot be made.
pub fn socket_directory(user: &OsUser) -> Result<tempfile::TempDir> {
    let made = tempfile::Builder::new().prefix("pgtend-").tempdir_in(PathBuf::from("/tmp"));
    let directory =
        made.map_err(|error| Error::new(Kind::System, format!("a directory for the socket cannot be made: {error}")).at("/tmp"))?;
    user.own(directory.path())?;
    Ok(directory)
}
