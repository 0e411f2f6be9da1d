//! Storing one file, cut by its content.

use crate::backup::Progress;
use pgtend_model::backup::Extent;
use pgtend_model::error::Error;
use pgtend_store::repo::cutting::Cutter;
use pgtend_store::repo::write::Writer;
use std::io::{self, Read};

/// Why a file was not stored.
#[derive(Debug)]
pub enum Trouble {
    /// It could not be read.
    Read(io::Error),
    /// The repository did not take it.
    Repository(Error),
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self::Read(error)
    }
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Self::Repository(error)
    }
}

/// What became of a file.
#[derive(Debug, Default)]
pub struct StoredFile {
    /// Bytes that were read.
    pub bytes: u64,
    /// CRC-32C of them.
    pub crc32c: u32,
    /// Its pieces.
    pub extents: Vec<Extent>,
    /// Their lengths.
    pub sizes: Vec<u32>,
    /// Bytes of those that the repository did not have.
    pub new_bytes: u64,
}

/// One thread that stores files.
pub struct Storing<'a> {
    writer: Writer,
    cutter: &'a Cutter,
    progress: &'a Progress,
    buffer: Vec<u8>,
}

impl<'a> Storing<'a> {
    /// Stores by this writer.
    pub const fn new(writer: Writer, cutter: &'a Cutter, progress: &'a Progress) -> Self {
        Self { writer, cutter, progress, buffer: Vec::new() }
    }

    /// Reads to the end of the file, which should be of this length.
    ///
    /// # Errors
    /// What could not be read, or what the repository says.
    pub fn store(&mut self, file: impl Read, expected_bytes: u64) -> Result<StoredFile, Trouble> {
        let mut stored = StoredFile::default();
        let (writer, progress) = (&mut self.writer, self.progress);
        self.cutter.cut(file, expected_bytes, &mut self.buffer, |piece| {
            progress.check()?;
            progress.pace(piece.len() as u64);
            let done = writer.add(piece, None)?;
            if let Some(new) = done.new_bytes {
                stored.new_bytes += piece.len() as u64;
                progress.stored(new as u64);
            }
            let crc32c = crc32c::crc32c(piece);
            stored.crc32c = crc32c::crc32c_combine(stored.crc32c, crc32c, piece.len());
            stored.bytes += piece.len() as u64;
            stored.extents.push(Extent { id: done.id, crc32c });
            stored.sizes.push(u32::try_from(piece.len()).unwrap_or(u32::MAX));
            progress.done(piece.len() as u64);
            Ok::<(), Trouble>(())
        })?;
        Ok(stored)
    }

    /// Hands over what is left.
    ///
    /// # Errors
    /// What the repository says.
    pub fn finish(self) -> Result<(), Error> {
        self.writer.finish()
    }
}
