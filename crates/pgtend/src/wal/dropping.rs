//! Dropping WAL that no repository takes, where the configuration allows it: so that the server goes on, at the price of a gap.
//!
//! The gap is written down before PostgreSQL hears that the segment is archived: in the repositories or, as long as one is away, in the
//! agent's state directory.

use super::health::Health;
use super::origin::Origin;
use super::places::Places;
use super::pushing::ready;
use jiff::Timestamp;
use pgtend_model::backup::wal_bounds::{WalBounds, WalPressure, pressure};
use pgtend_model::error::{Error, Kind, Result};
use pgtend_store::repo::wal::{DroppedWal, WalOwner};
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// What may be dropped, and where that is written down.
#[derive(Debug, Clone)]
pub struct Dropping {
    /// How much may wait.
    pub bounds: WalBounds,
    /// The directory for gaps that a repository does not have yet.
    pub journal: PathBuf,
}

/// How full it is beside `pg_wal`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting {
    /// Segments that wait.
    pub segments: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Bytes that are free.
    pub free_bytes: Option<u64>,
    /// Since when the oldest waits.
    pub since: Option<Timestamp>,
}

impl Waiting {
    /// Looks into a data directory.
    ///
    /// # Errors
    /// What the file system says.
    pub fn look(data: &Path) -> io::Result<Self> {
        let wal = data.join("pg_wal");
        let names: Vec<String> = ready(data)?.into_iter().filter(|name| name.len() == 24).collect();
        let bytes = names.first().and_then(|name| fs::metadata(wal.join(name)).ok()).map_or(0, |found| found.len());
        let marked = |name: &String| fs::metadata(wal.join(format!("archive_status/{name}.ready"))).ok()?.modified().ok();
        let since = names.first().and_then(marked).and_then(|time| Timestamp::try_from(time).ok());
        let free_bytes = rustix::fs::statvfs(&wal).ok().map(|found| found.f_bavail * found.f_frsize);
        let segments = names.len() as u64;
        Ok(Self { segments, bytes: segments * bytes, free_bytes, since })
    }
}

impl Dropping {
    /// Drops a segment that could not be kept, if it is allowed and time for it. Whether it did. `held_bytes` is what waits besides that which
    /// PostgreSQL marked.
    pub(super) fn instead(&self, data: &Path, held_bytes: u64, origin: &Origin, places: &Places, name: &str, health: &Health) -> bool {
        let Some(reason) = self.reason(data, held_bytes) else { return false };
        let dropped = DroppedWal { name: name.to_owned(), at: Timestamp::now(), reason: reason.clone() };
        match self.note(origin, places, &dropped) {
            Ok(()) => {
                tracing::error!(segment = name, reason, "WAL is DROPPED: until the next backup, no moment after this can be reached");
                health.dropped();
                true
            }
            Err(error) => {
                tracing::error!(
                    segment = name,
                    error = error.what,
                    place = error.place,
                    "WAL is not dropped: the gap cannot be written down"
                );
                false
            }
        }
    }

    fn reason(&self, data: &Path, held_bytes: u64) -> Option<String> {
        if !self.bounds.drops {
            return None;
        }
        let waiting = Waiting::look(data).ok()?;
        let (pressure, reason) = pressure(&self.bounds, waiting.bytes.max(held_bytes), waiting.free_bytes);
        reason.filter(|_| pressure == WalPressure::Over)
    }

    fn note(&self, origin: &Origin, places: &Places, dropped: &DroppedWal) -> Result<()> {
        let path = self.place(&origin.owner).join(&dropped.name);
        write(&path, dropped).map_err(|error| failed(&path, &error))?;
        if hand_over(&origin.owner, places, dropped).is_ok() {
            let _stays_and_is_handed_over_again = fs::remove_file(&path);
        }
        Ok(())
    }

    /// Hands gaps over that a repository did not take when they came about.
    pub(super) fn settle(&self, origin: &Origin, places: &Places) {
        let Ok(entries) = fs::read_dir(self.place(&origin.owner)) else { return };
        for path in entries.flatten().map(|entry| entry.path()) {
            let dropped = fs::read(&path).ok().and_then(|json| serde_json::from_slice::<DroppedWal>(&json).ok());
            if dropped.is_some_and(|dropped| hand_over(&origin.owner, places, &dropped).is_ok()) {
                let _is_handed_over_again = fs::remove_file(&path);
            }
        }
    }

    fn place(&self, owner: &WalOwner) -> PathBuf {
        self.journal.join(format!("{}-{}", owner.server, owner.system_identifier))
    }
}

fn hand_over(owner: &WalOwner, places: &Places, dropped: &DroppedWal) -> Result<()> {
    places.required().try_for_each(|place| place.repository()?.note_dropped_wal(owner, dropped))
}

fn write(path: &Path, dropped: &DroppedWal) -> io::Result<()> {
    let directory = path.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(directory)?;
    let unfinished = path.with_extension("new");
    let mut file = File::create(&unfinished)?;
    file.write_all(&serde_json::to_vec(dropped)?)?;
    file.sync_all()?;
    fs::rename(&unfinished, path)?;
    File::open(directory)?.sync_all()
}

fn failed(path: &Path, error: &io::Error) -> Error {
    Error::new(Kind::System, format!("it cannot be written: {error}")).at(path.display().to_string())
}
