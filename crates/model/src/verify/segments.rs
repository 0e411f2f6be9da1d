//! The files of one fork of a relation: whether one is missing or too short.
//!
//! PostgreSQL cuts a fork into files of one length (`md.c`). All but the last that holds anything are full; after that there may be
//! empty ones, which are left when a relation is truncated.

/// What is wrong with a file of a fork.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It is not there, although a later one holds something.
    Missing {
        /// Which file.
        segment: u32,
    },
    /// It is not full, although a later one holds something.
    Short {
        /// Which file.
        segment: u32,
        /// How long it is.
        found_bytes: u64,
        /// How long it has to be.
        expected_bytes: u64,
    },
}

/// At most so many missing files of one fork are told: a stray `.4000000000` shall not be told four billion times.
const MISSING_AT_MOST: u32 = 100;

/// Looks at the files of one fork: number and length, by number. `full_bytes` is the length of a full one.
pub fn faults(files: &[(u32, u64)], full_bytes: u64) -> Vec<Fault> {
    let Some(last) = files.iter().rev().find(|(_, bytes)| *bytes > 0).map(|(segment, _)| *segment) else { return Vec::new() };
    let mut faults = Vec::new();
    let mut next = 0;
    for &(segment, found_bytes) in files.iter().take_while(|(segment, _)| *segment <= last) {
        faults.extend((next..segment).take(MISSING_AT_MOST as usize).map(|segment| Fault::Missing { segment }));
        if segment < last && found_bytes != full_bytes {
            faults.push(Fault::Short { segment, found_bytes, expected_bytes: full_bytes });
        }
        next = segment + 1;
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: u64 = 1 << 30;

    #[test]
    fn all_but_the_last_file_with_something_in_it_are_full() {
        for good in [
            &[][..],
            &[(0, 0)],
            &[(0, 8192)],
            &[(0, FULL)],
            &[(0, FULL), (1, FULL), (2, 8192)],
            &[(0, FULL), (1, 8192), (2, 0), (3, 0)],
            &[(0, 8192), (3, 0)],
        ] {
            assert_eq!(faults(good, FULL), [], "{good:?}");
        }
    }

    #[test]
    fn gaps_and_short_files_are_seen() {
        assert_eq!(faults(&[(0, FULL), (2, 8192)], FULL), [Fault::Missing { segment: 1 }]);
        assert_eq!(faults(&[(1, 8192)], FULL), [Fault::Missing { segment: 0 }]);
        let short = Fault::Short { segment: 0, found_bytes: 8192, expected_bytes: FULL };
        assert_eq!(faults(&[(0, 8192), (1, 8192)], FULL), [short]);
        assert_eq!(faults(&[(0, 0), (1, 8192)], FULL), [Fault::Short { segment: 0, found_bytes: 0, expected_bytes: FULL }]);
        assert_eq!(faults(&[(0, FULL), (4_000_000_000, 8192)], FULL).len(), 100);
    }
}
