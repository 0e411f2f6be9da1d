//! The file `backup_label`, as `pg_backup_stop` gives it (`src/backend/access/transam/xlogbackup.c`).

use crate::error::{Error, Kind, Result};
use crate::pgdata::Lsn;

/// What it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupLabel {
    /// Where replay begins.
    pub start_lsn: Lsn,
    /// The segment of that position.
    pub start_wal: String,
    /// The timeline.
    pub timeline: u32,
}

impl BackupLabel {
    /// Reads it.
    ///
    /// # Errors
    /// `Unsupported` when it is not as PostgreSQL 13 to 18 write it.
    pub fn read(text: &str) -> Result<Self> {
        let value = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        let wrong = || Error::new(Kind::Unsupported, "the server gave a backup_label that is not understood");
        let (lsn, file) = value("START WAL LOCATION").and_then(|value| value.split_once(" (file ")).ok_or_else(wrong)?;
        Ok(Self {
            start_lsn: lsn.parse().map_err(|_| wrong())?,
            start_wal: file.trim_end_matches(')').to_owned(),
            timeline: value("START TIMELINE").and_then(|value| value.trim().parse().ok()).ok_or_else(wrong)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LABEL: &str = "START WAL LOCATION: 0/2000028 (file 000000010000000000000002)\nCHECKPOINT LOCATION: 0/2000060\n\
        BACKUP METHOD: streamed\nBACKUP FROM: primary\nSTART TIME: 2026-11-21 05:00:00 UTC\nLABEL: x\nSTART TIMELINE: 1\n";

    #[test]
    fn start_and_timeline_are_read() {
        let label = BackupLabel::read(LABEL).unwrap();
        assert_eq!(label, BackupLabel { start_lsn: Lsn(0x200_0028), start_wal: "000000010000000000000002".into(), timeline: 1 });
        assert!(BackupLabel::read("").is_err());
    }
}
