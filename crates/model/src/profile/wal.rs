//! Write-ahead log and checkpoints.

use super::{GIB, MIB, Machine, Section, Setting, size};

pub(super) fn settings(machine: &Machine) -> Vec<Setting> {
    let set = |name, value: String, reason: &str| Section::Wal.set(name, value, reason);
    let most_bytes = max_wal_bytes(machine);
    let mut settings = vec![
        set("max_wal_size", size(most_bytes), max_wal_reason(machine)),
        set(
            "min_wal_size",
            size((most_bytes / 4).max(80 * MIB)),
            "files up to this are renamed for new WAL instead of being deleted and made again",
        ),
        set(
            "checkpoint_timeout",
            "15min".into(),
            "after each checkpoint every page is written to the WAL whole once; rarer checkpoints write less, at the price of a longer crash recovery",
        ),
    ];
    if machine.major < 14 {
        settings.push(set(
            "checkpoint_completion_target",
            "0.9".into(),
            "spreads the writes of a checkpoint over the whole interval; this major would do them in half of it",
        ));
    }
    settings.push(if machine.major >= 15 && machine.lz4 {
        set(
            "wal_compression",
            "lz4".into(),
            "whole pages make up most of the WAL; lz4 shrinks them for little CPU, and the archive and the standbys get less",
        )
    } else {
        set(
            "wal_compression",
            "on".into(),
            "whole pages make up most of the WAL; they shrink to a half or less for some CPU, and the archive and the standbys get less",
        )
    });
    if machine.major >= 17 {
        settings.push(set(
            "summarize_wal",
            "on".into(),
            "incremental backups need the summaries of the WAL since the last backup; they cannot be made afterwards",
        ));
    }
    settings
}

/// A quarter of the memory, since what was written between two checkpoints is about what fits there; and never so much that WAL alone
/// could fill the disk.
fn max_wal_bytes(machine: &Machine) -> u64 {
    let by_memory = (machine.memory_bytes / 4).clamp(GIB, 16 * GIB);
    let by_disk = machine.disk_bytes.map_or(4 * GIB, |bytes| bytes / 10).max(256 * MIB);
    let bytes = by_memory.min(by_disk);
    if bytes >= GIB { bytes / GIB * GIB } else { bytes / MIB * MIB }
}

const fn max_wal_reason(machine: &Machine) -> &'static str {
    match machine.disk_bytes {
        Some(_) => {
            "WAL between two checkpoints, a quarter of the memory within 1 and 16 GB and a tenth of this disk; reaching it forces a checkpoint"
        }
        None => "WAL between two checkpoints; reaching it forces a checkpoint. At most 4 GB, since the size of the disk could not be read",
    }
}
