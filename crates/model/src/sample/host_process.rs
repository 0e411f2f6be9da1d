//! The server's processes as the operating system sees them, from /proc/PID.

use super::Text;
use super::row::rows;

rows! {
    /// One child of the postmaster: a backend or an auxiliary process.
    pub struct HostProcess {
        /// Process id.
        label pid: i64;
        /// When it started, in clock ticks since boot; with `pid` it names a process for good.
        label start_ticks: i64, "ticks";
        /// The kernel's letter: `R` running, `S` asleep, `D` in a disk wait that cannot be interrupted, `T` stopped, `Z` dead, not yet reaped.
        info state: Text;
        /// Processor time used.
        counter cpu_seconds: f64, "seconds";
        /// Time for which it was ready to run and had no processor; none where the kernel does not count it.
        counter cpu_wait_seconds: Option<f64>, "seconds";
        /// Memory that is its own: sorts, hashes, caches, plans. Up to 10 s old.
        gauge rss_anon_bytes: Option<i64>, "bytes";
        /// Shared memory that it has touched, shared buffers mostly. Up to 10 s old.
        gauge rss_shmem_bytes: Option<i64>, "bytes";
        /// Bytes fetched from storage, the operating system's cache not counted; needs the server's user or root. Up to 10 s old.
        counter read_bytes: Option<i64>, "bytes";
        /// Bytes sent to storage; needs the server's user or root. Up to 10 s old.
        counter write_bytes: Option<i64>, "bytes";
    }
}
