//! Cutting content where it says so itself, so that what follows an insertion is cut, and found, as before: `docs/repository-format.md`.

use super::Repository;
use fastcdc::v2020::{Normalization, cut_gear, get_gear_with_seed, select_masks};
use std::borrow::Cow;
use std::io::{self, Read};

/// Bytes that are read at once.
const WINDOW: usize = 4 << 20;

/// Smallest, mean and largest pieces, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Sizes {
    least: usize,
    mean: usize,
    most: usize,
}

impl Sizes {
    /// Small files are cut finely, so that a changed line costs little; of huge ones the index must not hold too many pieces.
    const fn for_file(bytes: u64) -> Self {
        let scale = match bytes {
            0..=0x1_0000_0000 => 1,
            0x1_0000_0001..=0x10_0000_0000 => 4,
            _ => 16,
        };
        Self { least: scale * (16 << 10), mean: scale * (64 << 10), most: scale * (256 << 10) }
    }
}

/// Cuts content, in the way of one repository.
#[derive(Debug, Clone)]
pub struct Cutter {
    gear: Cow<'static, [u64]>,
    gear_shifted: Cow<'static, [u64]>,
}

impl Repository {
    /// What cuts content in this repository's way.
    pub fn cutter(&self) -> Cutter {
        Cutter::new(self.keys.cutting_seed())
    }
}

impl Cutter {
    fn new(seed: u64) -> Self {
        let (gear, gear_shifted) = get_gear_with_seed(seed);
        Self { gear, gear_shifted }
    }

    /// Reads to the end and gives each piece. `expected_bytes` is how long the content should be; `buffer` is used again from file to file.
    ///
    /// # Errors
    /// The first one of the reader, or of `take`.
    pub fn cut<E: From<io::Error>>(
        &self,
        mut from: impl Read,
        expected_bytes: u64,
        buffer: &mut Vec<u8>,
        mut take: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let sizes = Sizes::for_file(expected_bytes);
        let wanted = usize::try_from(expected_bytes).unwrap_or(WINDOW).clamp(sizes.most, WINDOW) + 1;
        buffer.clear();
        loop {
            let missing = wanted.saturating_sub(buffer.len()) as u64;
            let read = (&mut from).take(missing).read_to_end(buffer)?;
            let is_end = (read as u64) < missing;
            let mut start = 0;
            while buffer.len() - start > sizes.most || (is_end && start < buffer.len()) {
                let bytes = self.first(&buffer[start..], sizes);
                take(&buffer[start..start + bytes])?;
                start += bytes;
            }
            buffer.drain(..start);
            if is_end {
                return Ok(());
            }
        }
    }

    /// The length of the first piece.
    fn first(&self, content: &[u8], Sizes { least, mean, most }: Sizes) -> usize {
        let (strict, lax) = select_masks(mean, Normalization::Level1);
        let (_, bytes) = cut_gear(content, least, mean, most, strict, lax, strict << 1, lax << 1, &self.gear, &self.gear_shifted);
        bytes.clamp(1, content.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(bytes: usize) -> Vec<u8> {
        let mut state = 0x9E37_79B9_7F4A_7C15_u64;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()[0]
        };
        (0..bytes).map(|_| next()).collect()
    }

    fn pieces(cutter: &Cutter, content: &[u8]) -> Vec<Vec<u8>> {
        let mut all = Vec::new();
        let mut buffer = Vec::new();
        let cut = cutter.cut(content, content.len() as u64, &mut buffer, |piece| {
            all.push(piece.to_vec());
            Ok::<(), io::Error>(())
        });
        cut.unwrap();
        all
    }

    #[test]
    fn pieces_are_the_content_and_have_their_sizes() {
        let cutter = Cutter::new(7);
        for bytes in [0, 1, 16 << 10, (256 << 10) + 1, WINDOW, WINDOW + 1, 9_000_001] {
            let content = noise(bytes);
            let pieces = pieces(&cutter, &content);
            assert_eq!(pieces.concat(), content, "{bytes}");
            assert!(pieces.iter().all(|piece| piece.len() <= 256 << 10));
            assert!(pieces.iter().rev().skip(1).all(|piece| piece.len() >= 16 << 10));
        }
        assert!(pieces(&cutter, &vec![0; 3 << 20]).iter().all(|piece| piece.len() == 256 << 10), "zeros are all alike");
    }

    #[test]
    fn what_follows_an_insertion_is_cut_as_before() {
        let cutter = Cutter::new(7);
        let content = noise(8 << 20);
        let before = pieces(&cutter, &content);
        let after = pieces(&cutter, &[&content[..1_000_000], b"one more line\n", &content[1_000_000..]].concat());
        let new = after.iter().filter(|piece| !before.contains(piece)).count();
        assert!(before.len() > 60 && new <= 3, "{new} of {}", after.len());
        let elsewhere = pieces(&Cutter::new(8), &content);
        assert!(elsewhere.iter().filter(|piece| before.contains(piece)).count() < before.len() / 2, "another repository cuts elsewhere");
    }

    #[test]
    fn where_content_is_cut_does_not_depend_on_how_it_is_read() {
        struct Slowly<'a>(&'a [u8]);
        impl Read for Slowly<'_> {
            fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
                let bytes = into.len().min(4099);
                self.0.read(&mut into[..bytes])
            }
        }
        let (cutter, content) = (Cutter::new(7), noise(5_000_000));
        let mut slowly = Vec::new();
        let cut = cutter.cut(Slowly(&content), content.len() as u64, &mut Vec::new(), |piece| {
            slowly.push(piece.to_vec());
            Ok::<(), io::Error>(())
        });
        cut.unwrap();
        assert_eq!(slowly, pieces(&cutter, &content));
    }
}
