//! Figures that PostgreSQL does not keep, added up from one reading to the next: they begin with what the server says at the first
//! reading, and never go down while the agent lives, whatever is reset, dropped or evicted on the server.

mod executions;
mod growth;
mod histogram;
#[cfg(test)]
mod tests;

pub use executions::{Executions, executions};
pub use histogram::Histogram;

use crate::sample::database::Database;
use crate::sample::host_disk::HostDisk;
use crate::sample::statements::Statement;
use crate::sample::{Probe, Readings, Sample, Slot};
use growth::{grown, grown_f64, pairs};
use std::sync::Arc;

/// Upper bounds of execution times, in milliseconds.
const QUERY_MS: &[f64] = &[0.1, 0.5, 1.0, 5.0, 10.0, 50.0, 100.0, 500.0, 1000.0, 5000.0, 10_000.0];
/// Upper bounds of disk latencies, in milliseconds.
const DISK_MS: &[f64] = &[0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 25.0, 50.0, 100.0, 500.0, 1000.0];

/// What was added up over all readings of a server. Figures are none until there is a reading of what they are made from.
#[derive(Debug, Clone, PartialEq)]
pub struct Derived {
    /// Transactions committed, of all databases.
    pub committed: Option<i64>,
    /// Transactions rolled back, of all databases.
    pub rolled_back: Option<i64>,
    /// Sessions established, of all databases; from 14 on.
    pub sessions: Option<i64>,
    /// Blocks found in shared buffers, of all databases.
    pub blocks_hit: Option<i64>,
    /// Blocks not found in shared buffers, of all databases.
    pub blocks_read: Option<i64>,
    /// How long blocks took to be read, in milliseconds, as PostgreSQL measured it; empty unless track_io_timing is on.
    pub block_read_ms: Histogram,
    /// Statements executed, as pg_stat_statements counts them.
    pub queries: Option<i64>,
    /// How long they took, in milliseconds: all executions of a statement between two readings count with their mean.
    pub query_ms: Histogram,
    /// Reads of the devices that carry the server.
    pub disk_reads: Option<i64>,
    /// Writes of the devices that carry the server.
    pub disk_writes: Option<i64>,
    /// How long reads of these devices took, in milliseconds.
    pub disk_read_ms: Histogram,
    /// How long writes of these devices took, in milliseconds.
    pub disk_write_ms: Histogram,
    last: Last,
}

/// The readings that were taken in last.
#[derive(Debug, Clone, Default, PartialEq)]
struct Last {
    database: Option<Arc<Sample<Database>>>,
    host_disk: Option<Arc<Sample<HostDisk>>>,
    statements: Option<Arc<Sample<Statement>>>,
}

impl Default for Derived {
    fn default() -> Self {
        Self {
            committed: None,
            rolled_back: None,
            sessions: None,
            blocks_hit: None,
            blocks_read: None,
            block_read_ms: Histogram::new(DISK_MS),
            queries: None,
            query_ms: Histogram::new(QUERY_MS),
            disk_reads: None,
            disk_writes: None,
            disk_read_ms: Histogram::new(DISK_MS),
            disk_write_ms: Histogram::new(DISK_MS),
            last: Last::default(),
        }
    }
}

impl Derived {
    /// Takes in the newest reading of a probe. To be called once for each.
    pub fn absorb(&mut self, readings: &Readings, probe: Probe) {
        match probe {
            Probe::Database => take(&readings.database, |newer| self.absorb_databases(newer)),
            Probe::HostDisk => take(&readings.host_disk, |newer| self.absorb_disks(newer)),
            Probe::Statements => take(&readings.statements, |newer| self.absorb_statements(newer)),
            _ => (),
        }
    }

    fn absorb_databases(&mut self, newest: &Arc<Sample<Database>>) {
        let last = self.last.database.replace(newest.clone());
        for (older, newer) in pairs(last.as_deref(), newest, |row| row.datid) {
            let grew = |counter: fn(&Database) -> i64| grown(older.map(counter), counter(newer));
            add(&mut self.committed, grew(|row| row.xact_commit));
            add(&mut self.rolled_back, grew(|row| row.xact_rollback));
            add(&mut self.blocks_hit, grew(|row| row.blks_hit));
            add(&mut self.blocks_read, grew(|row| row.blks_read));
            if newer.sessions.is_some() {
                add(&mut self.sessions, grew(|row| row.sessions.unwrap_or(0)));
            }
            let took_ms = grown_f64(older.map(|row| row.blk_read_time), newer.blk_read_time);
            if last.is_some() && took_ms > 0.0 {
                add_mean(&mut self.block_read_ms, took_ms, grew(|row| row.blks_read));
            }
        }
    }

    fn absorb_statements(&mut self, newest: &Arc<Sample<Statement>>) {
        let last = self.last.statements.replace(newest.clone());
        let done = executions(last.as_deref(), newest);
        add(&mut self.queries, done.calls());
        if last.is_some() {
            done.add_to(&mut self.query_ms);
        }
    }

    fn absorb_disks(&mut self, newest: &Arc<Sample<HostDisk>>) {
        let last = self.last.host_disk.replace(newest.clone());
        for (older, newer) in pairs(last.as_deref(), newest, |row| row.device.clone()) {
            // A device that was not there before counts from now on: it was attached, or could not be read for a while.
            let older = if last.is_some() { older.or(Some(newer)) } else { None };
            let grew = |counter: fn(&HostDisk) -> i64| grown(older.map(counter), counter(newer));
            let took_ms = |counter: fn(&HostDisk) -> f64| 1000.0 * grown_f64(older.map(counter), counter(newer));
            let (reads, writes) = (grew(|row| row.reads), grew(|row| row.writes));
            add(&mut self.disk_reads, reads);
            add(&mut self.disk_writes, writes);
            if last.is_some() {
                add_mean(&mut self.disk_read_ms, took_ms(|row| row.read_seconds), reads);
                add_mean(&mut self.disk_write_ms, took_ms(|row| row.write_seconds), writes);
            }
        }
    }
}

fn take<R>(slot: &Slot<R>, absorb: impl FnOnce(&Arc<Sample<R>>)) {
    if let Some(newest) = &slot.latest {
        absorb(newest);
    }
}

fn add(total: &mut Option<i64>, more: i64) {
    *total = Some(total.unwrap_or(0) + more);
}

/// Adds the events of an interval, each with the interval's mean.
#[expect(clippy::cast_precision_loss, reason = "a mean is a double by definition")]
fn add_mean(histogram: &mut Histogram, sum: f64, events: i64) {
    if events > 0 {
        histogram.add(sum / events as f64, events);
    }
}
