//! The host of a server: readings from /proc and the file systems, where the agent runs beside it.

mod beside;
pub mod cgroup;
mod cpu;
mod disk;
mod filesystem;
mod memory;
mod network;
pub mod own;
mod patience;
mod places;
mod pressure;
mod process;
mod process_files;
mod source;

use pgtend_model::sample::{Probe, Reason, Sample, Taken, Unknown};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// How many processors and how much memory this machine gives to a process: the hardware, or the limits of its control group.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Machine {
    /// Processors; a fraction where the limit is one.
    pub cores: f64,
    /// Memory in bytes.
    pub memory_bytes: u64,
}

/// Reads the host of one server. Keeps what makes the next reading cheap: open files, the server's directories, its control group.
///
/// Readings block, `host_filesystem` and `host_disk` for up to a second when a file system hangs: they belong on a
/// blocking thread.
#[derive(Debug)]
pub struct Host {
    postmaster: i32,
    group: cgroup::Group,
    places: places::Places,
    processes: process::Processes,
}

/// Rows, and what of them is missing.
struct Rows<T> {
    rows: Vec<T>,
    missing: Vec<Unknown>,
}

impl<T> Rows<T> {
    fn whole(rows: Vec<T>) -> Self {
        Self { rows, missing: Vec::new() }
    }
}

impl Host {
    /// The host of the server with this data directory, whose postmaster is this process.
    pub fn new(data_directory: &Path, postmaster_pid: i32) -> Self {
        Self {
            postmaster: postmaster_pid,
            group: cgroup::Group::of(Path::new("/"), Some(postmaster_pid)),
            places: places::Places::new(data_directory, postmaster_pid),
            processes: process::Processes::new(postmaster_pid),
        }
    }

    /// Goes on with another postmaster over the same data directory, after a restart.
    pub fn follow(&mut self, postmaster_pid: i32) {
        if postmaster_pid != self.postmaster {
            *self = Self::new(self.places.data_directory(), postmaster_pid);
        }
    }

    /// The directories of the server and what they are for, as found last; empty before the first `host_filesystem` or `host_disk`.
    pub fn directories(&self) -> Vec<(&'static str, PathBuf)> {
        self.places.known()
    }

    /// Takes one reading.
    ///
    /// # Errors
    /// Why there is none: the postmaster is gone, the kernel does not tell, the files may not be read, or the probe is not the host's.
    pub fn read(&mut self, probe: Probe) -> Result<Taken, Unknown> {
        match probe {
            Probe::HostCpu => taken(|| cpu::read(&self.group), Taken::HostCpu),
            Probe::HostPressure => taken(pressure::read, Taken::HostPressure),
            Probe::HostMemory => taken(|| memory::read(&self.group), Taken::HostMemory),
            Probe::HostDisk => taken(|| disk::read(&mut self.places), Taken::HostDisk),
            Probe::HostFilesystem => taken(|| filesystem::read(&mut self.places), Taken::HostFilesystem),
            Probe::HostNetwork => taken(|| network::read(self.postmaster), Taken::HostNetwork),
            Probe::HostProcess => taken(|| self.processes.read(), Taken::HostProcess),
            _ => Err(Unknown::new(Reason::Failed, format!("{} is not read from the host", probe.spec().name))),
        }
    }
}

/// This machine as this process may use it.
///
/// # Errors
/// When /proc cannot be read.
pub fn machine() -> Result<Machine, Unknown> {
    let limits = cgroup::Group::of(Path::new("/"), None).limits();
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let memory_bytes = memory::total_bytes()?;
    #[expect(clippy::cast_precision_loss, reason = "a machine has fewer than 2^52 processors")]
    let cores = cores as f64;
    Ok(Machine {
        cores: limits.cores.map_or(cores, |limit| limit.min(cores)),
        memory_bytes: limits.memory_bytes.map_or(memory_bytes, |limit| limit.min(memory_bytes)),
    })
}

fn taken<T>(read: impl FnOnce() -> Result<Rows<T>, Unknown>, wrap: fn(Sample<T>) -> Taken) -> Result<Taken, Unknown> {
    let at = jiff::Timestamp::now();
    let started = Instant::now();
    let Rows { rows, missing } = read()?;
    Ok(wrap(Sample { at, took: started.elapsed(), rows, missing }))
}

/// Kernel counters are unsigned, columns signed; none of them reaches 2^63.
fn int(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
