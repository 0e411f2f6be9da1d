//! What the profile of a new server is sized to: this machine, or the container that we are in.

use super::os_user::OsUser;
use crate::host::cgroup::Group;
use pgtend_model::profile::Machine;
use pgtend_model::up::Installation;
use rustix::fs::statvfs;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Clock sources that are read without leaving the program.
const FAST_CLOCKS: &[&str] = &["tsc", "kvm-clock", "hyperv_clocksource_tsc_page", "arch_sys_counter", "timebase", "tod"];
const SLOW_CLOCKS: &[&str] = &["hpet", "acpi_pm", "jiffies", "refined-jiffies", "xen"];

/// Looks at the machine and at the file system that holds, or will hold, `directory`.
pub fn survey(installation: &Installation, user: &OsUser, directory: &Path) -> Machine {
    let existing = existing_ancestor(directory);
    Machine {
        major: installation.major,
        memory_bytes: memory_bytes(),
        cpus: std::thread::available_parallelism().map_or(1, |cpus| u32::try_from(cpus.get()).unwrap_or(u32::MAX)),
        rotational: rotational(existing),
        disk_bytes: size_bytes(existing),
        shared_memory_bytes: size_bytes(Path::new("/dev/shm")),
        fast_clock: fast_clock(),
        lz4: pg_config(installation, user, "--configure").is_some_and(|flags| flags.contains("--with-lz4")),
        available_libraries: libraries(installation, user),
    }
}

/// Bytes that an ordinary user can still write on the file system that holds, or will hold, `directory`.
pub fn free_bytes(directory: &Path) -> Option<u64> {
    let found = statvfs(existing_ancestor(directory)).ok()?;
    Some(found.f_bavail.saturating_mul(found.f_frsize))
}

fn existing_ancestor(directory: &Path) -> &Path {
    directory.ancestors().find(|ancestor| ancestor.exists()).unwrap_or(Path::new("/"))
}

fn size_bytes(path: &Path) -> Option<u64> {
    let found = statvfs(path).ok()?;
    let bytes = found.f_blocks.saturating_mul(found.f_frsize);
    (bytes > 0).then_some(bytes)
}

/// The machine's memory, or the limit of the control group that we are in where that is lower.
fn memory_bytes() -> u64 {
    use procfs::Current as _;
    // Without /proc there is nothing better than a small machine, which every real one can carry.
    let machine = procfs::Meminfo::current().map_or(1 << 30, |info| info.mem_total);
    let limit = Group::of(Path::new("/"), None).limits().memory_bytes;
    limit.map_or(machine, |limit| limit.min(machine))
}

/// Whether the disk spins, as the kernel says. A virtual disk that says so is not believed: hypervisors claim it of solid-state
/// storage too.
fn rotational(path: &Path) -> Option<bool> {
    let device = fs::metadata(path).ok()?.dev();
    let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
    let block = fs::canonicalize(format!("/sys/dev/block/{major}:{minor}")).ok()?;
    let disk = block.ancestors().take(2).find(|directory| directory.join("queue/rotational").exists())?;
    let spins = fs::read_to_string(disk.join("queue/rotational")).ok()?.trim() == "1";
    let name = disk.file_name()?.to_string_lossy();
    let is_virtual = ["vd", "xvd", "dm-", "md", "loop"].iter().any(|prefix| name.starts_with(prefix));
    if spins && is_virtual { None } else { Some(spins) }
}

fn fast_clock() -> Option<bool> {
    let text = fs::read_to_string("/sys/devices/system/clocksource/clocksource0/current_clocksource").ok()?;
    let name = text.trim();
    if FAST_CLOCKS.contains(&name) { Some(true) } else { SLOW_CLOCKS.contains(&name).then_some(false) }
}

fn pg_config(installation: &Installation, user: &OsUser, option: &str) -> Option<String> {
    let program = installation.bindir.join("pg_config");
    if !program.exists() {
        return None;
    }
    let output = user.run(|| user.command(&program).arg(option).output()).ok()?.ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The names of the loadable libraries. Where `pg_config` is missing (it often comes in a development package), the places relative
/// to the programs are tried; the directory with `plpgsql`, which every installation has, is the one.
fn libraries(installation: &Installation, user: &OsUser) -> Vec<String> {
    let bindir = &installation.bindir;
    let relative = ["../lib", "../lib/postgresql", "../lib64/pgsql", "../lib/pgsql", "../lib64", "../lib64/postgresql"];
    let mut places: Vec<PathBuf> = pg_config(installation, user, "--pkglibdir").map(PathBuf::from).into_iter().collect();
    places.extend(relative.iter().map(|place| bindir.join(place)));
    places.push(PathBuf::from(format!("/usr/lib/postgresql{}", installation.major)));
    let names = places.iter().map(|place| library_names(place)).find(|names| names.iter().any(|name| name == "plpgsql"));
    names.unwrap_or_default()
}

fn library_names(directory: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    let files = entries.flatten().map(|entry| PathBuf::from(entry.file_name()));
    let libraries = files.filter(|file| file.extension().is_some_and(|extension| extension == "so" || extension == "dylib"));
    let mut names: Vec<String> = libraries.filter_map(|file| Some(file.file_stem()?.to_str()?.to_owned())).collect();
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_memory_disk_and_the_libraries_of_its_installation() {
        let user = OsUser::choose(None).unwrap();
        let installations = super::super::find::find(None, &user).unwrap();
        let machine = survey(&installations.usable[0], &user, Path::new("/tmp/not/there/yet"));
        assert!(machine.memory_bytes > 1 << 27 && machine.cpus > 0);
        assert!(machine.disk_bytes.is_some() && free_bytes(Path::new("/tmp")).is_some());
        assert!(machine.available_libraries.iter().any(|name| name == "plpgsql"), "{:?}", machine.available_libraries);
    }
}
