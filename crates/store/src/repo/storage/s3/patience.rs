//! Trying again: how long, with which pauses; and sending no faster than allowed.

use super::failure::Failure;
use pgtend_model::error::Result;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// The tries of one call.
pub(super) struct Patience {
    what: &'static str,
    place: String,
    began: Instant,
    lasts: Duration,
    tries: u32,
}

impl Patience {
    pub(super) fn new(what: &'static str, place: String, lasts: Duration) -> Self {
        Self { what, place, began: Instant::now(), lasts, tries: 0 }
    }

    /// Whether a try has failed before, and so may have come to something that nobody was told of.
    pub(super) const fn tried_before(&self) -> bool {
        self.tries > 0
    }

    /// A step went well, and the next one of the same call begins anew.
    pub(super) fn went_on(&mut self) {
        self.tries = 0;
        self.began = Instant::now();
    }

    /// Waits for the next try.
    ///
    /// # Errors
    /// When there shall be none.
    pub(super) async fn after(&mut self, failure: Failure) -> Result<()> {
        self.tries += 1;
        let pause = pause(self.tries);
        if !failure.passes(self.tries) || self.began.elapsed() + pause > self.lasts {
            return Err(failure.told(self.what, self.place.clone(), self.tries, self.began.elapsed()));
        }
        tracing::info!(place = self.place, failure = failure.shown(), tries = self.tries, "S3 is asked again");
        tokio::time::sleep(pause).await;
        Ok(())
    }
}

/// Twice as long after each try, less up to a half by chance, so that those who failed together do not come back together.
fn pause(tries: u32) -> Duration {
    let longest = FIRST_PAUSE.saturating_mul(1 << tries.saturating_sub(1).min(10)).min(LONGEST_PAUSE);
    let mut random = [0];
    let chance = if getrandom::fill(&mut random).is_ok() { u32::from(random[0]) } else { 0 };
    longest - longest / 2 * chance / 255
}

/// Keeps to a number of bytes a second, in the mean: an object goes as fast as it can, and the next one waits.
#[derive(Debug)]
pub(super) struct Pace {
    bytes_per_second: u64,
    free: Mutex<Instant>,
}

impl Pace {
    pub(super) fn new(bytes_per_second: u64) -> Self {
        Self { bytes_per_second, free: Mutex::new(Instant::now()) }
    }

    /// Waits for the turn of so many bytes.
    pub(super) async fn turn(&self, bytes: usize) {
        let wait = self.reserve(bytes, Instant::now());
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
    }

    fn reserve(&self, bytes: usize, now: Instant) -> Duration {
        if self.bytes_per_second == 0 {
            return Duration::ZERO;
        }
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let begins = (*free).max(now);
        *free = begins + Duration::from_secs_f64(bytes as f64 / self.bytes_per_second as f64);
        begins - now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_limit() {
        for (tries, longest_ms) in [(1, 200), (2, 400), (5, 3200), (20, 10_000), (1000, 10_000)] {
            let pause = pause(tries).as_millis();
            assert!(pause <= longest_ms && pause >= longest_ms / 2, "{tries}: {pause}");
        }
    }

    #[test]
    fn what_is_sent_waits_for_what_was_sent() {
        let pace = Pace::new(1000);
        let now = Instant::now();
        assert_eq!(pace.reserve(500, now), Duration::ZERO);
        let free = *pace.free.lock().unwrap();
        assert_eq!(pace.reserve(2000, now), free - now);
        assert!(pace.reserve(1, now) >= Duration::from_millis(2500));
        assert_eq!(Pace::new(0).reserve(usize::MAX, now), Duration::ZERO);
    }
}
