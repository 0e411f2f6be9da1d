//! When a schedule's next turn is, in civil time, so that a turn at three is at three in summer and winter.

use croner::Cron;
use jiff::{Timestamp, Zoned};
use pgtend_model::error::{Error, Kind, Result};
use std::str::FromStr as _;
use tokio_util::sync::CancellationToken;

/// The word for no schedule.
pub const OFF: &str = "off";

/// Reads a schedule; none is `off`. `key` is where it is written.
///
/// # Errors
/// `Config` when it cannot be read.
pub fn schedule(key: &str, text: &str) -> Result<Option<Cron>> {
    if text == OFF {
        return Ok(None);
    }
    Cron::from_str(text).map(Some).map_err(|error| {
        Error::new(Kind::Config, format!("{key} is \"{text}\": {error}"))
            .hint("write it as cron does, \"0 3 * * *\" for every night at three, or off")
    })
}

/// The next turn of a schedule from now on, in the time zone of this machine.
pub fn following(key: &str, text: &str) -> Option<Timestamp> {
    let cron = schedule(key, text).ok().flatten()?;
    next(&cron, &Timestamp::now().to_zoned(jiff::tz::TimeZone::system()))
}

/// Waits for the next turn of a schedule; false when there is none, or nobody wants it any more.
pub async fn turn(key: &str, schedule: &str, ends: &CancellationToken) -> bool {
    let Some(next) = following(key, schedule) else { return false };
    let wait = Timestamp::now().duration_until(next);
    tokio::select! {
        () = ends.cancelled() => false,
        () = tokio::time::sleep(wait.unsigned_abs()) => true,
    }
}

/// The next turn after `now`, in its time zone. A turn that a change of the clock skips comes right after the gap.
pub fn next(cron: &Cron, now: &Zoned) -> Option<Timestamp> {
    let civil = now.datetime();
    let date = chrono::NaiveDate::from_ymd_opt(i32::from(civil.year()), field(civil.month()), field(civil.day()))?;
    let local = date.and_hms_opt(field(civil.hour()), field(civil.minute()), field(civil.second()))?.and_utc();
    let found = cron.find_next_occurrence(&local, false).ok()?.timestamp();
    let civil = Timestamp::from_second(found).ok()?.to_zoned(jiff::tz::TimeZone::UTC).datetime();
    civil.to_zoned(now.time_zone().clone()).ok().map(|zoned| zoned.timestamp())
}

fn field(value: i8) -> u32 {
    u32::try_from(value).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turn(cron: &str, now: &str) -> String {
        let now: Zoned = now.parse().unwrap();
        next(&Cron::from_str(cron).unwrap(), &now).unwrap().to_zoned(now.time_zone().clone()).to_string()
    }

    #[test]
    fn three_at_night_is_three_at_night_in_summer_and_winter() {
        assert_eq!(turn("0 3 * * *", "2026-11-21T12:00[Europe/Berlin]"), "2026-11-22T03:00:00+01:00[Europe/Berlin]");
        assert_eq!(turn("0 3 * * *", "2026-07-01T02:59:59[Europe/Berlin]"), "2026-07-01T03:00:00+02:00[Europe/Berlin]");
        assert_eq!(turn("30 2 * * *", "2026-03-28T12:00[Europe/Berlin]"), "2026-03-29T03:30:00+02:00[Europe/Berlin]");
        assert_eq!(turn("0 3 * * SUN", "2026-11-21T12:00[UTC]"), "2026-11-22T03:00:00+00:00[UTC]");
    }
}
