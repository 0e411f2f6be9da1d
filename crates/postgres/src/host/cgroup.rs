//! Limits that the kernel sets a process through its control group: containers, systemd services. Versions 1 and 2.

use procfs::FromRead;
use procfs::process::{MountInfo, MountInfos};
use std::path::{Path, PathBuf};

/// Version 1 writes "no limit" as the largest multiple of a page below 2^63.
const UNLIMITED: u64 = 1 << 62;

/// What a control group may use, and what it met. Everything is none where there is no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Limits {
    /// Memory.
    pub memory_bytes: Option<u64>,
    /// Memory in use, file cache included.
    pub memory_used_bytes: Option<u64>,
    /// The part of it that is file cache in no recent use, which the kernel gives up first.
    pub memory_inactive_file_bytes: Option<u64>,
    /// Processes killed because of the memory limit.
    pub oom_kills: Option<u64>,
    /// Processors.
    pub cores: Option<f64>,
    /// Time for which the group was held back because of the processor limit.
    pub throttled_seconds: Option<f64>,
}

/// Where the files of a process's control group are: the group's own directory first, then its ancestors', each of which may limit it.
#[derive(Debug, Clone, Default)]
pub struct Group {
    memory: Vec<PathBuf>,
    cpu: Vec<PathBuf>,
}

impl Group {
    /// Finds the group of a process (none: of this one) in the file system under `root`.
    pub fn of(root: &Path, pid: Option<i32>) -> Self {
        let process = pid.map_or_else(|| "self".to_owned(), |pid| pid.to_string());
        let membership = std::fs::read_to_string(root.join("proc").join(process).join("cgroup")).unwrap_or_default();
        let mounts = std::fs::read(root.join("proc/self/mountinfo")).unwrap_or_default();
        let mounts = MountInfos::from_read(mounts.as_slice()).map(|mounts| mounts.0).unwrap_or_default();
        Self { memory: directories(root, &membership, &mounts, "memory"), cpu: directories(root, &membership, &mounts, "cpu") }
    }

    /// Reads the limits; the tightest of the group and its ancestors counts.
    pub fn limits(&self) -> Limits {
        let mut limits = Limits::default();
        for directory in &self.memory {
            let number = |name: &str| number(directory, name);
            let Some(bytes) = number("memory.max").or_else(|| number("memory.limit_in_bytes")).filter(|bytes| *bytes < UNLIMITED) else {
                continue;
            };
            if limits.memory_bytes.is_none_or(|tightest| bytes < tightest) {
                limits.memory_bytes = Some(bytes);
                limits.memory_used_bytes = number("memory.current").or_else(|| number("memory.usage_in_bytes"));
                limits.memory_inactive_file_bytes =
                    ["total_inactive_file", "inactive_file"].iter().find_map(|key| keyed(directory, "memory.stat", key));
                limits.oom_kills =
                    keyed(directory, "memory.events", "oom_kill").or_else(|| keyed(directory, "memory.oom_control", "oom_kill"));
            }
        }
        for directory in &self.cpu {
            let Some(cores) = cores(directory).filter(|cores| limits.cores.is_none_or(|tightest| *cores < tightest)) else { continue };
            limits.cores = Some(cores);
            limits.throttled_seconds = throttled_seconds(directory);
        }
        limits
    }
}

/// The directories that govern one controller of a process, from its own group upwards as far as they can be seen.
fn directories(root: &Path, membership: &str, mounts: &[MountInfo], controller: &str) -> Vec<PathBuf> {
    let group_in = |wanted: &dyn Fn(&str) -> bool| {
        membership.lines().find_map(|line| {
            let mut parts = line.splitn(3, ':').skip(1);
            let (controllers, path) = (parts.next()?, parts.next()?);
            wanted(controllers).then_some(path)
        })
    };
    let version_1 = group_in(&|controllers| controllers.split(',').any(|name| name == controller)).and_then(|path| {
        let mount = mounts.iter().find(|mount| mount.fs_type == "cgroup" && mount.super_options.contains_key(controller))?;
        Some((path, mount))
    });
    let version_2 = || Some((group_in(&str::is_empty)?, mounts.iter().find(|mount| mount.fs_type == "cgroup2")?));
    let Some((path, mount)) = version_1.or_else(version_2) else { return Vec::new() };
    // In a container the mount shows the group itself as its root, whatever the path says outside.
    let below = path.strip_prefix(mount.root.trim_end_matches('/')).unwrap_or("").trim_start_matches('/');
    let top = root.join(mount.mount_point.strip_prefix("/").unwrap_or(&mount.mount_point));
    let mut at = top.join(below);
    if !at.is_dir() {
        at.clone_from(&top);
    }
    at.ancestors().take_while(|directory| directory.starts_with(&top)).map(Path::to_path_buf).collect()
}

fn number(directory: &Path, file: &str) -> Option<u64> {
    std::fs::read_to_string(directory.join(file)).ok()?.trim().parse().ok()
}

fn keyed(directory: &Path, file: &str, key: &str) -> Option<u64> {
    let text = std::fs::read_to_string(directory.join(file)).ok()?;
    text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')?.trim().parse().ok())
}

#[expect(clippy::cast_precision_loss, reason = "quotas are microseconds")]
fn cores(directory: &Path) -> Option<f64> {
    let (quota, period) = match std::fs::read_to_string(directory.join("cpu.max")) {
        Ok(text) => {
            let (quota, period) = text.trim().split_once(' ')?;
            (quota.parse().ok()?, period.parse().ok()?)
        }
        // Version 1 writes -1 for no limit, which is no u64.
        Err(_) => (number(directory, "cpu.cfs_quota_us")?, number(directory, "cpu.cfs_period_us")?),
    };
    (period > 0).then(|| quota as f64 / period as f64)
}

#[expect(clippy::cast_precision_loss, reason = "metrics are doubles by definition")]
fn throttled_seconds(directory: &Path) -> Option<f64> {
    let version_2 = keyed(directory, "cpu.stat", "throttled_usec").map(|us| us as f64 / 1e6);
    version_2.or_else(|| keyed(directory, "cpu.stat", "throttled_time").map(|ns| ns as f64 / 1e9))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        root
    }

    #[test]
    fn version_2_takes_the_tightest_ancestor() {
        let root = tree(&[
            ("proc/7/cgroup", "0::/pods/db\n"),
            ("proc/self/mountinfo", "31 23 0:28 / /sys/fs/cgroup rw,relatime - cgroup2 cgroup2 rw\n"),
            ("sys/fs/cgroup/pods/memory.max", "1073741824\n"),
            ("sys/fs/cgroup/pods/memory.current", "5000\n"),
            ("sys/fs/cgroup/pods/memory.stat", "anon 3000\ninactive_file 1500\n"),
            ("sys/fs/cgroup/pods/memory.events", "low 0\noom 4\noom_kill 3\n"),
            ("sys/fs/cgroup/pods/cpu.max", "max 100000\n"),
            ("sys/fs/cgroup/pods/db/memory.max", "max\n"),
            ("sys/fs/cgroup/pods/db/cpu.max", "150000 100000\n"),
            ("sys/fs/cgroup/pods/db/cpu.stat", "usage_usec 1\nthrottled_usec 2500000\n"),
        ]);
        let expected = Limits {
            memory_bytes: Some(1 << 30),
            memory_used_bytes: Some(5000),
            memory_inactive_file_bytes: Some(1500),
            oom_kills: Some(3),
            cores: Some(1.5),
            throttled_seconds: Some(2.5),
        };
        assert_eq!(Group::of(root.path(), Some(7)).limits(), expected);
    }

    #[test]
    fn version_1_inside_a_container_reads_the_mounted_group() {
        let mounts = "32 31 0:29 /docker/ab /sys/fs/cgroup/cpu ro - cgroup cgroup rw,cpu,cpuacct\n\
                      35 31 0:32 /docker/ab /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n";
        let root = tree(&[
            ("proc/7/cgroup", "4:memory:/docker/ab\n2:cpu,cpuacct:/docker/ab\n"),
            ("proc/self/mountinfo", mounts),
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", "536870912\n"),
            ("sys/fs/cgroup/memory/memory.usage_in_bytes", "1024\n"),
            ("sys/fs/cgroup/memory/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n"),
            ("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n"),
            ("sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n"),
        ]);
        let limits = Group::of(root.path(), Some(7)).limits();
        assert_eq!((limits.memory_bytes, limits.memory_used_bytes, limits.oom_kills), (Some(512 << 20), Some(1024), Some(1)));
        assert_eq!((limits.cores, limits.throttled_seconds), (None, None));
    }

    #[test]
    fn no_limit_is_none() {
        let root = tree(&[
            ("proc/7/cgroup", "4:memory:/\n0::/\n"),
            ("proc/self/mountinfo", "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"),
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"),
        ]);
        assert_eq!(Group::of(root.path(), Some(7)).limits(), Limits::default());
    }
}
