//! A configuration sized to the machine: which settings a new PostgreSQL gets, and why each.
//!
//! A setting is listed where it differs from what that major does by itself, or where people ask why; [`LEFT_ALONE`] names those
//! that people look for and that stay at their default on purpose. Every figure leaves PostgreSQL able to start on the machine it was made for.

mod archive;
mod logging;
mod memory;
mod planner;
mod render;
mod wal;
mod watching;

pub use archive::{archive, archive_command};
pub use render::render;

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// What the profile is sized to. `None` is unknown; the reason of a setting that depends on it says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    /// The PostgreSQL major, 13 to 18.
    pub major: u16,
    /// Memory that PostgreSQL may use: the machine's, or the container's limit where that is lower.
    pub memory_bytes: u64,
    /// CPUs that PostgreSQL may use.
    pub cpus: u32,
    /// Whether the data directory lies on a spinning disk.
    pub rotational: Option<bool>,
    /// Size of the file system that will hold the data directory.
    pub disk_bytes: Option<u64>,
    /// Size of the file system behind POSIX shared memory (`/dev/shm`).
    pub shared_memory_bytes: Option<u64>,
    /// Whether reading the clock is cheap (TSC and its kin, not HPET or ACPI).
    pub fast_clock: Option<bool>,
    /// Whether this PostgreSQL was built with lz4.
    pub lz4: bool,
    /// Libraries found in the installation, without their file name's extension.
    pub available_libraries: Vec<String>,
}

impl Machine {
    fn has(&self, library: &str) -> bool {
        self.available_libraries.iter().any(|found| found == library)
    }

    /// Connections the server allows. One definition, because the size of `work_mem` follows from it.
    fn max_connections(&self) -> u64 {
        match self.memory_bytes {
            bytes if bytes < GIB => 50,
            bytes if bytes < 32 * GIB => 100,
            _ => 200,
        }
    }
}

/// One line of the configuration file, with its reason.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Setting {
    /// The heading it stands under.
    pub section: Section,
    /// The parameter.
    pub name: &'static str,
    /// Its value as PostgreSQL reads it, without quotes.
    pub value: String,
    /// Why this value, for the person who opens the file.
    pub reason: String,
}

/// The headings of the configuration file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Section {
    /// Memory and connections.
    Memory,
    /// Write-ahead log and checkpoints.
    Wal,
    /// What the planner and the I/O layer assume of the hardware.
    Planner,
    /// What makes the server's work visible.
    Watching,
    /// The server log.
    Logging,
    /// Sessions that do nothing.
    Sessions,
    /// Where the write-ahead log is kept.
    Archive,
}

impl Section {
    const fn title(self) -> &'static str {
        match self {
            Self::Memory => "Memory and connections",
            Self::Wal => "Write-ahead log and checkpoints",
            Self::Planner => "What the planner may assume of this machine",
            Self::Watching => "What makes the server's work visible",
            Self::Logging => "The server log",
            Self::Sessions => "Sessions and passwords",
            Self::Archive => "The archive of the write-ahead log",
        }
    }

    fn set(self, name: &'static str, value: impl Into<String>, reason: impl Into<String>) -> Setting {
        Setting { section: self, name, value: value.into(), reason: reason.into() }
    }
}

/// Settings that stay at their default on purpose, with the reason; rendered as comments at the end of the file.
pub const LEFT_ALONE: &[(&str, &str)] = &[
    ("port, unix_socket_directories", "given on the command line by `pgtend up`"),
    ("listen_addresses", "localhost; to let others in, set it together with pg_hba.conf and TLS"),
    ("wal_level", "replica, which backups and standbys need and logical decoding would raise"),
    ("fsync, full_page_writes, synchronous_commit", "on: what was acknowledged survives a crash"),
    ("statement_timeout, lock_timeout", "0: a limit belongs to a role or an application, a global one breaks dumps and migrations"),
    ("idle_session_timeout", "0: connection pools keep idle sessions on purpose"),
    ("pg_stat_statements.track_planning", "off: it makes sessions with the same statements wait for one another"),
    ("auto_explain.log_analyze", "off: with it every statement pays for instrumentation, whether it is logged or not"),
];

/// The settings for a new server on this machine, in the order of the file.
pub fn profile(machine: &Machine) -> Vec<Setting> {
    let mut settings = memory::settings(machine);
    settings.extend(wal::settings(machine));
    settings.extend(planner::settings(machine));
    settings.extend(watching::settings(machine));
    settings.extend(logging::settings(machine));
    settings.extend(sessions(machine));
    settings
}

fn sessions(machine: &Machine) -> Vec<Setting> {
    let set = |name, value: &str, reason: &str| Section::Sessions.set(name, value, reason);
    let mut settings = vec![set(
        "idle_in_transaction_session_timeout",
        "1h",
        "a transaction left open keeps its locks and stops vacuum in every table; an hour is long enough for a person at a prompt",
    )];
    if machine.major >= 14 {
        settings.push(set(
            "client_connection_check_interval",
            "10s",
            "a query whose client is gone is ended instead of running on for nobody",
        ));
    } else {
        settings.push(set(
            "password_encryption",
            "scram-sha-256",
            "the default of this major, md5, can be replayed by whoever reads the hash",
        ));
    }
    settings
}

/// A size as PostgreSQL writes it, in the largest unit that loses nothing above a megabyte.
fn size(bytes: u64) -> String {
    if bytes >= GIB && bytes.is_multiple_of(GIB) { format!("{}GB", bytes / GIB) } else { format!("{}MB", bytes / MIB) }
}

#[cfg(test)]
mod tests;
