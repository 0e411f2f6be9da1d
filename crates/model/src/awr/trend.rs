//! How one figure went over days, snapshot by snapshot, and where it is heading.

use super::change::Probed;
use super::forecast::{Forecast, forecast};
use super::measure::Unit;
use super::trend_metrics::{METRICS, Metric, Way};
use crate::document::Retrospect;
use crate::error::{Error, Kind, Result};
use crate::past::{Past, Span};
use crate::sample::{Reason, Unknown};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use utoipa::{IntoParams, ToSchema};

/// Steps into which the time is cut where there are hardly any snapshots.
const STEPS: i32 = 48;
/// The longest that is looked back, in days.
const DAYS: f64 = 400.0;

/// How a figure went.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = Trend)]
pub struct Trend {
    /// Its name.
    pub metric: String,
    /// What it says.
    pub about: String,
    /// Its unit.
    pub unit: Unit,
    /// The time that was looked at.
    pub time_range: Span,
    /// Its values, oldest first. A rate is that since the point before.
    pub data_points: Vec<DataPoint>,
    /// What they come to; null when there are none.
    pub statistics: Option<Statistics>,
    /// Where it is heading; null for figures without a limit.
    pub forecast: Option<Forecast>,
    /// Why there are no values.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub unknown: Option<Unknown>,
}

/// One value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = TrendPoint)]
pub struct DataPoint {
    /// When.
    pub timestamp: Timestamp,
    /// The value.
    pub value: f64,
    /// The snapshot, where there is one.
    pub snapshot_id: Option<i64>,
}

/// What values come to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = TrendStatistics)]
pub struct Statistics {
    /// The smallest.
    pub min: f64,
    /// The largest.
    pub max: f64,
    /// Their mean.
    pub avg: f64,
    /// Their standard deviation.
    pub stddev: f64,
}

/// Parameters of [`Trend`].
#[derive(Debug, Clone, Default, Serialize, Deserialize, IntoParams)]
pub struct Params {
    /// The figure: `queries_per_second`, `disk_usage_percent`, `xid_age`, …; an unknown name is answered with all there are.
    #[serde(default)]
    pub metric: String,
    /// How many days back: 7 unless said otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub days: Option<f64>,
}

impl Retrospect for Trend {
    type Params = Params;
    const PATH: &'static str = "/api/v1/awr/trends";
    const ABOUT: &'static str = "How a figure went over days, snapshot by snapshot, and when it reaches its limit";

    fn build(past: &dyn Past, now: Timestamp, params: &Params) -> Result<Self> {
        let metric = METRICS.iter().find(|metric| metric.name == params.metric).ok_or_else(|| no_such_metric(&params.metric))?;
        let days = params.days.unwrap_or(7.0);
        if !(days > 0.0 && days <= DAYS) {
            return Err(Error::new(Kind::Usage, format!("days is more than 0 and at most {DAYS}")));
        }
        let back = SignedDuration::try_from_secs_f64(days * 86_400.0).unwrap_or(SignedDuration::MAX);
        let span = Span::new(now.checked_sub(back).unwrap_or(now), now);
        let data_points = points(past, metric, span)?;
        let limited = metric.limit.map(|(limit, meaning)| {
            let points: Vec<(Timestamp, f64)> = data_points.iter().map(|point| (point.timestamp, point.value)).collect();
            let subject = metric.subject.and_then(|subject| subject(past, now).ok().flatten());
            forecast(&points, limit, meaning, subject)
        });
        let why =
            || Unknown::new(Reason::Absent, "nothing is remembered of it in that time: it was not read, or there are no two readings");
        Ok(Self {
            metric: metric.name.to_owned(),
            about: metric.about.to_owned(),
            unit: metric.unit,
            time_range: span,
            statistics: statistics(&data_points),
            forecast: limited,
            unknown: data_points.is_empty().then(why),
            data_points,
        })
    }
}

fn no_such_metric(name: &str) -> Error {
    let names: Vec<&str> = METRICS.iter().map(|metric| metric.name).collect();
    let what = if name.is_empty() { "which metric?".to_owned() } else { format!("there is no metric \"{}\"", name.escape_debug()) };
    Error::new(Kind::Usage, what).hint(format!("there are {}", names.join(", ")))
}

/// Snapshots in the time; even steps where there are hardly any.
fn instants(past: &dyn Past, span: Span) -> Result<Vec<Instant>> {
    let snapshots: Vec<Instant> = past
        .snapshots()?
        .into_iter()
        .filter(|snapshot| span.contains(snapshot.at))
        .map(|snapshot| (snapshot.at, Some(snapshot.id)))
        .collect();
    let Some(extent) = past.extent()?.filter(|_| snapshots.len() < 3) else { return Ok(snapshots) };
    let (start, end) = (span.start.max(extent.start), span.end.min(extent.end));
    let step = end.duration_since(start) / STEPS;
    let even = (0..=STEPS).filter_map(|number| start.checked_add(step * number).ok()).map(|at| (at, None));
    let mut all: Vec<_> = even.chain(snapshots).collect();
    all.sort_unstable();
    Ok(all)
}

/// The value of something as it was last read at or before each of some instants, with the time of that reading.
pub(super) type Values = Vec<Value>;
/// One such value; none when nothing was read.
type Value = Option<(Timestamp, f64)>;
/// An instant, and the snapshot that was taken then.
type Instant = (Timestamp, Option<i64>);

fn points(past: &dyn Past, metric: &Metric, span: Span) -> Result<Vec<DataPoint>> {
    let instants = instants(past, span)?;
    let at: Vec<Timestamp> = instants.iter().map(|(at, _)| *at).collect();
    let values: Values = match metric.way {
        Way::Gauge(read) => read(past, &at)?,
        Way::Rate(read) => pairs(&read(past, &at)?, |grown, seconds| Some(grown / seconds)),
        Way::Ratio(part, whole) => {
            let (part, whole) = (pairs(&part(past, &at)?, |grown, _| Some(grown)), pairs(&whole(past, &at)?, |grown, _| Some(grown)));
            let ratio = |(part, whole): (Value, Value)| {
                let ((at, part), (_, whole)) = part.zip(whole)?;
                (whole > 0.0).then(|| (at, part / whole))
            };
            part.into_iter().zip(whole).map(ratio).collect()
        }
    };
    let point = |(value, (at, id)): (Value, &Instant)| value.map(|(_, value)| DataPoint { timestamp: *at, value, snapshot_id: *id });
    Ok(values.into_iter().zip(&instants).filter_map(point).collect())
}

/// What becomes of a counter between each reading and the one before; nothing across a reset.
fn pairs(values: &Values, of: impl Fn(f64, f64) -> Option<f64>) -> Values {
    let mut before: Value = None;
    let step = |value: &Value| {
        let (at, now) = (*value)?;
        let (earlier, then) = before.replace((at, now))?;
        let seconds = at.duration_since(earlier).as_secs_f64();
        if seconds <= 0.0 || now < then {
            return None;
        }
        of(now - then, seconds).map(|value| (at, value))
    };
    values.iter().map(step).collect()
}

/// Values of a probe's rows at instants, in one go through its readings.
pub(super) fn read<T: Probed>(past: &dyn Past, at: &[Timestamp], value: impl Fn(&[&T]) -> Option<f64>) -> Result<Values> {
    let (Some(first), Some(last)) = (at.first(), at.last()) else { return Ok(Vec::new()) };
    let span = Span::new(*first, last.saturating_add(SignedDuration::from_millis(1)).unwrap_or(*last));
    let mut rows: HashMap<Box<str>, T> = HashMap::new();
    let mut known: Value = None;
    let mut values: Values = Vec::with_capacity(at.len());
    past.frames(T::PROBE, span, &mut |frame| {
        let Some(taken) = frame.rows.as_ref().ok().and_then(T::rows) else { return };
        while values.len() < at.len() && at[values.len()] < frame.at {
            values.push(known);
        }
        if frame.whole {
            rows.clear();
        }
        rows.extend(taken.iter().map(|row| (super::change::key(row), row.clone())));
        known = value(&rows.values().collect::<Vec<_>>()).map(|value| (frame.at, value));
    })?;
    values.resize(at.len(), known);
    Ok(values)
}

#[expect(clippy::cast_precision_loss, reason = "a number of points")]
fn statistics(points: &[DataPoint]) -> Option<Statistics> {
    let count = points.len() as f64;
    let values = || points.iter().map(|point| point.value);
    let avg = values().sum::<f64>() / count;
    let variance = values().map(|value| (value - avg).powi(2)).sum::<f64>() / count;
    let (min, max) = (values().reduce(f64::min)?, values().reduce(f64::max)?);
    Some(Statistics { min, max, avg, stddev: variance.sqrt() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::awr::scenario;
    use crate::document::by_hand::at;

    fn trend(metric: &str) -> Trend {
        let params = Params { metric: metric.to_owned(), days: Some(0.01) };
        Trend::build(&scenario::shop(), at(700), &params).unwrap()
    }

    #[test]
    fn rates_are_those_since_the_point_before() {
        let trend = trend("transactions_per_second");
        let values: Vec<f64> = trend.data_points.iter().map(|point| point.value).collect();
        assert!(values.len() >= 9 && values.iter().all(|value| (value - 101.2).abs() < 0.01), "{values:?}");
        assert_eq!(trend.data_points.last().unwrap().snapshot_id, Some(2));
        let statistics = trend.statistics.unwrap();
        assert!((statistics.avg - 101.2).abs() < 0.01 && statistics.stddev < 0.01);
    }

    #[test]
    fn ratios_gauges_and_what_is_not_remembered() {
        let hit = trend("buffer_pool_hit_ratio").statistics.unwrap().avg;
        assert!((hit - 0.989).abs() < 0.001, "{hit}");
        let age = trend("xid_age");
        assert_eq!(age.statistics.map(|all| all.max), Some(150_000_000.0));
        assert!(age.forecast.unwrap().unknown.is_some(), "it does not grow");
        assert!(trend("sequence_used_percent").unknown.is_some());
    }

    #[test]
    fn an_unknown_name_is_answered_with_all_there_are() {
        let params = Params { metric: "speed".to_owned(), days: None };
        let error = Trend::build(&scenario::shop(), at(700), &params).unwrap_err();
        assert!(error.kind == Kind::Usage && error.hint.contains("queries_per_second"), "{error}");
    }
}
