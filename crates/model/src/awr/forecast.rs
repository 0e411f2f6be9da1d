//! When a figure that grows reaches its limit: a straight line through points that may hold outliers, and how sure it is.
//!
//! Theil and Sen: the median of the slopes between all pairs of points is not moved by outliers, up to 29 % of them. Its interval is Sen's, by the
//! normal approximation of Kendall's statistic.

use crate::sample::{Reason, Unknown};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Points that a forecast needs, at least.
const FEWEST: usize = 8;
/// Points that are looked at, at most: slopes between all pairs grow with the square.
const MOST: usize = 500;
/// The normal quantile of the interval: 99 % by chance alone, because successive readings depend on one another.
const SURE: f64 = 2.576;
/// Nobody looks further ahead than so many times what was seen.
const HORIZON: f64 = 20.0;
const DAY: f64 = 86_400.0;

/// When a figure reaches its limit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = AwrForecast)]
pub struct Forecast {
    /// The limit.
    pub limit: f64,
    /// What happens there.
    pub meaning: String,
    /// What it is about: the directory, the database, the sequence that is nearest to its limit.
    pub subject: Option<String>,
    /// Growth a day, as the median of all pairs of points has it; null when there are too few.
    pub growth_per_day: Option<f64>,
    /// The least that the data allows.
    pub growth_per_day_low: Option<f64>,
    /// The most that the data allows.
    pub growth_per_day_high: Option<f64>,
    /// When the limit is reached at that pace.
    pub reached_at: Option<Timestamp>,
    /// When it is reached at the fastest pace that the data allows.
    pub reached_at_earliest: Option<Timestamp>,
    /// When it is reached at the slowest; null when that never happens, or not within the time one can look ahead.
    pub reached_at_latest: Option<Timestamp>,
    /// Why nothing can be foretold.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub unknown: Option<Unknown>,
}

/// Foretells from points in the order of time.
pub fn forecast(points: &[(Timestamp, f64)], limit: f64, meaning: &str, subject: Option<String>) -> Forecast {
    let mut forecast = Forecast {
        limit,
        meaning: meaning.to_owned(),
        subject,
        growth_per_day: None,
        growth_per_day_low: None,
        growth_per_day_high: None,
        reached_at: None,
        reached_at_earliest: None,
        reached_at_latest: None,
        unknown: None,
    };
    let (Some((first, _)), Some((last, newest))) = (points.first(), points.last()) else {
        forecast.unknown = Some(Unknown::new(Reason::Absent, "there are no points"));
        return forecast;
    };
    if *newest >= limit {
        (forecast.reached_at, forecast.reached_at_earliest, forecast.reached_at_latest) = (Some(*last), Some(*last), Some(*last));
        return forecast;
    }
    if points.len() < FEWEST {
        let what = format!("{} points are too few: {FEWEST} are needed, more days or more snapshots", points.len());
        forecast.unknown = Some(Unknown::new(Reason::Pending, what));
        return forecast;
    }
    let days = last.duration_since(*first).as_secs_f64() / DAY;
    let line = line(points, *first);
    (forecast.growth_per_day, forecast.growth_per_day_low, forecast.growth_per_day_high) =
        (Some(line.slope), Some(line.low), Some(line.high));
    if line.low <= 0.0 {
        let what = "it does not clearly grow: the data allows for standing still";
        forecast.unknown = Some(Unknown::new(Reason::Absent, what));
        return forecast;
    }
    let reached = |slope: f64| {
        let ahead = (limit - line.level) / slope;
        let seconds = (ahead <= days * HORIZON).then_some(ahead.max(0.0) * DAY)?;
        last.checked_add(SignedDuration::try_from_secs_f64(seconds).ok()?).ok()
    };
    (forecast.reached_at, forecast.reached_at_earliest, forecast.reached_at_latest) =
        (reached(line.slope), reached(line.high), reached(line.low));
    if forecast.reached_at.is_none() {
        let what = format!("not within {:.1} days, {HORIZON:.0} times what was seen: further ahead nothing can be said", days * HORIZON);
        forecast.unknown = Some(Unknown::new(Reason::Absent, what));
    }
    forecast
}

/// A straight line: growth a day with its bounds, and where it is at the last point.
struct Line {
    slope: f64,
    low: f64,
    high: f64,
    level: f64,
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "places among some 100,000 slopes"
)]
fn line(points: &[(Timestamp, f64)], first: Timestamp) -> Line {
    let each = points.len().div_ceil(MOST);
    // Counted from the end, so that the newest point is among them.
    let mut thinned: Vec<(f64, f64)> =
        points.iter().rev().step_by(each).map(|(at, value)| (at.duration_since(first).as_secs_f64() / DAY, *value)).collect();
    thinned.reverse();
    let mut slopes = Vec::with_capacity(thinned.len() * thinned.len() / 2);
    for (number, (x, y)) in thinned.iter().enumerate() {
        slopes.extend(thinned[number + 1..].iter().filter(|(later, _)| later > x).map(|(later, value)| (value - y) / (later - x)));
    }
    slopes.sort_by(f64::total_cmp);
    let n = thinned.len() as f64;
    let spread = SURE * (n * (n - 1.0) * (2.0 * n + 5.0) / 18.0).sqrt();
    let at = |place: f64| slopes.get((place.max(0.0) as usize).min(slopes.len().saturating_sub(1))).copied().unwrap_or(0.0);
    let count = slopes.len() as f64;
    let slope = at(count / 2.0);
    let mut offsets: Vec<f64> = thinned.iter().map(|(x, y)| y - slope * x).collect();
    offsets.sort_by(f64::total_cmp);
    let offset = offsets.get(offsets.len() / 2).copied().unwrap_or(0.0);
    let end = thinned.last().map_or(0.0, |(x, _)| *x);
    Line { slope, low: at((count - spread) / 2.0), high: at((count + spread) / 2.0), level: offset + slope * end }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(values: impl IntoIterator<Item = f64>) -> Vec<(Timestamp, f64)> {
        let at = |hour: usize| Timestamp::from_second(i64::try_from(hour).unwrap() * 3600).unwrap();
        values.into_iter().enumerate().map(|(hour, value)| (at(hour), value)).collect()
    }

    #[test]
    fn a_disk_that_fills_by_one_per_cent_an_hour_is_full_when_it_is() {
        let mut values: Vec<f64> = (0..48).map(|hour| 20.0 + f64::from(hour)).collect();
        values[7] = 90.0;
        values[30] = 0.0;
        let points = points(values);
        let forecast = forecast(&points, 100.0, "full", None);
        let hours = |at: Option<Timestamp>| at.unwrap().duration_since(points[47].0).as_secs_f64() / 3600.0;
        assert!((hours(forecast.reached_at) - 33.0).abs() < 0.1, "{forecast:?}");
        assert!((forecast.growth_per_day.unwrap() - 24.0).abs() < 0.01);
        assert!(hours(forecast.reached_at_earliest) <= 33.1 && hours(forecast.reached_at_latest) >= 32.9);
    }

    #[test]
    fn what_does_not_grow_few_points_and_what_is_far_away_are_not_foretold() {
        let saw: Vec<f64> = (0..100).map(|hour| f64::from(hour % 10)).collect();
        let unknown = |values: Vec<f64>, limit| forecast(&points(values), limit, "full", None).unknown.map(|unknown| unknown.reason);
        assert_eq!(unknown(saw, 100.0), Some(Reason::Absent));
        assert_eq!(unknown(vec![1.0, 2.0, 3.0], 100.0), Some(Reason::Pending));
        assert_eq!(unknown((0..50).map(|hour| f64::from(hour) / 1000.0).collect(), 100.0), Some(Reason::Absent));
        assert_eq!(unknown(Vec::new(), 100.0), Some(Reason::Absent));
    }

    #[test]
    fn what_is_reached_is_reached() {
        let points = points([99.0, 100.0]);
        assert_eq!(forecast(&points, 100.0, "full", None).reached_at, Some(points[1].0));
    }
}
