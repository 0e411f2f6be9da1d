//! Running `pg_dump` and its companions: without secrets among their arguments, and stopped when somebody wants that.

use crate::backup::Progress;
use pgtend_model::backup::logical::complaint;
use pgtend_model::error::{Error, Kind, Result};
use pgtend_postgres::connect::{Target, libpq_names};
use rustix::process::{Pid, Signal, kill_process};
use std::io::Read as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How often a program that runs is looked at.
pub const PAUSE: Duration = Duration::from_millis(50);
/// How long a program may take to end when it is asked to.
const STOP_PATIENCE: Duration = Duration::from_secs(10);
/// What is kept of its complaints.
const MOST_STDERR: u64 = 256 << 10;

/// A program that runs.
pub struct Running {
    name: &'static str,
    child: Child,
    stderr: Option<JoinHandle<String>>,
}

/// A program that connects as the target says.
pub fn command(program: &Path, target: &Target, application_name: &str) -> Command {
    let mut command = Command::new(program);
    libpq_names().for_each(|name| {
        command.env_remove(name);
    });
    command.envs(target.libpq_variables(application_name)).env("LC_ALL", "C").stdin(Stdio::null());
    command
}

impl Running {
    /// Starts it.
    ///
    /// # Errors
    /// `System` when it cannot be started.
    pub fn start(name: &'static str, command: &mut Command) -> Result<Self> {
        let spawned = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
        let mut child = spawned.map_err(|error| {
            Error::new(Kind::System, format!("{name} cannot be started: {error}")).at(command.get_program().to_string_lossy())
        })?;
        let stderr = child.stderr.take().map(|mut pipe| {
            std::thread::spawn(move || {
                let mut text = Vec::new();
                let _ = pipe.by_ref().take(MOST_STDERR).read_to_end(&mut text);
                let _ = std::io::copy(&mut pipe, &mut std::io::sink());
                String::from_utf8_lossy(&text).into_owned()
            })
        });
        Ok(Self { name, child, stderr })
    }

    /// Whether it has ended.
    ///
    /// # Errors
    /// `System` when nobody can tell.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        self.child.try_wait().map_err(|error| Error::new(Kind::System, format!("{} cannot be waited for: {error}", self.name)))
    }

    /// What it complained of, after it has ended.
    pub fn stderr(&mut self) -> String {
        self.stderr.take().and_then(|thread| thread.join().ok()).unwrap_or_default()
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// When it failed, with what it said; when somebody wants it to stop.
    pub fn wait(mut self, database: &str, major: u16, progress: &Progress) -> Result<()> {
        loop {
            progress.check()?;
            if let Some(status) = self.ended()? {
                let stderr = self.stderr();
                return if status.success() { Ok(()) } else { Err(complaint(self.name, database, &stderr, major)) };
            }
            std::thread::sleep(PAUSE);
        }
    }
}

impl Drop for Running {
    /// pg_dump's own handler of SIGTERM ends its workers and what they run in the server.
    fn drop(&mut self) {
        if !matches!(self.child.try_wait(), Ok(None)) {
            return;
        }
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process(pid, Signal::TERM);
        }
        let deadline = Instant::now() + STOP_PATIENCE;
        while Instant::now() < deadline {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(PAUSE);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
