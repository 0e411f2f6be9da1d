//! How many rows of a probe have series. A bound cuts the least active rows, and how many it cut is a series of its own.

use crate::config::metrics::Metrics;
use crate::sample::{Column, Kind, Probe, Rows, Value};
use std::cmp::Ordering;

/// How many rows of a probe have series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Tables.
    pub tables: usize,
    /// Indexes.
    pub indexes: usize,
    /// Statements.
    pub statements: usize,
}

/// Bound of every probe that the configuration sets none for.
const OTHERS: usize = 1000;

/// By which columns the rows of a probe are ranked: the sum of what each did since its counters were last reset. That changes slowly, so
/// the same rows have series from one scrape to the next.
fn activity(probe: Probe) -> &'static [&'static str] {
    match probe.spec().name {
        "tables" => &["seq_tup_read", "idx_tup_fetch", "n_tup_ins", "n_tup_upd", "n_tup_del"],
        "indexes" => &["idx_scan", "idx_tup_read"],
        "statements" => &["total_exec_time"],
        _ => &[],
    }
}

impl Bounds {
    /// The bounds that the configuration sets.
    pub fn of(config: &Metrics) -> Self {
        Self { tables: config.max_tables, indexes: config.max_indexes, statements: config.max_statements }
    }

    /// How many rows of a probe have series.
    fn most(&self, probe: Probe) -> usize {
        match probe.spec().name {
            "tables" => self.tables,
            "indexes" => self.indexes,
            "statements" => self.statements,
            // Settings are as many as the server has, and each is one series.
            "settings" => usize::MAX,
            _ => OTHERS,
        }
    }

    /// How many rows of a sample have no series; none when the probe is to have none at all, or has no bound that matters.
    pub fn cut(&self, probe: Probe, rows: usize) -> Option<usize> {
        let most = self.most(probe);
        (most > 0 && (rows > most || !activity(probe).is_empty())).then(|| rows.saturating_sub(most))
    }

    /// The numbers of the rows that have series, in the order of the sample.
    pub fn select(&self, probe: Probe, rows: &dyn Rows) -> Vec<usize> {
        let bound = self.most(probe);
        if rows.len() <= bound || bound == 0 {
            return (0..rows.len().min(bound)).collect();
        }
        let ranking = columns(probe, |column| activity(probe).contains(&column.name));
        let done = |row: usize| ranking.iter().filter_map(|column| rows.value(row, *column).number()).sum::<f64>();
        let labels = columns(probe, |column| column.kind == Kind::Label);
        let by_name = |a: usize, b: usize| {
            labels.iter().map(|column| order(rows.value(a, *column), rows.value(b, *column))).find(|order| order.is_ne())
        };
        let mut ranked: Vec<(f64, usize)> = (0..rows.len()).map(|row| (done(row), row)).collect();
        // Rows that did the same are told apart by their names, or series would come and go among the idle ones.
        ranked.select_nth_unstable_by(bound, |a, b| b.0.total_cmp(&a.0).then_with(|| by_name(a.1, b.1).unwrap_or(Ordering::Equal)));
        ranked.truncate(bound);
        let mut kept: Vec<usize> = ranked.into_iter().map(|(_, row)| row).collect();
        kept.sort_unstable();
        kept
    }
}

/// Some order of labels, as long as it is always the same.
fn order(a: Value<'_>, b: Value<'_>) -> Ordering {
    match (a, b) {
        (Value::Int(a), Value::Int(b)) => a.cmp(&b),
        (Value::Text(a), Value::Text(b)) => a.cmp(b),
        (Value::Bool(a), Value::Bool(b)) => a.cmp(&b),
        (Value::Time(a), Value::Time(b)) => a.cmp(&b),
        (a, b) => (a == Value::Null).cmp(&(b == Value::Null)),
    }
}

fn columns(probe: Probe, wanted: impl Fn(&Column) -> bool) -> Vec<usize> {
    probe.spec().columns.iter().enumerate().filter(|(_, column)| wanted(column)).map(|(number, _)| number).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::registry::SPECS;

    #[test]
    fn rows_are_ranked_by_columns_that_exist() {
        for spec in SPECS {
            for name in activity(spec.probe) {
                assert!(spec.columns.iter().any(|column| column.name == *name), "{} has no column {name}", spec.name);
            }
        }
    }
}
