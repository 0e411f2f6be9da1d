//! The journal: what was recorded since the last hour was sealed. Appended to, synced every few seconds, cut at its torn end.
//!
//! A journal is a head of eight bytes and then frames: length and CRC-32C of what follows, each four bytes, little-endian, and a batch
//! as postcard, compressed with zstd. What does not check out is where the journal ends: everything before it is whole.

use super::record::Batch;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

const HEAD: &[u8; 8] = b"pgtendJ1";
/// A batch of more than this is no batch but damage.
const MOST: usize = 256 << 20;
/// Fast: a journal lives for an hour.
const LEVEL: i32 = 1;

/// A journal that is being written.
#[derive(Debug)]
pub(super) struct Journal {
    file: File,
    /// Its length after the last whole batch.
    length: u64,
}

impl Journal {
    /// Opens a journal to append to; makes it where it is not there, and cuts a torn end.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        if let Some(directory) = path.parent() {
            std::fs::create_dir_all(directory)?;
        }
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        let mut length = whole_length(&mut file)?;
        file.set_len(length)?;
        file.seek(SeekFrom::Start(length))?;
        if length == 0 {
            file.write_all(HEAD)?;
            file.sync_all()?;
            sync_directory(path)?;
            length = HEAD.len() as u64;
        }
        Ok(Self { file, length })
    }

    /// Appends a batch and waits until it is durable. After an error the journal is as it was before.
    pub(super) fn append(&mut self, batch: &Batch) -> io::Result<()> {
        let bytes = encode(batch)?;
        let written = self.file.write_all(&bytes).and_then(|()| self.file.sync_data());
        match written {
            Ok(()) => {
                self.length += bytes.len() as u64;
                Ok(())
            }
            Err(error) => {
                self.file.set_len(self.length)?;
                self.file.seek(SeekFrom::Start(self.length))?;
                Err(error)
            }
        }
    }

    /// Its length in bytes.
    pub(super) fn length(&self) -> u64 {
        self.length
    }
}

fn encode(batch: &Batch) -> io::Result<Vec<u8>> {
    let plain = postcard::to_stdvec(batch).map_err(io::Error::other)?;
    let packed = zstd::bulk::compress(&plain, LEVEL)?;
    let length = u32::try_from(packed.len()).map_err(io::Error::other)?;
    let mut bytes = Vec::with_capacity(packed.len() + 12);
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(&crc32c::crc32c(&packed).to_le_bytes());
    bytes.extend_from_slice(&packed);
    Ok(bytes)
}

/// Reads the batches of a journal, as far as it is whole.
pub(super) fn read(path: &Path, each: &mut dyn FnMut(Batch)) -> io::Result<()> {
    let mut file = io::BufReader::with_capacity(1 << 16, File::open(path)?);
    if !has_head(&mut file)? {
        return Ok(());
    }
    while let Some(packed) = next(&mut file)? {
        let Some(batch) = decode(&packed) else { return Ok(()) };
        each(batch);
    }
    Ok(())
}

fn decode(packed: &[u8]) -> Option<Batch> {
    let plain = zstd::stream::decode_all(packed).ok()?;
    postcard::from_bytes(&plain).ok()
}

fn has_head(file: &mut impl Read) -> io::Result<bool> {
    let mut head = [0; 8];
    Ok(fill(file, &mut head)? && head == *HEAD)
}

/// The next batch's bytes; none at the end, or where it is torn.
fn next(file: &mut impl Read) -> io::Result<Option<Vec<u8>>> {
    let mut head = [0; 8];
    if !fill(file, &mut head)? {
        return Ok(None);
    }
    let [a, b, c, d, e, f, g, h] = head;
    let (length, sum) = (u32::from_le_bytes([a, b, c, d]) as usize, u32::from_le_bytes([e, f, g, h]));
    if length > MOST {
        return Ok(None);
    }
    let mut packed = vec![0; length];
    Ok((fill(file, &mut packed)? && crc32c::crc32c(&packed) == sum).then_some(packed))
}

/// Whether there was enough to fill it.
fn fill(file: &mut impl Read, buffer: &mut [u8]) -> io::Result<bool> {
    match file.read_exact(buffer) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

fn whole_length(file: &mut File) -> io::Result<u64> {
    file.seek(SeekFrom::Start(0))?;
    let mut reader = io::BufReader::new(file);
    if !has_head(&mut reader)? {
        return Ok(0);
    }
    let mut length = HEAD.len() as u64;
    while let Some(packed) = next(&mut reader)? {
        length += 8 + packed.len() as u64;
    }
    Ok(length)
}

/// Makes a file's name durable.
pub(super) fn sync_directory(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |directory| File::open(directory)?.sync_all())
}

#[cfg(test)]
mod tests {
    use super::super::record::Tick;
    use super::*;
    use proptest::prelude::*;

    fn batch(at_ms: i64) -> Batch {
        Batch {
            texts: vec![format!("text {at_ms}").as_str().into()],
            ticks: vec![Tick { at_ms, sessions: Vec::new() }],
            ..Batch::default()
        }
    }

    fn instants(path: &Path) -> Vec<i64> {
        let mut instants = Vec::new();
        read(path, &mut |batch| instants.extend(batch.ticks.iter().map(|tick| tick.at_ms))).unwrap();
        instants
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn cut_anywhere_it_gives_a_prefix_and_can_be_written_on(cut in 0_usize..400, damage in any::<Option<u8>>()) {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("journal");
            let mut journal = Journal::open(&path).unwrap();
            (0..5).for_each(|at| journal.append(&batch(at)).unwrap());
            drop(journal);
            let mut bytes = std::fs::read(&path).unwrap();
            let cut = cut.min(bytes.len());
            match damage {
                Some(bits) if cut < bytes.len() => bytes[cut] ^= bits | 1,
                _ => bytes.truncate(cut),
            }
            std::fs::write(&path, &bytes).unwrap();

            let before = instants(&path);
            prop_assert!(before.iter().copied().eq(0..i64::try_from(before.len()).unwrap()));
            let mut journal = Journal::open(&path).unwrap();
            journal.append(&batch(99)).unwrap();
            let after = instants(&path);
            prop_assert_eq!(&after[..after.len() - 1], before.as_slice());
            prop_assert_eq!(after.last(), Some(&99));
        }
    }
}
