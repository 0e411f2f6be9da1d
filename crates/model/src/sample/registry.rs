//! The list of probes. A probe is one line here, one row type beside this file, and its query files (or its reader of /proc).

use super::{
    DecodeError, Row, RowSource, Sample, Slot, Unknown, activity, database, host_cpu, host_disk, host_filesystem, host_memory,
    host_network, host_pressure, host_process, server,
};
use std::time::Duration;

/// Where a probe's rows come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// A query, in `crates/postgres/queries/<name>/`.
    Query,
    /// /proc and the file systems of the server's host; only where the agent runs beside the server.
    Host,
}

/// What one run of a probe covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// The whole server: any database answers for all.
    Server,
    /// One database: it is run in each.
    Database,
}

/// What is to be known of a probe before it runs.
#[derive(Debug, Clone, Copy, serde::Serialize)]
pub struct Spec {
    /// Which one.
    pub probe: Probe,
    /// Its name: the folder of its queries, the prefix of its metrics.
    pub name: &'static str,
    /// What it tells, in one line.
    pub about: &'static str,
    /// Where its rows come from.
    pub origin: Origin,
    /// What one run covers.
    pub scope: Scope,
    /// How often it runs unless the configuration says otherwise.
    #[serde(skip)]
    pub every: Duration,
    /// Its columns.
    pub columns: &'static [super::Column],
}

macro_rules! probes {
    ($($(#[doc = $about:literal])+ $field:ident: $variant:ident = $row:ty, $origin:ident, $scope:ident, every $seconds:literal s;)+) => {
        /// The probes.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Probe {
            $($(#[doc = $about])+ $variant,)+
        }

        /// The newest rows of every probe.
        #[derive(Debug, Clone, Default)]
        pub struct Readings {
            $($(#[doc = $about])+ pub $field: Slot<$row>,)+
        }

        /// What a run of a probe gave, whichever probe it was.
        #[derive(Debug, Clone)]
        pub enum Taken {
            $($(#[doc = $about])+ $variant(Sample<$row>),)+
        }

        /// All probes, in the order in which a round takes them.
        pub const SPECS: &[Spec] = &[$(Spec {
            probe: Probe::$variant,
            name: stringify!($field),
            about: concat!($($about),+),
            origin: Origin::$origin,
            scope: Scope::$scope,
            every: Duration::from_millis(($seconds * 1000.0) as u64),
            columns: <$row as Row>::COLUMNS,
        }),+];

        impl Probe {
            /// What is to be known of it.
            pub fn spec(self) -> &'static Spec {
                &SPECS[self as usize]
            }

            /// An empty sample to which rows are added.
            pub fn empty(self, at: jiff::Timestamp) -> Taken {
                match self {
                    $(Self::$variant => Taken::$variant(Sample { at, took: Duration::ZERO, rows: Vec::new(), missing: Vec::new() }),)+
                }
            }
        }

        impl Taken {
            /// Which probe it came from.
            pub fn probe(&self) -> Probe {
                match self {
                    $(Self::$variant(_) => Probe::$variant,)+
                }
            }

            /// Reads one more row.
            ///
            /// # Errors
            /// When the source has not the shape that the probe declares.
            pub fn read(&mut self, source: &mut dyn RowSource) -> Result<(), DecodeError> {
                match self {
                    $(Self::$variant(sample) => sample.rows.push(<$row as Row>::read(source)?),)+
                }
                Ok(())
            }

            /// Adds to how long it took.
            pub fn add_took(&mut self, took: Duration) {
                match self {
                    $(Self::$variant(sample) => sample.took += took,)+
                }
            }

            /// Notes a part that could not be had; the rest stands.
            pub fn miss(&mut self, unknown: Unknown) {
                match self {
                    $(Self::$variant(sample) => sample.missing.push(unknown),)+
                }
            }

            /// The parts that could not be had.
            pub fn missing(&self) -> &[Unknown] {
                match self {
                    $(Self::$variant(sample) => &sample.missing,)+
                }
            }

            /// How many rows there are.
            pub fn len(&self) -> usize {
                match self {
                    $(Self::$variant(sample) => sample.rows.len(),)+
                }
            }

            /// Whether there are no rows.
            pub fn is_empty(&self) -> bool {
                self.len() == 0
            }

            /// A row's column, whatever the probe.
            pub fn value(&self, row: usize, column: usize) -> super::Value<'_> {
                match self {
                    $(Self::$variant(sample) => sample.rows[row].value(column),)+
                }
            }
        }

        impl Readings {
            /// Takes in what a run gave.
            pub fn put(&mut self, taken: Taken) {
                match taken {
                    $(Taken::$variant(sample) => self.$field.put(Ok(sample)),)+
                }
            }

            /// Takes in that a run gave nothing, and why.
            pub fn fail(&mut self, probe: Probe, unknown: Unknown) {
                match probe {
                    $(Probe::$variant => self.$field.put(Err(unknown)),)+
                }
            }

            /// When the newest rows were taken, how long that took, and why there are none now.
            pub fn state(&self, probe: Probe) -> (Option<jiff::Timestamp>, Option<Duration>, Option<&Unknown>) {
                match probe {
                    $(Probe::$variant => {
                        let slot = &self.$field;
                        (slot.latest.as_ref().map(|s| s.at), slot.latest.as_ref().map(|s| s.took), slot.unknown.as_ref())
                    })+
                }
            }
        }
    };
}

probes! {
    /// What the server is: version, role, start time, identity.
    server: Server = server::Server, Query, Server, every 5.0 s;
    /// Sessions that do something: state, waits, statement, blockers.
    activity: Activity = activity::Activity, Query, Server, every 1.0 s;
    /// Per database: transactions, blocks, tuples, temporary files, deadlocks.
    database: Database = database::Database, Query, Server, every 5.0 s;
    /// Processors of the host: time by mode, load, limits.
    host_cpu: HostCpu = host_cpu::HostCpu, Host, Server, every 1.0 s;
    /// Waits of the host's processes for processors, memory and disks.
    host_pressure: HostPressure = host_pressure::HostPressure, Host, Server, every 5.0 s;
    /// Memory of the host: use, swap, huge pages, limits.
    host_memory: HostMemory = host_memory::HostMemory, Host, Server, every 5.0 s;
    /// Block devices that carry the server's files.
    host_disk: HostDisk = host_disk::HostDisk, Host, Server, every 5.0 s;
    /// Room on the file systems of the server's directories.
    host_filesystem: HostFilesystem = host_filesystem::HostFilesystem, Host, Server, every 10.0 s;
    /// Network interfaces of the host.
    host_network: HostNetwork = host_network::HostNetwork, Host, Server, every 5.0 s;
    /// Processor time, memory and disk traffic of every server process.
    host_process: HostProcess = host_process::HostProcess, Host, Server, every 1.0 s;
}
