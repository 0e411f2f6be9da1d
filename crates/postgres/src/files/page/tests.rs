//! Tests of page headers and checksums. Pages of real servers are read in the integration tests.

use super::*;

fn page() -> Vec<u8> {
    let mut page: Vec<u8> = (0..8192_u32).map(|at| u8::try_from(at.wrapping_mul(2_654_435_761) >> 24).unwrap()).collect();
    for (at, value) in [(10, 4_u16), (12, 28), (14, 8000), (16, 8192), (18, 0x2004)] {
        page[at..at + 2].copy_from_slice(&value.to_le_bytes());
    }
    page
}

fn sealed(block: u32) -> Vec<u8> {
    let mut page = page();
    let sum = checksum(&page, block);
    page[8..10].copy_from_slice(&sum.to_le_bytes());
    page
}

/// The algorithm word for word, a column after the other.
fn slowly(page: &[u8], block: u32) -> u16 {
    let mut all = 0;
    for column in 0..32 {
        let mut sum = [
            0x5B1F_36E9_u32,
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
        ][column];
        let mut mix = |value: u32| {
            let mixed = sum ^ value;
            sum = mixed.wrapping_mul(16_777_619) ^ (mixed >> 17);
        };
        for row in 0..page.len() / 128 {
            let at = row * 128 + column * 4;
            let mut number = [page[at], page[at + 1], page[at + 2], page[at + 3]];
            if at == 8 {
                number[..2].fill(0);
            }
            mix(u32::from_le_bytes(number));
        }
        mix(0);
        mix(0);
        all ^= sum;
    }
    u16::try_from((all ^ block) % 65_535 + 1).unwrap()
}

#[test]
fn the_fast_way_agrees_with_the_definition() {
    for bytes in [1024, 4096, 8192, 16_384, 32_768] {
        let page: Vec<u8> = page().into_iter().cycle().take(bytes).collect();
        for block in [0, 1, 131_072, u32::MAX] {
            assert_eq!(checksum(&page, block), slowly(&page, block), "{bytes} bytes, block {block}");
        }
    }
}

#[test]
fn a_page_is_sound_at_its_place_only() {
    assert_eq!(judge(&sealed(7), 7, true), Verdict::Sound);
    assert!(matches!(judge(&sealed(7), 8, true), Verdict::Checksum { .. }));
    assert_eq!(judge(&sealed(7), 8, false), Verdict::Sound);
}

#[test]
fn every_flipped_bit_is_seen() {
    let good = sealed(3);
    for bit in 0..8192 * 8 {
        let mut page = good.clone();
        page[bit / 8] ^= 1 << (bit % 8);
        assert!(!judge(&page, 3, true).is_good(), "bit {bit}");
    }
}

#[test]
fn a_new_page_is_zero_all_over() {
    let mut page = vec![0; 8192];
    assert_eq!(judge(&page, 3, true), Verdict::New);
    for at in [0, 127, 4096, 8191] {
        page[at] = 1;
        assert_eq!(judge(&page, 3, true), Verdict::NotZero, "byte {at}");
        page[at] = 0;
    }
}

#[test]
fn headers_that_cannot_be_are_seen_without_checksums() {
    for (at, value, fault) in [
        (10, 0x8000_u16, HeaderFault::Flags),
        (12, 20, HeaderFault::Bounds),
        (12, 8100, HeaderFault::Bounds),
        (16, 7000, HeaderFault::Bounds),
        (16, 8196, HeaderFault::Bounds),
        (16, 8190, HeaderFault::Special),
        (18, 0x2003, HeaderFault::Size),
        (18, 0x4004, HeaderFault::Size),
    ] {
        let mut page = page();
        page[at..at + 2].copy_from_slice(&value.to_le_bytes());
        assert_eq!(judge(&page, 0, false), Verdict::Header(fault), "{at}: {value}");
    }
}

#[test]
fn the_upper_half_of_an_lsn_comes_first() {
    let mut page = page();
    page[..8].copy_from_slice(&[0x16, 0, 0, 0, 0x48, 0xD8, 0x74, 0xB3]);
    assert_eq!(Header::of(&page).lsn.to_string(), "16/B374D848");
}
