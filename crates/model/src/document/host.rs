//! The host of a server: processors, memory, pressure, disks, file systems, network, and the processes that use most.

use super::status::{Cpu, Memory, host as figures};
use super::{Document, Known, Unknowns};
use crate::delta::{self, Grown};
use crate::error::Result;
use crate::sample::Probe;
use crate::sample::host_cpu::HostCpu;
use crate::sample::host_disk::HostDisk;
use crate::sample::host_network::HostNetwork;
use crate::view::View;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// The host of a server. Rates are between the last two readings.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Host {
    /// Processors.
    pub cpu: Cpu,
    /// Where the processors' time goes.
    pub modes: Modes,
    /// Mean number of processes that ran or waited, over one, five and fifteen minutes.
    pub load: Vec<f64>,
    /// Memory.
    pub memory: Memory,
    /// What processes waited for, in per cent of the last ten seconds.
    pub pressure: Vec<Pressure>,
    /// Block devices under the server's files.
    pub disks: Vec<Device>,
    /// File systems of the server's directories.
    pub filesystems: Vec<Filesystem>,
    /// Network interfaces with traffic.
    pub interfaces: Vec<Interface>,
    /// Why something is missing.
    pub unknown: Unknowns,
}

/// Where the processors' time goes, in per cent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = HostCpuModes)]
pub struct Modes {
    /// Programs.
    pub user: Option<f64>,
    /// The kernel.
    pub system: Option<f64>,
    /// Nothing to do but to wait for a disk.
    pub iowait: Option<f64>,
    /// Given to other guests by the hypervisor.
    pub steal: Option<f64>,
    /// Interrupts.
    pub interrupts: Option<f64>,
}

/// What processes waited for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = HostPressure)]
pub struct Pressure {
    /// `cpu`, `memory` or `io`.
    pub resource: String,
    /// At least one process waited.
    pub some_percent: f64,
    /// Every process waited.
    pub full_percent: Option<f64>,
}

/// A block device.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = HostDevice)]
pub struct Device {
    /// Its name.
    pub device: String,
    /// Which of the server's files it carries.
    pub carries: String,
    /// Reads a second.
    pub reads_per_second: Option<f64>,
    /// Writes a second.
    pub writes_per_second: Option<f64>,
    /// Bytes read a second.
    pub read_bytes_per_second: Option<f64>,
    /// Bytes written a second.
    pub write_bytes_per_second: Option<f64>,
    /// Mean time of a read, in ms; null when there was none.
    pub read_ms: Option<f64>,
    /// Mean time of a write, in ms; null when there was none.
    pub write_ms: Option<f64>,
    /// Mean time of a flush, what a commit waits for, in ms; null when there was none.
    pub flush_ms: Option<f64>,
    /// Share of the time with at least one operation running, in per cent.
    pub busy_percent: Option<f64>,
    /// Operations running at a time, on average.
    pub queue: Option<f64>,
}

/// A file system.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = HostFilesystem)]
pub struct Filesystem {
    /// `data`, `wal`, `log` or `tablespace`.
    pub role: String,
    /// The directory.
    pub path: String,
    /// Share in use, in per cent.
    pub used_percent: f64,
    /// Size in bytes.
    pub size_bytes: i64,
    /// What the server can still write, in bytes.
    pub available_bytes: i64,
}

/// A network interface.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = HostInterface)]
pub struct Interface {
    /// Its name.
    pub interface: String,
    /// Bytes received a second.
    pub receive_bytes_per_second: Option<f64>,
    /// Bytes sent a second.
    pub transmit_bytes_per_second: Option<f64>,
    /// Packets lost or damaged a second.
    pub errors_per_second: Option<f64>,
}

/// Parameters of [`Host`].
#[derive(Debug, Clone, Default, Serialize, Deserialize, IntoParams)]
pub struct Params {}

impl Document for Host {
    type Params = Params;
    const PATH: &'static str = "/api/v1/host";
    const ABOUT: &'static str = "The host of a server: processors, memory, pressure, disks, file systems, network";
    const PROBES: &'static [Probe] =
        &[Probe::HostCpu, Probe::HostMemory, Probe::HostPressure, Probe::HostDisk, Probe::HostFilesystem, Probe::HostNetwork];
    const NEEDS_RATES: bool = true;

    fn build(known: &Known<'_>, _params: &Params) -> Result<Self> {
        let view = known.view;
        let mut unknown = Unknowns::default();
        let cpu = figures::cpu(view, &mut unknown);
        let memory = figures::memory(known, &mut unknown);
        let newest = view.readings.host_cpu.current().ok().and_then(|sample| sample.rows.first());
        let disks = unknown.take("disks", delta::rows(&view.readings.host_disk, |row| row.device.clone())).unwrap_or_default();
        let interfaces =
            unknown.take("interfaces", delta::rows(&view.readings.host_network, |row| row.interface.clone())).unwrap_or_default();
        Ok(Self {
            cpu,
            modes: modes(view).unwrap_or_default(),
            load: newest.map(|row| vec![row.load1, row.load5, row.load15]).unwrap_or_default(),
            memory,
            pressure: pressure(view, &mut unknown),
            disks: disks.iter().map(device).collect(),
            filesystems: filesystems(view, &mut unknown),
            interfaces: interfaces.iter().map(interface).filter(is_used).collect(),
            unknown,
        })
    }
}

fn modes(view: &View) -> Option<Modes> {
    let (older, newer, _) = view.readings.host_cpu.pair().ok()?;
    let (older, newer) = (older.rows.first()?, newer.rows.first()?);
    let total = newer.total_seconds() - older.total_seconds();
    let share = |time: fn(&HostCpu) -> f64| {
        let grown = time(newer) - time(older);
        (total > 0.0 && grown >= 0.0).then(|| (100.0 * grown / total).min(100.0))
    };
    Some(Modes {
        user: share(|row| row.user_seconds + row.nice_seconds),
        system: share(|row| row.system_seconds),
        iowait: share(|row| row.iowait_seconds),
        steal: share(|row| row.steal_seconds),
        interrupts: share(|row| row.irq_seconds + row.softirq_seconds),
    })
}

fn pressure(view: &View, unknown: &mut Unknowns) -> Vec<Pressure> {
    let sample = unknown.take("pressure", view.readings.host_pressure.current());
    let rows = sample.into_iter().flat_map(|sample| &sample.rows);
    rows.map(|row| Pressure {
        resource: row.resource.to_string(),
        some_percent: row.some_avg10_percent,
        full_percent: row.full_avg10_percent,
    })
    .collect()
}

fn device(grown: &Grown<'_, HostDisk>) -> Device {
    let flushes = |row: &HostDisk| row.flushes.unwrap_or(0);
    let ms = |seconds: Option<f64>| seconds.map(|seconds| seconds * 1000.0);
    Device {
        device: grown.row.device.to_string(),
        carries: grown.row.carries.to_string(),
        reads_per_second: grown.per_second(|row| row.reads),
        writes_per_second: grown.per_second(|row| row.writes),
        read_bytes_per_second: grown.per_second(|row| row.read_bytes),
        write_bytes_per_second: grown.per_second(|row| row.write_bytes),
        read_ms: ms(grown.mean(|row| row.read_seconds, |row| row.reads)),
        write_ms: ms(grown.mean(|row| row.write_seconds, |row| row.writes)),
        flush_ms: ms(grown.mean(|row| row.flush_seconds.unwrap_or(0.0), flushes)),
        busy_percent: grown.per_second_f64(|row| row.busy_seconds).map(|share| (share * 100.0).min(100.0)),
        queue: grown.per_second_f64(|row| row.queue_seconds),
    }
}

fn filesystems(view: &View, unknown: &mut Unknowns) -> Vec<Filesystem> {
    let sample = unknown.take("filesystems", view.readings.host_filesystem.current());
    let rows = sample.into_iter().flat_map(|sample| &sample.rows);
    rows.map(|row| Filesystem {
        role: row.role.to_string(),
        path: row.path.to_string(),
        used_percent: figures::used_percent(row),
        size_bytes: row.size_bytes,
        available_bytes: row.available_bytes,
    })
    .collect()
}

fn interface(grown: &Grown<'_, HostNetwork>) -> Interface {
    let lost = |row: &HostNetwork| row.receive_errors + row.receive_drops + row.transmit_errors + row.transmit_drops;
    Interface {
        interface: grown.row.interface.to_string(),
        receive_bytes_per_second: grown.per_second(|row| row.receive_bytes),
        transmit_bytes_per_second: grown.per_second(|row| row.transmit_bytes),
        errors_per_second: grown.per_second(lost),
    }
}

fn is_used(interface: &Interface) -> bool {
    let traffic = |rate: Option<f64>| rate.is_none_or(|rate| rate > 0.0);
    traffic(interface.receive_bytes_per_second) || traffic(interface.transmit_bytes_per_second)
}

#[cfg(test)]
mod tests {
    use super::super::by_hand::{built, put, view};
    use super::*;
    use serde_json::json;

    #[test]
    fn rates_and_means_between_two_readings() {
        let mut view = view();
        let disk = |reads: i64, seconds: f64| json!([{ "device": "vda", "carries": "data,wal", "reads": reads, "read_seconds": seconds, "busy_seconds": seconds }]);
        put(&mut view.readings.host_disk, 50, disk(100, 1.0));
        put(&mut view.readings.host_disk, 54, disk(300, 3.0));
        let cpu = |user: f64, idle: f64, iowait: f64| json!([{ "user_seconds": user, "idle_seconds": idle, "iowait_seconds": iowait, "cores": 4, "load1": 2.5 }]);
        put(&mut view.readings.host_cpu, 50, cpu(10.0, 10.0, 0.0));
        put(&mut view.readings.host_cpu, 54, cpu(16.0, 18.0, 2.0));
        let net = |lo: i64, eth: i64| json!([{ "interface": "lo", "receive_bytes": lo }, { "interface": "eth0", "receive_bytes": eth }]);
        put(&mut view.readings.host_network, 50, net(5, 100));
        put(&mut view.readings.host_network, 54, net(5, 4100));
        let host = built::<Host>(&view, &Params::default());
        let disk = &host["disks"][0];
        assert_eq!((&disk["reads_per_second"], &disk["read_ms"], &disk["busy_percent"]), (&json!(50.0), &json!(10.0), &json!(50.0)));
        assert_eq!((&disk["write_ms"], &disk["flush_ms"]), (&json!(null), &json!(null)));
        assert_eq!(
            (&host["modes"]["user"], &host["cpu"]["used_percent"], &host["cpu"]["iowait_percent"]),
            (&json!(37.5), &json!(37.5), &json!(12.5))
        );
        assert_eq!((&host["interfaces"][0]["interface"], host["interfaces"].as_array().unwrap().len()), (&json!("eth0"), 1));
        assert_eq!(host["unknown"]["memory"]["reason"], "pending");
    }
}
