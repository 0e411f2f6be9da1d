//! Processor time of each session between two readings of the host.

use crate::sample::Slot;
use crate::sample::host_process::HostProcess;
use std::collections::HashMap;

/// Processor time in ms by process id, between the newest two readings. A process that started in between counts from its start.
/// Empty where the host is not read.
pub fn cpu_ms(processes: &Slot<HostProcess>) -> HashMap<i64, f32> {
    let Ok((older, newer, _)) = processes.pair() else { return HashMap::new() };
    let before: HashMap<(i64, i64), f64> = older.rows.iter().map(|row| ((row.pid, row.start_ticks), row.cpu_seconds)).collect();
    let grown = |row: &HostProcess| row.cpu_seconds - before.get(&(row.pid, row.start_ticks)).unwrap_or(&0.0);
    #[expect(clippy::cast_possible_truncation, reason = "milliseconds of one interval fit with precision to spare")]
    newer.rows.iter().map(|row| (row.pid, (grown(row).max(0.0) * 1000.0) as f32)).collect()
}
