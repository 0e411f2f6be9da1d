//! The checksum of a page, exactly as PostgreSQL computes it (`storage/checksum_impl.h`), as fast as memory gives the page.
//!
//! The page is a table of 32-bit numbers in 32 columns. Each column is hashed by itself (a round is `t = sum ^ value; sum = t * prime
//! ^ t >> 17`), then come two rounds with zero, and the 32 sums and the block's number are folded by exclusive or. The columns are
//! independent, so the compiler gives each instruction four or eight of them, by what the processor it runs on understands.

use std::array::from_fn;

/// The prime of the FNV-1a hash.
const PRIME: u32 = 16_777_619;
const COLUMNS: usize = 32;
const ROW_BYTES: usize = COLUMNS * 4;

/// What the columns begin with (`checksumBaseOffsets`).
const BEGIN: [u32; COLUMNS] = [
    0x5B1F_36E9,
    0xB852_5960,
    0x02AB_50AA,
    0x1DE6_6D2A,
    0x79FF_467A,
    0x9BB9_F8A3,
    0x217E_7CD2,
    0x83E1_3D2C,
    0xF8D4_474F,
    0xE39E_B970,
    0x42C6_AE16,
    0x9932_16FA,
    0x7B09_3B5D,
    0x98DA_FF3C,
    0xF718_902A,
    0x0B1C_9CDB,
    0xE58F_764B,
    0x1876_36BC,
    0x5D7B_3BB1,
    0xE73D_E7DE,
    0x92BE_C979,
    0xCCA6_C0B2,
    0x304A_0979,
    0x85AA_43D4,
    0x7831_25BB,
    0x6CA8_EAA2,
    0xE407_EAC6,
    0x4B5C_FC3E,
    0x9FBF_8C76,
    0x15CA_20BE,
    0xF2CA_9FD3,
    0x959B_D756,
];

/// The checksum that a page at this place carries when it is sound: from 1 to 65535. The checksum in its header counts as zero.
///
/// The page's length is a multiple of 128 bytes; what is beyond would not count.
pub fn checksum(page: &[u8], block: u32) -> u16 {
    let sum = columns(page) ^ block;
    // The remainder is below 65535.
    #[expect(clippy::cast_possible_truncation, reason = "at most 65535")]
    let folded = (sum % 65_535 + 1) as u16;
    folded
}

#[multiversion::multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl", "x86_64+avx2", "x86_64+sse4.1"))]
fn columns(page: &[u8]) -> u32 {
    let mut sums = BEGIN;
    let mut rows = page.chunks_exact(ROW_BYTES);
    if let Some(first) = rows.next() {
        let mut values = numbers(first);
        // The checksum itself is the lower half of the third number.
        values[2] &= 0xFFFF_0000;
        round(&mut sums, &values);
    }
    for row in rows {
        round(&mut sums, &numbers(row));
    }
    for _ in 0..2 {
        round(&mut sums, &[0; COLUMNS]);
    }
    sums.iter().fold(0, |all, sum| all ^ sum)
}

#[inline(always)]
fn numbers(row: &[u8]) -> [u32; COLUMNS] {
    from_fn(|column| u32::from_le_bytes([row[column * 4], row[column * 4 + 1], row[column * 4 + 2], row[column * 4 + 3]]))
}

#[inline(always)]
fn round(sums: &mut [u32; COLUMNS], values: &[u32; COLUMNS]) {
    for (sum, value) in sums.iter_mut().zip(values) {
        let mixed = *sum ^ value;
        *sum = mixed.wrapping_mul(PRIME) ^ (mixed >> 17);
    }
}
