//! When each probe is due, and how long to wait before a server is tried again. Time is a duration since the agent's start.

use crate::sample::Probe;
use crate::sample::registry::SPECS;
use std::collections::HashMap;
use std::time::Duration;

/// How often each probe runs; a probe without an entry does not run by itself.
pub type Cadence = HashMap<Probe, Duration>;

/// The cadence that probes have unless the configuration says otherwise. A cadence of zero means "only on demand".
pub fn default_cadence() -> Cadence {
    SPECS.iter().filter(|spec| !spec.every.is_zero()).map(|spec| (spec.probe, spec.every)).collect()
}

/// Which probes are due.
#[derive(Debug, Clone)]
pub struct Schedule {
    cadence: Cadence,
    next: HashMap<Probe, Duration>,
}

impl Schedule {
    /// Everything is due at once.
    pub fn new(cadence: Cadence) -> Self {
        Self { cadence, next: HashMap::new() }
    }

    /// The probes due now, the most frequent first: in a round that runs out of time the slow and rare ones wait, not the pulse.
    pub fn due(&self, now: Duration) -> Vec<Probe> {
        let mut due: Vec<(Duration, Probe)> =
            self.cadence.iter().filter(|(probe, _)| self.next_for(**probe) <= now).map(|(probe, every)| (*every, *probe)).collect();
        due.sort();
        due.into_iter().map(|(_, probe)| probe).collect()
    }

    /// Notes that a probe ran (or failed) now. Its next turn stays on its own grid, so that a late round does not shift all later ones.
    pub fn ran(&mut self, probe: Probe, now: Duration) {
        let Some(every) = self.cadence.get(&probe).copied() else { return };
        let mut next = self.next_for(probe) + every;
        if next <= now {
            next = now + every - remainder(now.saturating_sub(self.next_for(probe)), every);
        }
        self.next.insert(probe, next);
    }

    /// When the next probe is due.
    pub fn next_turn(&self) -> Option<Duration> {
        self.cadence.keys().map(|probe| self.next_for(*probe)).min()
    }

    /// Forgets what ran: after a new connection everything is due again.
    pub fn restart(&mut self) {
        self.next.clear();
    }

    fn next_for(&self, probe: Probe) -> Duration {
        self.next.get(&probe).copied().unwrap_or_default()
    }
}

fn remainder(elapsed: Duration, every: Duration) -> Duration {
    Duration::from_nanos(u64::try_from(elapsed.as_nanos() % every.as_nanos().max(1)).unwrap_or(0))
}

/// How long to wait before the next attempt to connect: doubling from a quarter of a second up to ten, with a jitter between half
/// and whole so that many agents do not come back in step. `chance` is a random number in 0..1.
pub fn backoff(failed_attempts: u32, chance: f64) -> Duration {
    let longest = Duration::from_secs(10);
    let doubled = Duration::from_millis(250).saturating_mul(1_u32 << failed_attempts.saturating_sub(1).min(10));
    doubled.min(longest).mul_f64(0.5 + chance.clamp(0.0, 1.0) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_late_round_does_not_shift_the_grid() {
        let mut schedule = Schedule::new(HashMap::from([(Probe::Activity, SECOND)]));
        assert_eq!(schedule.due(SECOND * 10), [Probe::Activity]);
        schedule.ran(Probe::Activity, SECOND * 10);
        schedule.ran(Probe::Activity, SECOND * 11 + Duration::from_millis(300));
        assert_eq!(schedule.next_turn(), Some(SECOND * 12));
        schedule.ran(Probe::Activity, SECOND * 15 + Duration::from_millis(700));
        assert_eq!(schedule.next_turn(), Some(SECOND * 16));
    }

    #[test]
    fn the_most_frequent_goes_first() {
        let schedule = Schedule::new(HashMap::from([(Probe::Database, SECOND * 5), (Probe::Activity, SECOND)]));
        assert_eq!(schedule.due(Duration::ZERO), [Probe::Activity, Probe::Database]);
    }

    #[test]
    fn waiting_grows_to_ten_seconds_and_no_further() {
        assert_eq!(backoff(1, 1.0), Duration::from_millis(250));
        assert_eq!(backoff(1, 0.0), Duration::from_millis(125));
        assert_eq!(backoff(40, 1.0), Duration::from_secs(10));
    }
}
