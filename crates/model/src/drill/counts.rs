//! Rows of the copy against rows of the live server, which went on meanwhile: how many can differ is known, and what goes beyond that is wrong.

use super::report::{Outcome, TableDifference};

/// The least that a change of one row takes in the WAL: what a row takes in a load of many at once, where it has next to no columns.
const WAL_BYTES_A_ROW: u64 = 24;

/// The rows of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted {
    /// Its database.
    pub database: String,
    /// Its name with schema.
    pub table: String,
    /// Rows in the copy, counted.
    pub restored: u64,
    /// Rows on the live server; none where the table is gone there.
    pub live: Option<u64>,
    /// Whether the live rows were counted; otherwise they are the server's own estimate.
    pub exact: bool,
    /// Rows that were inserted or deleted there since the drill began.
    pub changed: u64,
}

/// What went on between the copy and the counting.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Meanwhile {
    /// Bytes of WAL that the live server had written when the drill began and that are not in the copy. None: unknown.
    pub lost_wal_bytes: Option<u64>,
    /// How much is overlooked beyond what is explained, in per cent.
    pub tolerance_percent: f64,
}

/// What is to be thought of the rows of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Difference {
    /// As many.
    Equal,
    /// Not as many, and that is explained.
    Explained(&'static str),
    /// More than is explained, and less than the tolerance.
    Tolerated,
    /// More than that.
    Beyond,
}

/// Compares the rows of a table.
pub fn compare(counted: &Counted, meanwhile: Meanwhile) -> Difference {
    let Some(live) = counted.live else { return Difference::Explained("the table was dropped on the live server since") };
    let difference = live.abs_diff(counted.restored);
    if difference == 0 {
        return Difference::Equal;
    }
    let by_wal = meanwhile.lost_wal_bytes.unwrap_or(0) / WAL_BYTES_A_ROW;
    if difference <= counted.changed {
        return Difference::Explained("rows were written since the drill began");
    }
    if difference <= counted.changed.saturating_add(by_wal) {
        return Difference::Explained("rows were written that the repository did not have yet when the drill began");
    }
    #[expect(clippy::cast_precision_loss, reason = "a share")]
    let percent = 100.0 * difference as f64 / live.max(counted.restored) as f64;
    // The server's own estimate is no more than that.
    let tolerance = if counted.exact { meanwhile.tolerance_percent } else { meanwhile.tolerance_percent.max(20.0) };
    match percent <= tolerance {
        true if !counted.exact => Difference::Explained("the live server's own estimate, not a count"),
        true => Difference::Tolerated,
        false => Difference::Beyond,
    }
}

impl Counted {
    /// The difference as it is told; none where there is none.
    pub fn told(&self, meanwhile: Meanwhile) -> Option<TableDifference> {
        let (outcome, why) = match compare(self, meanwhile) {
            Difference::Equal => return None,
            Difference::Explained(why) => (Outcome::Ok, why),
            Difference::Tolerated => (Outcome::Warn, "more than was written since explains, and within the tolerance"),
            Difference::Beyond if !self.exact => {
                (Outcome::Warn, "far from the live server's own estimate: ANALYZE there, or let the role read the table")
            }
            Difference::Beyond => (Outcome::Fail, "more than was written since can explain"),
        };
        Some(TableDifference {
            database: self.database.clone(),
            table: self.table.clone(),
            restored: self.restored,
            live: self.live.unwrap_or(0),
            outcome,
            why: why.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(restored: u64, live: u64, changed: u64) -> Counted {
        Counted { database: "shop".into(), table: "public.orders".into(), restored, live: Some(live), exact: true, changed }
    }

    const QUIET: Meanwhile = Meanwhile { lost_wal_bytes: Some(0), tolerance_percent: 1.0 };

    #[test]
    fn a_table_that_nobody_wrote_to_must_have_exactly_its_rows() {
        assert_eq!(compare(&counted(1000, 1000, 0), QUIET), Difference::Equal);
        assert_eq!(compare(&counted(900, 1000, 0), QUIET), Difference::Beyond);
        assert_eq!(compare(&counted(999, 1000, 0), QUIET), Difference::Tolerated);
        assert_eq!(counted(900, 1000, 0).told(QUIET).unwrap().outcome, Outcome::Fail);
        assert_eq!(counted(999, 1000, 0).told(QUIET).unwrap().outcome, Outcome::Warn);
    }

    #[test]
    fn what_was_written_since_explains_as_many_rows() {
        assert!(matches!(compare(&counted(900, 1000, 100), QUIET), Difference::Explained(_)));
        assert_eq!(compare(&counted(900, 1000, 80), QUIET), Difference::Beyond);
        let lost = Meanwhile { lost_wal_bytes: Some(24 * 100), ..QUIET };
        assert!(matches!(compare(&counted(900, 1000, 0), lost), Difference::Explained(_)));
        assert_eq!(compare(&counted(800, 1000, 0), lost), Difference::Beyond);
    }

    #[test]
    fn an_estimate_is_no_count() {
        let estimated = Counted { exact: false, ..counted(900, 1000, 0) };
        assert!(matches!(compare(&estimated, QUIET), Difference::Explained(_)));
        let far = Counted { exact: false, ..counted(100, 1000, 0) };
        assert_eq!(far.told(QUIET).unwrap().outcome, Outcome::Warn);
        let gone = Counted { live: None, ..counted(100, 0, 0) };
        assert_eq!(gone.told(QUIET).unwrap().outcome, Outcome::Ok);
    }
}
