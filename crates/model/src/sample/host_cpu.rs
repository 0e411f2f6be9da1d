//! Processors of the server's host, from /proc/stat, /proc/loadavg and the postmaster's control group.

use super::row::rows;
use jiff::Timestamp;

rows! {
    /// One row: all processors together. Times are sums over the processors.
    pub struct HostCpu {
        /// Time in programs.
        counter user_seconds: f64, "seconds";
        /// Time in programs of low priority.
        counter nice_seconds: f64, "seconds";
        /// Time in the kernel.
        counter system_seconds: f64, "seconds";
        /// Time without work.
        counter idle_seconds: f64, "seconds";
        /// Time without work while a disk was waited for; the kernel's estimate.
        counter iowait_seconds: f64, "seconds";
        /// Time in interrupts.
        counter irq_seconds: f64, "seconds";
        /// Time in deferred interrupt work, network traffic mostly.
        counter softirq_seconds: f64, "seconds";
        /// Time that the hypervisor gave to other guests.
        counter steal_seconds: f64, "seconds";
        /// Processors online.
        gauge cores: i64, "cores";
        /// Processors that the control group of the server may use; none without a limit.
        gauge limit_cores: Option<f64>, "cores";
        /// Time for which the control group was held back because of its limit; none without a limit.
        counter throttled_seconds: Option<f64>, "seconds";
        /// Processes that ran or waited for a processor or a disk, mean of one minute.
        gauge load1: f64, "processes";
        /// The same, mean of five minutes.
        gauge load5: f64, "processes";
        /// The same, mean of fifteen minutes.
        gauge load15: f64, "processes";
        /// Processes that run or wait for a processor now.
        gauge runnable: Option<i64>, "processes";
        /// Processes that wait for a disk now.
        gauge blocked: Option<i64>, "processes";
        /// Context switches since boot.
        counter context_switches: i64, "switches";
        /// Processes and threads created since boot.
        counter forks: i64, "processes";
        /// When the host was booted.
        info booted_at: Option<Timestamp>;
    }
}

impl HostCpu {
    /// Processor time since boot that was neither idle nor spent in waiting for a disk, in seconds.
    pub fn busy_seconds(&self) -> f64 {
        self.user_seconds + self.nice_seconds + self.system_seconds + self.irq_seconds + self.softirq_seconds + self.steal_seconds
    }

    /// All processor time since boot, in seconds.
    pub fn total_seconds(&self) -> f64 {
        self.busy_seconds() + self.idle_seconds + self.iowait_seconds
    }

    /// Share of the processor time between two readings that was not idle, 0–100; none when no time passed or the host was booted between.
    pub fn busy_percent(older: &Self, newer: &Self) -> Option<f64> {
        let total = newer.total_seconds() - older.total_seconds();
        let busy = newer.busy_seconds() - older.busy_seconds();
        (total > 0.0 && busy >= 0.0).then(|| (100.0 * busy / total).min(100.0))
    }
}
