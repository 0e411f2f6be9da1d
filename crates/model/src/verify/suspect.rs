//! When a page that looks wrong is damaged, and when it was only being written.
//!
//! A page is written by one system call, but one that reads it meanwhile may see some of it old and some of it new. So it is read
//! again: once it is right, it was in flux; when it stays the very same wrong page for long enough, it is damaged. The page's LSN is
//! not asked, because a damaged LSN would excuse its page.

use std::time::Duration;

/// A page that looked wrong, and what was seen of it since.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Suspect {
    /// Stands for the page's contents when it was last read.
    pub fingerprint: u32,
    /// How often in a row it was read again and was the same.
    unchanged: u32,
    /// How often it was read again.
    looks: u32,
}

/// What was found when a page was read again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// It is right.
    Right,
    /// It is not there any more: the file was shortened or removed.
    Gone,
    /// It still looks wrong, with these contents.
    Wrong(u32),
}

/// What to think of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ruling {
    /// It was being written.
    InFlux,
    /// It is nobody's any more.
    Gone,
    /// It is damaged.
    Damaged,
    /// Nobody can tell: it changes each time, and never is right.
    Restless,
    /// Read it again.
    LookAgain,
}

/// The waits before a page is read again while the server runs: a writer that was held up in the middle of a page for longer than
/// these together would be rare indeed.
const WAITS: [Duration; 5] = [
    Duration::from_millis(5),
    Duration::from_millis(30),
    Duration::from_millis(150),
    Duration::from_millis(500),
    Duration::from_millis(1000),
];
/// How often a page that changes each time is read.
const LOOKS_AT_MOST: u32 = 20;

impl Suspect {
    /// A page that looks wrong for the first time.
    pub const fn new(fingerprint: u32) -> Self {
        Self { fingerprint, unchanged: 0, looks: 0 }
    }

    /// How long to wait before it is read again. Without a server that writes, it is read again at once.
    pub fn wait(&self, server_runs: bool) -> Duration {
        if !server_runs {
            return Duration::ZERO;
        }
        let step = usize::try_from(self.unchanged).unwrap_or(WAITS.len());
        WAITS[step.min(WAITS.len() - 1)]
    }

    /// What to think of it, now that it was read again.
    pub fn rule(&mut self, seen: Seen, server_runs: bool) -> Ruling {
        self.looks += 1;
        let fingerprint = match seen {
            Seen::Right => return Ruling::InFlux,
            Seen::Gone => return Ruling::Gone,
            Seen::Wrong(fingerprint) => fingerprint,
        };
        self.unchanged = if fingerprint == self.fingerprint { self.unchanged + 1 } else { 0 };
        self.fingerprint = fingerprint;
        let enough = if server_runs { WAITS.len() } else { 1 };
        if usize::try_from(self.unchanged).is_ok_and(|unchanged| unchanged >= enough) {
            Ruling::Damaged
        } else if self.looks >= LOOKS_AT_MOST {
            Ruling::Restless
        } else {
            Ruling::LookAgain
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_that_stays_the_same_is_damaged() {
        let mut suspect = Suspect::new(7);
        let mut waited = Duration::ZERO;
        for _ in 0..4 {
            waited += suspect.wait(true);
            assert_eq!(suspect.rule(Seen::Wrong(7), true), Ruling::LookAgain);
        }
        waited += suspect.wait(true);
        assert_eq!(suspect.rule(Seen::Wrong(7), true), Ruling::Damaged);
        assert!(waited > Duration::from_secs(1), "{waited:?}");
    }

    #[test]
    fn a_stopped_server_writes_nothing_so_one_more_look_is_enough() {
        let mut suspect = Suspect::new(7);
        assert_eq!(suspect.wait(false), Duration::ZERO);
        assert_eq!(suspect.rule(Seen::Wrong(7), false), Ruling::Damaged);
    }

    #[test]
    fn a_page_that_is_being_written_is_not_damaged() {
        let mut suspect = Suspect::new(7);
        assert_eq!(suspect.rule(Seen::Wrong(8), true), Ruling::LookAgain);
        assert_eq!(suspect.rule(Seen::Wrong(8), true), Ruling::LookAgain);
        assert_eq!(suspect.rule(Seen::Right, true), Ruling::InFlux);
        assert_eq!(Suspect::new(7).rule(Seen::Gone, true), Ruling::Gone);
    }

    #[test]
    fn a_page_that_never_rests_is_not_called_damaged() {
        let mut suspect = Suspect::new(0);
        let rulings: Vec<Ruling> = (1..=LOOKS_AT_MOST).map(|look| suspect.rule(Seen::Wrong(look), true)).collect();
        assert!(rulings[..19].iter().all(|ruling| *ruling == Ruling::LookAgain));
        assert_eq!(rulings[19], Ruling::Restless);
    }
}
