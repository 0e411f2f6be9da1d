//! `host_process`: every child of the postmaster, once a second, at a price that 1,000 of them do not make noticeable.
//!
//! A handle on /proc/PID/schedstat stays open for every process. Reading it takes the kernel 0.6 µs, against 13 µs for opening and
//! reading /proc/PID/stat, and it stays bound to that very process: once that has ended, reads fail, whoever has the number then.
//! Only processes that ran since the last reading have more of their files read, so a server with 1,000 idle sessions costs
//! less than a millisecond a second. Memory and disk traffic are at most [`SLOW`] old.

use super::process_files::{self as files, Stat};
use super::{Rows, int, source};
use pgtend_model::sample::{Reason, Text, Unknown, host_process::HostProcess};
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How old memory and disk traffic of a process may be.
const SLOW: Duration = Duration::from_secs(10);

/// Reads the children of one postmaster.
#[derive(Debug)]
pub struct Processes {
    postmaster: i32,
    known: BTreeMap<i32, Process>,
    /// Handles that may be kept open; beyond, files are opened for every reading.
    handles: usize,
    ticks_per_second: f64,
    buffer: Vec<u8>,
}

#[derive(Debug)]
struct Process {
    /// The open schedstat; none beyond the number of handles, or where the kernel does not count.
    schedstat: Option<File>,
    stat: Stat,
    run_ns: u64,
    wait_ns: Option<u64>,
    slow: Slow,
}

/// What is read less often.
#[derive(Debug, Default)]
struct Slow {
    due: Option<Instant>,
    /// Run time at the last reading: a process that did not run since has nothing new.
    run_ns: u64,
    rss_anon_bytes: Option<u64>,
    rss_shmem_bytes: Option<u64>,
    io: Option<(u64, u64)>,
    /// Why the disk traffic is not known.
    io_denied: bool,
}

impl Processes {
    pub fn new(postmaster: i32) -> Self {
        // A quarter of what may be open leaves room for connections and history.
        let open_files = rustix::process::getrlimit(rustix::process::Resource::Nofile).current.unwrap_or(65_536);
        #[expect(clippy::cast_precision_loss, reason = "there are 100 or 1000 ticks in a second")]
        let ticks_per_second = procfs::ticks_per_second() as f64;
        Self {
            postmaster,
            known: BTreeMap::new(),
            handles: usize::try_from(open_files / 4).unwrap_or(usize::MAX),
            ticks_per_second,
            buffer: vec![0; 4096],
        }
    }

    pub fn read(&mut self) -> Result<Rows<HostProcess>, Unknown> {
        self.greet(&children(self.postmaster)?);
        let now = Instant::now();
        let mut gone = Vec::new();
        for (pid, process) in &mut self.known {
            match process.refresh(*pid, &mut self.buffer, now) {
                Ok(()) => (),
                Err(_) => gone.push(*pid),
            }
        }
        for pid in gone {
            self.known.remove(&pid);
        }
        Ok(self.rows())
    }

    /// Takes up the children not seen before.
    fn greet(&mut self, children: &[i32]) {
        for pid in children {
            if self.known.contains_key(pid) {
                continue;
            }
            let Some(stat) = read_stat(*pid, &mut self.buffer).ok().filter(|stat| stat.parent == self.postmaster) else { continue };
            let keep = self.known.len() < self.handles;
            let schedstat = keep.then(|| File::open(format!("/proc/{pid}/schedstat")).ok()).flatten();
            self.known.insert(*pid, Process { schedstat, stat, run_ns: 0, wait_ns: None, slow: Slow::default() });
        }
    }

    fn rows(&self) -> Rows<HostProcess> {
        let letters: BTreeMap<u8, Text> =
            self.known.values().map(|process| process.stat.state).map(|state| (state, Text::from(char::from(state).to_string()))).collect();
        let rows = self.known.iter().map(|(pid, process)| self.row(*pid, process, &letters[&process.stat.state])).collect();
        let denied = self.known.values().filter(|process| process.slow.io_denied).count();
        let missing = if denied == 0 {
            Vec::new()
        } else {
            let detail = format!("the disk traffic of {denied} processes may be read only by root and the server's own user");
            vec![Unknown::new(Reason::Privilege, detail)]
        };
        Rows { rows, missing }
    }

    #[expect(clippy::cast_precision_loss, reason = "metrics are doubles by definition")]
    fn row(&self, pid: i32, process: &Process, state: &Text) -> HostProcess {
        // The run time is exact, but the main thread's alone; the ticks are coarse, but all threads'. Both only grow.
        let cpu_seconds = (process.run_ns as f64 / 1e9).max(process.stat.cpu_ticks as f64 / self.ticks_per_second);
        HostProcess {
            pid: i64::from(pid),
            start_ticks: int(process.stat.start_ticks),
            state: state.clone(),
            cpu_seconds,
            cpu_wait_seconds: process.wait_ns.map(|ns| ns as f64 / 1e9),
            rss_anon_bytes: process.slow.rss_anon_bytes.map(int),
            rss_shmem_bytes: process.slow.rss_shmem_bytes.map(int),
            read_bytes: process.slow.io.map(|(read, _)| int(read)),
            write_bytes: process.slow.io.map(|(_, write)| int(write)),
        }
    }
}

impl Process {
    /// Brings the process up to date; an error means that it has ended.
    fn refresh(&mut self, pid: i32, buffer: &mut [u8], now: Instant) -> io::Result<()> {
        let ran = self.ran(buffer)?;
        // A process that ran may sleep since: its state is only certain once it has been seen asleep.
        if ran || self.stat.state != b'S' {
            let stat = read_stat(pid, buffer)?;
            if stat.start_ticks != self.stat.start_ticks {
                return Err(io::ErrorKind::NotFound.into());
            }
            self.stat = stat;
        }
        if self.slow.due.is_none_or(|due| due <= now) {
            self.slow.refresh(pid, self.run_ns, buffer, now)?;
        }
        Ok(())
    }

    /// Whether it ran since the last reading; yes where the kernel does not tell.
    fn ran(&mut self, buffer: &mut [u8]) -> io::Result<bool> {
        let Some(file) = &self.schedstat else { return Ok(true) };
        let length = file.read_at(buffer, 0)?;
        match text(&buffer[..length]).and_then(files::schedstat) {
            // A process has run before it can be seen: zero means that the kernel does not count.
            None | Some((0, _)) => {
                self.schedstat = None;
                Ok(true)
            }
            Some((run_ns, wait_ns)) => {
                let ran = run_ns != self.run_ns;
                (self.run_ns, self.wait_ns) = (run_ns, Some(wait_ns));
                Ok(ran)
            }
        }
    }
}

impl Slow {
    fn refresh(&mut self, pid: i32, run_ns: u64, buffer: &mut [u8], now: Instant) -> io::Result<()> {
        // The first interval differs from process to process, so that they do not all come due together later.
        let first = self.due.is_none();
        self.due = Some(now + if first { SLOW * pid.rem_euclid(10).unsigned_abs() / 10 } else { SLOW });
        if !first && run_ns != 0 && run_ns == self.run_ns {
            return Ok(());
        }
        self.run_ns = run_ns;
        let status = read_file(pid, "status", buffer)?;
        (self.rss_anon_bytes, self.rss_shmem_bytes) = text(status).map(files::resident).unwrap_or_default();
        if self.io_denied {
            return Ok(());
        }
        match read_file(pid, "io", buffer) {
            Ok(bytes) => self.io = text(bytes).and_then(files::io),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => self.io_denied = true,
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

/// The children of a process: asked of the kernel where it tells, else by looking at every process's parent.
fn children(postmaster: i32) -> Result<Vec<i32>, Unknown> {
    let path = PathBuf::from(format!("/proc/{postmaster}/task/{postmaster}/children"));
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(text.split_ascii_whitespace().filter_map(|pid| pid.parse().ok()).collect()),
        Err(_) if PathBuf::from(format!("/proc/{postmaster}/stat")).exists() => all_processes(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(Unknown::new(Reason::Absent, format!("there is no process {postmaster}: the postmaster has ended, or is not on this host")))
        }
        Err(error) => Err(source::unreadable(&path, &error)),
    }
}

fn all_processes() -> Result<Vec<i32>, Unknown> {
    let entries = std::fs::read_dir("/proc").map_err(|error| source::unreadable(std::path::Path::new("/proc"), &error))?;
    Ok(entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect())
}

fn read_stat(pid: i32, buffer: &mut [u8]) -> io::Result<Stat> {
    text(read_file(pid, "stat", buffer)?).and_then(files::stat).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// Reads a small file of a process in one go.
fn read_file<'b>(pid: i32, name: &str, buffer: &'b mut [u8]) -> io::Result<&'b [u8]> {
    let file = File::open(format!("/proc/{pid}/{name}"))?;
    let length = file.read_at(buffer, 0)?;
    Ok(&buffer[..length])
}

fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader};
    use std::process::{Child, ChildStdout, Command, Stdio};

    /// A parent with one child, whose process id it tells. The kernel lists children by the thread that made them, so the test's own will not do.
    struct Family {
        parent: Child,
        child: i32,
        _output: BufReader<ChildStdout>,
    }

    impl Family {
        fn start() -> Self {
            let script = "sleep 60 & echo $!; wait; sleep 60";
            let mut parent = Command::new("sh").args(["-c", script]).stdout(Stdio::piped()).spawn().unwrap();
            let mut output = BufReader::new(parent.stdout.take().unwrap());
            let mut line = String::new();
            output.read_line(&mut line).unwrap();
            Self { parent, child: line.trim().parse().unwrap(), _output: output }
        }

        fn pid(&self) -> i32 {
            i32::try_from(self.parent.id()).unwrap()
        }

        fn end_child(&self) {
            let pid = rustix::process::Pid::from_raw(self.child).unwrap();
            rustix::process::kill_process(pid, rustix::process::Signal::KILL).ok();
        }
    }

    impl Drop for Family {
        fn drop(&mut self) {
            self.end_child();
            self.parent.kill().ok();
            self.parent.wait().ok();
        }
    }

    fn find(rows: Rows<HostProcess>, pid: i32) -> Option<HostProcess> {
        rows.rows.into_iter().find(|row| row.pid == i64::from(pid))
    }

    #[test]
    fn children_come_and_go() {
        let family = Family::start();
        let mut processes = Processes::new(family.pid());
        let row = find(processes.read().unwrap(), family.child).expect("the child is seen");
        assert!(row.start_ticks > 0 && row.cpu_seconds >= 0.0);
        assert!(row.rss_anon_bytes.is_some() && row.read_bytes.is_some());
        family.end_child();
        let deadline = Instant::now() + Duration::from_secs(10);
        while find(processes.read().unwrap(), family.child).is_some() {
            assert!(Instant::now() < deadline, "the child ended and is still seen");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn without_handles_the_figures_are_the_same() {
        let family = Family::start();
        let mut with = Processes::new(family.pid());
        let mut without = Processes { handles: 0, ..Processes::new(family.pid()) };
        let (with, without) = (with.read().unwrap(), without.read().unwrap());
        let (with, without) = (find(with, family.child).unwrap(), find(without, family.child).unwrap());
        assert_eq!((with.start_ticks, with.rss_shmem_bytes), (without.start_ticks, without.rss_shmem_bytes));
        assert!((with.cpu_seconds - without.cpu_seconds).abs() < 0.5);
    }

    #[test]
    fn a_postmaster_that_is_gone_is_said_so() {
        // Process ids end at 2^22.
        let unknown = Processes::new(1 << 23).read().err().expect("there is no such process");
        assert_eq!(unknown.reason, Reason::Absent);
    }
}
