//! The agent's own process, for its documents about itself.

use crate::agent::Agent;
use pgtend_model::document::overview::Process;
use std::fs;

/// What the agent's process is and uses now.
pub(super) fn now(agent: &Agent) -> Process {
    let stat = procfs::process::Process::myself().and_then(|own| own.stat()).ok();
    let ticks = procfs::ticks_per_second();
    #[expect(clippy::cast_precision_loss, reason = "seconds need no more than a double's precision")]
    let seconds = |stat: &procfs::process::Stat| (stat.utime + stat.stime) as f64 / ticks as f64;
    Process {
        pid: std::process::id(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        started_at: agent.started_at(),
        memory_bytes: stat.as_ref().map(|stat| stat.rss * procfs::page_size()),
        cpu_seconds: stat.as_ref().map(seconds),
        threads: stat.as_ref().and_then(|stat| u64::try_from(stat.num_threads).ok()),
        open_files: fs::read_dir("/proc/self/fd").ok().map(|files| files.count().saturating_sub(1)),
        tasks: agent.tasks().running(),
    }
}
