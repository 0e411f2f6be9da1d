//! `[health_checks]`: from where on a figure is worth a look, and from where on it is an emergency.

use super::section::{Section, section};
use crate::health::{Threshold, Thresholds};
use std::time::Duration;

section! {
    /// From where on a part of a server is worth a look, and from where on it is an emergency: in `pgtend status`, on the status page
    /// and in the health document.
    pub struct HealthChecks {
        /// Whether figures are held against these thresholds. Without it, only a server that does not answer is not healthy.
        enabled: bool = "true", now;
        /// Seconds from one check to the next. This version checks whenever it is asked, with the newest figures.
        interval_seconds: Duration as "seconds" = "30" in "1 to 86400", not_yet;
        /// Share of the connections open to ordinary roles that is in use.
        connection_pool: ConnectionPool = none, now;
        /// Share of the host's memory in use, or of the limit of the server's control group.
        memory: Memory = none, now;
        /// Share in use of the fullest of the file systems that hold the server's directories.
        disk_space: DiskSpace = none, now;
        /// Lag of the standby that is furthest behind; on a standby, its own.
        replication_lag: ReplicationLag = none, now;
        /// Share of block reads found in shared buffers: too little is what counts.
        buffer_pool: BufferPool = none, now;
    }
}

/// A part whose share in use is held against two thresholds.
macro_rules! share {
    ($(#[doc = $about:literal])+ $name:ident: $warning:literal, $critical:literal) => {
        section! {
            $(#[doc = $about])+
            pub struct $name, checked by $name::check {
                /// Worth a look from here on.
                warning_threshold_percent: f64 as "per cent" = $warning in "0 to 100", now;
                /// An emergency from here on.
                critical_threshold_percent: f64 as "per cent" = $critical in "0 to 100", now;
            }
        }

        impl $name {
            fn check(&mut self, section: &Section<'_>) {
                let keys = ["warning_threshold_percent", "critical_threshold_percent"];
                in_order(keys, self.warning_threshold_percent, self.critical_threshold_percent, section);
            }

            fn threshold(&self) -> Threshold {
                Threshold { warning: self.warning_threshold_percent, critical: self.critical_threshold_percent }
            }
        }
    };
}

share! {
    /// Connections in use.
    ConnectionPool: "80", "95"
}

share! {
    /// Memory in use.
    Memory: "80", "90"
}

share! {
    /// Room in use on the fullest file system.
    DiskSpace: "75", "85"
}

section! {
    /// How far standbys may be behind.
    pub struct ReplicationLag, checked by check_lag {
        /// Worth a look from here on.
        warning_threshold_seconds: f64 as "seconds" = "10" in "0 to 1000000", now;
        /// An emergency from here on.
        critical_threshold_seconds: f64 as "seconds" = "30" in "0 to 1000000", now;
    }
}

section! {
    /// Block reads found in shared buffers.
    pub struct BufferPool, checked by check_hits {
        /// Worth a look below.
        warning_hit_ratio: f64 = "0.9" in "0 to 1", now;
        /// Bad below. By itself that never makes a server unhealthy: one that was just started reads everything from disk.
        critical_hit_ratio: f64 = "0.8" in "0 to 1", now;
    }
}

fn check_lag(lag: &mut ReplicationLag, section: &Section<'_>) {
    let keys = ["warning_threshold_seconds", "critical_threshold_seconds"];
    in_order(keys, lag.warning_threshold_seconds, lag.critical_threshold_seconds, section);
}

fn check_hits(hits: &mut BufferPool, section: &Section<'_>) {
    in_order(["critical_hit_ratio", "warning_hit_ratio"], hits.critical_hit_ratio, hits.warning_hit_ratio, section);
}

/// Notes two thresholds of which the second is not beyond the first.
fn in_order([first, second]: [&str; 2], lower: f64, upper: f64, section: &Section<'_>) {
    if lower >= upper {
        let written = if section.node(first).is_some() { first } else { second };
        section.reject(written, format!("{first} is {lower}, and {second} is {upper}"), format!("make {first} less than {second}"));
    }
}

impl HealthChecks {
    /// What figures are held against.
    pub fn thresholds(&self) -> Thresholds {
        if !self.enabled {
            return Thresholds::NONE;
        }
        Thresholds {
            connections_percent: self.connection_pool.threshold(),
            memory_percent: self.memory.threshold(),
            disk_percent: self.disk_space.threshold(),
            replication_lag_seconds: Threshold {
                warning: self.replication_lag.warning_threshold_seconds,
                critical: self.replication_lag.critical_threshold_seconds,
            },
            hit_ratio: Threshold { warning: self.buffer_pool.warning_hit_ratio, critical: self.buffer_pool.critical_hit_ratio },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Effective, Key, Setting, Shape};
    use super::*;

    fn changed(section: &str) -> Thresholds {
        let text = format!("[[server]]\nname = \"main\"\ndsn = \"\"\n{section}");
        super::super::parse(&text, "pgtend.toml").unwrap().effective.health_checks.thresholds()
    }

    /// Values on the right side of the other threshold.
    fn other_value(key: &Key) -> &'static str {
        match key.name {
            "warning_hit_ratio" => "0.97",
            "critical_hit_ratio" => "0.5",
            name if name.starts_with("warning_") => "5",
            _ => "99",
        }
    }

    #[test]
    fn every_key_changes_something() {
        let defaults = Thresholds::default();
        for part in HealthChecks::KEYS.iter().filter(|key| key.shape == Shape::Table) {
            for key in part.keys {
                let thresholds = changed(&format!("[health_checks.{}]\n{} = {}", part.name, key.name, other_value(key)));
                assert_ne!(thresholds, defaults, "{}.{}", part.name, key.name);
            }
        }
        assert_eq!(changed("[health_checks]\nenabled = false"), Thresholds::NONE);
    }

    #[test]
    fn the_defaults_are_those_of_the_guide() {
        let defaults = Effective::default().health_checks.thresholds();
        assert_eq!(defaults, Thresholds::default());
    }
}
