//! The WAL without which a backup is worth nothing: waited for, or brought by the backup itself where nobody archives.

use super::progress::Progress;
use pgtend_model::error::{Error, Kind, Result, Retry};
use pgtend_model::pgdata::Lsn;
use pgtend_model::pgdata::wal::{Segment, SegmentSize};
use pgtend_store::repo::Repository;
use pgtend_store::repo::wal::WalOwner;
use std::collections::HashSet;
use std::path::Path;
use std::time::{Duration, Instant};

const PAUSE: Duration = Duration::from_millis(250);

/// The segments that a backup needs.
#[derive(Debug, Clone)]
pub struct Needed {
    /// Whose.
    pub owner: WalOwner,
    /// Their names, in order.
    pub names: Vec<String>,
}

impl Needed {
    /// From where the backup starts to where it is consistent.
    pub fn of(owner: WalOwner, timeline: u32, start: Lsn, stop: Lsn, size: SegmentSize) -> Self {
        let last = Segment::ending_at(timeline, stop, size);
        let mut names = Vec::new();
        let mut segment = Segment::holding(timeline, start, size);
        while segment.number <= last.number {
            names.push(segment.name(size));
            segment = segment.next();
        }
        Self { owner, names }
    }

    /// The last of them.
    pub fn last(&self) -> &str {
        self.names.last().map_or("", String::as_str)
    }

    /// Those that are not in the repository.
    fn missing(&self, repository: &Repository) -> Result<Vec<String>> {
        let there: HashSet<String> = repository.wal(&self.owner)?.into_iter().map(|object| object.name).collect();
        Ok(self.names.iter().filter(|name| !there.contains(*name)).cloned().collect())
    }

    /// Waits until all of it is there.
    pub fn wait(&self, repository: &Repository, patience: Duration, progress: &Progress, why: impl Fn() -> String) -> Result<()> {
        let deadline = Instant::now() + patience;
        loop {
            let missing = self.missing(repository)?;
            let Some(first) = missing.first() else { return Ok(()) };
            if Instant::now() > deadline {
                return Err(Error::new(
                    Kind::Timeout,
                    format!(
                        "{first} is not in the repository after {} s: without it, and {} more, the backup is worth nothing",
                        patience.as_secs(),
                        missing.len() - 1
                    ),
                )
                .at(repository.shown())
                .hint(why()));
            }
            progress.check()?;
            std::thread::sleep(PAUSE);
        }
    }

    /// Whether what is in the repository is the WAL of this server, as far as its `pg_wal` still tells: a clone that goes by the same name finds
    /// segments of the same names there, and a backup with those would be worth nothing.
    pub fn is_own(&self, repository: &Repository, data: &Path) -> Result<()> {
        let local = |name: &str| std::fs::read(data.join("pg_wal").join(name)).ok();
        let Some((name, content)) = self.names.iter().rev().find_map(|name| Some((name, local(name)?))) else { return Ok(()) };
        if repository.has_same_wal(&self.owner, name, &content)? {
            return Ok(());
        }
        Err(Error::new(Kind::Conflict, format!("{name} in the repository is not this server's: another server archives under its name"))
            .at(repository.shown())
            .hint("this is a clone, or the other one is: give one of them another name, and take a new backup of it")
            .retry(Retry::Never))
    }

    /// Brings it from `pg_wal`, where a slot has kept it.
    pub fn bring(&self, repository: &Repository, data: &Path, level: i32) -> Result<()> {
        for name in &self.names {
            let path = data.join("pg_wal").join(name);
            let content = std::fs::read(&path).map_err(|error| {
                Error::new(Kind::System, format!("a segment that the backup needs cannot be read: {error}")).at(path.display().to_string())
            })?;
            repository.push_wal(&self.owner, name, &content, level)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_segment_from_start_to_stop_is_needed() {
        let size = SegmentSize::new(16 << 20).unwrap();
        let owner = WalOwner { server: "main".into(), system_identifier: "1".into() };
        let needed = Needed::of(owner, 1, Lsn(0xFE00_0028), Lsn(0x1_0100_0000), size);
        assert_eq!(needed.names, ["0000000100000000000000FE", "0000000100000000000000FF", "000000010000000100000000"]);
    }
}
