//! The server's directories, the file systems under them and the devices under those.

use super::patience::Patient;
use super::source;
use pgtend_model::sample::{Reason, Unknown};
use procfs::process::{MountInfo, MountInfos};
use rustix::fs::{StatVfsMountFlags, major, minor};
use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a survey waits for file systems, all together.
pub const PATIENCE: Duration = Duration::from_secs(1);
/// How old a survey may be for questions that only need to know which devices there are.
const FRESH: Duration = Duration::from_secs(60);

/// A directory and what it is for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// `data`, `wal`, `log` or `tablespace`.
    pub role: &'static str,
    /// The directory, symbolic links followed.
    pub path: PathBuf,
}

/// A block device by its numbers.
pub type Device = (u32, u32);

/// What a directory's file system says.
#[derive(Debug, Clone)]
pub struct Measure {
    /// `st_dev` of the directory.
    device: Device,
    /// Room.
    pub room: Room,
}

/// Room on a file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    pub size_bytes: u64,
    pub free_bytes: u64,
    pub available_bytes: u64,
    pub inodes: u64,
    pub inodes_free: u64,
    pub read_only: bool,
}

/// A directory with what was found about it.
#[derive(Debug, Clone)]
pub struct Surveyed {
    /// The directory.
    pub place: Place,
    /// Its file system, or why that did not answer.
    pub measure: Result<Measure, Unknown>,
    /// Where that is mounted; none when this mount is not to be seen from here.
    pub mount: Option<Mount>,
}

/// A mount, as far as it matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// Where.
    pub point: PathBuf,
    /// Type of the file system.
    pub fs_type: String,
    /// The block device; none for file systems without one (tmpfs, overlay, NFS, ZFS).
    pub device: Option<Device>,
}

/// Finds and measures the server's directories.
#[derive(Debug)]
pub struct Places {
    data_directory: PathBuf,
    postmaster: i32,
    finding: Patient<io::Result<Vec<Place>>>,
    measuring: BTreeMap<PathBuf, Patient<io::Result<Measure>>>,
    last: Option<(Instant, Arc<[Surveyed]>)>,
}

impl Places {
    pub fn new(data_directory: &Path, postmaster: i32) -> Self {
        Self {
            data_directory: data_directory.to_path_buf(),
            postmaster,
            finding: Patient::default(),
            measuring: BTreeMap::new(),
            last: None,
        }
    }

    pub fn data_directory(&self) -> &Path {
        &self.data_directory
    }

    /// The directories as the last survey found them.
    pub fn known(&self) -> Vec<(&'static str, PathBuf)> {
        self.last.iter().flat_map(|(_, places)| places.iter()).map(|at| (at.place.role, at.place.path.clone())).collect()
    }

    /// The last survey while it is fresh, a new one otherwise.
    pub fn recent(&mut self) -> Result<Arc<[Surveyed]>, Unknown> {
        match &self.last {
            Some((at, places)) if at.elapsed() < FRESH => Ok(places.clone()),
            _ => self.survey(),
        }
    }

    /// Looks at every directory now. One that hangs spoils itself only, unless it is the data directory.
    pub fn survey(&mut self) -> Result<Arc<[Surveyed]>, Unknown> {
        let deadline = Instant::now() + PATIENCE;
        let (data_directory, postmaster) = (self.data_directory.clone(), self.postmaster);
        self.finding.ask(move || find(&data_directory, postmaster));
        let places = self
            .finding
            .answer(deadline)
            .ok_or_else(|| hangs(&self.data_directory))?
            .map_err(|error| source::unreadable(&self.data_directory, &error))?;
        let mounts = source::parsed::<MountInfos>("/proc/self/mountinfo").map(|mounts| mounts.0).unwrap_or_default();
        self.measuring.retain(|path, _| places.iter().any(|place| place.path == *path));
        for place in &places {
            let path = place.path.clone();
            self.measuring.entry(path.clone()).or_default().ask(move || measure(&path));
        }
        let surveyed: Arc<[Surveyed]> = places
            .into_iter()
            .map(|place| {
                let answer = self.measuring.get_mut(&place.path).and_then(|patient| patient.answer(deadline));
                let measure = match answer {
                    None => Err(hangs(&place.path)),
                    Some(answer) => answer.map_err(|error| source::unreadable(&place.path, &error)),
                };
                let mount = measure.as_ref().ok().and_then(|measure| mount_of(&place.path, measure.device, &mounts));
                Surveyed { place, measure, mount }
            })
            .collect();
        self.last = Some((Instant::now(), surveyed.clone()));
        Ok(surveyed)
    }
}

fn hangs(path: &Path) -> Unknown {
    Unknown::new(Reason::Timeout, format!("the file system of {} did not answer within {} s", path.display(), PATIENCE.as_secs()))
}

/// The directories of a server, from what the data directory says of itself.
fn find(data_directory: &Path, postmaster: i32) -> io::Result<Vec<Place>> {
    let data = data_directory.canonicalize()?;
    // Links are read, not followed: what they lead to may hang, and that is asked later, each place on its own.
    let target = |link: &Path| std::fs::read_link(link).map(|target| data.join(target));
    let wal = data.join("pg_wal");
    let mut places = vec![Place { role: "wal", path: target(&wal).unwrap_or(wal) }];
    for entry in std::fs::read_dir(data.join("pg_tblspc"))?.flatten() {
        if let Ok(path) = target(&entry.path()) {
            places.push(Place { role: "tablespace", path });
        }
    }
    if let Some(path) = log_directory(&data, postmaster) {
        places.push(Place { role: "log", path });
    }
    places.push(Place { role: "data", path: data });
    places.sort();
    Ok(places)
}

/// Where the server's log goes: as the logging collector notes it, otherwise where the postmaster's standard error leads.
fn log_directory(data: &Path, postmaster: i32) -> Option<PathBuf> {
    let noted = std::fs::read_to_string(data.join("current_logfiles")).ok();
    let noted = noted.as_deref().and_then(|text| text.lines().next()?.split_once(' ')).map(|(_, file)| data.join(file));
    let file = noted.or_else(|| {
        let file = std::fs::read_link(format!("/proc/{postmaster}/fd/2")).ok()?;
        (file.is_absolute() && !file.starts_with("/dev")).then_some(file)
    })?;
    file.parent().map(Path::to_path_buf)
}

fn measure(path: &Path) -> io::Result<Measure> {
    let device = std::fs::metadata(path)?.dev();
    let told = rustix::fs::statvfs(path)?;
    let room = Room {
        size_bytes: told.f_blocks.saturating_mul(told.f_frsize),
        free_bytes: told.f_bfree.saturating_mul(told.f_frsize),
        available_bytes: told.f_bavail.saturating_mul(told.f_frsize),
        inodes: told.f_files,
        inodes_free: told.f_favail,
        read_only: told.f_flag.contains(StatVfsMountFlags::RDONLY),
    };
    Ok(Measure { device: (major(device), minor(device)), room })
}

/// The mount that a path is on: of those with its device number, the one with the longest matching path.
fn mount_of(path: &Path, device: Device, mounts: &[MountInfo]) -> Option<Mount> {
    let number = format!("{}:{}", device.0, device.1);
    let mount = mounts
        .iter()
        .filter(|mount| mount.majmin == number && path.starts_with(&mount.mount_point))
        .max_by_key(|mount| mount.mount_point.as_os_str().len())?;
    // btrfs and others number their volumes with major 0; the mount's source then names the device.
    let device = if device.0 != 0 { Some(device) } else { mount.mount_source.as_deref().and_then(block_device) };
    Some(Mount { point: mount.mount_point.clone(), fs_type: mount.fs_type.clone(), device })
}

fn block_device(source: &str) -> Option<Device> {
    let metadata = source.starts_with("/dev/").then(|| std::fs::metadata(source).ok())??;
    metadata.file_type().is_block_device().then(|| (major(metadata.rdev()), minor(metadata.rdev())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use procfs::FromRead;
    use std::os::unix::fs::symlink;

    #[test]
    fn directories_of_a_server() {
        let root = tempfile::tempdir().unwrap();
        let data = root.path().canonicalize().unwrap().join("data");
        for directory in ["pg_tblspc", "log"] {
            std::fs::create_dir_all(data.join(directory)).unwrap();
        }
        symlink("/fast/wal", data.join("pg_wal")).unwrap();
        symlink("/big/space", data.join("pg_tblspc/16400")).unwrap();
        std::fs::write(data.join("current_logfiles"), "stderr log/a.log\njsonlog log/a.json\n").unwrap();
        let found = find(&data, 0).unwrap();
        let found: Vec<(&str, PathBuf)> = found.into_iter().map(|place| (place.role, place.path)).collect();
        let expected =
            [("data", data.clone()), ("log", data.join("log")), ("tablespace", "/big/space".into()), ("wal", "/fast/wal".into())];
        assert_eq!(found, expected);
    }

    #[test]
    fn the_innermost_mount_of_the_device_counts() {
        let text = "27 1 254:0 / / rw - ext4 /dev/vda rw\n\
                    40 27 254:16 / /var/lib/postgresql rw - xfs /dev/vdb rw\n\
                    41 40 254:0 /x /var/lib/postgresql/15/log rw - ext4 /dev/vda rw\n\
                    42 27 0:40 / /btr rw - btrfs /dev/no-such-device rw\n";
        let mounts = MountInfos::from_read(text.as_bytes()).unwrap().0;
        let point = |path: &str, device| mount_of(Path::new(path), device, &mounts).map(|mount| (mount.point, mount.device));
        assert_eq!(point("/var/lib/postgresql/15/main", (254, 16)), Some(("/var/lib/postgresql".into(), Some((254, 16)))));
        assert_eq!(point("/var/lib/postgresql/15/log", (254, 0)), Some(("/var/lib/postgresql/15/log".into(), Some((254, 0)))));
        assert_eq!(point("/btr/data", (0, 40)), Some(("/btr".into(), None)));
        assert_eq!(point("/elsewhere", (8, 1)), None);
    }
}
