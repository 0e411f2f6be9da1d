//! Whether a server's parts are as they should be: figures held against thresholds.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How a part of a server is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Level {
    /// As it should be.
    Up,
    /// The figures that would tell could not be had.
    #[default]
    Unknown,
    /// Somebody should look at it.
    Degraded,
    /// It does not work, or is about to stop working.
    Down,
}

/// From where on a figure is worth a look, and from where on it is an emergency.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Threshold {
    /// Worth a look.
    pub warning: f64,
    /// An emergency.
    pub critical: f64,
}

/// The thresholds of all parts; the defaults are those of `[health_checks]`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Thresholds {
    /// Share of the connections in use, in per cent.
    pub connections_percent: Threshold,
    /// Share of the host's memory in use, in per cent.
    pub memory_percent: Threshold,
    /// Share of the fullest file system in use, in per cent.
    pub disk_percent: Threshold,
    /// Lag of the standby that is furthest behind, in seconds.
    pub replication_lag_seconds: Threshold,
    /// Share of block reads found in shared buffers, 0–1; too little is what counts.
    pub hit_ratio: Threshold,
}

impl Default for Thresholds {
    fn default() -> Self {
        let at = |warning, critical| Threshold { warning, critical };
        Self {
            connections_percent: at(80.0, 95.0),
            memory_percent: at(80.0, 90.0),
            disk_percent: at(75.0, 85.0),
            replication_lag_seconds: at(10.0, 30.0),
            hit_ratio: at(0.90, 0.80),
        }
    }
}

impl Thresholds {
    /// Thresholds that no figure reaches.
    pub const NONE: Self = {
        let never = Threshold { warning: f64::INFINITY, critical: f64::INFINITY };
        Self { connections_percent: never, memory_percent: never, disk_percent: never, replication_lag_seconds: never, hit_ratio: never }
    };
}

impl Threshold {
    /// Share of the host's processors in use, in per cent. They are there to be used, so this colours a figure and makes no server
    /// unhealthy.
    pub const PROCESSORS: Self = Self { warning: 85.0, critical: 97.0 };

    /// The level of a figure. Where the critical value is the smaller one, too little is what counts.
    pub fn level(self, figure: Option<f64>) -> Level {
        let reaches = |figure: f64, bound: f64| if self.critical < self.warning { figure < bound } else { figure >= bound };
        match figure {
            None => Level::Unknown,
            Some(figure) if reaches(figure, self.critical) => Level::Down,
            Some(figure) if reaches(figure, self.warning) => Level::Degraded,
            Some(_) => Level::Up,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_much_and_too_little() {
        let Thresholds { disk_percent, hit_ratio, .. } = Thresholds::default();
        for (threshold, figure, level) in [
            (disk_percent, Some(74.9), Level::Up),
            (disk_percent, Some(75.0), Level::Degraded),
            (disk_percent, Some(85.0), Level::Down),
            (disk_percent, None, Level::Unknown),
            (hit_ratio, Some(0.9), Level::Up),
            (hit_ratio, Some(0.89), Level::Degraded),
            (hit_ratio, Some(0.79), Level::Down),
        ] {
            assert_eq!(threshold.level(figure), level, "{figure:?}");
            assert_eq!(Thresholds::NONE.hit_ratio.level(figure), if figure.is_some() { Level::Up } else { Level::Unknown });
        }
    }
}
