//! Which parts of a file a quick verification reads.

/// Parts are read in pieces of this length, a multiple of every page size.
const PIECE_BYTES: u64 = 1 << 20;
/// Files up to this length are read whole.
const WHOLE_BYTES: u64 = 8 << 20;
/// Of longer ones every so many pieces one is read.
const EVERY: u64 = 64;

/// The parts of a file to read, as offset and length in bytes: the whole of a short file; of a long one the first and the last
/// mebibyte and one of every 64 between. The same parts each time, so that two runs can be compared.
pub fn parts(file_bytes: u64) -> Vec<(u64, u64)> {
    if file_bytes <= WHOLE_BYTES {
        return vec![(0, file_bytes)];
    }
    let last = (file_bytes - 1) / PIECE_BYTES;
    let pieces = (0..last).step_by(usize::try_from(EVERY).unwrap_or(1)).chain([last]);
    pieces.map(|piece| (piece * PIECE_BYTES, PIECE_BYTES.min(file_bytes - piece * PIECE_BYTES))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_files_are_read_whole_and_long_ones_at_both_ends_at_least() {
        assert_eq!(parts(0), [(0, 0)]);
        assert_eq!(parts(WHOLE_BYTES), [(0, WHOLE_BYTES)]);
        assert_eq!(parts(WHOLE_BYTES + 8192), [(0, PIECE_BYTES), (WHOLE_BYTES, 8192)]);
        let gibibyte = parts(1 << 30);
        assert_eq!(gibibyte.len(), 17);
        assert_eq!(gibibyte.last(), Some(&((1 << 30) - PIECE_BYTES, PIECE_BYTES)));
    }
}
