//! `host_cpu`: /proc/stat, /proc/loadavg and the processor limit of the postmaster's control group.

use super::{Rows, cgroup, int, source};
use pgtend_model::sample::{Unknown, host_cpu::HostCpu};
use procfs::{FromBufReadSI, KernelStats, LoadAverage};
use std::path::Path;

const STAT: &str = "/proc/stat";
const LOADAVG: &str = "/proc/loadavg";

pub fn read(group: &cgroup::Group) -> Result<Rows<HostCpu>, Unknown> {
    row(&source::text(STAT)?, &source::text(LOADAVG)?, group.limits()).map(|row| Rows::whole(vec![row]))
}

fn row(stat: &str, loadavg: &str, limits: cgroup::Limits) -> Result<HostCpu, Unknown> {
    let stats = KernelStats::from_buf_read(stat.as_bytes(), &procfs::LocalSystemInfo)
        .map_err(|error| source::misshapen(Path::new(STAT), &error.to_string()))?;
    let load: LoadAverage = source::parse(Path::new(LOADAVG), loadavg)?;
    let cpu = &stats.total;
    let seconds = |duration: Option<std::time::Duration>| duration.map_or(0.0, |duration| duration.as_secs_f64());
    Ok(HostCpu {
        user_seconds: cpu.user_duration().as_secs_f64(),
        nice_seconds: cpu.nice_duration().as_secs_f64(),
        system_seconds: cpu.system_duration().as_secs_f64(),
        idle_seconds: cpu.idle_duration().as_secs_f64(),
        iowait_seconds: seconds(cpu.iowait_duration()),
        irq_seconds: seconds(cpu.irq_duration()),
        softirq_seconds: seconds(cpu.softirq_duration()),
        steal_seconds: seconds(cpu.steal_duration()),
        cores: int(stats.cpu_time.len() as u64),
        limit_cores: limits.cores,
        throttled_seconds: limits.throttled_seconds,
        load1: load_average(load.one),
        load5: load_average(load.five),
        load15: load_average(load.fifteen),
        runnable: stats.procs_running.map(i64::from),
        blocked: stats.procs_blocked.map(i64::from),
        context_switches: int(stats.ctxt),
        forks: int(stats.processes),
        booted_at: jiff::Timestamp::from_second(int(stats.btime)).ok(),
    })
}

/// The kernel writes two decimals; going through f32 would show 0.15000000596.
fn load_average(value: f32) -> f64 {
    (f64::from(value) * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAT_TEXT: &str = include_str!("testdata/stat");

    #[test]
    fn times_load_and_limits() {
        let limits = cgroup::Limits { cores: Some(1.5), ..cgroup::Limits::default() };
        let row = row(STAT_TEXT, "0.15 1.20 3.05 2/301 16107\n", limits).unwrap();
        assert_eq!(row.cores, 2);
        assert_eq!((row.load1, row.load5, row.load15), (0.15, 1.2, 3.05));
        assert_eq!(row.limit_cores, Some(1.5));
        assert_eq!((row.user_seconds, row.iowait_seconds, row.steal_seconds), (182.34, 23.51, 4.07));
        assert_eq!(row.context_switches, 3_512_345);
        assert_eq!(row.booted_at.unwrap().as_second(), 1_763_680_000);
    }

    #[test]
    fn a_text_without_processors_is_not_guessed_at() {
        let unknown = row("ctxt 1\nbtime 1\nprocesses 1\n", "0 0 0 1/1 1", cgroup::Limits::default()).unwrap_err();
        assert!(unknown.detail.starts_with("/proc/stat is not as expected"), "{unknown}");
    }
}
