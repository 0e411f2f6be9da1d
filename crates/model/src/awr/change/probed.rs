//! Which rows belong to which probe.

use crate::sample::{Probe, Readings, Row, Slot, Taken, archiver, bgwriter, checkpointer, database, host_cpu, host_disk, host_memory};
use crate::sample::{database_size, host_filesystem, replication, sequences, tables, wal, wal_files};
use crate::sample::{
    host_network, host_pressure, indexes, io, recovery, recovery_conflicts, server, slots, slru, statements, subscription,
};

/// A row that belongs to one probe.
pub trait Probed: Row {
    /// The probe.
    const PROBE: Probe;
    /// What is known of it.
    fn slot(readings: &Readings) -> &Slot<Self>;
    /// Its rows, if they are what was taken.
    fn rows(taken: &Taken) -> Option<&[Self]>;
}

macro_rules! probed {
    ($($field:ident: $variant:ident = $row:ty;)+) => {$(
        impl Probed for $row {
            const PROBE: Probe = Probe::$variant;

            fn slot(readings: &Readings) -> &Slot<Self> {
                &readings.$field
            }

            fn rows(taken: &Taken) -> Option<&[Self]> {
                match taken {
                    Taken::$variant(sample) => Some(&sample.rows),
                    _ => None,
                }
            }
        }
    )+};
}

probed! {
    server: Server = server::Server;
    database: Database = database::Database;
    statements: Statements = statements::Statement;
    statements_info: StatementsInfo = statements::StatementsInfo;
    io: Io = io::Io;
    bgwriter: Bgwriter = bgwriter::Bgwriter;
    checkpointer: Checkpointer = checkpointer::Checkpointer;
    wal: Wal = wal::Wal;
    archiver: Archiver = archiver::Archiver;
    slru: Slru = slru::Slru;
    tables: Tables = tables::Table;
    indexes: Indexes = indexes::Index;
    recovery: Recovery = recovery::Recovery;
    slots: Slots = slots::ReplicationSlot;
    subscription: Subscription = subscription::Subscription;
    recovery_conflicts: RecoveryConflicts = recovery_conflicts::RecoveryConflicts;
    host_cpu: HostCpu = host_cpu::HostCpu;
    host_disk: HostDisk = host_disk::HostDisk;
    host_memory: HostMemory = host_memory::HostMemory;
    host_network: HostNetwork = host_network::HostNetwork;
    host_pressure: HostPressure = host_pressure::HostPressure;
    host_filesystem: HostFilesystem = host_filesystem::HostFilesystem;
    database_size: DatabaseSize = database_size::DatabaseSize;
    wal_files: WalFiles = wal_files::WalFiles;
    replication: Replication = replication::Replication;
    sequences: Sequences = sequences::Sequence;
}
