//! Where a restore goes: never over a running server, never over what is not ours, and only where there is room.

use pgtend_model::backup::{BackupHead, FileEntry};
use pgtend_model::error::{Error, Kind, Result};
use pgtend_model::units::show_bytes;
use pgtend_postgres::files::control;
use pgtend_postgres::process::running::{State, status};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Room that is left beside what is written.
const RESERVE_BYTES: u64 = 64 << 20;

/// A place that may be written to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The data directory.
    pub data: PathBuf,
    /// Where tablespaces go, by OID.
    pub tablespaces: BTreeMap<u32, PathBuf>,
    /// Whether files that are there already may stay.
    pub delta: bool,
}

impl Place {
    /// Looks at a place for these files. `map` moves tablespaces, by OID or by their former path; those that are not in it go next to the data directory when it is
    /// a new one, and to their former place with `delta`.
    ///
    /// # Errors
    /// `Conflict` when a server runs there, or something else is in it; `Usage` when the map names what the backup does not have; `System` when
    /// there is not enough room.
    pub fn check(data: &Path, head: &BackupHead, files: &[&FileEntry], delta: bool, map: &BTreeMap<String, PathBuf>) -> Result<Self> {
        let data = std::path::absolute(data).map_err(|error| trouble("the directory cannot be made absolute", data, &error))?;
        not_running(&data)?;
        let empty = is_empty(&data)?;
        if !empty && !delta {
            return Err(Error::new(Kind::Conflict, "the directory is not empty")
                .at(data.display().to_string())
                .hint("name a new one; --delta goes over the copy of this cluster that is in it, and changes what differs"));
        }
        if !empty {
            same_cluster(&data, head)?;
        }
        let tablespaces = tablespaces(&data, head, delta && !empty, map)?;
        let place = Self { data, tablespaces, delta: delta && !empty };
        for path in place.tablespaces.values() {
            if !place.delta && !is_empty(path)? {
                return Err(Error::new(Kind::Conflict, "the tablespace's directory is not empty")
                    .at(path.display().to_string())
                    .hint("move it: --tablespace-map OID=DIR"));
            }
        }
        place.check_room(files)?;
        Ok(place)
    }

    /// The path of a file of the backup.
    pub fn path(&self, relative: &str) -> PathBuf {
        let moved = relative.strip_prefix("pg_tblspc/").and_then(|rest| {
            let (oid, below) = rest.split_once('/')?;
            Some(self.tablespaces.get(&oid.parse().ok()?)?.join(below))
        });
        moved.unwrap_or_else(|| self.data.join(relative))
    }

    fn check_room(&self, files: &[&FileEntry]) -> Result<()> {
        let mut wanted: BTreeMap<PathBuf, u64> = BTreeMap::new();
        for file in files {
            let oid = file.path.strip_prefix("pg_tblspc/").and_then(|rest| rest.split('/').next()?.parse::<u32>().ok());
            let root = oid.and_then(|oid| self.tablespaces.get(&oid)).unwrap_or(&self.data);
            let there = if self.delta { fs::metadata(self.path(&file.path)).map_or(0, |metadata| metadata.len()) } else { 0 };
            *wanted.entry(root.clone()).or_default() += file.bytes.saturating_sub(there);
        }
        let mut disks: BTreeMap<u64, (PathBuf, u64, u64)> = BTreeMap::new();
        for (root, bytes) in wanted {
            let Some((disk, free)) = free(&root) else { continue };
            disks.entry(disk).or_insert((root, 0, free)).1 += bytes;
        }
        for (root, bytes, free) in disks.into_values() {
            if bytes + RESERVE_BYTES > free {
                #[expect(clippy::cast_precision_loss, reason = "figures for people")]
                let what = format!("{} are needed and {} are free", show_bytes(bytes as f64), show_bytes(free as f64));
                return Err(Error::new(Kind::System, format!("there is not enough room: {what}"))
                    .at(root.display().to_string())
                    .hint("WAL that is replayed needs room too; choose another disk, or move tablespaces with --tablespace-map"));
            }
        }
        Ok(())
    }
}

fn tablespaces(data: &Path, head: &BackupHead, in_place: bool, map: &BTreeMap<String, PathBuf>) -> Result<BTreeMap<u32, PathBuf>> {
    let mut left: Vec<&String> = map.keys().collect();
    let mut places = BTreeMap::new();
    for tablespace in &head.tablespaces {
        let names = [tablespace.oid.to_string(), tablespace.path.clone()];
        let mapped = names.iter().find_map(|name| map.get(name));
        left.retain(|key| !names.contains(key));
        let beside = || {
            let name = data.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            data.with_file_name(format!("{name}.tablespace-{}", tablespace.oid))
        };
        let place = match mapped {
            Some(path) => {
                std::path::absolute(path).map_err(|error| trouble("the tablespace's directory cannot be made absolute", path, &error))?
            }
            None if in_place => PathBuf::from(&tablespace.path),
            None => beside(),
        };
        places.insert(tablespace.oid, place);
    }
    if let Some(unknown) = left.first() {
        let known: Vec<String> = head.tablespaces.iter().map(|tablespace| format!("{} ({})", tablespace.oid, tablespace.path)).collect();
        return Err(Error::new(Kind::Usage, format!("the backup has no tablespace \"{unknown}\"")).hint(if known.is_empty() {
            "it has none at all".to_owned()
        } else {
            format!("it has: {}", known.join(", "))
        }));
    }
    Ok(places)
}

fn not_running(data: &Path) -> Result<()> {
    let running = |pid: u32| {
        Error::new(Kind::Conflict, format!("a PostgreSQL runs in this directory, process {pid}"))
            .at(data.display().to_string())
            .hint("nothing is ever restored over a running server: stop it, or restore into another directory")
    };
    if !data.join("postmaster.pid").exists() {
        return Ok(());
    }
    match status(data)? {
        State::Running(postmaster) => Err(running(postmaster.pid())),
        _ => Ok(()),
    }
}

/// What is in a directory while files are written to it, with the cluster's identity: a restore that was cut short can be taken up.
pub const UNFINISHED: &str = "pgtend-restore-unfinished";

/// What the file says.
pub fn unfinished_text(system_identifier: &str) -> String {
    format!("pgtend restore was cut short: run it again with --delta\nsystem identifier {system_identifier}\n")
}

fn same_cluster(data: &Path, head: &BackupHead) -> Result<()> {
    if fs::read_to_string(data.join(UNFINISHED)).is_ok_and(|text| text == unfinished_text(&head.system_identifier)) {
        return Ok(());
    }
    let there = control::read(data)
        .map_err(|error| {
            error.hint("--delta goes over a copy of the cluster: name an empty directory, or the damaged data directory itself")
        })?
        .control
        .system_identifier
        .to_string();
    if there == head.system_identifier {
        return Ok(());
    }
    Err(Error::new(
        Kind::Conflict,
        format!("another cluster is in the directory: {there}, and the backup is of {}", head.system_identifier),
    )
    .at(data.display().to_string())
    .hint("name another directory"))
}

fn is_empty(path: &Path) -> Result<bool> {
    match fs::read_dir(path) {
        Ok(mut entries) => Ok(entries.all(|entry| entry.is_ok_and(|entry| entry.file_name() == "lost+found"))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(trouble("the directory cannot be looked into", path, &error)),
    }
}

/// The file system that a path will be on, and what is free there.
fn free(path: &Path) -> Option<(u64, u64)> {
    let existing = path.ancestors().find(|ancestor| ancestor.exists())?;
    let stat = rustix::fs::statvfs(existing).ok()?;
    Some((stat.f_fsid, stat.f_bavail * stat.f_frsize))
}

fn trouble(what: &str, path: &Path, error: &io::Error) -> Error {
    Error::new(Kind::System, format!("{what}: {error}")).at(path.display().to_string())
}
