//! Whose WAL a file is: nothing goes into a repository under the name of a server that did not write it.

use pgtend_model::error::{Error, Kind, Result, Retry};
use pgtend_model::pgdata::wal::{Segment, WalFile};
use pgtend_postgres::files::control::{self, ControlFile};
use pgtend_postgres::files::wal::{Header, Mismatch, check, major_of_magic};
use pgtend_store::repo::wal::WalOwner;
use std::path::Path;

/// The cluster that files must come from.
#[derive(Debug, Clone)]
pub(super) struct Origin {
    /// Under which name its WAL is filed.
    pub owner: WalOwner,
    /// What its control file says.
    pub control: ControlFile,
    /// Its major version, where that could be read.
    pub major: Option<u32>,
}

impl Origin {
    /// The cluster in a data directory.
    pub fn of_data(server: &str, data: &Path) -> Result<Self> {
        let control = control::read(data)?.control;
        Ok(Self { major: control::major(data).ok(), ..Self::of_control(server, control) })
    }

    /// The cluster with these bytes in its control file.
    pub fn of_bytes(server: &str, bytes: &[u8]) -> Result<Self> {
        let unreadable = |why: String| {
            Error::new(Kind::System, format!("whose WAL this is cannot be told: {why}"))
                .hint("pgtend must be able to read the data directory: run it as root or as the user that owns it")
        };
        control::decode(bytes).map(|control| Self::of_control(server, control)).map_err(|trouble| unreadable(trouble.to_string()))
    }

    fn of_control(server: &str, control: ControlFile) -> Self {
        let owner = WalOwner { server: server.to_owned(), system_identifier: control.system_identifier.to_string() };
        Self { owner, control, major: None }
    }

    /// Whether a file of this name and content is of this cluster. Of history and backup files only the names tell.
    pub fn check(&self, name: &str, content: &[u8]) -> Result<()> {
        let size = self.control.wal_segment;
        let file = WalFile::of_name(name, size).ok_or_else(|| {
            Error::new(Kind::Usage, format!("\"{name}\" is no file of this server's WAL")).hint("archive_command gets %p from PostgreSQL")
        })?;
        let (WalFile::Segment(segment) | WalFile::Partial(segment)) = file else { return Ok(()) };
        self.header(segment, content)?;
        if content.len() != size.bytes() as usize {
            return Err(Error::new(
                Kind::Conflict,
                format!("{name} has {} bytes, a segment of this server has {}", content.len(), size.bytes()),
            ));
        }
        Ok(())
    }

    /// The header of a segment that begins with these bytes, which must be of this cluster.
    pub fn header(&self, segment: Segment, content: &[u8]) -> Result<Header> {
        let major = self.major.or_else(|| Header::of(content).and_then(|header| major_of_magic(header.magic)));
        let checked = check(content, segment, &self.control, major.unwrap_or_default());
        checked.map_err(|mismatch| foreign(&segment.name(self.control.wal_segment), &mismatch))
    }

    /// The version as the server itself numbers it, without the minor.
    pub fn version(&self) -> u32 {
        self.major.unwrap_or_default() * 10_000
    }
}

fn foreign(name: &str, mismatch: &Mismatch) -> Error {
    let hint = match mismatch {
        Mismatch::OtherServer { .. } | Mismatch::OtherTimeline { .. } => {
            "a cloned or foreign server archives under this server's name: give it another name, or set its archive_mode = off"
        }
        Mismatch::OtherVersion { .. } => "after pg_upgrade, old segments cannot follow: take a new backup",
        _ => "the file in pg_wal is damaged or not written yet: see the server's log; copy pg_wal before anything else",
    };
    Error::new(Kind::Conflict, format!("{name} is refused: {mismatch}")).hint(hint).retry(Retry::Never)
}
