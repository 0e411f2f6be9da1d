//! What `pgtend up` would do: from what was found to the steps, each of which can be shown before it is taken.

mod plan;
mod ports;

pub use plan::{plan, start_again};

use crate::config::Listen;
use crate::error::Error;
use crate::postmaster::{Phase, Stale};
use crate::profile::{Machine, Setting};
use core::net::SocketAddr;
use jiff::Timestamp;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// The port of a PostgreSQL of which nothing else is said.
pub const DEFAULT_PORT: u16 = 5432;
/// The longest path of a Unix socket, without the final zero byte.
const SOCKET_PATH_MAX_BYTES: usize = 107;

/// One installation of PostgreSQL's server programs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Installation {
    /// Where `postgres` and `initdb` are, symbolic links resolved.
    pub bindir: PathBuf,
    /// The major, 13 to 18.
    pub major: u16,
    /// The version as the server says it, for example `15.18`.
    pub version: String,
}

/// What pgtend writes into a directory that it made, and by which it knows it again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, serde::Deserialize)]
pub struct Marker {
    /// The layout of the directory; [`Marker::FORMAT`] is the only one so far.
    pub format: u32,
    /// Eight hexadecimal digits that tell this directory from others on the machine.
    pub id: String,
    /// The version of pgtend that made it.
    pub made_by: String,
    /// When.
    pub created_at: Timestamp,
    /// The major of its cluster, once there is one.
    pub major: Option<u16>,
    /// The port that it was last given.
    pub port: Option<u16>,
}

impl Marker {
    /// The layout that this version knows.
    pub const FORMAT: u32 = 1;
}

/// What the directory is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Directory {
    /// There is none yet.
    Missing,
    /// It is there and empty.
    Empty,
    /// pgtend made it.
    Ours(Marker),
    /// It has a marker that this version does not understand.
    Unreadable(String),
    /// It is a data directory itself.
    DataDirectory {
        /// Of this major, as `PG_VERSION` says.
        major: String,
    },
    /// There is something else in it.
    Foreign {
        /// Some of the names in it.
        names: Vec<String>,
    },
    /// It is a file.
    NotADirectory,
}

/// What the directory of the cluster is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cluster {
    /// There is none.
    Absent,
    /// A cluster of this major.
    Of {
        /// The major.
        major: u16,
        /// The user who owns its files.
        owner: String,
    },
    /// Something else, for this reason.
    Unrecognized(String),
}

/// What runs the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Runs {
    /// Nothing.
    Nothing,
    /// Nothing; `postmaster.pid` was left behind.
    LeftBehind {
        /// The process it names.
        pid: u32,
        /// Why that is not the postmaster.
        why: Stale,
        /// Backends of the former postmaster that are still at work.
        orphans: Vec<u32>,
    },
    /// A single-user backend.
    SingleUser {
        /// Its process.
        pid: u32,
    },
    /// A postmaster.
    Postmaster {
        /// Its process.
        pid: u32,
        /// How far it has come.
        phase: Phase,
        /// Its port.
        port: u16,
        /// Where its socket is.
        socket_directory: Option<PathBuf>,
    },
}

/// What is known of the port that would be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    /// `--pg-port`; 0 is any.
    pub asked: Option<u16>,
    /// The one that is meant: asked for, used before, or the usual one.
    pub wanted: u16,
    /// Who listens on it; `None` when it is free.
    pub holder: Option<String>,
    /// A free one near it.
    pub nearby: Option<u16>,
    /// A free one from the system's range.
    pub any: Option<u16>,
}

/// What is known of an address at which the agent would answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// What is there: "the API".
    pub name: &'static str,
    /// The option that names another.
    pub option: &'static str,
    /// Where somebody wants it.
    pub asked: Option<Listen>,
    /// Where it is otherwise.
    pub usual: SocketAddr,
    /// Who listens there now; `None` when it is free.
    pub holder: Option<String>,
}

/// All that the plan follows from.
#[derive(Debug, Clone)]
pub struct View {
    /// The directory.
    pub root: PathBuf,
    /// What it is.
    pub directory: Directory,
    /// The user who owns it, where that is neither root nor the one who runs pgtend: who could put something in our way.
    pub stranger: Option<String>,
    /// What `root/data` is.
    pub cluster: Cluster,
    /// What runs it.
    pub runs: Runs,
    /// Clusters whose making was interrupted.
    pub unfinished: Vec<PathBuf>,
    /// The installations, the highest version first; or why there is none.
    pub installations: Result<Vec<Installation>, Error>,
    /// The sentence that tells how to get the major of the cluster.
    pub how_to_install: String,
    /// The user who runs PostgreSQL; or why nobody can.
    pub os_user: Result<String, Error>,
    /// Why that user cannot reach the directory.
    pub blocked: Option<Error>,
    /// Where there is an installation: the machine that a new cluster would be sized to.
    pub machine: Option<Machine>,
    /// Free room where the data will be.
    pub free_bytes: Option<u64>,
    /// The port.
    pub port: Port,
    /// The API.
    pub api: Listener,
    /// The metrics.
    pub metrics: Listener,
    /// How the server hands over its WAL.
    pub archiving: Archiving,
    /// Where PostgreSQL's socket goes when its path under the directory would be too long.
    pub short_directory: PathBuf,
}

/// How the server hands over its WAL, and how it should.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Archiving {
    /// The `archive_command` that fits; none when this directory's path cannot be written into one.
    pub command: Option<String>,
    /// The one in the server's files, if there is one.
    pub found: Option<String>,
}

/// What will be done, in order, and what somebody should know about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// The steps.
    pub steps: Vec<Step>,
    /// What differs from what one might expect.
    pub notes: Vec<String>,
}

/// One thing that will be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum Step {
    /// Make the directory and mark it.
    MakeDirectory {
        /// The directory.
        path: PathBuf,
    },
    /// Remove what an interrupted creation left.
    RemoveUnfinished {
        /// The directory.
        path: PathBuf,
    },
    /// Make a cluster.
    Create {
        /// With these programs.
        installation: Installation,
        /// Its data directory.
        data_directory: PathBuf,
        /// Owned by this user.
        os_user: String,
        /// Configured so.
        settings: Vec<Setting>,
        /// What the settings are sized to, in words.
        made_for: String,
    },
    /// Wait until a postmaster that is shutting down has ended.
    WaitForEnd {
        /// Its process.
        pid: u32,
    },
    /// End backends whose postmaster is gone: it would have ended them itself, and PostgreSQL does not start beside them.
    EndOrphans {
        /// Their processes.
        pids: Vec<u32>,
    },
    /// Remove a `postmaster.pid` that would keep PostgreSQL from starting.
    RemoveStalePidFile {
        /// The process it names.
        pid: u32,
        /// Why that is not the postmaster.
        why: String,
    },
    /// Start PostgreSQL.
    Start {
        /// With these programs.
        installation: Installation,
        /// On this data directory.
        data_directory: PathBuf,
        /// As this user.
        os_user: String,
        /// On this port of the loopback addresses.
        port: u16,
        /// With its socket here.
        socket_directory: PathBuf,
    },
    /// Take up the PostgreSQL that runs already.
    Adopt {
        /// Its process.
        pid: u32,
        /// Its port.
        port: u16,
        /// Where its socket is.
        socket_directory: Option<PathBuf>,
    },
    /// Watch it.
    Watch {
        /// With the API here.
        #[serde(serialize_with = "as_text")]
        api: Listen,
        /// With the metrics here.
        #[serde(serialize_with = "as_text")]
        metrics: Listen,
    },
}

fn as_text<S: serde::Serializer>(listen: &Listen, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(listen)
}

impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::MakeDirectory { path } => write!(f, "make {}", path.display()),
            Self::RemoveUnfinished { path } => write!(f, "remove {}, a cluster whose making was interrupted", path.display()),
            Self::Create { installation, data_directory, os_user, made_for, .. } => {
                let (data, version) = (data_directory.display(), &installation.version);
                write!(f, "make a PostgreSQL {version} cluster in {data} for the user {os_user}, sized to {made_for}")
            }
            Self::WaitForEnd { pid } => write!(f, "wait until PostgreSQL, process {pid}, has shut down"),
            Self::EndOrphans { pids } => {
                let pids: Vec<String> = pids.iter().map(ToString::to_string).collect();
                write!(f, "end the backends whose postmaster is gone: {}", pids.join(", "))
            }
            Self::RemoveStalePidFile { pid, why } => write!(f, "remove postmaster.pid, which names process {pid}, {why}"),
            Self::Start { installation, os_user, port, .. } => {
                write!(f, "start PostgreSQL {} on port {port} as the user {os_user}", installation.version)
            }
            Self::Adopt { pid, port, .. } => write!(f, "take up the PostgreSQL that runs already, process {pid}, on port {port}"),
            Self::Watch { api, metrics } => write!(f, "watch it (API: {api}, metrics: {metrics})"),
        }
    }
}

/// The directory of the cluster in a directory of `pgtend up`.
pub fn data_directory(root: &Path) -> PathBuf {
    root.join("data")
}

/// The directory of PostgreSQL's socket in a directory of `pgtend up`, where the path is short enough.
pub fn socket_directory(root: &Path) -> PathBuf {
    root.join("run")
}

/// Whether a socket of this name in this directory has a path that the system accepts.
pub fn socket_path_fits(directory: &Path, name: &str) -> bool {
    directory.join(name).as_os_str().len() <= SOCKET_PATH_MAX_BYTES
}

#[cfg(test)]
mod tests;
