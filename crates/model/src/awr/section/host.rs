//! The server's host: processors, memory, disks, file systems, network.

use super::with_seconds;
use crate::awr::change::Changes;
use crate::awr::known::Known;
use crate::awr::measure::{Measure, Unit};
use crate::awr::page::{Cell, Section, Table};
use crate::document::Unknowns;
use crate::sample::host_cpu::HostCpu;
use crate::sample::host_disk::HostDisk;
use crate::sample::host_memory::HostMemory;
use crate::sample::host_network::HostNetwork;
use crate::sample::host_pressure::HostPressure;
use crate::sample::{Reason, Unknown};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The server's host.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = AwrHost)]
pub struct Host {
    /// Processors and memory.
    pub figures: Vec<Measure>,
    /// Disks that carry the server.
    pub disks: Vec<DiskDid>,
    /// File systems of the server's directories.
    pub filesystems: Vec<FilesystemIs>,
    /// Network interfaces with traffic.
    pub networks: Vec<NetworkDid>,
    /// Why figures are missing.
    pub unknown: Unknowns,
}

/// A disk over the period.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = AwrDisk)]
pub struct DiskDid {
    /// Its name.
    pub device: String,
    /// What it carries: `data`, `wal`, …
    pub carries: String,
    /// Reads a second.
    pub reads_per_second: f64,
    /// Bytes read a second.
    pub read_bytes_per_second: f64,
    /// Mean time of a read, in ms.
    pub read_ms: Option<f64>,
    /// Writes a second.
    pub writes_per_second: f64,
    /// Bytes written a second.
    pub write_bytes_per_second: f64,
    /// Mean time of a write, in ms.
    pub write_ms: Option<f64>,
    /// Share of the time with an operation running, in per cent.
    pub busy_percent: f64,
    /// Operations at a time, on average.
    pub queue: f64,
}

/// A file system at the end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = AwrFilesystem)]
pub struct FilesystemIs {
    /// What is on it: `data`, `wal`, `log`, `tablespace`.
    pub role: String,
    /// The directory.
    pub path: String,
    /// Its size, in bytes.
    pub size_bytes: i64,
    /// What the server can still write, in bytes.
    pub available_bytes: i64,
    /// Share in use, in per cent.
    pub used_percent: f64,
    /// By how much the room shrank in the period, in bytes.
    pub grown_bytes: Option<i64>,
}

/// A network interface over the period.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = AwrNetwork)]
pub struct NetworkDid {
    /// Its name.
    pub interface: String,
    /// Bytes received a second.
    pub receive_bytes_per_second: f64,
    /// Bytes sent a second.
    pub transmit_bytes_per_second: f64,
    /// Packets with errors or dropped, both ways.
    pub bad_packets: i64,
}

impl Host {
    /// Works it out.
    pub fn build(known: &Known<'_>) -> Self {
        let mut unknown = Unknowns::default();
        let cpu = Changes::<HostCpu>::of(known.period);
        if let Err(why) = &cpu {
            unknown.note("host", why.clone());
            if why.reason == Reason::Remote {
                return Self { unknown, ..Self::default() };
            }
        }
        let mut figures = processors(&cpu);
        figures.extend(pressure(known));
        figures.extend(memory(known));
        Self { figures, disks: disks(known), filesystems: filesystems(known), networks: networks(known), unknown }
    }

    /// How it is laid out.
    #[expect(clippy::cast_precision_loss, reason = "what is shown is rounded")]
    pub fn section(&self) -> Section {
        let mut section = Section::new("host", "Host", "");
        if self.figures.is_empty() {
            return section.missing(self.unknown.iter());
        }
        section = with_seconds(section, "Processors and memory", &self.figures);
        let disk = |row: &DiskDid| {
            [
                row.device.as_str().into(),
                row.carries.as_str().into(),
                Cell::number(row.reads_per_second),
                Cell::bytes(row.read_bytes_per_second),
                row.read_ms.map_or_else(Cell::default, Cell::ms),
                Cell::number(row.writes_per_second),
                Cell::bytes(row.write_bytes_per_second),
                row.write_ms.map_or_else(Cell::default, Cell::ms),
                Cell::percent(row.busy_percent),
                Cell::number(row.queue),
            ]
        };
        let columns = ["disk", "carries", ">reads/s", ">read/s", ">a read", ">writes/s", ">written/s", ">a write", ">busy", ">queue"];
        section = section.with(Table::new("Disks", &columns).rows(self.disks.iter().map(disk)).or("not known"));
        let filesystem = |row: &FilesystemIs| {
            [
                row.role.as_str().into(),
                row.path.as_str().into(),
                Cell::bytes(row.size_bytes as f64),
                Cell::bytes(row.available_bytes as f64),
                Cell::percent(row.used_percent).share(row.used_percent / 100.0),
                row.grown_bytes.map_or_else(Cell::default, |bytes| Cell::bytes(bytes as f64)),
            ]
        };
        let columns = ["of", "directory", ">size", ">left at the end", ">used", ">grown in the period"];
        section = section.with(Table::new("File systems", &columns).rows(self.filesystems.iter().map(filesystem)).or("not known"));
        let network = |row: &NetworkDid| {
            let (received, sent) = (Cell::bytes(row.receive_bytes_per_second), Cell::bytes(row.transmit_bytes_per_second));
            [row.interface.as_str().into(), received, sent, Cell::count(row.bad_packets)]
        };
        let columns = ["interface", ">received/s", ">sent/s", ">bad packets"];
        section.with(Table::new("Network", &columns).rows(self.networks.iter().map(network)).or("no traffic"))
    }
}

fn processors(cpu: &Result<Changes<HostCpu>, Unknown>) -> Vec<Measure> {
    let of = |time: fn(&HostCpu) -> f64| {
        let row = &cpu.as_ref().map_err(Clone::clone)?.one()?.grown;
        let total = row.total_seconds();
        if total > 0.0 { Ok(100.0 * time(row) / total) } else { Err(Unknown::new(Reason::Reset, "the host was booted in the period")) }
    };
    let load = cpu.as_ref().map_err(Clone::clone).and_then(|cpu| Ok(cpu.one()?.grown.load15));
    let throttled = cpu.as_ref().ok().and_then(|cpu| cpu.rows.first()).and_then(|row| row.grown.throttled_seconds);
    let mut figures = vec![
        Measure::single("cpu_busy", "Processors busy", Unit::Percent, of(HostCpu::busy_seconds)),
        Measure::single("cpu_user", "  in programs", Unit::Percent, of(|row| row.user_seconds + row.nice_seconds)),
        Measure::single(
            "cpu_system",
            "  in the kernel",
            Unit::Percent,
            of(|row| row.system_seconds + row.irq_seconds + row.softirq_seconds),
        ),
        Measure::single("cpu_steal", "  taken by other guests of the hypervisor", Unit::Percent, of(|row| row.steal_seconds)),
        Measure::single("cpu_iowait", "Processors idle while a disk was waited for", Unit::Percent, of(|row| row.iowait_seconds)),
        Measure::single("load15", "Load at the end (15 minutes)", Unit::Number, load),
    ];
    if let Some(seconds) = throttled {
        figures.push(Measure::single("throttled", "Held back by the control group's limit", Unit::Seconds, Ok(seconds)));
    }
    figures
}

fn pressure(known: &Known<'_>) -> Vec<Measure> {
    let Ok(changes) = Changes::<HostPressure>::of(known.period) else { return Vec::new() };
    let seconds = changes.seconds();
    let share = |row: &HostPressure| {
        let (name, label) = (format!("pressure_{}", row.resource), format!("Time in which a process waited for {}", row.resource));
        Measure::single(&name, &label, Unit::Percent, Ok((100.0 * row.some_seconds / seconds).min(100.0)))
    };
    changes.rows.iter().map(|row| share(&row.grown)).collect()
}

#[expect(clippy::cast_precision_loss, reason = "sizes are far below 2^53")]
fn memory(known: &Known<'_>) -> Vec<Measure> {
    let changes = Changes::<HostMemory>::of(known.period);
    let row = || Ok::<_, Unknown>(&changes.as_ref().map_err(Clone::clone)?.one()?.grown);
    let figure = |value: fn(&HostMemory) -> Option<i64>| {
        let value = value(row()?).map(|value| value as f64);
        value.ok_or_else(|| Unknown::new(Reason::Version, "this kernel does not tell it"))
    };
    let sum = |value: fn(&HostMemory) -> Option<i64>| Ok((figure(value)?, changes.as_ref().map_err(Clone::clone)?.seconds()));
    vec![
        Measure::single("memory_available", "Memory still to be had at the end", Unit::Bytes, figure(|row| row.available_bytes)),
        Measure::single("memory_cached", "Files cached by the kernel at the end", Unit::Bytes, figure(|row| Some(row.cached_bytes))),
        Measure::sum("swap_in", "Read back from swap", Unit::Bytes, sum(|row| row.swap_in_bytes)),
        Measure::sum("swap_out", "Written to swap", Unit::Bytes, sum(|row| row.swap_out_bytes)),
        Measure::sum("oom_kills", "Processes killed for lack of memory", Unit::Count, sum(|row| row.oom_kills)),
    ]
}

#[expect(clippy::cast_precision_loss, reason = "rates need no more than a double's precision")]
fn disks(known: &Known<'_>) -> Vec<DiskDid> {
    let Ok(changes) = Changes::<HostDisk>::of(known.period) else { return Vec::new() };
    let seconds = changes.seconds();
    let mean = |time: f64, count: i64| (count > 0).then(|| 1000.0 * time / count as f64);
    let did = |row: &HostDisk| DiskDid {
        device: row.device.to_string(),
        carries: row.carries.to_string(),
        reads_per_second: row.reads as f64 / seconds,
        read_bytes_per_second: row.read_bytes as f64 / seconds,
        read_ms: mean(row.read_seconds, row.reads),
        writes_per_second: row.writes as f64 / seconds,
        write_bytes_per_second: row.write_bytes as f64 / seconds,
        write_ms: mean(row.write_seconds, row.writes),
        busy_percent: (100.0 * row.busy_seconds / seconds).min(100.0),
        queue: row.queue_seconds / seconds,
    };
    changes.rows.iter().map(|row| did(&row.grown)).collect()
}

fn filesystems(known: &Known<'_>) -> Vec<FilesystemIs> {
    let (before, after) = known.period.ends(|readings| &readings.host_filesystem);
    let before = before.unwrap_or_default();
    let is = |row: &crate::sample::host_filesystem::HostFilesystem| {
        let earlier = before.iter().find(|earlier| earlier.role == row.role && earlier.path == row.path);
        FilesystemIs {
            role: row.role.to_string(),
            path: row.path.to_string(),
            size_bytes: row.size_bytes,
            available_bytes: row.available_bytes,
            used_percent: row.used_percent(),
            grown_bytes: earlier.map(|earlier| earlier.available_bytes - row.available_bytes),
        }
    };
    after.unwrap_or_default().iter().map(is).collect()
}

#[expect(clippy::cast_precision_loss, reason = "rates need no more than a double's precision")]
fn networks(known: &Known<'_>) -> Vec<NetworkDid> {
    let Ok(changes) = Changes::<HostNetwork>::of(known.period) else { return Vec::new() };
    let seconds = changes.seconds();
    let did = |row: &HostNetwork| NetworkDid {
        interface: row.interface.to_string(),
        receive_bytes_per_second: row.receive_bytes as f64 / seconds,
        transmit_bytes_per_second: row.transmit_bytes as f64 / seconds,
        bad_packets: row.receive_errors + row.receive_drops + row.transmit_errors + row.transmit_drops,
    };
    let used = |row: &NetworkDid| row.receive_bytes_per_second + row.transmit_bytes_per_second > 0.0 || row.bad_packets > 0;
    changes.rows.iter().map(|row| did(&row.grown)).filter(used).collect()
}
