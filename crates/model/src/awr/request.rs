//! What can be asked for: a report of a period, a comparison of two, and in which form.

use super::page::Page;
use super::period::{Period, Point, since_last};
use super::report::{Report, TOP};
use super::text;
use crate::error::{Error, Kind, Result};
use crate::past::Past;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// In which form.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = AwrForm)]
pub enum Form {
    /// One HTML file.
    Html,
    /// Text, 120 characters wide.
    Text,
    /// JSON.
    #[default]
    Json,
}

/// Which report. Each end is a snapshot or a time.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AwrReportRequest)]
pub struct ReportRequest {
    /// The first snapshot. Without a begin, it is the last snapshot before the end.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub start_snapshot_id: Option<i64>,
    /// The last snapshot.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub end_snapshot_id: Option<i64>,
    /// The begin, instead of the first snapshot.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub start_time: Option<Timestamp>,
    /// The end, instead of the last snapshot; now unless said otherwise, and the newest snapshot where no begin is given either.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub end_time: Option<Timestamp>,
    /// In which form: `json` unless said otherwise.
    #[serde(default)]
    pub format: Form,
    /// Statements in each order: 10 unless said otherwise, 100 at most.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub top: Option<usize>,
}

impl ReportRequest {
    /// From one point to another, as far as they are named.
    pub fn between(from: Option<Point>, to: Option<Point>, format: Form) -> Self {
        let ((start_snapshot_id, start_time), (end_snapshot_id, end_time)) = (parts(from), parts(to));
        Self { start_snapshot_id, end_snapshot_id, start_time, end_time, format, top: None }
    }

    /// Where the period begins and ends.
    fn ends(&self, past: &dyn Past, now: Timestamp) -> Result<(Point, Point)> {
        let begins = self.start_snapshot_id.is_some() || self.start_time.is_some();
        let ends = self.end_snapshot_id.is_some() || self.end_time.is_some();
        let to = one_of(self.end_snapshot_id, self.end_time, Some(now), "end")?;
        if begins {
            return Ok((one_of(self.start_snapshot_id, self.start_time, None, "start")?, to));
        }
        since_last(past, ends.then_some(to))
    }

    /// The report.
    ///
    /// # Errors
    /// `Usage` when the period makes no sense; as [`Period::between`] and [`Report::of`].
    pub fn report(&self, past: &dyn Past, server: &str, now: Timestamp) -> Result<Report> {
        let (from, to) = self.ends(past, now)?;
        let top = self.top.unwrap_or(TOP);
        if !(1..=100).contains(&top) {
            return Err(Error::new(Kind::Usage, "top is between 1 and 100"));
        }
        Report::of(&Period::between(past, server, from, to)?, top, now)
    }
}

/// A point as its number or its time.
pub fn parts(point: Option<Point>) -> (Option<i64>, Option<Timestamp>) {
    match point {
        Some(Point::Snapshot(id)) => (Some(id), None),
        Some(Point::At(at)) => (None, Some(at)),
        None => (None, None),
    }
}

/// An end of a period, given in one of two ways. Where there is something that stands in for it, it is not later than that.
///
/// # Errors
/// `Usage` when it is given in both, or in none.
pub(super) fn one_of(snapshot: Option<i64>, time: Option<Timestamp>, otherwise: Option<Timestamp>, which: &str) -> Result<Point> {
    match (snapshot, time, otherwise) {
        (Some(id), None, _) => Ok(Point::Snapshot(id)),
        // What is still to come cannot be told.
        (None, Some(at), Some(now)) => Ok(Point::At(at.min(now))),
        (None, Some(at), None) | (None, None, Some(at)) => Ok(Point::At(at)),
        (Some(_), Some(_), _) => {
            Err(Error::new(Kind::Usage, format!("{which}_snapshot_id and {which}_time are both given")).hint("leave one of them out"))
        }
        (None, None, None) => {
            Err(Error::new(Kind::Usage, format!("where does the period {which}?"))
                .hint(format!("give {which}_snapshot_id or {which}_time")))
        }
    }
}

/// What can be laid out.
pub trait Paged: Serialize {
    /// The pages' layout.
    fn page(&self) -> Page;

    /// As text.
    fn text(&self) -> String {
        text::render(&self.page())
    }
}

impl Paged for Report {
    fn page(&self) -> Page {
        Self::page(self)
    }
}
