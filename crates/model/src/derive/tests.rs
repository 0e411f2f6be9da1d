//! Figures that are added up survive resets, restarts and what comes and goes.

use super::Derived;
use crate::sample::database::Database;
use crate::sample::host_disk::HostDisk;
use crate::sample::testing::{row, sample};
use crate::sample::{Readings, Taken};

fn database(datid: i64, committed: i64, read: i64, read_ms: f64) -> Database {
    row(|row: &mut Database| {
        row.datid = datid;
        row.xact_commit = committed;
        row.blks_read = read;
        row.blk_read_time = read_ms;
    })
}

fn disk(name: &str, reads: i64, read_seconds: f64) -> HostDisk {
    row(|row: &mut HostDisk| {
        row.device = name.into();
        row.reads = reads;
        row.read_seconds = read_seconds;
    })
}

fn after(readings: Vec<Taken>) -> Derived {
    let mut all = Readings::default();
    for taken in readings {
        all.put(taken);
    }
    all.derived
}

fn databases(second: i64, rows: Vec<Database>) -> Taken {
    Taken::Database(sample(second, rows))
}

fn disks(second: i64, rows: Vec<HostDisk>) -> Taken {
    Taken::HostDisk(sample(second, rows))
}

#[test]
fn totals_begin_with_what_the_server_says() {
    let derived = after(vec![databases(1, vec![database(1, 100, 7, 1.0), database(2, 50, 0, 0.0)])]);
    assert_eq!((derived.committed, derived.blocks_read, derived.sessions), (Some(150), Some(7), Some(0)));
    assert_eq!(derived.block_read_ms.count(), 0, "reads before the first reading have no mean of their own");
}

#[test]
fn totals_survive_a_dropped_database_and_a_reset() {
    let derived = after(vec![
        databases(1, vec![database(1, 100, 0, 0.0), database(2, 50, 0, 0.0)]),
        databases(2, vec![database(1, 110, 0, 0.0)]),
        databases(3, vec![database(1, 4, 0, 0.0), database(3, 5, 0, 0.0)]),
    ]);
    assert_eq!(derived.committed, Some(150 + 10 + 4 + 5));
}

#[test]
fn readings_in_quick_succession_count_once() {
    let at = |second, commits| databases(second, vec![database(1, commits, 0, 0.0)]);
    assert_eq!(after(vec![at(1, 10), at(1, 11), at(1, 12), at(2, 15), at(2, 15)]).committed, Some(15));
}

#[test]
fn the_clock_may_go_backwards() {
    let derived = after(vec![databases(5, vec![database(1, 1, 0, 0.0)]), databases(3, vec![database(1, 3, 0, 0.0)])]);
    assert_eq!(derived.committed, Some(3));
}

#[test]
fn block_reads_count_with_the_mean_of_their_interval() {
    let derived = after(vec![databases(1, vec![database(1, 0, 100, 500.0)]), databases(2, vec![database(1, 0, 110, 520.0)])]);
    let buckets: Vec<_> = derived.block_read_ms.cumulative().filter(|(_, count)| *count > 0).collect();
    assert_eq!(buckets[0], (Some(2.5), 10));
    assert_eq!((derived.block_read_ms.sum(), derived.block_read_ms.count()), (20.0, 10));
}

#[test]
fn a_device_that_appears_counts_from_then_on() {
    let derived = after(vec![
        disks(1, vec![disk("vda", 1000, 3.0)]),
        disks(2, vec![disk("vda", 1004, 3.008), disk("vdb", 9_000_000, 70.0)]),
        disks(3, vec![disk("vdb", 9_000_002, 70.002)]),
    ]);
    assert_eq!(derived.disk_reads, Some(1000 + 4 + 2));
    assert_eq!(derived.disk_read_ms.count(), 6);
    assert!((derived.disk_read_ms.sum() - 10.0).abs() < 1e-6, "{}", derived.disk_read_ms.sum());
}
