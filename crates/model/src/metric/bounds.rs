//! How many rows of a probe have series. A bound cuts the least active rows, and how many it cut is a series of its own.

use crate::config::metrics::Metrics;
use crate::sample::{Column, Kind, Probe, Rows};

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
        if rows.len() <= bound {
            return (0..rows.len()).collect();
        }
        let ranking = columns(probe, |column| activity(probe).contains(&column.name));
        let done = |row: usize| ranking.iter().filter_map(|column| rows.value(row, *column).number()).sum::<f64>();
        let labels = columns(probe, |column| column.kind == Kind::Label);
        let named = |row: usize| labels.iter().map(|column| rows.value(row, *column).json().to_string()).collect::<Vec<_>>();
        let mut ranked: Vec<(f64, usize)> = (0..rows.len()).map(|row| (done(row), row)).collect();
        // Rows that did the same are told apart by their names, or series would come and go among the idle ones.
        ranked.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then_with(|| named(a.1).cmp(&named(b.1))));
        ranked.truncate(bound);
        let mut kept: Vec<usize> = ranked.into_iter().map(|(_, row)| row).collect();
        kept.sort_unstable();
        kept
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
