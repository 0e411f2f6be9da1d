//! Processor time of each session between two readings of the host.

use crate::sample::Slot;
use crate::sample::host_process::HostProcess;
use std::collections::HashMap;
use std::time::Duration;

/// Processor time in ms by process id over an interval, at the pace of the newest two readings. A process that started between them counts
/// from its start. Empty where the host is not read.
pub fn cpu_ms(processes: &Slot<HostProcess>, interval: Duration) -> HashMap<i64, f32> {
    let Ok((older, newer, seconds)) = processes.pair() else { return HashMap::new() };
    let scale = interval.as_secs_f64() * 1000.0 / seconds;
    let before: HashMap<(i64, i64), f64> = older.rows.iter().map(|row| ((row.pid, row.start_ticks), row.cpu_seconds)).collect();
    let grown = |row: &HostProcess| row.cpu_seconds - before.get(&(row.pid, row.start_ticks)).unwrap_or(&0.0);
    #[expect(clippy::cast_possible_truncation, reason = "milliseconds of one interval fit with precision to spare")]
    newer.rows.iter().map(|row| (row.pid, (grown(row).max(0.0) * scale) as f32)).collect()
}
