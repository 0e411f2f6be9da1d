//! Carries out the steps that change files of the copy.

use super::elsewhere::{Elsewhere, Found};
use pgtend_model::error::{Error, Kind, Result};
use pgtend_model::pgdata::wal::{Segment, SegmentSize};
use pgtend_model::recover::facts::Backup;
use pgtend_model::recover::plan::Action;
use pgtend_postgres::files::wal::Header;
use pgtend_postgres::process::os_user::OsUser;
use pgtend_postgres::process::system;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// A copy that is worked on.
pub(super) struct Acting<'a> {
    pub copy: &'a Path,
    pub user: &'a OsUser,
    pub elsewhere: &'a Elsewhere,
    pub found: &'a Found,
    pub backup: Option<&'a Backup>,
    pub identity: Option<u64>,
    pub size: Option<SegmentSize>,
    pub version: Option<u32>,
}

/// Two bits a transaction: all of them committed.
const COMMITTED: u8 = 0x55;

impl Acting<'_> {
    /// Does it; what there is to tell.
    pub fn act(&self, action: &Action) -> Result<String> {
        match action {
            Action::SetAside { file } => self.aside(file),
            Action::MakeDirectories { directories } => {
                for directory in directories {
                    let path = self.copy.join(directory);
                    let made = fs::create_dir_all(&path).and_then(|()| fs::set_permissions(&path, fs::Permissions::from_mode(0o700)));
                    made.map_err(|error| system("the directory cannot be made", &path, &error))?;
                    self.user.own(&path)?;
                }
                Ok(format!("{} directories made", directories.len()))
            }
            Action::WriteVersions { files } => {
                let version = self.version.ok_or_else(|| Error::new(Kind::Internal, "the major version is not known"))?;
                for file in files {
                    self.write(file, format!("{version}\n").as_bytes())?;
                }
                Ok(format!("{} files written", files.len()))
            }
            Action::TakeFiles { files, .. } => {
                let backup = self.backup.ok_or_else(|| Error::new(Kind::Internal, "no backup is known"))?;
                for file in files {
                    self.write(file, &self.elsewhere.file(backup, file)?)?;
                }
                Ok(format!("{} taken from the backup {}", files.join(", "), backup.label))
            }
            Action::TakeWal { segments } => {
                for name in segments {
                    let content = self.elsewhere.segment(self.found, name)?;
                    self.check(name, &content)?;
                    self.write(&format!("pg_wal/{name}"), &content)?;
                }
                Ok(format!("{} segments brought from {}", segments.len(), self.found.named))
            }
            Action::FillSlru { files } => {
                for (path, bytes) in files {
                    let filler = if path.starts_with("pg_xact") { COMMITTED } else { 0 };
                    self.write(path, &vec![filler; usize::try_from(*bytes).unwrap_or(0)])?;
                }
                Ok(format!("{} files made up", files.len()))
            }
            Action::EndHere => {
                for name in ["standby.signal", "recovery.signal"] {
                    self.aside(name)?;
                }
                Ok("it follows nobody".to_owned())
            }
            Action::Copy | Action::Start { .. } | Action::Check | Action::Salvage => {
                Err(Error::new(Kind::Internal, "this step is none of files"))
            }
        }
    }

    /// Gives a file another name; none is fine.
    fn aside(&self, file: &str) -> Result<String> {
        let path = self.copy.join(file);
        if !path.exists() {
            return Ok(format!("{file} is not there"));
        }
        let to = self.copy.join(format!("{file}.set-aside"));
        fs::rename(&path, &to).map_err(|error| system("the file cannot be renamed", &path, &error))?;
        Ok(format!("now {}", to.display()))
    }

    fn write(&self, file: &str, content: &[u8]) -> Result<()> {
        let path = self.copy.join(file);
        let written = fs::write(&path, content).and_then(|()| fs::set_permissions(&path, fs::Permissions::from_mode(0o600)));
        written.map_err(|error| system("the copy cannot be written", &path, &error))?;
        self.user.own(&path)
    }

    /// A segment that is not of this place and cluster must not be replayed.
    fn check(&self, name: &str, content: &[u8]) -> Result<()> {
        let wrong = |why: String| Error::new(Kind::Conflict, format!("{name} from {} is not what its name says: {why}", self.found.named));
        let Some(size) = self.size else { return Ok(()) };
        let header = Header::of(content).ok_or_else(|| wrong("it does not begin as a WAL segment does".to_owned()))?;
        if self.identity.is_some_and(|identity| identity != header.system_identifier) {
            return Err(wrong(format!("it belongs to the cluster {}", header.system_identifier)));
        }
        let start = Segment::of_name(name, size).map(|segment| segment.start(size));
        if start != Some(header.address) || content.len() != size.bytes() as usize {
            return Err(wrong(format!("it begins at {} and has {} bytes", header.address, content.len())));
        }
        Ok(())
    }
}
