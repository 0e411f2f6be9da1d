//! Block devices that carry the server's files, from /proc/diskstats.

use super::Text;
use super::row::rows;

rows! {
    /// One block device (a partition or logical volume where the file system is on one).
    pub struct HostDisk {
        /// Its name in /proc/diskstats.
        label device: Text;
        /// What it carries: `data`, `wal`, `log`, `tablespace`, separated by commas.
        info carries: Text;
        /// Reads completed.
        counter reads: i64, "operations";
        /// Writes completed.
        counter writes: i64, "operations";
        /// Bytes read.
        counter read_bytes: i64, "bytes";
        /// Bytes written.
        counter write_bytes: i64, "bytes";
        /// Time of all reads, each from its start to its end.
        counter read_seconds: f64, "seconds";
        /// Time of all writes, each from its start to its end.
        counter write_seconds: f64, "seconds";
        /// Cache flushes completed, what a commit waits for; none on kernels before 5.5.
        counter flushes: Option<i64>, "operations";
        /// Time of all flushes; none on kernels before 5.5.
        counter flush_seconds: Option<f64>, "seconds";
        /// Operations that run now.
        gauge in_flight: i64, "operations";
        /// Time with at least one operation running; on devices that work in parallel, full does not mean saturated.
        counter busy_seconds: f64, "seconds";
        /// Sum of the times of all operations, running ones included.
        counter queue_seconds: f64, "seconds";
    }
}
