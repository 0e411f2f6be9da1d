//! Segments that are not finished, in pieces: how far they reach, and what the next piece is.

use crate::pgdata::Lsn;
use crate::pgdata::wal::{Segment, SegmentSize};
use jiff::Timestamp;
use std::collections::BTreeMap;

/// Pieces of one segment, beyond which the next one begins at its start and replaces them: a recovery has few objects to read.
pub const MOST_PIECES: usize = 64;

/// A record that a crash cut off was not longer than this; one that was is taken for somebody else's WAL.
const MOST_CUT_OFF_BYTES: u32 = 1 << 20;

/// What is there of the open segment in pieces, beside what the server has there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// The same.
    Same,
    /// It ends in a record that was not finished when the server crashed: the server wrote over it.
    CutOff,
    /// Another server's.
    Foreign,
}

/// Compares them. PostgreSQL flushes whole pages, so that the end of what is flushed may lie within a record; after a crash it goes on behind the last
/// record that is complete (`XLogBackgroundFlush`, `FinishWalRecovery`). What was committed is complete.
pub fn standing(there: &[u8], own: &[u8]) -> Standing {
    let same = there.iter().zip(own).take_while(|(there, own)| there == own).count();
    differs(u32::try_from(there.len() - same).unwrap_or(u32::MAX))
}

/// The same, of which it is only known how many bytes at the end may differ.
pub const fn differs(bytes: u32) -> Standing {
    match bytes {
        0 => Standing::Same,
        1..=MOST_CUT_OFF_BYTES => Standing::CutOff,
        _ => Standing::Foreign,
    }
}

/// A piece of a segment in the repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct OpenPiece {
    /// Which segment.
    pub segment: Segment,
    /// The first byte, counted from the segment's start.
    pub from_byte: u32,
    /// The byte after the last one.
    pub to_byte: u32,
    /// When it came: what it holds was written before.
    pub at: Timestamp,
}

/// How far a segment reaches that is there in pieces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenEnd {
    /// Up to which position.
    pub lsn: Lsn,
    /// When the last of it came.
    pub at: Timestamp,
}

/// The pieces that make up a segment from its start on without a gap, as few as possible. Empty when the start is missing.
pub fn chain(pieces: &[OpenPiece], segment: Segment) -> Vec<OpenPiece> {
    let mut chain: Vec<OpenPiece> = Vec::new();
    loop {
        let reached = chain.last().map_or(0, |piece| piece.to_byte);
        let goes_on = |piece: &&OpenPiece| piece.segment == segment && piece.from_byte <= reached && piece.to_byte > reached;
        match pieces.iter().filter(goes_on).max_by_key(|piece| piece.to_byte) {
            Some(piece) => chain.push(*piece),
            None => return chain,
        }
    }
}

/// How far each segment reaches.
pub fn ends(pieces: &[OpenPiece], size: SegmentSize) -> BTreeMap<Segment, OpenEnd> {
    let of = |segment: Segment| {
        let chain = chain(pieces, segment);
        let last = chain.last()?;
        let at = chain.iter().map(|piece| piece.at).max()?;
        Some((segment, OpenEnd { lsn: Lsn(segment.start(size).0 + u64::from(last.to_byte)), at }))
    };
    pieces.iter().filter_map(|piece| of(piece.segment)).collect()
}

/// Where the next piece begins, `pieces` of the segment being there up to that byte.
pub const fn next_from(pieces: usize, reached: u32) -> u32 {
    if pieces >= MOST_PIECES { 0 } else { reached }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(number: u64, from_byte: u32, to_byte: u32) -> OpenPiece {
        OpenPiece { segment: Segment { timeline: 1, number }, from_byte, to_byte, at: Timestamp::from_second(i64::from(to_byte)).unwrap() }
    }

    #[test]
    fn pieces_follow_each_other_and_a_larger_one_replaces_those_before() {
        let told = |pieces: &[OpenPiece]| {
            let chain = chain(pieces, Segment { timeline: 1, number: 5 });
            chain.iter().map(|piece| (piece.from_byte, piece.to_byte)).collect::<Vec<_>>()
        };
        assert_eq!(told(&[piece(5, 0, 10), piece(5, 10, 20), piece(5, 20, 25), piece(6, 0, 99)]), [(0, 10), (10, 20), (20, 25)]);
        assert_eq!(told(&[piece(5, 0, 10), piece(5, 10, 20), piece(5, 0, 30)]), [(0, 30)]);
        // The one that replaces others came, and one of those before it is gone already.
        assert_eq!(told(&[piece(5, 10, 20), piece(5, 0, 30), piece(5, 30, 31)]), [(0, 30), (30, 31)]);
        assert_eq!(told(&[piece(5, 0, 10), piece(5, 11, 20)]), [(0, 10)], "a hole ends it");
        assert_eq!(told(&[piece(5, 11, 20)]), []);
    }

    #[test]
    fn the_end_is_a_position() {
        let size = SegmentSize::new(16 << 20).unwrap();
        let ends = ends(&[piece(5, 0, 10), piece(5, 10, 20), piece(6, 7, 8)], size);
        assert_eq!(ends.len(), 1);
        let end = ends[&Segment { timeline: 1, number: 5 }];
        assert_eq!((end.lsn, end.at), (Lsn((5 << 24) + 20), Timestamp::from_second(20).unwrap()));
    }

    #[test]
    fn a_crash_cuts_off_a_record_and_no_more() {
        let there: Vec<u8> = (0..3_000_000_u32).map(|n| n.to_le_bytes()[1]).collect();
        assert_eq!(standing(&there, &there), Standing::Same);
        assert_eq!(standing(&there[..100], &there), Standing::Same, "the server went on");
        assert_eq!(standing(&[], &there), Standing::Same);
        let mut after_a_crash = there.clone();
        after_a_crash[2_900_000..].fill(0xAA);
        assert_eq!(standing(&there, &after_a_crash), Standing::CutOff);
        assert_eq!(standing(&there, &there[..2_900_000]), Standing::CutOff, "it has not written so much again");
        after_a_crash[1_000_000] ^= 1;
        assert_eq!(standing(&there, &after_a_crash), Standing::Foreign);
    }

    #[test]
    fn many_pieces_become_one() {
        assert_eq!(next_from(3, 700), 700);
        assert_eq!(next_from(MOST_PIECES, 700), 0);
    }
}
