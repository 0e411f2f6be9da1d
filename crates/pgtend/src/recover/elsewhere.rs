//! Where WAL and files can be had that the directory has not: a directory with segments, or a repository.

use pgtend_model::backup::restore_plan::Known;
use pgtend_model::error::{Error, Kind, Result};
use pgtend_model::pgdata::wal::{Segment, SegmentSize};
use pgtend_model::recover::facts::Backup;
use pgtend_postgres::files::wal::Header;
use pgtend_postgres::process::system;
use pgtend_store::repo::Repository;
use pgtend_store::repo::wal::WalOwner;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Where else WAL may be.
#[derive(Debug, Clone)]
pub enum Elsewhere {
    /// Nowhere.
    Nowhere,
    /// In a directory: another `pg_wal`, or a plain archive.
    Directory(PathBuf),
    /// In a repository, under this server's name.
    Repository {
        /// The repository.
        repository: Repository,
        /// The server's name in it.
        server: String,
    },
}

/// What was found there.
#[derive(Debug, Clone, Default)]
pub(super) struct Found {
    pub segments: BTreeSet<Segment>,
    pub backup: Option<Backup>,
    pub named: String,
    owner: Option<WalOwner>,
}

impl Elsewhere {
    /// Looks what is there of the cluster with this identity, or, where that is not known, of the one that wrote there last.
    pub(super) fn look(&self, identity: Option<u64>, size: Option<SegmentSize>) -> Result<Found> {
        match self {
            Self::Nowhere => Ok(Found::default()),
            Self::Directory(path) => {
                let segments = size.map(|size| in_directory(path, size, identity)).transpose()?.unwrap_or_default();
                Ok(Found { segments, named: path.display().to_string(), ..Found::default() })
            }
            Self::Repository { repository, server } => {
                let identity = identity.map(|identity| identity.to_string());
                let (owner, known) = crate::backup::restore::known::known(repository, server, identity.as_deref())?;
                let segments = known.wal.iter().map(|archived| archived.segment).collect();
                Ok(Found { segments, backup: newest(&known), named: repository.shown(), owner: Some(owner) })
            }
        }
    }

    /// A segment's bytes.
    pub(super) fn segment(&self, found: &Found, name: &str) -> Result<Vec<u8>> {
        match (self, &found.owner) {
            (Self::Directory(path), _) => {
                let path = path.join(name);
                fs::read(&path).map_err(|error| system("the WAL segment cannot be read", &path, &error))
            }
            (Self::Repository { repository, .. }, Some(owner)) => repository.get_wal(owner, name),
            _ => Err(Error::new(Kind::NotFound, format!("{name} is nowhere"))),
        }
    }

    /// A file of a backup.
    pub(super) fn file(&self, backup: &Backup, path: &str) -> Result<Vec<u8>> {
        let Self::Repository { repository, server } = self else {
            return Err(Error::new(Kind::Internal, "a file was wanted from a repository, and there is none"));
        };
        let files = repository.files(server, backup.label)?;
        let missing = || Error::new(Kind::NotFound, format!("the backup {} has no {path}", backup.label)).at(repository.shown());
        let entry = files.iter().find(|entry| entry.path == path).ok_or_else(missing)?;
        let mut reader = repository.extents()?.reader();
        let mut content = Vec::new();
        for (_, _, extent) in entry.pieces() {
            content.extend(reader.extent(extent.id)?);
        }
        Ok(content)
    }
}

fn newest(known: &Known) -> Option<Backup> {
    let head = known.backups.last()?;
    let size = SegmentSize::new(u32::try_from(head.wal_segment_bytes).ok()?)?;
    Some(Backup { label: head.label, start: head.start_lsn, timeline: head.timeline, size })
}

/// Segments in a directory that begin where their names say, of this cluster.
fn in_directory(path: &Path, size: SegmentSize, identity: Option<u64>) -> Result<BTreeSet<Segment>> {
    let entries = fs::read_dir(path).map_err(|error| system("the directory with WAL cannot be read", path, &error))?;
    let mut segments = BTreeSet::new();
    for entry in entries.flatten() {
        let Some(segment) = entry.file_name().to_str().and_then(|name| Segment::of_name(name, size)) else { continue };
        let whole = entry.metadata().is_ok_and(|metadata| metadata.len() == u64::from(size.bytes()));
        let header = Header::read(&entry.path()).ok().flatten();
        let ours =
            |header: Header| header.address == segment.start(size) && identity.is_none_or(|identity| identity == header.system_identifier);
        if whole && header.is_some_and(ours) {
            segments.insert(segment);
        }
    }
    Ok(segments)
}
