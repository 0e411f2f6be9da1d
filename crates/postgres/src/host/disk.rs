//! `host_disk`: /proc/diskstats of the devices that carry the server's directories.

use super::places::{Device, Places};
use super::{Rows, int, source};
use pgtend_model::sample::{Reason, Unknown, host_disk::HostDisk};
use procfs::{DiskStat, DiskStats};
use std::collections::BTreeMap;

/// /proc/diskstats counts in sectors of this size, whatever the device's own.
const SECTOR_BYTES: u64 = 512;

pub fn read(places: &mut Places) -> Result<Rows<HostDisk>, Unknown> {
    let surveyed = places.recent()?;
    let mut found = Rows::whole(Vec::new());
    let mut carried: BTreeMap<Device, Vec<&'static str>> = BTreeMap::new();
    for at in surveyed.iter() {
        match at.mount.as_ref().and_then(|mount| mount.device) {
            Some(device) => carried.entry(device).or_default().push(at.place.role),
            None => found.missing.push(at.measure.as_ref().err().cloned().unwrap_or_else(|| without_device(at))),
        }
    }
    let disks = statistics()?;
    for (device, mut roles) in carried {
        roles.dedup();
        match find(&disks, device) {
            Some(disk) => found.rows.push(row(disk, &roles.join(","))),
            None => {
                let detail = format!("/proc/diskstats has no device {}:{} (it carries {})", device.0, device.1, roles.join(","));
                found.missing.push(Unknown::new(Reason::Absent, detail));
            }
        }
    }
    if found.rows.is_empty() { Err(nothing(found.missing)) } else { Ok(found) }
}

/// All of /proc/diskstats.
pub fn statistics() -> Result<Vec<DiskStat>, Unknown> {
    source::parsed::<DiskStats>("/proc/diskstats").map(|disks| disks.0)
}

/// The line of one device.
pub fn find(disks: &[DiskStat], device: Device) -> Option<&DiskStat> {
    disks.iter().find(|disk| (i64::from(disk.major), i64::from(disk.minor)) == (i64::from(device.0), i64::from(device.1)))
}

fn without_device(at: &super::places::Surveyed) -> Unknown {
    let fs_type = at.mount.as_ref().map_or("unknown", |mount| mount.fs_type.as_str());
    let detail = format!("{} is on a file system of type {fs_type}, which has no block device of its own", at.place.path.display());
    Unknown::new(Reason::Absent, detail)
}

fn nothing(missing: Vec<Unknown>) -> Unknown {
    missing.into_iter().next().unwrap_or_else(|| Unknown::new(Reason::Absent, "no directory of the server is on a block device"))
}

fn row(disk: &DiskStat, carries: &str) -> HostDisk {
    HostDisk {
        device: disk.name.as_str().into(),
        carries: carries.into(),
        reads: int(disk.reads),
        writes: int(disk.writes),
        read_bytes: int(disk.sectors_read.saturating_mul(SECTOR_BYTES)),
        write_bytes: int(disk.sectors_written.saturating_mul(SECTOR_BYTES)),
        read_seconds: seconds(disk.time_reading),
        write_seconds: seconds(disk.time_writing),
        flushes: disk.flushes.map(int),
        flush_seconds: disk.time_flushing.map(seconds),
        in_flight: int(disk.in_progress),
        busy_seconds: seconds(disk.time_in_progress),
        queue_seconds: seconds(disk.weighted_time_in_progress),
    }
}

#[expect(clippy::cast_precision_loss, reason = "metrics are doubles by definition")]
fn seconds(milliseconds: u64) -> f64 {
    milliseconds as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    const TEXT: &str = "   7       0 loop0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0
 254       0 vda 124105 26235 8327546 107241 32601 91744 17645840 81906 1 17976 190645 9979 81 796496 1074 8922 422
 259       3 nvme0n1p1 10 0 16 5 4 0 8 2 0 7 7\n";

    #[test]
    fn sectors_become_bytes_and_old_kernels_have_no_flushes() {
        let disks = source::parse::<DiskStats>(Path::new("/proc/diskstats"), TEXT).unwrap().0;
        let vda = row(find(&disks, (254, 0)).unwrap(), "data,wal");
        assert_eq!((vda.reads, vda.read_bytes, vda.read_seconds), (124_105, 8_327_546 * 512, 107.241));
        assert_eq!((vda.writes, vda.write_bytes, vda.in_flight), (32_601, 17_645_840 * 512, 1));
        assert_eq!((vda.flushes, vda.flush_seconds, vda.busy_seconds), (Some(8922), Some(0.422), 17.976));
        let old = row(find(&disks, (259, 3)).unwrap(), "data");
        assert_eq!((&*old.device, old.flushes, old.busy_seconds), ("nvme0n1p1", None, 0.007));
        assert!(find(&disks, (8, 1)).is_none());
    }
}
