//! When sessions were sampled, and so what a number of samples stands for.

use crate::error::Result;
use crate::past::{Past, Span, TickMark};
use crate::sample::{Reason, Unknown};
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;

/// Lengths of a step, in seconds.
const LENGTHS: [i64; 19] = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400, 604_800];
/// Silence that counts as "not sampled", at least.
const SILENCE_SECONDS: f64 = 5.0;

/// The instants at which sessions were sampled.
#[derive(Debug, Clone)]
pub struct Sampled {
    /// The period.
    pub span: Span,
    /// The instants, oldest first.
    pub ticks: Vec<TickMark>,
    /// The time that one sample stands for.
    pub pace_seconds: f64,
    /// Stretches in which nothing was sampled.
    pub gaps: Vec<Span>,
}

impl Sampled {
    /// The instants of a period.
    ///
    /// # Errors
    /// When the history cannot be read; the inner one says that there are none.
    pub fn of(past: &dyn Past, span: Span) -> Result<Result<Self, Unknown>> {
        let ticks = past.ticks(span)?;
        let Some(pace_seconds) = pace_seconds(&ticks) else {
            return Ok(Err(Unknown::new(Reason::Absent, "the sessions were not sampled in the period")));
        };
        let gaps = gaps(span, &ticks, pace_seconds);
        Ok(Ok(Self { span, ticks, pace_seconds, gaps }))
    }

    /// Sessions on average, of so many samples.
    #[expect(clippy::cast_precision_loss, reason = "counts of samples are far below 2^52")]
    pub fn average(&self, samples: u64) -> f64 {
        samples as f64 / self.ticks.len().max(1) as f64
    }

    /// The time that so many samples stand for, in seconds.
    #[expect(clippy::cast_precision_loss, reason = "counts of samples are far below 2^52")]
    pub fn seconds(&self, samples: u64) -> f64 {
        samples as f64 * self.pace_seconds
    }

    /// The same in ms.
    pub fn time_ms(&self, samples: u64) -> f64 {
        self.seconds(samples) * 1000.0
    }

    /// The time that was sampled, in seconds.
    pub fn whole_seconds(&self) -> f64 {
        self.seconds(u64::try_from(self.ticks.len()).unwrap_or(u64::MAX))
    }

    /// How long two samples may be apart for what both show to have lasted from the one to the other.
    pub fn patience(&self) -> SignedDuration {
        SignedDuration::from_secs_f64(silence_seconds(self.pace_seconds))
    }

    /// The period in at most so many steps.
    pub fn steps(&self, most: usize) -> Steps {
        let seconds = step_seconds(self.span.seconds(), most);
        Steps { length: SignedDuration::from_secs(seconds), begins: steps(self.span, seconds, &self.ticks) }
    }
}

/// A period cut into steps.
#[derive(Debug, Clone)]
pub struct Steps {
    /// How long a step is.
    pub length: SignedDuration,
    /// The begin of each, a multiple of the length, with the instants in it at which sessions were sampled.
    pub begins: Vec<(Timestamp, usize)>,
}

fn silence_seconds(pace_seconds: f64) -> f64 {
    (pace_seconds * 3.0).max(SILENCE_SECONDS)
}

/// The time between two samples, as most of them have it; a second when there is one only.
fn pace_seconds(ticks: &[TickMark]) -> Option<f64> {
    let mut apart: Vec<f64> = ticks.windows(2).map(|pair| pair[1].at.duration_since(pair[0].at).as_secs_f64()).collect();
    apart.sort_by(f64::total_cmp);
    match (ticks.len(), apart.get(apart.len() / 2)) {
        (0, _) => None,
        (_, Some(median)) => Some(median.max(0.001)),
        (_, None) => Some(1.0),
    }
}

/// A length that cuts so many seconds into at most so many steps.
fn step_seconds(seconds: f64, most: usize) -> i64 {
    #[expect(clippy::cast_precision_loss, reason = "a few lengths")]
    let fits = |length: &i64| seconds / *length as f64 <= most as f64;
    LENGTHS.into_iter().find(fits).unwrap_or(604_800)
}

/// The steps of a period, each at a multiple of its length.
fn steps(span: Span, step_seconds: i64, ticks: &[TickMark]) -> Vec<(Timestamp, usize)> {
    let step_ms = step_seconds * 1000;
    let place = |at: Timestamp| at.as_millisecond().div_euclid(step_ms);
    let mut counts: BTreeMap<i64, usize> = BTreeMap::new();
    ticks.iter().for_each(|tick| *counts.entry(place(tick.at)).or_default() += 1);
    let last = place(span.end - SignedDuration::from_millis(1));
    let at = |number: i64| Timestamp::from_millisecond(number * step_ms).ok().map(|at| (at, counts.get(&number).copied().unwrap_or(0)));
    (place(span.start)..=last).filter_map(at).collect()
}

/// Stretches of a period without ticks.
fn gaps(span: Span, ticks: &[TickMark], pace_seconds: f64) -> Vec<Span> {
    let silence = silence_seconds(pace_seconds);
    let ends = [span.start].into_iter().chain(ticks.iter().map(|tick| tick.at));
    let begins = ticks.iter().map(|tick| tick.at).chain([span.end]);
    ends.zip(begins).map(|(end, begin)| Span::new(end, begin)).filter(|gap| gap.seconds() > silence).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tick(ms: i64) -> TickMark {
        TickMark { at: Timestamp::from_millisecond(ms).unwrap(), sessions: 0 }
    }

    #[test]
    fn the_pace_is_what_most_samples_have_and_gaps_are_named() {
        let ticks: Vec<TickMark> = (0..60).chain(120..180).map(|second| tick(second * 1000)).collect();
        let span = Span::new(tick(0).at, tick(180_000).at);
        assert_eq!(pace_seconds(&ticks), Some(1.0));
        assert_eq!(gaps(span, &ticks, 1.0), [Span::new(tick(59_000).at, tick(120_000).at)]);
        let steps = steps(span, step_seconds(span.seconds(), 90), &ticks);
        assert_eq!((steps.len(), steps[0].1, steps[45].1), (90, 2, 0));
    }
}
