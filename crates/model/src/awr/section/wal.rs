//! WAL: how much was generated, written and archived.

use super::with_seconds;
use crate::awr::known::{Known, over, over_f64};
use crate::awr::measure::{Measure, Unit};
use crate::awr::page::Section;
use crate::sample::{Reason, Unknown};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// WAL.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = AwrWal)]
pub struct Wal {
    /// Generation and writing.
    pub figures: Vec<Measure>,
    /// The archiver.
    pub archiver: Vec<Measure>,
    /// The last file whose archiving failed in the period.
    pub last_failed_wal: Option<String>,
}

impl Wal {
    /// Works it out.
    pub fn build(known: &Known<'_>) -> Self {
        use Unit::{Bytes, Count, Seconds};
        let (wal, archiver) = (&known.wal, &known.archiver);
        let timed = |time: Result<(f64, f64), Unknown>| match time? {
            (0.0, _) if known.is_on("track_wal_io_timing") != Some(true) => {
                Err(Unknown::new(Reason::Disabled, "track_wal_io_timing is off"))
            }
            (ms, seconds) => Ok((ms / 1000.0, seconds)),
        };
        let files = |value: fn(&crate::sample::wal_files::WalFiles) -> i64| {
            let rows = known.period.last(|readings| &readings.wal_files)?;
            #[expect(clippy::cast_precision_loss, reason = "sizes are far below 2^53")]
            let value = rows.first().map(|row| value(row) as f64);
            value.ok_or_else(|| Unknown::new(Reason::Absent, "pg_wal could not be listed"))
        };
        let figures = vec![
            Measure::sum("wal_bytes", "Generated", Bytes, super::load_profile::wal_bytes(known)),
            Measure::sum("wal_records", "Records", Count, over(wal, |row| row.wal_records)),
            Measure::sum("wal_fpi", "Full page images", Count, over(wal, |row| row.wal_fpi)),
            Measure::sum("wal_buffers_full", "Writes because wal_buffers were full", Count, over(wal, |row| row.wal_buffers_full)),
            Measure::sum("wal_write", "Writes", Count, over(wal, |row| row.wal_write)),
            Measure::sum("wal_sync", "Syncs", Count, over(wal, |row| row.wal_sync)),
            Measure::sum("wal_write_time", "Time writing", Seconds, timed(over_f64(wal, |row| row.wal_write_time))),
            Measure::sum("wal_sync_time", "Time syncing", Seconds, timed(over_f64(wal, |row| row.wal_sync_time))),
            Measure::single("size_bytes", "Size of pg_wal at the end", Bytes, files(|row| row.size_bytes)),
        ];
        let of_archiver = vec![
            Measure::sum("archived", "Files archived", Count, over(archiver, |row| row.archived_count)),
            Measure::sum("failed", "Failed attempts", Count, over(archiver, |row| row.failed_count)),
            Measure::single("waiting", "Files that wait at the end", Count, files(|row| row.ready_to_archive)),
        ];
        let failed = archiver.as_ref().ok().and_then(|changes| changes.rows.first()).filter(|row| row.grown.failed_count > 0);
        let last_failed_wal = failed.and_then(|row| row.grown.last_failed_wal.as_deref().map(str::to_owned));
        Self { figures, archiver: of_archiver, last_failed_wal }
    }

    /// How it is laid out.
    pub fn section(&self) -> Section {
        let section = with_seconds(Section::new("wal", "WAL and archiving", ""), "WAL", &self.figures);
        let section = with_seconds(section, "Archiver", &self.archiver);
        match &self.last_failed_wal {
            Some(file) => section.note(format!("Archiving failed, last for {file}.")),
            None => section,
        }
    }
}
