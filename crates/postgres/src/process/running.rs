//! The postmaster of a data directory: whether there is one, holding on to it, signalling it, and noticing its end.
//!
//! A postmaster that was adopted is nobody's child here, so its end is not learnt by waiting for it. On Linux a process file
//! descriptor stands for the process itself, never for another one that gets its number; older kernels are asked again and again.

use super::system;
use pgtend_model::error::{Error, Kind, Result};
use pgtend_model::postmaster::{Phase, PidFile, Process, Stale, Verdict, judge};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open, pidfd_send_signal};
use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant};

/// How often a process is looked at where the kernel does not announce its end.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How long a thread waits for a process at a time.
const WAIT_SLICE: Duration = Duration::from_millis(500);
/// How long an unreadable `postmaster.pid` may be somebody's write in progress.
const WRITE_IN_PROGRESS: Duration = Duration::from_millis(500);

/// What runs a data directory.
#[derive(Debug)]
pub enum State {
    /// Nothing, and nothing was left behind.
    Down,
    /// Nothing; `postmaster.pid` was left behind.
    Stale {
        /// The process it names.
        pid: u32,
        /// Why that is not the postmaster.
        why: Stale,
    },
    /// A single-user backend, which nobody else can connect to.
    SingleUser {
        /// Its process.
        pid: u32,
    },
    /// A postmaster.
    Running(Postmaster),
}

/// A running postmaster, and nothing else that may get its number later.
#[derive(Debug)]
pub struct Postmaster {
    pid: Pid,
    start_ticks: u64,
    descriptor: Option<OwnedFd>,
    child: Option<Child>,
    file: PidFile,
}

/// How a postmaster is asked to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StopMode {
    /// Sessions are ended and their transactions rolled back, then a checkpoint: the next start needs no recovery.
    Fast,
    /// Everything ends at once; the next start replays the WAL.
    Immediate,
}

impl StopMode {
    const fn signal(self) -> Signal {
        match self {
            Self::Fast => Signal::INT,
            Self::Immediate => Signal::QUIT,
        }
    }
}

/// Finds out what runs this data directory.
///
/// # Errors
/// `System` when `postmaster.pid` cannot be read, `Conflict` when it stays unreadable as one.
pub fn status(data: &Path) -> Result<State> {
    let path = data.join("postmaster.pid");
    let Some(file) = read_pid_file(&path)? else { return Ok(State::Down) };
    let directory = fs::canonicalize(data).map_err(|error| system("could not resolve the data directory", data, &error))?;
    let pid = file.pid;
    let descriptor = to_pid(pid).and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
    let looked = look_at(pid);
    match judge(&file, looked.as_ref().map(|(process, _)| process), &directory) {
        Verdict::Stale(why) => Ok(State::Stale { pid, why }),
        Verdict::Running if file.single_user => Ok(State::SingleUser { pid }),
        Verdict::Running => match (to_pid(pid), looked) {
            (Some(pid), Some((_, start_ticks))) => Ok(State::Running(Postmaster { pid, start_ticks, descriptor, child: None, file })),
            _ => Ok(State::Stale { pid, why: Stale::Gone }),
        },
    }
}

/// Removes a `postmaster.pid` that was left behind and would keep PostgreSQL from starting. It is judged once more first. PostgreSQL
/// itself still refuses to start while a backend of the former postmaster is attached to its shared memory.
///
/// # Errors
/// `Conflict` when a postmaster runs after all, `System` when the file cannot be removed.
pub fn remove_stale_pid_file(data: &Path) -> Result<()> {
    match status(data)? {
        State::Down => Ok(()),
        State::Stale { .. } => {
            let path = data.join("postmaster.pid");
            fs::remove_file(&path).map_err(|error| system("could not remove the file that was left behind", &path, &error))
        }
        State::Running(Postmaster { pid, .. }) => Err(in_use(data, pid.as_raw_pid())),
        State::SingleUser { pid } => Err(in_use(data, i32::try_from(pid).unwrap_or_default())),
    }
}

fn in_use(data: &Path, pid: i32) -> Error {
    Error::new(Kind::Conflict, format!("process {pid} runs this data directory")).at(data.display().to_string())
}

/// Processes that still work in the data directory although no postmaster runs it: backends that have not noticed its end.
pub fn orphans(data: &Path) -> Vec<u32> {
    let Ok(directory) = fs::canonicalize(data) else { return Vec::new() };
    let processes = procfs::process::all_processes().into_iter().flatten().flatten();
    let inside = processes.filter(|process| {
        let at_work = process.stat().is_ok_and(|stat| stat.state != 'Z' && matches!(stat.comm.as_str(), "postgres" | "postmaster"));
        at_work && process.cwd().is_ok_and(|cwd| cwd == directory)
    });
    inside.filter_map(|process| u32::try_from(process.pid).ok()).collect()
}

/// Ends such processes as the postmaster itself would have after a crash. Does nothing while a postmaster runs the directory.
pub fn end_orphans(data: &Path) {
    if !matches!(status(data), Ok(State::Down | State::Stale { .. })) {
        return;
    }
    for pid in orphans(data).into_iter().filter_map(to_pid) {
        _ = kill_process(pid, Signal::QUIT);
    }
}

impl Postmaster {
    /// The same postmaster as the child of this process, whose exit status can be had.
    #[must_use]
    pub fn with_child(mut self, child: Child) -> Self {
        self.child = Some(child);
        self
    }

    /// The same with what it has written into `postmaster.pid` since it was found, where it was found early.
    #[must_use]
    pub fn renewed(mut self) -> Self {
        let read = read_pid_file(&self.file.data_directory.join("postmaster.pid")).ok().flatten();
        if let Some(file) = read.filter(|file| file.pid == self.pid()) {
            self.file = file;
        }
        self
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.pid.as_raw_pid().unsigned_abs()
    }

    /// What it wrote into `postmaster.pid` when it was found.
    pub fn file(&self) -> &PidFile {
        &self.file
    }

    /// How far it has come, read anew. `None` when it no longer says.
    pub fn phase(&self) -> Option<Phase> {
        let file = read_pid_file(&self.file.data_directory.join("postmaster.pid")).ok().flatten()?;
        (file.pid == self.pid()).then_some(file.phase)
    }

    /// Whether it still runs.
    pub fn is_alive(&self) -> bool {
        look_at(self.pid()).is_some_and(|(process, ticks)| !process.zombie && ticks == self.start_ticks)
    }

    /// Whether a signal (SIGSTOP) or a debugger holds it: nobody can connect until it goes on.
    pub fn is_stopped(&self) -> bool {
        let stat = procfs::process::Process::new(self.pid.as_raw_pid()).and_then(|process| process.stat());
        stat.is_ok_and(|stat| matches!(stat.state, 'T' | 't'))
    }

    /// Asks it to end; it has not ended yet when this returns.
    ///
    /// # Errors
    /// `System` when it cannot be signalled. A postmaster that has ended already is none.
    pub fn ask_to_stop(&self, mode: StopMode) -> Result<()> {
        let sent = match &self.descriptor {
            Some(descriptor) => pidfd_send_signal(descriptor, mode.signal()),
            None if self.is_alive() => kill_process(self.pid, mode.signal()),
            None => Ok(()),
        };
        match sent {
            Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
            Err(errno) => Err(Error::new(Kind::System, format!("could not signal the postmaster, process {}: {errno}", self.pid()))),
        }
    }

    /// Waits until it has ended, at most this long. Whether it has.
    pub fn wait_for_end(&self, at_most: Duration) -> bool {
        let deadline = Instant::now() + at_most;
        while self.is_alive() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            match &self.descriptor {
                Some(descriptor) => wait_readable(descriptor, left),
                None => std::thread::sleep(LOOK_EVERY.min(left)),
            }
        }
        true
    }

    /// Returns when it has ended, at once where the kernel announces it.
    pub async fn ended(&self) {
        while self.is_alive() {
            match self.descriptor.as_ref().and_then(|descriptor| descriptor.try_clone().ok()) {
                // In slices, because a thread that waits cannot be called back when nobody is interested any more.
                Some(descriptor) => _ = tokio::task::spawn_blocking(move || wait_readable(&descriptor, WAIT_SLICE)).await,
                None => tokio::time::sleep(LOOK_EVERY).await,
            }
        }
    }

    /// How it ended, where it was our child; takes notice of its end, so that its number becomes free.
    pub fn exit_status(&mut self) -> Option<ExitStatus> {
        self.child.as_mut().and_then(|child| child.try_wait().ok().flatten())
    }
}

fn wait_readable(descriptor: &OwnedFd, at_most: Duration) {
    let mut descriptors = [PollFd::from_borrowed_fd(descriptor.as_fd(), PollFlags::IN)];
    // An interrupted wait is repeated by the caller.
    _ = poll(&mut descriptors, Timespec::try_from(at_most).ok().as_ref());
}

fn to_pid(pid: u32) -> Option<Pid> {
    i32::try_from(pid).ok().and_then(Pid::from_raw)
}

/// The file as it stands; `None` when there is none.
fn read_pid_file(path: &Path) -> Result<Option<PidFile>> {
    let deadline = Instant::now() + WRITE_IN_PROGRESS;
    loop {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(system("could not read it", path, &error)),
        };
        if let Some(file) = PidFile::parse(&text) {
            return Ok(Some(file));
        }
        if Instant::now() > deadline {
            return Err(Error::new(
                Kind::Conflict,
                "this is not what PostgreSQL writes there, so it is unclear who runs the data directory",
            )
            .at(path.display().to_string())
            .hint("if no postgres process works in this directory, remove the file"));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// What the system knows of a process, and its start in clock ticks since boot, which no other process of this number shares.
fn look_at(pid: u32) -> Option<(Process, u64)> {
    let process = procfs::process::Process::new(i32::try_from(pid).ok()?).ok()?;
    let stat = process.stat().ok()?;
    let since_boot_s = stat.starttime / procfs::ticks_per_second();
    let started_s = i64::try_from(procfs::boot_time_secs().ok()? + since_boot_s).ok()?;
    let working_directory: Option<PathBuf> = process.cwd().ok();
    Some((Process { program: stat.comm, zombie: matches!(stat.state, 'Z' | 'X'), started_s, working_directory }, stat.starttime))
}
