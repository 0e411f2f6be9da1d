//! The server's own `pg_wal`, read while it is written.

use super::super::origin::Origin;
use pgtend_model::error::{Error, Kind, Result, Retry};
use pgtend_model::pgdata::Lsn;
use pgtend_model::pgdata::wal::{History, Segment, SegmentSize, WalFile};
use pgtend_postgres::files::wal::{HEADER_BYTES, unwritten_page};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

/// A server's WAL where it lies.
#[derive(Debug)]
pub(super) struct Source {
    pub origin: Origin,
    wal: PathBuf,
}

impl Source {
    /// Of the data directory of the server that has this identity.
    pub fn open(server: &str, data: &Path, system_identifier: u64) -> Result<Self> {
        let origin = Origin::of_data(server, data)?;
        if origin.control.system_identifier != system_identifier {
            let what = format!(
                "the server that dsn leads to is the cluster {system_identifier}, the one in data_directory is {}",
                origin.owner.system_identifier
            );
            return Err(other_server(what, data));
        }
        Ok(Self { origin, wal: data.join("pg_wal") })
    }

    pub fn size(&self) -> SegmentSize {
        self.origin.control.wal_segment
    }

    /// Whether a file is there.
    pub fn has(&self, name: &str) -> bool {
        self.wal.join(name).exists()
    }

    /// Reads a part of a segment, all of which must be written.
    pub fn read(&self, segment: Segment, from: u32, to: u32) -> Result<Vec<u8>> {
        let (name, size) = (segment.name(self.size()), self.size());
        let path = self.wal.join(&name);
        let failed = |error: io::Error| cannot(&path, &error);
        let file = File::open(&path).map_err(failed)?;
        let mut first = [0; HEADER_BYTES];
        file.read_exact_at(&mut first, 0).map_err(failed)?;
        let header = self.origin.header(segment, &first)?;
        let begins = from - from % header.page_bytes.max(1);
        // The last page as a whole: its beginning says what it is.
        let ends = to.next_multiple_of(header.page_bytes.max(1)).min(size.bytes());
        let mut bytes = vec![0; (ends - begins) as usize];
        file.read_exact_at(&mut bytes, u64::from(begins)).map_err(failed)?;
        if let Some(page) = unwritten_page(&bytes, Lsn(segment.start(size).0 + u64::from(begins)), &header) {
            let what = format!("the server says that it wrote up to {to:X} of {name}, but the page at {page} is not written there");
            return Err(other_server(what, &path));
        }
        bytes.truncate((to - begins) as usize);
        bytes.drain(..(from - begins) as usize);
        Ok(bytes)
    }

    /// How a timeline came about; none for the first one.
    pub fn history(&self, timeline: u32) -> Result<Option<History>> {
        if timeline < 2 {
            return Ok(None);
        }
        let path = self.wal.join(WalFile::History(timeline).name(self.size()));
        let text = fs::read_to_string(&path).map_err(|error| cannot(&path, &error))?;
        let bad = |bad| {
            Error::new(Kind::Conflict, format!("the history of timeline {timeline} cannot be read: {bad}")).at(path.display().to_string())
        };
        History::parse(timeline, &text).map(Some).map_err(bad)
    }
}

fn other_server(what: String, place: &Path) -> Error {
    Error::new(Kind::Conflict, what)
        .at(place.display().to_string())
        .hint("dsn and data_directory in [[server]] must be of one server: does an address that moves lead elsewhere?")
        .retry(Retry::Later)
}

fn cannot(path: &Path, error: &io::Error) -> Error {
    let kind = if error.kind() == io::ErrorKind::PermissionDenied { Kind::Privilege } else { Kind::System };
    let error = Error::new(kind, format!("the open segment of WAL cannot be read: {error}")).at(path.display().to_string());
    error.hint("streaming reads pg_wal: run the agent as root or as the owner of the data directory")
}
