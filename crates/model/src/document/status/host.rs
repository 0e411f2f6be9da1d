//! The host's part of the status.

use super::{Cpu, Disk, Memory, percent};
use crate::document::{Known, Unknowns};
use crate::sample::host_cpu::HostCpu;
use crate::sample::host_filesystem::HostFilesystem;
use crate::sample::host_memory::HostMemory;
use crate::sample::{Reason, Unknown};
use crate::view::View;

pub(in crate::document) fn cpu(view: &View, unknown: &mut Unknowns) -> Cpu {
    let slot = &view.readings.host_cpu;
    let Some(now) = unknown.take("cpu", slot.current()).and_then(|sample| sample.rows.first()) else { return Cpu::default() };
    let before = unknown.take("cpu.used_percent", slot.pair()).and_then(|(older, ..)| older.rows.first());
    let iowait = |older: &HostCpu| {
        let total = now.total_seconds() - older.total_seconds();
        let waited = now.iowait_seconds - older.iowait_seconds;
        (total > 0.0 && waited >= 0.0).then(|| (100.0 * waited / total).min(100.0))
    };
    #[expect(clippy::cast_precision_loss, reason = "a host has fewer than 2^52 processors")]
    let cores = now.cores as f64;
    Cpu {
        used_percent: before.and_then(|older| HostCpu::busy_percent(older, now)),
        iowait_percent: before.and_then(iowait),
        cores: Some(now.limit_cores.map_or(cores, |limit| limit.min(cores))),
        load1: Some(now.load1),
    }
}

pub(in crate::document) fn memory(known: &Known<'_>, unknown: &mut Unknowns) -> Memory {
    let Some(row) = unknown.take("memory", known.view.readings.host_memory.current()).and_then(|sample| sample.rows.first()) else {
        return Memory::default();
    };
    let (total, available) = room(row);
    let available = unknown.take("memory.available_bytes", available);
    let used_percent = available.map(|available| percent((total - available).max(0), total.max(1)));
    Memory {
        used_percent,
        total_bytes: Some(total),
        available_bytes: available,
        swap_used_bytes: Some(row.swap_total_bytes - row.swap_free_bytes),
        level: known.thresholds.memory_percent.level(used_percent),
    }
}

/// All memory and what of it can still be had. A control group's use counts the file cache, the idle part of which gives way.
fn room(row: &HostMemory) -> (i64, Result<i64, Unknown>) {
    let available =
        row.available_bytes.ok_or_else(|| Unknown::new(Reason::Version, "kernels before 3.14 do not estimate what memory is available"));
    match (row.limit_bytes, row.limit_used_bytes) {
        (Some(limit), Some(used)) if limit < row.total_bytes => {
            let gives_way = row.limit_inactive_file_bytes.unwrap_or(0);
            (limit, Ok((limit - used + gives_way).clamp(0, limit)))
        }
        _ => (row.total_bytes, available),
    }
}

pub(super) fn disk(known: &Known<'_>, unknown: &mut Unknowns) -> Disk {
    let fullest = unknown
        .take("disk", known.view.readings.host_filesystem.current())
        .and_then(|sample| sample.rows.iter().max_by(|a, b| used_percent(a).total_cmp(&used_percent(b))));
    fullest.map_or_else(Disk::default, |row| Disk {
        used_percent: Some(used_percent(row)),
        path: Some(row.path.to_string()),
        size_bytes: Some(row.size_bytes),
        available_bytes: Some(row.available_bytes),
        level: known.thresholds.disk_percent.level(Some(used_percent(row))),
    })
}

/// As df has it.
pub(in crate::document) fn used_percent(row: &HostFilesystem) -> f64 {
    row.used_percent()
}
