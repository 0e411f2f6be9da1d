//! What the planner and the I/O layer may assume of the hardware.

use super::{Machine, Section, Setting};

pub(super) fn settings(machine: &Machine) -> Vec<Setting> {
    let set = |name, value: String, reason: &str| Section::Planner.set(name, value, reason);
    let mut settings = vec![match machine.rotational {
        Some(true) => set("random_page_cost", "4".into(), "the data lies on a spinning disk, where every jump waits for the arm"),
        Some(false) => set(
            "random_page_cost",
            "1.1".into(),
            "the data lies on a solid-state disk, where a page out of order costs about as much as the next one",
        ),
        None => set(
            "random_page_cost",
            "1.1".into(),
            "the system does not say what kind of disk this is; fit for solid-state and cloud disks, set 4 for a spinning one",
        ),
    }];
    if machine.major < 18 && machine.rotational != Some(true) {
        settings.push(set(
            "effective_io_concurrency",
            "200".into(),
            "bitmap scans ask for this many pages ahead; one, the default of this major, leaves a modern disk idle",
        ));
    }
    if machine.major >= 18 {
        settings.push(set(
            "io_method",
            "worker".into(),
            "reads run ahead in worker processes; io_uring needs a build and a kernel that allow it, this works everywhere",
        ));
        settings.push(set("io_workers", (machine.cpus / 4).clamp(3, 32).to_string(), "a quarter of the CPUs, at least the default of 3"));
    }
    if machine.cpus > 8 {
        settings.push(set(
            "max_worker_processes",
            (machine.cpus + 8).to_string(),
            "room for parallel queries on every CPU beside replication and extensions",
        ));
        settings.push(set(
            "max_parallel_workers",
            machine.cpus.to_string(),
            "parallel queries together may use every CPU; the default of 8 leaves some idle",
        ));
    }
    settings
}
