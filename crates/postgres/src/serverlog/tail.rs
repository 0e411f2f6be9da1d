//! Reads what is appended to a file, over rotation.

use super::locate::unreadable;
use pgtend_model::logline::Position;
use pgtend_model::sample::Unknown;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// A file that is read on from where it was read last.
#[derive(Debug)]
pub struct Tail {
    file: File,
    path: PathBuf,
    inode: u64,
    offset: u64,
}

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece {
    /// So many bytes.
    Bytes(usize),
    /// Nothing new.
    Nothing,
    /// The file is shorter than what was read of it: it begins anew.
    Truncated,
}

impl Tail {
    /// Opens a file to be read from its end on, or from its begin.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open(path: &Path, from_begin: bool) -> Result<Self, Unknown> {
        let mut tail = Self::at_begin(path).map_err(|error| unreadable(path, &error))?;
        if !from_begin {
            tail.offset = tail.length().map_err(|error| unreadable(path, &error))?;
        }
        Ok(tail)
    }

    /// Opens the file that was read before, to go on where that ended; none where it is no longer that file.
    pub fn reopen(position: &Position) -> Option<Self> {
        let mut tail = Self::at_begin(&position.file).ok()?;
        let same = tail.inode == position.inode && tail.length().ok()? >= position.offset;
        tail.offset = position.offset;
        same.then_some(tail)
    }

    fn at_begin(path: &Path) -> io::Result<Self> {
        // A named pipe in the file's place must not hold up the thread.
        let nonblocking = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or_default();
        let file = OpenOptions::new().read(true).custom_flags(nonblocking).open(path)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::other("it is no file"));
        }
        Ok(Self { inode: metadata.ino(), file, path: path.to_owned(), offset: 0 })
    }

    fn length(&self) -> io::Result<u64> {
        self.file.metadata().map(|metadata| metadata.len())
    }

    /// Reads what is new, as much as there is room.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn read(&mut self, room: &mut [u8]) -> Result<Piece, Unknown> {
        self.piece(room).map_err(|error| unreadable(&self.path, &error))
    }

    fn piece(&mut self, room: &mut [u8]) -> io::Result<Piece> {
        if self.length()? < self.offset {
            self.offset = 0;
            return Ok(Piece::Truncated);
        }
        self.file.seek(SeekFrom::Start(self.offset))?;
        match self.file.read(room)? {
            0 => Ok(Piece::Nothing),
            bytes => {
                self.offset += bytes as u64;
                Ok(Piece::Bytes(bytes))
            }
        }
    }

    /// Bytes that were not read yet.
    pub fn behind_bytes(&self) -> u64 {
        self.length().map_or(0, |length| length.saturating_sub(self.offset))
    }

    /// Leaves bytes out.
    pub fn skip(&mut self, bytes: u64) {
        self.offset += bytes;
    }

    /// Whether this path is another file than the one that is read, or that one under another name.
    pub fn is_other(&self, path: &Path) -> bool {
        path != self.path || path.metadata().is_ok_and(|metadata| metadata.ino() != self.inode)
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How far it was read, less so many bytes.
    pub fn position(&self, less_bytes: u64) -> Position {
        Position { file: self.path.clone(), inode: self.inode, offset: self.offset.saturating_sub(less_bytes) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn text(tail: &mut Tail) -> (String, bool) {
        let (mut all, mut truncated) = (String::new(), false);
        let mut room = [0; 4];
        loop {
            match tail.read(&mut room).unwrap() {
                Piece::Bytes(bytes) => all.push_str(std::str::from_utf8(&room[..bytes]).unwrap()),
                Piece::Truncated => truncated = true,
                Piece::Nothing => return (all, truncated),
            }
        }
    }

    #[test]
    fn what_is_appended_is_read_over_rotation_and_truncation() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let append = |text: &str| OpenOptions::new().append(true).create(true).open(&path).unwrap().write_all(text.as_bytes()).unwrap();
        append("before\n");
        let mut tail = Tail::open(&path, false).unwrap();
        assert_eq!(tail.read(&mut [0; 4]).unwrap(), Piece::Nothing);
        append("one\ntwo\n");
        assert_eq!((tail.behind_bytes(), text(&mut tail)), (8, ("one\ntwo\n".to_owned(), false)));
        let position = tail.position(4);
        assert_eq!(text(&mut Tail::reopen(&position).unwrap()).0, "two\n");

        std::fs::rename(&path, directory.path().join("log.1")).unwrap();
        append("three\n");
        assert!(tail.is_other(&path) && Tail::reopen(&position).is_none());
        assert_eq!(text(&mut tail).0, "", "the old one is read to its end");
        let mut tail = Tail::open(&path, true).unwrap();
        assert_eq!(text(&mut tail).0, "three\n");

        std::fs::write(&path, "4\n").unwrap();
        assert!(!tail.is_other(&path));
        assert_eq!(text(&mut tail), ("4\n".to_owned(), true));
    }
}
