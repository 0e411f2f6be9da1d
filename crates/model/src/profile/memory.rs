//! Memory and connections.

use super::{GIB, MIB, Machine, Section, Setting, size};
use crate::units::show_bytes;

/// Below this, parallel queries run out of POSIX shared memory. Docker gives a container 64 MB.
const SHARED_MEMORY_WANTED_BYTES: u64 = 256 * MIB;

pub(super) fn settings(machine: &Machine) -> Vec<Setting> {
    let set = |name, value: String, reason: String| Section::Memory.set(name, value, reason);
    let shared_bytes = shared_buffers_bytes(machine);
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    let memory = show_bytes(machine.memory_bytes as f64);
    let connections = machine.max_connections();
    let mut settings = vec![
        set(
            "max_connections",
            connections.to_string(),
            "each connection is a process with memory of its own; a pooler serves more clients than a higher figure here".into(),
        ),
        set(
            "shared_buffers",
            size(shared_bytes),
            format!(
                "a quarter of the {memory} here, at most 64 GB: the operating system caches the rest, and PostgreSQL reads through that cache"
            ),
        ),
        set(
            "effective_cache_size",
            size(machine.memory_bytes / 4 * 3),
            "three quarters of the memory: what the planner may expect to find cached, nothing is allocated".into(),
        ),
        set(
            "work_mem",
            size(work_mem_bytes(machine)),
            format!(
                "one sort or hash may use it, and a query may have several: the memory beside shared_buffers, over {connections} connections and four of them each"
            ),
        ),
        set("maintenance_work_mem", size(maintenance_bytes(machine)), maintenance_reason(machine.major).into()),
    ];
    if machine.major >= 16 {
        settings.push(set(
            "reserved_connections",
            "2".into(),
            "kept for roles with pg_use_reserved_connections: pgtend still gets in when an application has taken every other slot".into(),
        ));
    }
    if let Some(bytes) = machine.shared_memory_bytes.filter(|bytes| *bytes < SHARED_MEMORY_WANTED_BYTES) {
        settings.push(set("dynamic_shared_memory_type", "sysv".into(), format!("/dev/shm holds only {} here, as in a container: parallel queries would fail with \"could not resize shared memory segment\"", size(bytes))));
    }
    settings
}

fn shared_buffers_bytes(machine: &Machine) -> u64 {
    whole_mib((machine.memory_bytes / 4).clamp(32 * MIB, 64 * GIB))
}

fn work_mem_bytes(machine: &Machine) -> u64 {
    let beside = machine.memory_bytes.saturating_sub(shared_buffers_bytes(machine));
    whole_mib((beside / (machine.max_connections() * 4)).clamp(2 * MIB, 128 * MIB))
}

fn maintenance_bytes(machine: &Machine) -> u64 {
    let most = if machine.major >= 17 { 2 * GIB } else { GIB };
    whole_mib((machine.memory_bytes / 20).clamp(16 * MIB, most))
}

const fn maintenance_reason(major: u16) -> &'static str {
    if major >= 17 {
        "a twentieth of the memory: each of three autovacuum workers and each index build may use it"
    } else {
        "a twentieth of the memory, at most 1 GB, since vacuum of this major uses no more: each of three autovacuum workers may take it"
    }
}

const fn whole_mib(bytes: u64) -> u64 {
    bytes / MIB * MIB
}
