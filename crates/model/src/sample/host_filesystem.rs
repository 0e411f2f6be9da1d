//! Room on the file systems that hold the server's directories, from statvfs.

use super::Text;
use super::row::rows;

rows! {
    /// One directory of the server: its data directory, its WAL, its log, a tablespace.
    pub struct HostFilesystem {
        /// `data`, `wal`, `log` or `tablespace`.
        label role: Text;
        /// The directory, symbolic links followed.
        label path: Text;
        /// Where its file system is mounted; none when the mount is not to be seen from here.
        info mount_point: Option<Text>;
        /// Type of the file system.
        info fs_type: Option<Text>;
        /// The block device under it, as /proc/diskstats names it; none where there is none.
        info device: Option<Text>;
        /// Size.
        gauge size_bytes: i64, "bytes";
        /// In no use, what is kept for root included.
        gauge free_bytes: i64, "bytes";
        /// What the server can still write.
        gauge available_bytes: i64, "bytes";
        /// Files that there can be; 0 where the file system sets no number.
        gauge inodes: i64, "inodes";
        /// Files that can still be made.
        gauge inodes_free: i64, "inodes";
        /// Whether it is mounted read-only.
        gauge read_only: bool;
    }
}

impl HostFilesystem {
    /// Share in use, 0–100, as df has it: what is kept for root counts as neither used nor available.
    #[expect(clippy::cast_precision_loss, reason = "a share needs no more than a double's precision")]
    pub fn used_percent(&self) -> f64 {
        let used = self.size_bytes - self.free_bytes;
        100.0 * used as f64 / (used + self.available_bytes).max(1) as f64
    }
}
