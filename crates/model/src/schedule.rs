//! When each probe is due, and how long to wait before a server is tried again. Time is a duration since the agent's start.

use crate::sample::Probe;
use crate::sample::registry::SPECS;
use std::collections::{HashMap, HashSet};
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

/// In which order rounds visit databases: so that one whose time is used up costs every database its turn now and then, and none always.
#[derive(Debug, Clone, Default)]
pub struct Tour {
    rounds: u64,
    /// The round that last took each probe to a database.
    last: HashMap<Probe, HashMap<String, u64>>,
}

impl Tour {
    /// The databases of a new round with these probes: those first to which one of them was not taken for longest, equal ones as they
    /// come. Databases that are not among them are forgotten.
    pub fn begin(&mut self, probes: &[Probe], mut databases: Vec<String>) -> Vec<String> {
        self.rounds += 1;
        let there: HashSet<&str> = databases.iter().map(String::as_str).collect();
        self.last.values_mut().for_each(|last| last.retain(|name, _| there.contains(name.as_str())));
        let last = |name: &String| probes.iter().map(|probe| self.last.get(probe)?.get(name).copied()).min().flatten();
        databases.sort_by_cached_key(last);
        databases
    }

    /// Notes that the round took these probes to a database.
    pub fn visited(&mut self, probes: &[Probe], database: &str) {
        for probe in probes {
            self.last.entry(*probe).or_default().insert(database.to_owned(), self.rounds);
        }
    }
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

    /// The databases of rounds that have time for so many of them.
    fn rounds<const N: usize>(tour: &mut Tour, databases: &str, probes: &[Probe], most: usize) -> [String; N] {
        std::array::from_fn(|_| {
            let order = tour.begin(probes, databases.split(' ').map(str::to_owned).collect());
            order.iter().take(most).for_each(|database| tour.visited(probes, database));
            order[..most].join(" ")
        })
    }

    #[test]
    fn rounds_that_run_out_of_time_get_to_every_database_in_turn() {
        let tables = &[Probe::Tables][..];
        let mut tour = Tour::default();
        assert_eq!(rounds(&mut tour, "a b c d e", tables, 2), ["a b", "c d", "e a", "b c", "d a"]);
        assert_eq!(rounds(&mut tour, "a x d", tables, 2), ["x a", "d a"]);
        assert_eq!(rounds(&mut Tour::default(), "b a c", tables, 3), ["b a c", "b a c"]);
    }

    #[test]
    fn a_probe_that_was_never_taken_to_a_database_goes_there_first() {
        let mut tour = Tour::default();
        assert_eq!(rounds(&mut tour, "a b c", &[Probe::Tables], 1), ["a"]);
        assert_eq!(rounds(&mut tour, "a b c", &[Probe::Tables, Probe::Indexes], 1), ["a", "b", "c", "a"]);
    }

    #[test]
    fn waiting_grows_to_ten_seconds_and_no_further() {
        assert_eq!(backoff(1, 1.0), Duration::from_millis(250));
        assert_eq!(backoff(1, 0.0), Duration::from_millis(125));
        assert_eq!(backoff(40, 1.0), Duration::from_secs(10));
    }
}
