//! Tends a history while it is written: seals journals that are over, makes days of hours, lets go of what is too old or too much.
//!
//! This may take many seconds, during which samples go on being written: it runs beside the recorder, never in it.

use super::layout::{Hour, JournalFile};
use super::recorder::MOST_JOURNAL_BYTES;
use super::{History, parquet_file, sealing, text_table};
use jiff::Timestamp;
use std::collections::HashSet;
use std::io;

/// Which journals are in somebody's hands, by number.
#[derive(Debug, Default)]
pub(super) struct Journals {
    /// Those that are written.
    pub(super) open: HashSet<u64>,
    /// Those that are being sealed: nothing may be added to them.
    pub(super) sealing: HashSet<u64>,
}

impl History {
    /// Does what is due. What fails is said, and tried again the next time.
    pub fn tend(&self, now: Timestamp) {
        if let Err(error) = self.seal(now).and_then(|()| self.compact(now)).and_then(|()| self.retain(now)) {
            tracing::error!(%error, "history could not be tended; it is tried again");
            if error.kind() == io::ErrorKind::StorageFull {
                self.free_oldest();
            }
        }
    }

    /// Seals every journal whose hour is over, or that has become too large to be written on.
    fn seal(&self, now: Timestamp) -> io::Result<()> {
        for server in self.layout().servers()? {
            let mut sealed = false;
            for journal in self.layout().journals(&server)? {
                if !self.claim(&journal, Hour::of(now))? {
                    continue;
                }
                let done = sealing::seal(self.layout(), &server, &journal).and_then(|()| self.remove(std::slice::from_ref(&journal.path)));
                self.journals().sealing.remove(&journal.number);
                done?;
                sealed = true;
                tracing::debug!(server, journal = %journal.path.display(), "journal sealed");
            }
            if sealed {
                self.write_texts(&server)?;
            }
        }
        Ok(())
    }

    /// Takes a journal to be sealed, unless it is written or will be written on.
    fn claim(&self, journal: &JournalFile, hour: Hour) -> io::Result<bool> {
        let mut journals = self.journals();
        let goes_on = journal.hour == hour && journal.path.metadata()?.len() < MOST_JOURNAL_BYTES;
        Ok(!goes_on && !journals.open.contains(&journal.number) && journals.sealing.insert(journal.number))
    }

    fn write_texts(&self, server: &str) -> io::Result<()> {
        let texts = self.catalog().texts(server).map_err(|error| io::Error::other(error.to_string()))?;
        let table = text_table::to_arrow(&texts)?;
        parquet_file::write(&self.layout().texts(server), &table.schema(), std::iter::once(Ok(table)))
    }
}
