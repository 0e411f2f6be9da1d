//! How much WAL may wait for a repository, and what is done when it is more.

use crate::units::show_bytes;

/// What the configuration allows. 0 is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WalBounds {
    /// Bytes that may wait in `pg_wal`.
    pub most_waiting_bytes: u64,
    /// Bytes that must stay free on the file system of `pg_wal`.
    pub least_free_bytes: u64,
    /// Whether WAL is dropped beyond these limits, so that the server goes on.
    pub drops: bool,
}

/// How it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, PartialOrd, Ord, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum WalPressure {
    /// There is room.
    #[default]
    Fine,
    /// More than half of what may wait waits, or less than twice of what must stay free is free.
    Alarm,
    /// A limit is crossed.
    Over,
}

/// How it stands, with the reason in words where it is not fine.
pub fn pressure(bounds: &WalBounds, waiting_bytes: u64, free_bytes: Option<u64>) -> (WalPressure, Option<String>) {
    // Without anything that waits, a full disk is not the archive's doing.
    if waiting_bytes == 0 {
        return (WalPressure::Fine, None);
    }
    let most = bounds.most_waiting_bytes;
    let by_waiting = match most {
        0 => WalPressure::Fine,
        most if waiting_bytes > most => WalPressure::Over,
        most if waiting_bytes > most / 2 => WalPressure::Alarm,
        _ => WalPressure::Fine,
    };
    let least = bounds.least_free_bytes;
    let by_free = match free_bytes {
        Some(free) if least > 0 && free < least => WalPressure::Over,
        Some(free) if least > 0 && free < least.saturating_mul(2) => WalPressure::Alarm,
        _ => WalPressure::Fine,
    };
    let worst = by_waiting.max(by_free);
    let reason = match (worst, by_free == worst) {
        (WalPressure::Fine, _) => return (worst, None),
        (_, true) => format!(
            "{} are free beside pg_wal, where {} wait for the repository; {} must stay free",
            shown(free_bytes.unwrap_or(0)),
            shown(waiting_bytes),
            shown(least)
        ),
        (_, false) => format!("{} of WAL wait for the repository; {} may", shown(waiting_bytes), shown(most)),
    };
    (worst, Some(reason))
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn shown(bytes: u64) -> String {
    show_bytes(bytes as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alarm_comes_before_the_limit() {
        let bounds = WalBounds { most_waiting_bytes: 1000, least_free_bytes: 100, drops: false };
        for (waiting, free, expected) in [
            (0, Some(0), WalPressure::Fine),
            (500, Some(1000), WalPressure::Fine),
            (501, Some(1000), WalPressure::Alarm),
            (1001, Some(1000), WalPressure::Over),
            (1, Some(199), WalPressure::Alarm),
            (1, Some(99), WalPressure::Over),
            (1, None, WalPressure::Fine),
            (501, Some(99), WalPressure::Over),
        ] {
            assert_eq!(pressure(&bounds, waiting, free).0, expected, "{waiting} {free:?}");
        }
        let unlimited = WalBounds { most_waiting_bytes: 0, least_free_bytes: 0, drops: false };
        assert_eq!(pressure(&unlimited, u64::MAX, Some(0)), (WalPressure::Fine, None));
        let (_, reason) = pressure(&bounds, 2048, None);
        assert_eq!(reason.unwrap(), "2.0 KiB of WAL wait for the repository; 1000 B may");
    }
}
