//! What each server process used of the host between the last two readings of /proc.

use crate::sample::host_process::HostProcess;
use crate::sample::{Slot, Unknown};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use utoipa::ToSchema;

/// What one process uses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Usage {
    /// Processor time in per cent of one core, between the last two readings; null at its first reading.
    pub cpu_percent: Option<f64>,
    /// Memory that is its own, without shared buffers, in bytes.
    pub memory_bytes: Option<i64>,
    /// Bytes fetched from storage since it started.
    pub read_bytes: Option<i64>,
    /// Bytes sent to storage since it started.
    pub write_bytes: Option<i64>,
}

/// The usage of every server process, by process id.
///
/// # Errors
/// Why there are no readings: the server is on another host, for instance.
pub fn by_pid(slot: &Slot<HostProcess>) -> Result<HashMap<i64, Usage>, Unknown> {
    let newer = slot.current().map_err(Clone::clone)?;
    let older = slot.pair().ok();
    let before: HashMap<(i64, i64), &HostProcess> =
        older.iter().flat_map(|(older, ..)| &older.rows).map(|row| ((row.pid, row.start_ticks), row)).collect();
    let seconds = older.map_or(1.0, |(.., seconds)| seconds);
    Ok(newer.rows.iter().map(|row| (row.pid, usage(before.get(&(row.pid, row.start_ticks)).copied(), row, seconds))).collect())
}

/// A process that a later one has replaced under the same id has no reading before, so nothing is charged to it.
fn usage(older: Option<&HostProcess>, newer: &HostProcess, seconds: f64) -> Usage {
    Usage {
        cpu_percent: older.map(|older| 100.0 * (newer.cpu_seconds - older.cpu_seconds).max(0.0) / seconds),
        memory_bytes: newer.rss_anon_bytes,
        read_bytes: newer.read_bytes,
        write_bytes: newer.write_bytes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::Sample;
    use jiff::Timestamp;
    use std::time::Duration;

    fn process(pid: i64, start_ticks: i64, cpu_seconds: f64, read_bytes: i64) -> HostProcess {
        HostProcess {
            pid,
            start_ticks,
            state: "R".into(),
            cpu_seconds,
            cpu_wait_seconds: None,
            rss_anon_bytes: Some(4096),
            rss_shmem_bytes: None,
            read_bytes: Some(read_bytes),
            write_bytes: None,
        }
    }

    fn slot(samples: Vec<Vec<HostProcess>>) -> Slot<HostProcess> {
        let mut slot = Slot::default();
        for (second, rows) in samples.into_iter().enumerate() {
            let at = Timestamp::from_second(2 * i64::try_from(second).unwrap()).unwrap();
            slot.put(Ok(Sample { at, took: Duration::ZERO, rows, missing: Vec::new() }));
        }
        slot
    }

    #[test]
    fn a_process_is_charged_for_what_it_used_itself() {
        let slot =
            slot(vec![vec![process(1, 10, 5.0, 100), process(2, 10, 9.0, 0)], vec![process(1, 10, 6.0, 2100), process(2, 99, 9.5, 0)]]);
        let used = by_pid(&slot).unwrap();
        assert_eq!((used[&1].cpu_percent, used[&1].read_bytes), (Some(50.0), Some(2100)));
        assert_eq!((used[&2].cpu_percent, used[&2].memory_bytes), (None, Some(4096)));
    }

    #[test]
    fn without_readings_the_reason_is_told() {
        assert!(by_pid(&Slot::default()).is_err());
    }
}
