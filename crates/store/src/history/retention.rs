//! How long history is kept: by time and by bytes; periods that are baselines are kept longer.

use super::layout::{Sealed, day};
use super::session_table::{ASH, TICKS};
use super::{History, failed, sealing};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use pgtend_model::error::Result;
use pgtend_model::past::Span;
use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// How long and how much is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// Session samples.
    pub ash_keep: Duration,
    /// Session samples of all servers, in bytes.
    pub ash_max_bytes: u64,
    /// Everything else, snapshots included.
    pub awr_keep: Duration,
    /// Everything else of all servers, in bytes.
    pub awr_max_bytes: u64,
    /// Baselines and what belongs to them.
    pub baseline_keep: Duration,
}

/// What a dataset takes on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Usage {
    /// The dataset.
    pub dataset: String,
    /// The server.
    pub server: String,
    /// Files.
    pub files: usize,
    /// Bytes.
    pub bytes: u64,
}

/// A sealed file and whose it is.
struct Kept {
    ash: bool,
    server: String,
    file: Sealed,
}

impl History {
    /// What is taken on disk by sealed files.
    ///
    /// # Errors
    /// `System` when the directory cannot be read.
    pub fn usage(&self) -> Result<Vec<Usage>> {
        let read = || -> io::Result<Vec<Usage>> {
            let mut usage = Vec::new();
            for (dataset, server) in self.places()? {
                let files = self.layout().sealed_files(&dataset, &server)?;
                let bytes = files.iter().map(|file| file.bytes).sum();
                usage.push(Usage { dataset, server, files: files.len(), bytes });
            }
            Ok(usage)
        };
        read().map_err(|error| failed(self.layout().root(), &error))
    }

    fn places(&self) -> io::Result<Vec<(String, String)>> {
        let servers = self.layout().servers()?;
        let datasets = self.layout().datasets()?;
        Ok(datasets.iter().flat_map(|dataset| servers.iter().map(move |server| (dataset.clone(), server.clone()))).collect())
    }

    /// Makes one file of each day that is over.
    pub(super) fn compact(&self, now: Timestamp) -> io::Result<()> {
        let today = now.to_zoned(TimeZone::UTC).date();
        for (dataset, server) in self.places()? {
            let open: Vec<Date> = self.layout().journals(&server)?.into_iter().map(|journal| journal.hour.date).collect();
            let mut days: BTreeMap<Date, Vec<Sealed>> = BTreeMap::new();
            for file in self.layout().sealed_files(&dataset, &server)? {
                days.entry(file.date).or_default().push(file);
            }
            for (date, files) in days.into_iter().filter(|(date, _)| *date < today && !open.contains(date)) {
                if files.len() > 1 || files.iter().any(|file| file.hour.is_some()) {
                    sealing::compact(self.layout(), &dataset, &server, date, &files)?;
                }
            }
            let superseded: Vec<PathBuf> = self.layout().superseded(&dataset, &server)?.into_iter().map(|file| file.path).collect();
            self.remove(&superseded)?;
        }
        Ok(())
    }

    /// Removes what is older or more than is to be kept.
    pub(super) fn retain(&self, now: Timestamp) -> io::Result<()> {
        let policy = self.policy();
        let before =
            |keep: Duration| now.checked_sub(SignedDuration::try_from(keep).unwrap_or(SignedDuration::MAX)).unwrap_or(Timestamp::MIN);
        let told = |error: pgtend_model::error::Error| io::Error::other(error.to_string());
        self.catalog().forget_baselines(before(policy.baseline_keep)).map_err(told)?;
        self.catalog().forget_snapshots(before(policy.awr_keep)).map_err(told)?;
        self.catalog().forget_texts(before(policy.awr_keep.max(policy.ash_keep).max(policy.baseline_keep))).map_err(told)?;
        self.catalog().forget_plans(before(policy.awr_keep.max(policy.baseline_keep))).map_err(told)?;
        let kept = self.kept()?;
        let mut gone: Vec<PathBuf> = Vec::new();
        for (ash, keep, most) in [(true, policy.ash_keep, policy.ash_max_bytes), (false, policy.awr_keep, policy.awr_max_bytes)] {
            let files: Vec<&Kept> = kept.iter().filter(|kept| kept.ash == ash).collect();
            gone.extend(self.too_much(&files, before(keep), most)?);
        }
        self.remove(&gone)
    }

    /// Files of before an instant, and the oldest of those that are more than may be.
    fn too_much(&self, files: &[&Kept], before: Timestamp, most: u64) -> io::Result<Vec<PathBuf>> {
        let mut bytes: u64 = files.iter().map(|kept| kept.file.bytes).sum();
        let mut gone = Vec::new();
        for kept in files {
            let old = kept.file.span().end <= before && !self.in_baseline(kept)?;
            if !old && bytes <= most {
                continue;
            }
            if !old {
                tracing::warn!(server = kept.server, file = %kept.file.path.display(), most_bytes = most, "history takes more than it may: the oldest goes");
            }
            bytes -= kept.file.bytes;
            gone.push(kept.file.path.clone());
        }
        Ok(gone)
    }

    fn in_baseline(&self, kept: &Kept) -> io::Result<bool> {
        let covers = kept.file.span();
        let meets = |span: Span| span.start < covers.end && covers.start <= span.end;
        let baselines = self.catalog().baselines(&kept.server).map_err(|error| io::Error::other(error.to_string()))?;
        Ok(baselines.iter().any(|baseline| meets(baseline.span)))
    }

    /// All sealed files, the oldest first.
    fn kept(&self) -> io::Result<Vec<Kept>> {
        let mut kept = Vec::new();
        for (dataset, server) in self.places()? {
            let ash = dataset == ASH || dataset == TICKS;
            let files = self.layout().sealed_files(&dataset, &server)?;
            kept.extend(files.into_iter().map(|file| Kept { ash, server: server.clone(), file }));
        }
        kept.sort_by_key(|kept| (kept.file.date, kept.file.hour.is_some(), kept.file.hour));
        Ok(kept)
    }

    /// On a full disk: removes the files of the oldest day there is, and says so. False when there is none.
    pub(super) fn free_oldest(&self) -> bool {
        let Ok(kept) = self.kept() else { return false };
        let Some(oldest) = kept.first().map(|kept| kept.file.date) else { return false };
        let paths: Vec<PathBuf> = kept.iter().filter(|kept| kept.file.date == oldest).map(|kept| kept.file.path.clone()).collect();
        tracing::warn!(date = %oldest, until = %day(oldest).end, files = paths.len(), "the disk is full: the oldest day of the history goes");
        self.remove(&paths).is_ok()
    }
}
