//! The statements executed between two readings of `pg_stat_statements`.

use super::Histogram;
use super::growth::{grown, grown_f64, pairs};
use crate::sample::Sample;
use crate::sample::statements::Statement;

/// What was executed between two readings: for each statement its mean time and how often it ran.
#[derive(Debug, Clone, PartialEq)]
pub struct Executions {
    /// Mean milliseconds and number of executions of each statement, fastest first.
    means: Vec<(f64, i64)>,
}

/// What was executed between two readings. A statement that was not there before, or whose
/// counters went back, was evicted or reset, and counts with all that it shows.
#[expect(clippy::cast_precision_loss, reason = "a mean is a double by definition")]
pub fn executions(older: Option<&Sample<Statement>>, newer: &Sample<Statement>) -> Executions {
    let mut means: Vec<(f64, i64)> = pairs(older, newer, |row| (row.userid, row.dbid, row.queryid, row.toplevel))
        .into_iter()
        .filter_map(|(older, newer)| {
            let was_reset = older.is_some_and(|older| older.calls > newer.calls);
            let older = older.filter(|_| !was_reset);
            let calls = grown(older.map(|row| row.calls), newer.calls);
            let took_ms = grown_f64(older.map(|row| row.total_exec_time), newer.total_exec_time);
            (calls > 0).then(|| (took_ms / calls as f64, calls))
        })
        .collect();
    means.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    Executions { means }
}

impl Executions {
    /// How many there were.
    pub fn calls(&self) -> i64 {
        self.means.iter().map(|(_, calls)| calls).sum()
    }

    /// The mean time of an execution, in milliseconds; none when there was none.
    #[expect(clippy::cast_precision_loss, reason = "a mean is a double by definition")]
    pub fn mean_ms(&self) -> Option<f64> {
        let calls = self.calls();
        let sum: f64 = self.means.iter().map(|(mean, calls)| mean * *calls as f64).sum();
        (calls > 0).then(|| sum / calls as f64)
    }

    /// The time that this share of the executions did not exceed, each taken as long as its statement's mean; none when there was none.
    #[expect(clippy::cast_precision_loss, reason = "a share is a double by definition")]
    pub fn quantile_ms(&self, share: f64) -> Option<f64> {
        let wanted = share * self.calls() as f64;
        let mut so_far = 0.0;
        self.means.iter().find_map(|(mean, calls)| {
            so_far += *calls as f64;
            (so_far >= wanted).then_some(*mean)
        })
    }

    /// Adds them to a histogram of milliseconds.
    pub fn add_to(&self, histogram: &mut Histogram) {
        for (mean, calls) in &self.means {
            histogram.add(*mean, *calls);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::testing::{row, sample};

    fn statement(queryid: i64, calls: i64, total_exec_time: f64) -> Statement {
        row(|row: &mut Statement| {
            row.queryid = queryid;
            row.calls = calls;
            row.total_exec_time = total_exec_time;
        })
    }

    fn between(older: Vec<Statement>, newer: Vec<Statement>) -> Executions {
        executions(Some(&sample(10, older)), &sample(20, newer))
    }

    #[test]
    fn new_idle_and_reset_statements() {
        let older = vec![statement(1, 100, 1000.0), statement(2, 50, 10.0), statement(3, 7, 7.0)];
        let newer = vec![statement(1, 190, 1090.0), statement(2, 50, 10.0), statement(3, 2, 40.0), statement(4, 8, 800.0)];
        let done = between(older, newer);
        assert_eq!(done.calls(), 90 + 2 + 8);
        assert_eq!((done.quantile_ms(0.5), done.quantile_ms(0.91), done.quantile_ms(0.99)), (Some(1.0), Some(20.0), Some(100.0)));
        assert_eq!(done.mean_ms(), Some((90.0 + 40.0 + 800.0) / 100.0));
        let mut histogram = Histogram::new(&[1.0, 50.0]);
        done.add_to(&mut histogram);
        assert_eq!(histogram.cumulative().collect::<Vec<_>>(), [(Some(1.0), 90), (Some(50.0), 92), (None, 100)]);
    }

    #[test]
    fn nothing_executed_has_no_mean() {
        let done = between(vec![statement(1, 5, 5.0)], vec![statement(1, 5, 5.0)]);
        assert_eq!((done.calls(), done.mean_ms(), done.quantile_ms(0.95)), (0, None, None));
    }
}
