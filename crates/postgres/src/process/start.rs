//! Starting a postmaster so that it outlives whoever started it.

use super::log_tail::{last_lines, length};
use super::os_user::OsUser;
use super::running::{self, Postmaster, State};
use super::system;
use pgtend_model::error::{Error, Kind, Result, Retry};
use pgtend_model::postmaster::Phase;
use pgtend_model::up::Installation;
use std::fs;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, SystemTime};

/// What to start and where it listens.
#[derive(Debug, Clone)]
pub struct Start {
    /// The programs; of the major that made the data directory.
    pub installation: Installation,
    /// Who runs it.
    pub user: OsUser,
    /// The data directory.
    pub data: PathBuf,
    /// Where `startup.log` goes, and where the logging collector writes.
    pub log_directory: PathBuf,
    /// The TCP port.
    pub port: u16,
    /// The directory of the Unix socket.
    pub socket_directory: PathBuf,
}

/// A postmaster that was started and does not accept connections yet.
#[derive(Debug)]
pub struct Starting {
    what: Start,
    child: Option<Child>,
    since: SystemTime,
    startup_log: PathBuf,
    offset: u64,
}

/// How far a start has come.
#[derive(Debug)]
pub enum Progress {
    /// It accepts connections (or is a standby that will not).
    Ready(Postmaster),
    /// It is on its way: replaying WAL, perhaps for long.
    Waiting,
}

/// Starts the postmaster and returns at once.
///
/// # Errors
/// `System` when the program or its log cannot be opened.
pub fn start(what: Start) -> Result<Starting> {
    let startup_log = what.log_directory.join("startup.log");
    let offset = length(&startup_log);
    let since = SystemTime::now();
    let child = what.user.run(|| {
        let log = fs::File::options().create(true).append(true).open(&startup_log)?;
        launch(&what, &log)
    })?;
    let child = child.map_err(|error| system("could not start PostgreSQL", &what.installation.bindir.join("postgres"), &error))?;
    Ok(Starting { what, child: Some(child), since, startup_log, offset })
}

/// In a session of its own, where neither Ctrl-C nor the end of the terminal reaches it; `setsid` becomes the postmaster, so the
/// process is still our child. Where that program is missing, a process group of its own keeps at least Ctrl-C away.
fn launch(what: &Start, log: &fs::File) -> io::Result<Child> {
    let postgres = what.installation.bindir.join("postgres");
    let prepare = |mut command: Command| -> io::Result<Command> {
        command.arg("-D").arg(&what.data).arg("-c").arg(format!("port={}", what.port));
        command.arg("-c").arg(format!("unix_socket_directories={}", listed(&what.socket_directory)));
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log.try_clone()?);
        Ok(command)
    };
    let mut detached = what.user.command(Path::new("setsid"));
    detached.arg(&postgres);
    match prepare(detached)?.spawn() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => prepare(what.user.command(&postgres))?.process_group(0).spawn(),
        spawned => spawned,
    }
}

/// The directory as an entry of a list of directories: quoted where it contains what would end the entry.
fn listed(directory: &Path) -> String {
    let text = directory.display().to_string();
    if text.contains([',', '"', ' ', '\'']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

impl Starting {
    /// Looks how far it has come.
    ///
    /// # Errors
    /// `Server`, `Config`, `Conflict` or `System` with the last lines of the log when it has ended instead.
    pub fn poll(&mut self) -> Result<Progress> {
        let Some(child) = self.child.as_mut() else { return Ok(Progress::Waiting) };
        let ended = child.try_wait().map_err(|error| system("could not wait for PostgreSQL", &self.what.data, &error))?;
        if let Some(status) = ended {
            return Err(self.failure(status));
        }
        let pid = child.id();
        match running::status(&self.what.data) {
            Ok(State::Running(postmaster)) if postmaster.pid() == pid && is_up(postmaster.file().phase) => match self.child.take() {
                Some(child) => Ok(Progress::Ready(postmaster.with_child(child))),
                None => Ok(Progress::Waiting),
            },
            // Whatever else the file says, our own child is alive and will write it.
            _ => Ok(Progress::Waiting),
        }
    }

    /// Waits until it accepts connections, at most this long.
    ///
    /// # Errors
    /// As [`Starting::poll`], and `Timeout` when it is still on its way; it is left running.
    pub fn wait(mut self, at_most: Duration) -> Result<Postmaster> {
        let deadline = std::time::Instant::now() + at_most;
        loop {
            if let Progress::Ready(postmaster) = self.poll()? {
                return Ok(postmaster);
            }
            if std::time::Instant::now() >= deadline {
                return Err(Error::new(
                    Kind::Timeout,
                    format!("PostgreSQL does not accept connections after {} s; it is still starting", at_most.as_secs()),
                )
                .at(self.startup_log.display().to_string())
                .hint("after a crash it replays the WAL first, which can take long; it goes on by itself"));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The postmaster however far it has come, for somebody who does not wait any longer; none when it has ended, or does not say within
    /// ten seconds that it runs the directory.
    pub fn into_postmaster(mut self) -> Option<Postmaster> {
        let mut child = self.child.take()?;
        let deadline = std::time::Instant::now() + Duration::from_secs(10);
        while child.try_wait().ok()?.is_none() && std::time::Instant::now() < deadline {
            match running::status(&self.what.data) {
                Ok(State::Running(postmaster)) if postmaster.pid() == child.id() => return Some(postmaster.with_child(child)),
                _ => std::thread::sleep(Duration::from_millis(20)),
            }
        }
        None
    }

    fn failure(&self, status: ExitStatus) -> Error {
        let tail = || last_lines(&self.startup_log, self.offset, &self.what.log_directory, self.since);
        let said = self.what.user.run(tail).unwrap_or_default();
        let (kind, hint) = diagnosis(&said);
        let indented: String = said.lines().map(|line| format!("\n    {line}")).collect();
        let what = format!("PostgreSQL did not start ({status}); its last words:{}", if indented.is_empty() { " none" } else { &indented });
        let error = Error::new(kind, what).at(self.startup_log.display().to_string()).hint(hint);
        if kind == Kind::Conflict { error.retry(Retry::Later) } else { error }
    }
}

const fn is_up(phase: Phase) -> bool {
    matches!(phase, Phase::Ready | Phase::Standby)
}

/// What its last words mean.
fn diagnosis(said: &str) -> (Kind, &'static str) {
    let cases: &[(&str, Kind, &str)] = &[
        ("Address already in use", Kind::Conflict, "another program listens on this port: stop it, or choose another one with --pg-port"),
        (
            "pre-existing shared memory block",
            Kind::Conflict,
            "backends of the former postmaster are still ending: try again in some seconds, or end them",
        ),
        ("lock file \"postmaster.pid\" already exists", Kind::Conflict, "another PostgreSQL runs this data directory"),
        ("No space left on device", Kind::System, "make room on the disk of the data directory; never delete files in pg_wal by hand"),
        (
            "could not map anonymous shared memory",
            Kind::System,
            "there is less memory than shared_buffers asks for: lower it in pgtend.conf",
        ),
        (
            "could not resize shared memory segment",
            Kind::System,
            "/dev/shm is too small: enlarge it (docker run --shm-size), or set dynamic_shared_memory_type",
        ),
        (
            "could not access file",
            Kind::Config,
            "shared_preload_libraries names a library that this installation lacks: install it, or take it out of the configuration",
        ),
        ("unrecognized configuration parameter", Kind::Config, "take the parameter out of the configuration files in the data directory"),
        ("contains errors", Kind::Config, "correct the configuration files in the data directory"),
        ("invalid permissions", Kind::System, "the data directory must belong to the user who runs PostgreSQL, with mode 0700 or 0750"),
        ("wrong ownership", Kind::System, "the data directory must belong to the user who runs PostgreSQL; see --os-user"),
        ("incompatible with server", Kind::Unsupported, "these programs are of another major than the data directory"),
    ];
    cases
        .iter()
        .find(|(words, _, _)| said.contains(words))
        .map_or((Kind::Server, "the whole log is in this file and beside it"), |(_, kind, hint)| (*kind, hint))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_in_a_list_is_quoted_where_it_must() {
        assert_eq!(listed(Path::new("/srv/run")), "/srv/run");
        assert_eq!(listed(Path::new("/srv/a,b \"c\"")), "\"/srv/a,b \"\"c\"\"\"");
    }

    #[test]
    fn last_words_are_understood() {
        assert_eq!(diagnosis("LOG:  could not bind IPv4 address \"127.0.0.1\": Address already in use").0, Kind::Conflict);
        assert_eq!(diagnosis("FATAL:  could not write to file \"x\": No space left on device").0, Kind::System);
        assert_eq!(diagnosis("PANIC:  something new").0, Kind::Server);
    }
}
