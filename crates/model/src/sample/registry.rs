//! The list of probes. A probe is one line here, one row type beside this file, and its query files (or its reader of /proc).

use super::{DecodeError, Row, RowSource, Sample, Slot, Unknown};
use super::{
    activity, aios, archiver, backend_io, bgwriter, buffercache, checkpointer, connections, database, database_size, extensions,
    file_settings, functions, hba, host_cpu, host_disk, host_filesystem, host_memory, host_network, host_pressure, host_process,
    idle_sessions, indexes, io, lock_waits, locks, log, prepared_transactions, progress, recovery, recovery_conflicts, replication, roles,
    sequences, server, session_locks, settings, slots, slru, ssl, statements, subscription, tables, wait_events, wal, wal_files,
    wal_receiver,
};
use std::collections::HashSet;
use std::time::Duration;

/// Where a probe's rows come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// A query, in `crates/postgres/queries/<name>/`.
    Query,
    /// /proc and the file systems of the server's host; only where the agent runs beside the server.
    Host,
    /// The server's log; only where the agent runs beside the server and may read it.
    Log,
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
    /// How often it runs unless the configuration says otherwise; zero: only when somebody asks.
    #[serde(skip)]
    pub every: Duration,
    /// Its columns.
    pub columns: &'static [super::Column],
}

impl Spec {
    /// Whether it runs only when somebody asks.
    pub fn on_demand(&self) -> bool {
        self.every.is_zero()
    }
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
            /// What was added up over all of them.
            pub derived: crate::derive::Derived,
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
            about: concat!($($about),+).trim_ascii(),
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

            /// When the rows were asked for.
            pub fn at(&self) -> jiff::Timestamp {
                match self {
                    $(Self::$variant(sample) => sample.at,)+
                }
            }

            /// How long the answer took.
            pub fn took(&self) -> Duration {
                match self {
                    $(Self::$variant(sample) => sample.took,)+
                }
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

            /// Takes over the rows that an older reading of the same probe has of some databases.
            pub fn keep(&mut self, older: &Self, databases: &HashSet<&str>) {
                let Some(column) = self.probe().spec().columns.iter().position(|column| column.name == "datname") else { return };
                match (self, older) {
                    $((Self::$variant(sample), Self::$variant(older)) => {
                        let is_of_one = |row: &&$row| matches!(row.value(column), super::Value::Text(name) if databases.contains(name));
                        sample.rows.extend(older.rows.iter().filter(is_of_one).cloned());
                    })+
                    _ => {}
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
                let probe = taken.probe();
                match taken {
                    $(Taken::$variant(sample) => self.$field.put(Ok(sample)),)+
                }
                let mut derived = std::mem::take(&mut self.derived);
                derived.absorb(self, probe);
                self.derived = derived;
            }

            /// The newest rows of a probe, whichever it is, as long as the newest attempt succeeded.
            ///
            /// # Errors
            /// The reason why there are none now.
            pub fn current(&self, probe: Probe) -> Result<&dyn super::Rows, &Unknown> {
                match probe {
                    $(Probe::$variant => self.$field.current().map(|sample| sample as &dyn super::Rows),)+
                }
            }

            /// The newest rows of a probe with their type, as long as the newest attempt succeeded.
            ///
            /// # Errors
            /// The reason why there are none now.
            pub fn taken(&self, probe: Probe) -> Result<Taken, Unknown> {
                match probe {
                    $(Probe::$variant => self.$field.current().map(|sample| Taken::$variant(sample.clone())).map_err(Clone::clone),)+
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
    /// What the server is: version, role, start time, identity, position in the WAL.
    server: Server = server::Server, Query, Server, every 10.0 s;
    /// Sessions that do something: state, waits, statement, blockers.
    activity: Activity = activity::Activity, Query, Server, every 1.0 s;
    /// Sessions counted by database, role, application, state and wait.
    connections: Connections = connections::Connections, Query, Server, every 15.0 s;
    /// Idle sessions counted by how long they have been idle.
    idle_sessions: IdleSessions = idle_sessions::IdleSessions, Query, Server, every 30.0 s;
    /// Per database: transactions, blocks, tuples, temporary files, deadlocks, distance from wraparound.
    database: Database = database::Database, Query, Server, every 10.0 s;
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
    /// Those that stream WAL from this server, with their lags.
    replication: Replication = replication::Replication, Query, Server, every 10.0 s;
    /// Replay on a standby: position, lag, pause, prefetching.
    recovery: Recovery = recovery::Recovery, Query, Server, every 10.0 s;
    /// The WAL receiver of a standby.
    wal_receiver: WalReceiver = wal_receiver::WalReceiver, Query, Server, every 10.0 s;
    /// Replication slots and what they hold back.
    slots: Slots = slots::ReplicationSlot, Query, Server, every 15.0 s;
    /// Subscriptions of this server: workers, positions, errors, conflicts.
    subscription: Subscription = subscription::Subscription, Query, Server, every 15.0 s;
    /// Locks by kind and mode: held, waited for, longest wait.
    locks: Locks = locks::Locks, Query, Server, every 15.0 s;
    /// Long commands (VACUUM, CREATE INDEX, COPY, base backup, …) and how far they are.
    progress: Progress = progress::Progress, Query, Server, every 10.0 s;
    /// WAL generation: records, bytes, writes, syncs.
    wal: Wal = wal::Wal, Query, Server, every 15.0 s;
    /// Checkpoints and restartpoints.
    checkpointer: Checkpointer = checkpointer::Checkpointer, Query, Server, every 15.0 s;
    /// The background writer and buffer allocation.
    bgwriter: Bgwriter = bgwriter::Bgwriter, Query, Server, every 15.0 s;
    /// I/O by kind of process, object and context.
    io: Io = io::Io, Query, Server, every 15.0 s;
    /// Asynchronous I/O in flight.
    aios: Aios = aios::Aios, Query, Server, every 15.0 s;
    /// I/O and WAL of each session that does something.
    backend_io: BackendIo = backend_io::BackendIo, Query, Server, every 15.0 s;
    /// The archiver: archived, failed, last ones.
    archiver: Archiver = archiver::Archiver, Query, Server, every 15.0 s;
    /// The WAL directory: segments, size, files that wait to be archived.
    wal_files: WalFiles = wal_files::WalFiles, Query, Server, every 30.0 s;
    /// Queries of a standby cancelled for the sake of replay.
    recovery_conflicts: RecoveryConflicts = recovery_conflicts::RecoveryConflicts, Query, Server, every 30.0 s;
    /// Transactions prepared for two-phase commit.
    prepared_transactions: PreparedTransactions = prepared_transactions::PreparedTransaction, Query, Server, every 30.0 s;
    /// Statements and what they cost, without their texts.
    statements: Statements = statements::Statement, Query, Server, every 60.0 s;
    /// The table of statements itself: how often statements were given up, last reset.
    statements_info: StatementsInfo = statements::StatementsInfo, Query, Server, every 60.0 s;
    /// Connections by encryption.
    ssl: Ssl = ssl::Ssl, Query, Server, every 60.0 s;
    /// The small caches for transaction states and the like.
    slru: Slru = slru::Slru, Query, Server, every 60.0 s;
    /// Shared buffers: used, dirty, pinned.
    buffercache: Buffercache = buffercache::Buffercache, Query, Server, every 60.0 s;
    /// Shared buffers by how often they were used lately.
    buffercache_usage: BuffercacheUsage = buffercache::BuffercacheUsage, Query, Server, every 60.0 s;
    /// Tables: scans, changes, vacuums, blocks, estimated sizes, distance from wraparound.
    tables: Tables = tables::Table, Query, Database, every 60.0 s;
    /// Indexes: scans, blocks, estimated sizes, validity.
    indexes: Indexes = indexes::Index, Query, Database, every 300.0 s;
    /// Functions that were called, where `track_functions` is on.
    functions: Functions = functions::Function, Query, Database, every 60.0 s;
    /// The server's settings.
    settings: Settings = settings::Setting, Query, Server, every 300.0 s;
    /// Roles, their attributes and connection limits.
    roles: Roles = roles::Role, Query, Server, every 300.0 s;
    /// What each database takes on disk.
    database_size: DatabaseSize = database_size::DatabaseSize, Query, Server, every 600.0 s;
    /// How far sequences are used up.
    sequences: Sequences = sequences::Sequence, Query, Database, every 600.0 s;
    /// Extensions that are installed, and those that wait for an update.
    extensions: Extensions = extensions::Extension, Query, Database, every 600.0 s;
    /// What the configuration files say, errors included.
    file_settings: FileSettings = file_settings::FileSetting, Query, Server, every 600.0 s;
    /// The rules of client authentication, errors included.
    hba: Hba = hba::HbaRule, Query, Server, every 600.0 s;
    /// Messages of the server's log that tell of something wrong, or of the server's own work.
    log: Log = log::LogEvent, Log, Server, every 5.0 s;
    /// Messages of the server's log, counted.
    log_messages: LogMessages = log::LogMessages, Log, Server, every 5.0 s;
    /// How reading the server's log goes.
    log_reading: LogReading = log::LogReading, Log, Server, every 5.0 s;
    /// Every session, idle ones too; on demand.
    sessions: Sessions = activity::Activity, Query, Server, every 0.0 s;
    /// What each blocked session waits for; on demand.
    lock_waits: LockWaits = lock_waits::LockWait, Query, Server, every 0.0 s;
    /// How many locks each session holds, and its transaction; on demand.
    session_locks: SessionLocks = session_locks::SessionLocks, Query, Server, every 0.0 s;
    /// Texts of statements by their identifiers (`$1`, an array of bigint); on demand.
    statement_texts: StatementTexts = statements::StatementText, Query, Server, every 0.0 s;
    /// What the wait events mean; on demand.
    wait_events: WaitEvents = wait_events::WaitEvent, Query, Server, every 0.0 s;
}
