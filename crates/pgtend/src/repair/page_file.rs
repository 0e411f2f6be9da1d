//! The pages of one fork, in the server's files or in those of a copy.

use pgtend_model::error::{Error, Kind, Result};
use pgtend_model::pgdata::RelationFile;
use pgtend_model::repair::page::Seen;
use pgtend_postgres::files::control::ControlFile;
use pgtend_postgres::files::page::{Header, Verdict, judge};
use pgtend_postgres::process::system;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// How many pages are looked at for one that is sound.
const NEIGHBOURS: u32 = 64;

/// The files of a fork.
#[derive(Debug, Clone)]
pub(super) struct PageFile {
    data: PathBuf,
    relation: RelationFile,
    version_folder: String,
    page_bytes: u32,
    segment_blocks: u32,
    checksums: bool,
}

impl PageFile {
    /// Those below this data directory.
    pub fn new(data: &Path, relation: RelationFile, control: &ControlFile, major: u32) -> Self {
        Self {
            data: data.to_owned(),
            relation: RelationFile { segment: 0, ..relation },
            version_folder: control.version_folder(major),
            page_bytes: control.block_bytes,
            segment_blocks: control.relation_segment_blocks,
            checksums: control.has_checksums(),
        }
    }

    /// The file of a page, relative to the data directory.
    pub fn path(&self, block: u32) -> String {
        RelationFile { segment: block / self.segment_blocks, ..self.relation }.path(&self.version_folder)
    }

    /// Where a page is in its file: offset and length in bytes.
    pub fn span(&self, block: u32) -> (u64, u64) {
        (u64::from(block % self.segment_blocks) * u64::from(self.page_bytes), u64::from(self.page_bytes))
    }

    fn place(&self, block: u32) -> (PathBuf, u64) {
        (self.data.join(self.path(block)), self.span(block).0)
    }

    /// A page's bytes; none when the fork is shorter. What the disk does not give is zero, which no sound page is here.
    pub fn read(&self, block: u32) -> Result<Option<Vec<u8>>> {
        let (path, at) = self.place(block);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(system("the file of the page cannot be read", &path, &error)),
        };
        let mut page = vec![0; self.page_bytes as usize];
        match file.read_exact_at(&mut page, at) {
            Ok(()) => Ok(Some(page)),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
            // A sector that is gone: writing it anew mostly makes the disk take another one for it.
            Err(error) if error.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error()) => {
                Ok(Some(vec![0xFF; self.page_bytes as usize]))
            }
            Err(error) => Err(system("the page cannot be read", &path, &error)),
        }
    }

    /// What a page is.
    pub fn seen(&self, page: &[u8], block: u32) -> Seen {
        let header = Header::of(page);
        let verdict = judge(page, block, self.checksums);
        Seen {
            sound: verdict.is_good(),
            new: matches!(verdict, Verdict::New),
            lsn: header.lsn,
            special: header.special,
            size_and_version: header.size_and_version,
        }
    }

    /// What a page is, where it is.
    pub fn look(&self, block: u32) -> Result<Option<Seen>> {
        Ok(self.read(block)?.map(|page| self.seen(&page, block)))
    }

    /// A sound page near one, for comparison.
    pub fn neighbour(&self, block: u32) -> Result<Option<Seen>> {
        for distance in 1..=NEIGHBOURS {
            for near in [block.checked_sub(distance), block.checked_add(distance)].into_iter().flatten() {
                if let Some(seen) = self.look(near)?.filter(|seen| seen.sound && !seen.new) {
                    return Ok(Some(seen));
                }
            }
        }
        Ok(None)
    }

    /// Keeps a page in a directory of its own; where.
    pub fn keep(&self, directory: &Path, block: u32, page: &[u8]) -> Result<PathBuf> {
        let stamp = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ");
        let name = format!("{}.page-{block}.{stamp}", self.path(block).replace('/', "_"));
        let path = directory.join(name);
        // It holds rows of a table: nobody else may read it.
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(directory);
        let open = || OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        let kept = made.and_then(|()| open()).and_then(|mut file| file.write_all(page).and_then(|()| file.sync_all()));
        kept.map_err(|error| {
            system("the damaged page cannot be kept aside, so it is not overwritten", &path, &error)
                .hint("name another directory with --keep")
        })?;
        Ok(path)
    }

    /// Writes a page; durable when this returns.
    pub fn write(&self, block: u32, page: &[u8]) -> Result<()> {
        let (path, at) = self.place(block);
        if page.len() != self.page_bytes as usize {
            return Err(Error::new(Kind::Internal, "a page of another size was to be written"));
        }
        let written =
            OpenOptions::new().write(true).open(&path).and_then(|file| file.write_all_at(page, at).and_then(|()| file.sync_all()));
        written.map_err(|error| system("the page cannot be written", &path, &error))
    }
}
