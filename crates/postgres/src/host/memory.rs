//! `host_memory`: /proc/meminfo, /proc/vmstat and the memory limit of the postmaster's control group.

use super::{Rows, cgroup, int, source};
use pgtend_model::sample::{Unknown, host_memory::HostMemory};
use procfs::Meminfo;
use std::path::Path;

const MEMINFO: &str = "/proc/meminfo";
const VMSTAT: &str = "/proc/vmstat";

pub fn read(group: &cgroup::Group) -> Result<Rows<HostMemory>, Unknown> {
    row(&source::text(MEMINFO)?, &source::text(VMSTAT)?, procfs::page_size(), group.limits()).map(|row| Rows::whole(vec![row]))
}

/// Memory of the machine, in bytes.
pub fn total_bytes() -> Result<u64, Unknown> {
    source::parsed::<Meminfo>(MEMINFO).map(|memory| memory.mem_total)
}

fn row(meminfo: &str, vmstat: &str, page_bytes: u64, limits: cgroup::Limits) -> Result<HostMemory, Unknown> {
    let memory: Meminfo = source::parse(Path::new(MEMINFO), meminfo)?;
    let event = |name: &str| vmstat.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse::<u64>().ok());
    Ok(HostMemory {
        total_bytes: int(memory.mem_total),
        available_bytes: memory.mem_available.map(int),
        free_bytes: int(memory.mem_free),
        buffers_bytes: int(memory.buffers),
        cached_bytes: int(memory.cached),
        shared_bytes: memory.shmem.map(int),
        anonymous_bytes: memory.anon_pages.map(int),
        page_tables_bytes: memory.page_tables.map(int),
        dirty_bytes: int(memory.dirty),
        writeback_bytes: int(memory.writeback),
        swap_total_bytes: int(memory.swap_total),
        swap_free_bytes: int(memory.swap_free),
        swap_in_bytes: event("pswpin").map(|pages| int(pages * page_bytes)),
        swap_out_bytes: event("pswpout").map(|pages| int(pages * page_bytes)),
        huge_pages: memory.hugepages_total.map(int),
        huge_pages_free: memory.hugepages_free.map(int),
        huge_pages_reserved: memory.hugepages_rsvd.map(int),
        huge_page_size_bytes: memory.hugepagesize.map(int),
        commit_limit_bytes: memory.commit_limit.map(int),
        committed_bytes: int(memory.committed_as),
        oom_kills: event("oom_kill").map(int),
        limit_bytes: limits.memory_bytes.map(int),
        limit_used_bytes: limits.memory_used_bytes.map(int),
        limit_inactive_file_bytes: limits.memory_inactive_file_bytes.map(int),
        limit_oom_kills: limits.oom_kills.map(int),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_bytes_and_events_are_found_by_their_whole_name() {
        let limits = cgroup::Limits { memory_bytes: Some(1 << 30), memory_used_bytes: Some(5 << 20), ..cgroup::Limits::default() };
        let row = row(include_str!("testdata/meminfo"), "pswpin 3\npswpout 5\noom_kill_x 9\noom_kill 2\n", 4096, limits).unwrap();
        assert_eq!(row.total_bytes, 24_684_088 * 1024);
        assert_eq!(row.available_bytes, Some(23_018_312 * 1024));
        assert_eq!((row.swap_in_bytes, row.swap_out_bytes, row.oom_kills), (Some(12_288), Some(20_480), Some(2)));
        assert_eq!((row.huge_pages, row.huge_page_size_bytes), (Some(64), Some(2 << 20)));
        assert_eq!((row.limit_bytes, row.limit_used_bytes, row.limit_oom_kills), (Some(1 << 30), Some(5 << 20), None));
    }
}
