//! Memory of the server's host, from /proc/meminfo, /proc/vmstat and the postmaster's control group.

use super::row::rows;

rows! {
    /// One row: the host's memory.
    pub struct HostMemory {
        /// Memory that the kernel manages.
        gauge total_bytes: i64, "bytes";
        /// The kernel's estimate of what programs can still get without swapping.
        gauge available_bytes: Option<i64>, "bytes";
        /// Memory in no use at all.
        gauge free_bytes: i64, "bytes";
        /// Cache of raw blocks.
        gauge buffers_bytes: i64, "bytes";
        /// Cache of files, shared memory included.
        gauge cached_bytes: i64, "bytes";
        /// Shared memory, PostgreSQL's shared buffers included unless they are in huge pages.
        gauge shared_bytes: Option<i64>, "bytes";
        /// Memory of programs that is no file's.
        gauge anonymous_bytes: Option<i64>, "bytes";
        /// Page tables; they grow with backends times shared buffers unless huge pages are used.
        gauge page_tables_bytes: Option<i64>, "bytes";
        /// Written by programs, not yet on disk.
        gauge dirty_bytes: i64, "bytes";
        /// On its way to disk now.
        gauge writeback_bytes: i64, "bytes";
        /// Swap space.
        gauge swap_total_bytes: i64, "bytes";
        /// Swap space in no use.
        gauge swap_free_bytes: i64, "bytes";
        /// Bytes read back from swap since boot.
        counter swap_in_bytes: Option<i64>, "bytes";
        /// Bytes written to swap since boot.
        counter swap_out_bytes: Option<i64>, "bytes";
        /// Huge pages set aside.
        gauge huge_pages: Option<i64>, "pages";
        /// Huge pages in no use.
        gauge huge_pages_free: Option<i64>, "pages";
        /// Huge pages promised, not yet used.
        gauge huge_pages_reserved: Option<i64>, "pages";
        /// Size of a huge page.
        gauge huge_page_size_bytes: Option<i64>, "bytes";
        /// Memory that may be promised to programs; enforced only where vm.overcommit_memory is 2.
        gauge commit_limit_bytes: Option<i64>, "bytes";
        /// Memory promised to programs.
        gauge committed_bytes: i64, "bytes";
        /// Processes killed for lack of memory since boot.
        counter oom_kills: Option<i64>, "processes";
        /// Memory that the control group of the server may use; none without a limit.
        gauge limit_bytes: Option<i64>, "bytes";
        /// Memory that the control group of the server uses, file cache included; none without a limit.
        gauge limit_used_bytes: Option<i64>, "bytes";
        /// The part of it that is file cache in no recent use, which the kernel gives up first; none without a limit.
        gauge limit_inactive_file_bytes: Option<i64>, "bytes";
        /// Processes of the control group killed for lack of memory; none without a limit.
        counter limit_oom_kills: Option<i64>, "processes";
    }
}
